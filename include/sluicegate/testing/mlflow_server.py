"""A real MLflow server for tests: SQLite and a folder, one process, on a free loopback port."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluicegate.testing.gateway import free_port
from sluicegate.testing.waiting import wait_until

PATIENCE_S = 120.0


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Start the server with its state below `folder`, give its URL, stop it."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "mlflow.server.fastapi_app:app"]
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(command, env=_environment(folder), stdout=log, stderr=subprocess.STDOUT)
        try:
            _await(f"http://127.0.0.1:{port}/health", process, folder / "mlflow.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def _environment(folder: Path) -> dict[str, str]:
    """What `mlflow server` would hand to uvicorn; without that parent, and without the job runner's eight processes."""
    return os.environ | {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder / 'mlflow.db'}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def told() -> str:
        return f"MLflow did not start:\n{log.read_text()[-2000:]}"

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(told())
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
            return True

    wait_until(answers, PATIENCE_S, told, pause=0.1)
