"""Where things are. Read from the environment once, at the edge, by `Settings.from_environment`; nowhere else."""

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluicegate.errors import InputError

PROJECT = Path(__file__).resolve().parents[2]
"""The project's root when the package is installed in place; a pod sets SLUICEGATE_PROJECT."""
PROFILES = ("local", "kubernetes")
ROUTERS = ("envoy", "gateway-api", "istio")
ROLES = ("work", "serve", "gateway", "keeper")
"""What a pod of ours can be; each has an image of its own."""
_WHAT = dict(zip(ROLES, ("carry out orders", "serve models", "split the traffic", "end expired leases"), strict=True))

_TEXTS = (
    *("profile", "journal_url", "mlflow_url", "notify_url", "host", "store_url", "router", "namespace", "cluster_gateway"),
    *("prometheus_url", *(f"image_{role}" for role in ROLES), "code_version", "lock_digest"),
)
"""Settings that are text: each is read from SLUICEGATE_<its name>."""
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_STORE = re.compile(r"[a-z][a-z0-9+.-]*://[^@?#\s]*[^@?#\s/]")


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
    """SQLAlchemy URL of the journal; empty means SQLite in `home`, and in profile `kubernetes`, where pods share no disk, is refused."""
    mlflow_url: str = ""
    """Tracking and registry server; empty means the local one on `mlflow_port`, and is refused in profile `kubernetes`."""
    notify_url: str = ""
    """HTTP receiver (webhook) of what people must hear of; empty tells the log only."""
    store_url: str = ""
    """Where pods exchange batches, results, orders and prediction logs: an fsspec URL such as s3://bucket/prefix.

    Empty means folders in `home`. Credentials never stand in it: the driver takes them from its own variables (AWS_*)."""
    router: str = "envoy"
    """What splits the traffic: `envoy`, `gateway-api` or `istio`."""
    namespace: str = "sluicegate"
    """Kubernetes namespace in which our pods, servers and routes live."""
    cluster_gateway: str = "sluicegate.sluicegate"
    """`name.namespace` of the Gateway to which routes attach."""
    prometheus_url: str = ""
    """Prometheus that scrapes the cluster; empty where counters are read from their sources."""
    image_work: str = ""
    """Image of pods that carry out orders and release verbs; like the three below it has no default, ask `image(role)`."""
    image_serve: str = ""
    image_gateway: str = ""
    image_keeper: str = ""
    code_version: str = ""
    """Commit that this process was built from, as its image says; empty in a checkout, which may be anything."""
    lock_digest: str = ""
    """`sha256:` and the digest of the list of packages in its image; empty in a checkout."""
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
        _check("PROFILE", self.profile, self.profile in PROFILES, "write 'local' or 'kubernetes'")
        _check("ROUTER", self.router, self.router in ROUTERS, f"write one of {', '.join(ROUTERS)}")
        for name, url in (("NOTIFY_URL", self.notify_url), ("PROMETHEUS_URL", self.prometheus_url)):
            good = not url or url.startswith(("http://", "https://"))
            _check(name, url, good, "write a URL that begins with http:// or https://")
        if self.store_url and not _STORE.fullmatch(self.store_url):
            remedy = "write a URL such as s3://bucket/prefix, without credentials, '?' or '#'"
            raise InputError(f"SLUICEGATE_STORE_URL is {_hidden(self.store_url)}: {remedy}")
        label = "write small letters, digits and '-', at most 63"
        _check("NAMESPACE", self.namespace, bool(_LABEL.fullmatch(self.namespace)), label)
        parts = self.cluster_gateway.split(".")
        good = len(parts) == 2 and all(_LABEL.fullmatch(part) for part in parts)
        _check("CLUSTER_GATEWAY", self.cluster_gateway, good, "write name.namespace of a Gateway")

    def image(self, role: str) -> str:
        """Image of a pod of this role (see ROLES); InputError when none was given."""
        image: str = getattr(self, f"image_{role}")
        if not image:
            raise InputError(f"SLUICEGATE_IMAGE_{role.upper()} is not set: name the image of the pods that {_WHAT[role]}")
        return image

    @property
    def journal(self) -> str:
        """The journal's URL; InputError when a cluster's was not given."""
        return self.journal_url or self._on_this_machine("JOURNAL_URL", f"sqlite:///{self.home / 'journal.db'}")

    @property
    def mlflow(self) -> str:
        """The registry's URL; InputError when a cluster's was not given."""
        return self.mlflow_url or self._on_this_machine("MLFLOW_URL", f"http://{self.host}:{self.mlflow_port}")

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

    def _on_this_machine(self, name: str, default: str) -> str:
        if self.profile == "local":
            return default
        raise InputError(f"SLUICEGATE_{name} is not set: pods need one that all of them reach (docs/kubernetes.md, Installing)")

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
            airflow_port=_port(env, "AIRFLOW_PORT", 8180),
            mlflow_port=_port(env, "MLFLOW_PORT", 8181),
            gateway_port=_port(env, "GATEWAY_PORT", 8182),
            gateway_admin_port=_port(env, "GATEWAY_ADMIN_PORT", 8183),
            server_ports=(low, low + 40),
            **{name: env[f"SLUICEGATE_{name.upper()}"] for name in _TEXTS if f"SLUICEGATE_{name.upper()}" in env},
        )

    def to_environment(self) -> dict[str, str]:
        """The settings as SLUICEGATE_* variables, so that every child reads the same ones."""
        return {
            "SLUICEGATE_PROJECT": str(self.project),
            "SLUICEGATE_HOME": str(self.home),
            "SLUICEGATE_MODELS": str(self.models),
            "SLUICEGATE_AIRFLOW_PORT": str(self.airflow_port),
            "SLUICEGATE_MLFLOW_PORT": str(self.mlflow_port),
            "SLUICEGATE_GATEWAY_PORT": str(self.gateway_port),
            "SLUICEGATE_GATEWAY_ADMIN_PORT": str(self.gateway_admin_port),
            "SLUICEGATE_SERVER_PORT": str(self.server_ports[0]),
            **{f"SLUICEGATE_{name.upper()}": getattr(self, name) for name in _TEXTS},
        }


def _check(name: str, value: str, good: bool, remedy: str) -> None:
    if not good:
        raise InputError(f"SLUICEGATE_{name} is '{value}': {remedy}")


def _hidden(url: str) -> str:
    """The URL as it may be shown: what stands before an '@' could be a password."""
    scheme, _, rest = url.rpartition("@")
    return f"'{url}'" if not scheme else f"'{scheme.partition('://')[0]}://***@{rest}'"


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(f"SLUICEGATE_{name}", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise InputError(f"SLUICEGATE_{name} is '{text}': write a port between 1 and 65535")
    return int(text)
