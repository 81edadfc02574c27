"""Which programs run, with which environment: settings in, supervisord's configuration out. Pure."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sluicegate.local.secrets import PASSWORDS, secret_file
from sluicegate.settings import Settings


@dataclass(frozen=True)
class Program:
    """One supervised process. `health` is an URL that answers 200 when it works, or that of a file whose time is its last work; None
    means that running is enough."""

    name: str
    command: tuple[str, ...]
    health: str | None = None
    priority: int = 500
    stop_seconds: int = 15
    environment: Mapping[str, str] = field(default_factory=dict)
    """What differs from the environment of all."""


RECOVERY = {
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # a failed or skipped task is told in a second, not in five
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}
"""How soon Airflow notices a task or a triggerer that was killed, seconds; by default after minutes."""


def python() -> Path:
    return Path(sys.executable)


def tool(name: str) -> str:
    """A command of this environment, whether or not it is on PATH."""
    return str(python().parent / name)


def programs(settings: Settings, envoy: tuple[str, ...], database: str = "") -> tuple[Program, ...]:
    """All programs of the stack except the model servers, which come and go with their versions.

    In the profile kubernetes Airflow alone is here; all the rest is in the cluster.

    Airflow's API server logs a person's click in its event loop, waiting there for SQLite's only write lock, which another request
    of the same server may hold until the loop runs on. So it, and it alone, must give up soon; whoever asked asks again.
    """
    impatient = {} if database else {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": sqlite(settings, patience=2)}
    base = f"http://{settings.host}:{settings.airflow_port}"
    airflow = tool("airflow")
    api = (airflow, "api-server")
    return (
        *(beside_airflow(settings, envoy) if settings.profile == "local" else ()),
        Program("airflow-api", api, f"{base}/api/v2/monitor/health", 300, 6, impatient),
        Program("airflow-scheduler", (airflow, "scheduler", "-s"), priority=310),  # -s: no log server on 0.0.0.0
        Program("airflow-dags", (airflow, "dag-processor"), priority=310),
        Program("airflow-triggerer", (airflow, "triggerer", "-s"), priority=310),
    )


def beside_airflow(settings: Settings, envoy: tuple[str, ...]) -> tuple[Program, ...]:
    """What carries traffic, the registry, and what ends rollouts that nobody works on."""
    base, looked = f"http://{settings.host}", (settings.gateway / "guard").absolute().as_uri()
    return (
        Program("gateway", envoy, f"{base}:{settings.gateway_admin_port}/ready", priority=100),
        Program("guard", (str(python()), "-m", "sluicegate", "guard"), looked, priority=110),
        Program("mlflow", mlflow(settings), f"{base}:{settings.mlflow_port}/health", priority=200, stop_seconds=3),
        Program("sweep", (str(python()), "-m", "sluicegate", "sweep"), priority=210),
    )


def mlflow(settings: Settings) -> tuple[str, ...]:
    """The MLflow server with a SQL backend and its artifacts in a folder."""
    home = settings.home / "mlflow"
    return (
        *(str(python()), "-m", "sluicegate.local.alone", "mlflow"),
        tool("mlflow"),
        "server",
        *("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}"),
        *("--artifacts-destination", str(home / "artifacts")),
        *("--host", settings.host, "--port", str(settings.mlflow_port), "--workers", "1"),
    )


def environment(settings: Settings, database: str = "") -> dict[str, str]:
    """Environment of every program: where Sluicegate and Airflow keep their things. `database` empty means SQLite.

    Secrets are read by command from files of mode 0600, so that no process list shows them.
    """
    return {
        **settings.to_environment(),
        **airflow_environment(settings, database or sqlite(settings)),
        "PATH": f"{python().parent}:/usr/local/bin:/usr/bin:/bin",
        "MLFLOW_TRACKING_URI": settings.mlflow,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes that nobody here asks for anything
        "PYTHONUNBUFFERED": "1",
    }


def database_environment(url: str) -> dict[str, str]:
    """Airflow's connection. For PostgreSQL one driver serves its two kinds of engines; Airflow itself would want another for the second."""
    name = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    if not url.startswith("postgresql"):
        return {name: url}
    psycopg = f"postgresql+psycopg://{url.partition('://')[2]}"
    return {name: psycopg, f"{name}_ASYNC": psycopg}


def sqlite(settings: Settings, patience: int = 25) -> str:
    """Airflow's own database; `patience` is how many seconds a writer waits for the others (SQLite's usual 5 fail tasks at start)."""
    return f"sqlite:///{settings.home / 'airflow' / 'airflow.db'}?timeout={patience}"


def airflow_environment(settings: Settings, database: str) -> dict[str, str]:
    """Airflow's own settings, those that differ from its defaults."""
    home, base = settings.home / "airflow", f"http://{settings.host}:{settings.airflow_port}"
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.project / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(settings.project / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Disabled",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(secret_file(settings.home, PASSWORDS)),
        "AIRFLOW__CORE__FERNET_KEY_CMD": f"cat {secret_file(settings.home, 'fernet')}",
        "AIRFLOW__API__SECRET_KEY_CMD": f"cat {secret_file(settings.home, 'api')}",
        "AIRFLOW__API_AUTH__JWT_SECRET_CMD": f"cat {secret_file(settings.home, 'jwt')}",
        "AIRFLOW__API__HOST": settings.host,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__WORKERS": "1",
        **database_environment(database),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
        **RECOVERY,
    }


def supervisord_conf(settings: Settings, parts: tuple[Program, ...]) -> str:
    """supervisord's configuration file. The environment comes from supervisord's own."""
    folder = settings.supervisor
    head = f"""\
[supervisord]
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
nodaemon=false
umask=077

[unix_http_server]
file={settings.supervisor_socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{settings.supervisor_socket}

[include]
files={folder}/servers/*.conf
"""
    return head + "".join(_section(folder, part) for part in parts)


def _section(folder: Path, part: Program) -> str:
    return f"""
[program:{part.name}]
command={" ".join(_quoted(word) for word in part.command)}
priority={part.priority}
autorestart=true
startsecs=0
startretries=1000
stopasgroup=true
killasgroup=true
stopwaitsecs={part.stop_seconds}
environment={_pairs(part.environment)}
redirect_stderr=true
stdout_logfile={folder}/{part.name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1
"""


def _pairs(environment: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value.replace("%", "%%")}"' for name, value in environment.items())


def _quoted(word: str) -> str:
    escaped = word.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped or ";" in escaped else escaped


def ports_needed(settings: Settings) -> Mapping[str, tuple[int, str]]:
    """Ports that must be free: what for → (port, the variable that moves it)."""
    airflow = {"Airflow": (settings.airflow_port, "SLUICEGATE_AIRFLOW_PORT")}
    if settings.profile == "kubernetes":
        return airflow
    return {
        **airflow,
        "MLflow": (settings.mlflow_port, "SLUICEGATE_MLFLOW_PORT"),
        "the gateway": (settings.gateway_port, "SLUICEGATE_GATEWAY_PORT"),
        "the gateway's admin interface": (settings.gateway_admin_port, "SLUICEGATE_GATEWAY_ADMIN_PORT"),
    }
