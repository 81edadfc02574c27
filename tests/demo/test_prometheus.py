"""The demo's own Prometheus: the jobs that are shipped, in another namespace, from outside of the cluster."""

import socket
from pathlib import Path

import pytest

from sluicegate.errors import UnavailableError
from sluicegate.settings import PROJECT
from sluicegate.testing.gateway import free_port
from sluicegate_demo.prometheus import PROXIES, address_towards, command, configuration

SHIPPED = (PROJECT / "docker" / "kubernetes" / "watching" / "scrape.yml").read_text()


def jobs(*, proxies: bool) -> dict[str, dict]:
    found = configuration(SHIPPED, "elsewhere", Path("/home/k"), proxies=proxies)["scrape_configs"]
    return {job["job_name"]: job for job in found}


@pytest.mark.parametrize("proxies", [True, False])
def test_all_jobs_look_for_pods_in_the_demos_namespace_alone(proxies: bool) -> None:
    for name, job in jobs(proxies=proxies).items():
        (found,) = job["kubernetes_sd_configs"]
        both = [PROXIES] * (proxies and name == "sluicegate-gateway")
        assert found == {"role": "pod", "kubeconfig_file": "/home/k", "namespaces": {"names": ["elsewhere", *both]}}
    assert len(jobs(proxies=proxies)) == 4


def test_the_proxies_are_those_of_the_demos_own_gateway() -> None:
    kept = [rule for rule in jobs(proxies=True)["sluicegate-gateway"]["relabel_configs"] if rule.get("action") == "keep"]
    assert "gateway;;counters|;elsewhere;metrics" in [rule["regex"] for rule in kept]


def test_without_the_program_the_sentence_names_the_setting_that_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnavailableError, match="SLUICEGATE_PROMETHEUS_URL"):
        command(Path("/home"), "127.0.0.1", 9090)


def test_a_host_on_this_machine_is_reached_from_this_machines_own_address() -> None:
    host = address_towards("127.0.0.1")
    with socket.create_server((host, free_port(host))) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
