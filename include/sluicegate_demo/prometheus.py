"""The demo's Prometheus, outside of the cluster: the shipped jobs, with the rights of `sluicegate-prometheus` and a place of its own."""

import shutil
import socket
from pathlib import Path
from typing import Any

import yaml

from sluicegate.errors import UnavailableError

PROXIES = "envoy-gateway-system"
"""Namespace of Envoy Gateway's proxies."""


def configuration(shipped: str, namespace: str, kubeconfig: Path, *, proxies: bool) -> dict[str, Any]:
    """docker/kubernetes/watching/scrape.yml for this namespace, finding pods through a kubeconfig.

    Parameters
    ----------
    proxies : whether the gateway's counters are in the namespace of Envoy Gateway.
    """
    found: dict[str, Any] = yaml.safe_load(shipped.replace(";sluicegate;metrics", f";{namespace};metrics"))
    for job in found["scrape_configs"]:
        both = proxies and job["job_name"] == "sluicegate-gateway"
        names = [namespace, *[PROXIES] * both]
        job["kubernetes_sd_configs"] = [{"role": "pod", "kubeconfig_file": str(kubeconfig), "namespaces": {"names": names}}]
    return found


def command(folder: Path, host: str, port: int) -> tuple[str, ...]:
    """How it is started; UnavailableError when it is not here."""
    program = shutil.which("prometheus")
    if program is None:
        raise UnavailableError(
            "there is no program `prometheus` on PATH: install Prometheus 3, or name one that scrapes the cluster with "
            "SLUICEGATE_PROMETHEUS_URL (docs/kubernetes.md, Watching)"
        )
    data = (f"--storage.tsdb.path={folder / 'data'}", "--storage.tsdb.retention.time=6h")
    return (
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        *data,
        f"--web.listen-address={host}:{port}",
        "--log.level=warn",
    )


def address_towards(host: str) -> str:
    """Address of this machine on the way to a host: where the cluster can reach us, if it can at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # sends nothing: the kernel chooses the way
        return str(probe.getsockname()[0])
