"""The images that the demo's cluster runs: named by the environment, or built from this checkout and brought to the nodes."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

from sluicegate.errors import UnavailableError
from sluicegate.settings import PROJECT
from sluicegate.testing.cluster import Cluster

ROLES = ("work", "serve", "gateway", "keeper", "mlflow", "postgresql")


def images(cluster: Cluster, load: str) -> dict[str, str]:
    """Image by role: SLUICEGATE_IMAGE_<ROLE> where it is set, the others as `make images` names them.

    Parameters
    ----------
    load : command that brings an image of this machine to the cluster's nodes, with the image's name as its last word.

    Raises UnavailableError when images of this machine are not on the nodes and nobody says how they get there.
    """
    named = {role: image for role in ROLES if (image := os.environ.get(f"SLUICEGATE_IMAGE_{role.upper()}"))}
    built = _built([role for role in ROLES if role not in named])
    _bring(cluster, built, load)
    return {**named, **built}


def _built(roles: list[str]) -> dict[str, str]:
    if not roles:
        return {}
    build = [sys.executable, str(PROJECT / "docker" / "build.py"), *roles, "--format", "json"]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"docker/build.py failed: {done.stderr.strip()[-800:]}")
    return dict(json.loads(done.stdout))


def _bring(cluster: Cluster, built: Mapping[str, str], load: str) -> None:
    missing = sorted(set(built.values()) - _on_all_nodes(cluster))
    if missing and not load:
        raise UnavailableError(
            f"the cluster's nodes lack {', '.join(missing)}: say how they get there, such as "
            "make cluster-demo ARGS=\"--load 'kind load docker-image'\", or push them (make images) and set SLUICEGATE_IMAGE_WORK ..."
        )
    for image in missing:
        done = subprocess.run(
            [*shlex.split(load), image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            raise UnavailableError(f"{load} {image} failed ({done.returncode}): {done.stdout.strip()[-400:]}")


def _on_all_nodes(cluster: Cluster) -> set[str]:
    """What every node has. Nodes tell it late and not all of it; to bring an image again costs only time."""
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    lists = [{name for image in node["status"].get("images", []) for name in image.get("names") or []} for node in nodes]
    return set.intersection(*lists) if lists else set()
