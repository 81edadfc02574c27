"""The demo's world in a cluster: Airflow, users and Prometheus on this machine, all the rest in a namespace of the demo."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import yaml

from sluicegate.errors import InputError
from sluicegate.local.stack import down
from sluicegate.settings import PROJECT, Settings
from sluicegate.testing.gateway import free_port
from sluicegate_demo import prometheus
from sluicegate_demo.images import images
from sluicegate_demo.installation import Installation, api_server, found_cluster
from sluicegate_demo.place import Pace, Place
from sluicegate_demo.world import RELEASE, demo_settings, fresh_world

NAMESPACE = "sluicegate-demo"
SPEC: dict[str, Any] = {
    "release": {
        **RELEASE,
        "stages": [{**stage, "deadline": "240s"} for stage in RELEASE["stages"]],
        "gates": {**RELEASE["gates"], "p95_ms": 40},  # users, servers and all that watches them may share two cores
        "look_every": "1s",  # Prometheus scrapes every second
        "lease": "45s",  # outlives the seconds of a pod between `enter` and the first look of its gate
        "retention": "60s",
    },
    "resources": {"cpu": "0.1", "memory": "2Gi"},
    "serving": {"servers": 1, "most": 1, "cpu": "0.1"},
}
"""What differs from the shipped model: short stages, and pods for a small cluster."""
PACE = Pace(july=800, live=100, patience=4)


def cluster_place(load: str) -> Place:
    """A new world in the cluster: what was left of another one goes first."""
    place = Installation(found_cluster(), _settings())
    place.check()
    settings = place.settings
    fresh_world(settings, SPEC)
    _say(f"the images of {PROJECT}, and their way to the nodes")
    found = images(place.cluster, load)
    _say(f"installing into namespace {place.namespace}, router {settings.router}")
    place.remove()
    _empty_store(settings)
    host = prometheus.address_towards(api_server(place.cluster))
    port = free_port(host)
    url = settings.prometheus_url or f"http://{host}:{port}"
    watching = {} if settings.prometheus_url else {"prometheus": prometheus.command(settings.home / "prometheus", host, port)}
    place.make(found, url)
    answers = place.addresses()
    gateway = answers.pop("gateway")
    chosen: dict[str, Any] = {f"image_{role}": found[role] for role in ("work", "serve", "gateway", "keeper")}
    settings = replace(settings, prometheus_url=url, **chosen, **answers)
    return _ready(replace(place, settings=settings), gateway, watching)


def remove() -> int:
    """Stop what runs here and take the demo out of the cluster."""
    place = Installation(found_cluster(), _settings())
    down(place.settings)
    place.remove()
    _empty_store(place.settings)
    _say(f"nothing of the demo is left in namespace {place.namespace} and below {place.settings.store_url}")
    return 0


def _settings() -> Settings:
    """The demo's settings as far as they are known before anything runs."""
    given = demo_settings("cluster-demo")
    if not given.store_url:
        raise InputError(
            "SLUICEGATE_STORE_URL is not set: name a place for the demo in a store, such as s3://bucket/demo (AWS_* open it)"
        )
    namespace = os.environ.get("SLUICEGATE_NAMESPACE", NAMESPACE)
    return replace(
        given,
        profile="kubernetes",
        namespace=namespace,
        store_url=f"{given.store_url}/{namespace}",
        cluster_gateway=f"sluicegate.{namespace}",
    )


def _ready(place: Installation, gateway: str, watching: dict[str, Any]) -> Place:
    """From here on this process, and Airflow with it, has the rights of `sluicegate-airflow` and no more."""
    home = place.settings.home
    if watching:
        _configure(place, home / "prometheus")
    os.environ["KUBECONFIG"] = str(place.kubeconfig("sluicegate-airflow", home / "secrets"))
    log = home / "pods.log"
    whose = ("--kubectl", shutil.which("kubectl"), "--namespace", place.namespace)
    follow = (sys.executable, "-m", "sluicegate_demo.pod_log", *whose, "--to", log)
    return Place(
        place.settings, gateway, PACE, "make cluster-down", "Airflow, and beside it Prometheus", {"pods": follow, **watching}, log
    )


def _configure(place: Installation, folder: Path) -> None:
    config = place.kubeconfig("sluicegate-prometheus", folder)
    shipped = (PROJECT / "docker" / "kubernetes" / "watching" / "scrape.yml").read_text()
    jobs = prometheus.configuration(shipped, place.namespace, config, proxies=place.settings.router == "gateway-api")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(jobs))


def _empty_store(settings: Settings) -> None:
    files, root = fsspec.core.url_to_fs(settings.store_url)
    if files.exists(root):
        files.rm(root, recursive=True)


def _say(text: str) -> None:
    print(f"[sluicegate] {text}", flush=True)
