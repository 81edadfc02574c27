"""Each image as a pod of the strictest kind: nobody's user, nothing writable, no rights. What it is for starts."""

import json
from typing import Any

import pytest

from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.waiting import wait_until

LOOK = """
import json, os, pathlib, subprocess, sys
def writable(path):
    try:
        pathlib.Path(path, "tried").write_text("")
        return True
    except OSError:
        return False
told = subprocess.run([sys.executable, "-m", "sluicegate", "--help"], capture_output=True, text=True)
loaded = subprocess.run([sys.executable, "-c", sys.argv[1]], capture_output=True, text=True)
print(json.dumps({
    "user": os.getuid(),
    "writable": [p for p in ("/", "/opt/sluicegate", "/usr", "/var/lib/sluicegate", "/tmp") if writable(p)],
    "help": told.stdout + told.stderr,
    "loaded": loaded.returncode, "errors": loaded.stderr,
    "locked": pathlib.Path("/opt/sluicegate/lock.txt").read_text(),
    "built_from": {name: os.environ.get(f"SLUICEGATE_{name}", "") for name in ("CODE_VERSION", "LOCK_DIGEST")},
}))
"""
RUNS = {
    "work": "import sluicegate.actions.ingest, sluicegate.actions.compare, sluicegate.adapters.sql_journal, great_expectations, s3fs, "
    "sluicegate.adapters.estimators.boosted, sluicegate.adapters.estimators.classical_onnx, sluicegate.kube, kubernetes, matplotlib.pyplot",
    "serve": "import sluicegate.serving.main, onnxruntime, s3fs",
    "gateway": "import subprocess; import sluicegate.actions.guard, kubernetes; subprocess.run(['envoy', '--version'], check=True)",
    "keeper": "import sluicegate.wiring, sluicegate.actions.guard, kubernetes",
}
"""What each image is there for, as imports."""


def _pod(role: str, image: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": role},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "base",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "-c", LOOK, RUNS[role]],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        },
    }


@pytest.mark.parametrize("role", RUNS)
def test_an_image_runs_as_nobody_with_nothing_writable(role: str, cluster: Cluster, namespace: str, images: Images) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    cluster.kubectl("create", "-n", namespace, "-f", "-", given=json.dumps(_pod(role, images[role])))
    _end(cluster, namespace, role)
    seen = json.loads(cluster.kubectl("logs", "-n", namespace, role).stdout.splitlines()[-1])
    assert seen["user"] == 10001
    assert seen["writable"] == ["/tmp"]
    assert "Keeps a production model fresh" in seen["help"]
    assert seen["loaded"] == 0, seen["errors"]
    assert "kubernetes==" in seen["locked"] or role == "serve"
    assert seen["built_from"]["CODE_VERSION"] not in ("", "unknown")
    assert seen["built_from"]["LOCK_DIGEST"].startswith("sha256:")


def _end(cluster: Cluster, namespace: str, pod: str) -> None:
    def phase() -> str:
        return cluster.kubectl("get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.phase}").stdout

    def told() -> str:
        described = cluster.kubectl("describe", "pod", pod, "-n", namespace).stdout[-1500:]
        return f"{pod} is {phase()}: {described}{cluster.kubectl('logs', pod, '-n', namespace, check=False).stdout[-1500:]}"

    wait_until(lambda: phase() in ("Succeeded", "Failed"), 180, told, pause=0.5)
    assert phase() == "Succeeded", told()
