"""Up, down and status of the local stack. Asking twice changes nothing; `up` after `down` goes on where it was."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import xmlrpc.client
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sluicegate.domain.order import Order
from sluicegate.errors import RefusedError, UnavailableError
from sluicegate.local.programs import Program, environment, ports_needed, programs, supervisord_conf, tool
from sluicegate.local.secrets import PASSWORDS, airflow_password, create_secrets, secret_file, write_private
from sluicegate.local.survivors import end_survivors
from sluicegate.settings import Settings
from sluicegate.supervisord import Supervisord

HEALTHY_WITHIN = 120.0
"""Seconds after which a start that is not healthy is called failed."""
FRESH_S = 5.0
"""A file that its program has not touched for this long says that the program hangs."""


def up(settings: Settings) -> None:
    """Start what does not run yet and wait until everything is healthy. RefusedError when a port is taken."""
    parts = _parts(settings)
    env = stack_environment(settings)
    if not running(settings):
        refuse_taken_ports(settings)
        _prepare(settings, env)
        write_private(settings.supervisor / "supervisord.conf", supervisord_conf(settings, parts))
        _say("starting supervisord")
        command = [tool("supervisord"), "-c", str(settings.supervisor / "supervisord.conf")]
        subprocess.run(command, env={**_passed_on(), **env}, check=True, cwd=settings.home)
    _wait_healthy(settings, parts)
    _apply_airflow_settings(settings, env)
    _say(f"up: {where(settings)}")


def down(settings: Settings) -> None:
    """Stop everything, model servers and orders too, and what lost its supervisor; returns when no process of the stack is left."""
    was_running = running(settings)
    if was_running:
        _stop_supervised(settings)
    _stop_orders(settings)
    lost = end_survivors(settings.home)
    _say("down: nothing of the stack runs any more" if was_running or lost else "nothing runs")


def status(settings: Settings) -> list[tuple[str, str, str]]:
    """One row a process: name, state, where it answers."""
    health = {part.name: part.health or "" for part in _parts(settings)}
    if not running(settings):
        return [(name, "STOPPED", url) for name, url in health.items()]
    found = _supervisor(settings, "getAllProcessInfo")
    return [(str(p["name"]), _state(p, health), health.get(str(p["name"]), str(p["description"]))) for p in found]


def running(settings: Settings) -> bool:
    """Whether the stack's supervisord answers."""
    try:
        _supervisor(settings, "getState")
    except (UnavailableError, xmlrpc.client.Error):
        return False
    return True


def where(settings: Settings) -> str:
    """Where a person looks, in one line."""
    password = airflow_password(settings.home)
    gateway = f"gateway http://{settings.host}:{settings.gateway_port}, " if settings.profile == "local" else ""
    return (
        f"Airflow http://{settings.host}:{settings.airflow_port} (user admin, password {password}), "
        f"MLflow {settings.mlflow}, {gateway}logs {settings.supervisor}"
    )


def stack_environment(settings: Settings) -> dict[str, str]:
    """The environment of every process of the stack."""
    return environment(settings, _database())


def _database() -> str:
    """SQLAlchemy URL that moves Airflow to PostgreSQL; empty for SQLite."""
    return os.environ.get("SLUICEGATE_AIRFLOW_DATABASE", "")


def _passed_on() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "SLUICEGATE_", "VIRTUAL_ENV", "PYTHON"))}


def _parts(settings: Settings) -> tuple[Program, ...]:
    from sluicegate.adapters.envoy_router import envoy_command

    envoy = tuple(envoy_command(settings)) if settings.profile == "local" else ()
    return programs(settings, envoy, _database())


def _prepare(settings: Settings, env: dict[str, str]) -> None:
    from sluicegate.wiring import prepare_gateway

    for folder in (settings.home / "airflow", settings.home / "mlflow" / "artifacts", settings.supervisor / "servers"):
        folder.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)
    if settings.profile == "local":
        prepare_gateway(settings)
    create_secrets(settings.home)
    _migrate(settings, env)


def _migrate(settings: Settings, env: dict[str, str]) -> None:
    """Bring Airflow's database to this version; skipped when a stamp says that it was done."""
    stamp = settings.home / "airflow" / "migrated"
    wanted = f"{version('apache-airflow')} {sha256(env['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN'].encode()).hexdigest()}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _say("preparing Airflow's database")
    done = subprocess.run([tool("airflow"), "db", "migrate"], env={**_passed_on(), **env}, capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"Airflow's database could not be prepared: {done.stderr.strip().splitlines()[-1:]}")
    stamp.write_text(wanted)


def _apply_airflow_settings(settings: Settings, env: dict[str, str]) -> None:
    """Pools, connections and variables of airflow_settings.yaml, over Airflow's public API."""
    command = [sys.executable, "-m", "sluicegate_airflow.apply_settings", str(settings.project / "airflow_settings.yaml")]
    command += [
        "--url",
        f"http://{settings.host}:{settings.airflow_port}",
        "--passwords",
        str(secret_file(settings.home, PASSWORDS)),
    ]
    paths = {"PYTHONPATH": str(settings.project / "plugins")}
    done = subprocess.run(command, env={**_passed_on(), **env, **paths}, capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"airflow_settings.yaml could not be applied: {done.stderr.strip()[-400:]}")


def refuse_taken_ports(settings: Settings) -> None:
    """RefusedError names the port that is taken, by what it is needed for, and how to move it."""
    used: dict[int, str] = {}
    for what, (port, variable) in ports_needed(settings).items():
        if port in used:
            raise RefusedError(f"port {port} is given to {used[port]} and to {what}: set {variable} to another")
        used[port] = what
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as e:
                raise RefusedError(f"port {port} for {what} is taken ({e.strerror}): free it or set {variable} to another") from e


def _wait_healthy(settings: Settings, parts: tuple[Program, ...]) -> None:
    begun, waiting = time.monotonic(), {part.name: part for part in parts if part.health}
    while waiting:
        for name in [name for name, part in waiting.items() if _answers(str(part.health))]:
            del waiting[name]
            _say(f"{name} is healthy after {time.monotonic() - begun:.0f} s")
        if time.monotonic() - begun > HEALTHY_WITHIN:
            raise UnavailableError(f"{', '.join(waiting)} not healthy within {HEALTHY_WITHIN:.0f} s: see {settings.supervisor}")
        time.sleep(0.2)


def _stop_supervised(settings: Settings) -> None:
    pid = int((settings.supervisor / "supervisord.pid").read_text())
    _supervisor(settings, "stopAllProcesses", False)  # all at once; a shutdown alone stops one after the other
    _wait_stopped(settings)
    _supervisor(settings, "shutdown")
    for _ in range(400):
        if not _alive(pid):
            return
        time.sleep(0.1)
    raise UnavailableError(f"supervisord (pid {pid}) did not end within 40 s: see {settings.supervisor}/supervisord.log")


def _wait_stopped(settings: Settings) -> None:
    for _ in range(300):
        states = {p["statename"] for p in _supervisor(settings, "getAllProcessInfo")}
        if not states & {"RUNNING", "STARTING", "STOPPING"}:
            return
        time.sleep(0.1)


def _stop_orders(settings: Settings) -> None:
    """Orders have a life of their own; what is stopped here is asked for again when Airflow repeats the task after `up`."""
    from sluicegate.wiring import wire

    orders, files = wire(settings).orders, settings.orders.glob("*/order.json")
    left = [Order.from_json(file.read_text()) for file in files]
    for _ in range(100):
        left = [order for order in left if orders.status(order).state == "running"]
        if not left:
            return
        for order in left:
            orders.cancel(order)
        time.sleep(0.1)
    raise UnavailableError(f"{len(left)} orders did not end within 10 s: see {settings.orders}")


def _answers(url: str) -> bool:
    if url.startswith("file:"):
        return _fresh(Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path)))
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback addresses
            return int(answer.status) == 200 and _all_parts_healthy(answer.read())
    except (urllib.error.URLError, OSError):
        return False


def _fresh(path: Path) -> bool:
    """Whether a program that has nobody to answer to has worked lately."""
    try:
        return abs(time.time() - path.stat().st_mtime) < FRESH_S
    except OSError:
        return False


def _all_parts_healthy(body: bytes) -> bool:
    """Airflow answers 200 and tells in the body how scheduler, triggerer and Dag processor are; other bodies say nothing."""
    try:
        parts = json.loads(body)
    except ValueError:
        return True
    told = (
        [part["status"] for part in parts.values() if isinstance(part, dict) and "status" in part]
        if isinstance(parts, dict)
        else []
    )
    return all(status == "healthy" for status in told)


def _state(process: Any, health: dict[str, str]) -> str:
    state = str(process["statename"])
    url = health.get(str(process["name"]))
    return "HEALTHY" if state == "RUNNING" and url and _answers(url) else state


def _supervisor(settings: Settings, method: str, *arguments: Any) -> Any:
    return Supervisord(settings).call(method, *arguments)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _say(text: str) -> None:
    print(f"[sluicegate] {text}", flush=True)
