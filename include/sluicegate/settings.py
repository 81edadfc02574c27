"""Where things are. Read from the environment once, at the edge, by `Settings.from_environment`; nowhere else."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluicegate.errors import InputError

PROJECT = Path(__file__).resolve().parents[2]
"""The project's root when the package is installed in place; a pod sets SLUICEGATE_PROJECT."""


@dataclass(frozen=True)
class Settings:
    """All settings of one installation."""

    project: Path = PROJECT
    """Root of the checkout: dags/, include/, plugins/."""
    home: Path = PROJECT / "var"
    """Everything that is written lives under here: databases, data, logs, sockets."""
    models: Path = PROJECT / "include" / "models"
    """One folder a model: spec.yaml and features.py."""
    profile: str = "local"
    """`local` or `kubernetes`: how units of work and servers are run."""
    journal_url: str = ""
    """SQLAlchemy URL of the journal; empty means SQLite in `home`."""
    mlflow_url: str = ""
    """Tracking and registry server; empty means the local one on `mlflow_port`."""
    notify_url: str = ""
    """HTTP receiver (webhook) of what people must hear of; empty tells the log only."""
    host: str = "127.0.0.1"
    """Address on which everything listens; loopback unless told otherwise."""
    airflow_port: int = 8180
    mlflow_port: int = 8181
    gateway_port: int = 8182
    """Where clients send requests."""
    gateway_admin_port: int = 8183
    server_ports: tuple[int, int] = (8190, 8230)
    """Range, end excluded, from which model servers take their port."""

    def __post_init__(self) -> None:
        if self.profile not in ("local", "kubernetes"):
            raise InputError(f"SLUICEGATE_PROFILE is '{self.profile}': write 'local' or 'kubernetes'")
        if self.notify_url and not self.notify_url.startswith(("http://", "https://")):
            raise InputError(f"SLUICEGATE_NOTIFY_URL is '{self.notify_url}': write a URL that begins with http:// or https://")

    @property
    def journal(self) -> str:
        return self.journal_url or f"sqlite:///{self.home / 'journal.db'}"

    @property
    def mlflow(self) -> str:
        return self.mlflow_url or f"http://{self.host}:{self.mlflow_port}"

    @property
    def landing(self) -> Path:
        """Where producers drop files: landing/<model>/<anything>."""
        return self.home / "landing"

    @property
    def data(self) -> Path:
        """Taken files, committed batches, quarantine, snapshots: data/<model>/..."""
        return self.home / "data"

    @property
    def predictions(self) -> Path:
        """Prediction logs of the model servers: predictions/<model>/<version>/*.jsonl."""
        return self.home / "predictions"

    @property
    def results(self) -> Path:
        """Committed results of orders: results/<content key>/."""
        return self.home / "results"

    @property
    def packages(self) -> Path:
        """Model packages fetched from the registry: packages/<model>/<version>/."""
        return self.home / "packages"

    @property
    def gateway(self) -> Path:
        """The gateway's xDS files and routes."""
        return self.home / "gateway"

    @property
    def supervisor(self) -> Path:
        """supervisord's configuration, socket and logs."""
        return self.home / "supervisor"

    @property
    def supervisor_socket(self) -> Path:
        """supervisord's socket: in `supervisor`, or, since a socket's path is limited to 107 bytes, in /tmp under a digest of it."""
        path = self.supervisor / "supervisor.sock"
        if len(str(path).encode()) <= 100:
            return path
        return Path(tempfile.gettempdir()) / f"sluicegate-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.sock"

    @property
    def incidents(self) -> Path:
        """One JSON file an incident: incidents/<model>/."""
        return self.home / "incidents"

    @property
    def orders(self) -> Path:
        """Orders being carried out: orders/<content key>/{order.json,log,lock}."""
        return self.home / "orders"

    @staticmethod
    def from_environment(environ: Mapping[str, str] | None = None) -> "Settings":
        """Read SLUICEGATE_* variables; what is absent keeps its default."""
        env = os.environ if environ is None else environ
        project = Path(env.get("SLUICEGATE_PROJECT", str(PROJECT)))
        low = _port(env, "SERVER_PORT", 8190)
        return Settings(
            project=project,
            home=Path(env.get("SLUICEGATE_HOME", str(project / "var"))),
            models=Path(env.get("SLUICEGATE_MODELS", str(project / "include" / "models"))),
            profile=env.get("SLUICEGATE_PROFILE", "local"),
            journal_url=env.get("SLUICEGATE_JOURNAL_URL", ""),
            mlflow_url=env.get("SLUICEGATE_MLFLOW_URL", ""),
            notify_url=env.get("SLUICEGATE_NOTIFY_URL", ""),
            host=env.get("SLUICEGATE_HOST", "127.0.0.1"),
            airflow_port=_port(env, "AIRFLOW_PORT", 8180),
            mlflow_port=_port(env, "MLFLOW_PORT", 8181),
            gateway_port=_port(env, "GATEWAY_PORT", 8182),
            gateway_admin_port=_port(env, "GATEWAY_ADMIN_PORT", 8183),
            server_ports=(low, low + 40),
        )


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(f"SLUICEGATE_{name}", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise InputError(f"SLUICEGATE_{name} is '{text}': write a port between 1 and 65535")
    return int(text)
