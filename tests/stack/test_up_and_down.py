"""up, down, up: what runs, what it exposes, and that it goes on where it was."""

from typing import TYPE_CHECKING

import psutil
import pytest

from sluicegate.actions.release import champion_version
from sluicegate.local.stack import down, status, up

if TYPE_CHECKING:
    from tests.stack.conftest import Second, Stack, Study

pytestmark = pytest.mark.stack
MODEL = "visits"


def test_everything_is_healthy_within_a_minute(stack: "Stack") -> None:
    states = {name: state for name, state, _ in status(stack.settings)}
    assert {name for name, state in states.items() if state == "HEALTHY"} >= {"gateway", "mlflow", "airflow-api"}
    assert set(states.values()) <= {"HEALTHY", "RUNNING"}
    assert stack.up_seconds < 60


def test_nothing_listens_on_anything_but_loopback(stack: "Stack", second: "Second") -> None:
    open_to = {(c.laddr.ip, c.laddr.port) for p in stack.processes() for c in connections(p) if c.status == psutil.CONN_LISTEN}
    settings = stack.settings
    ours = {settings.airflow_port, settings.mlflow_port, settings.gateway_port, settings.gateway_admin_port}
    assert ours < {port for _, port in open_to}  # and the model server's
    assert {address for address, _ in open_to} == {"127.0.0.1"}


def test_secrets_are_their_owners_alone(stack: "Stack") -> None:
    secrets = list((stack.settings.home / "secrets").iterdir())
    assert len(secrets) == 4
    assert {p.stat().st_mode & 0o777 for p in secrets} == {0o600}
    assert stack.settings.home.stat().st_mode & 0o077 == 0


def test_no_process_list_shows_a_secret(stack: "Stack") -> None:
    secrets = [p.read_text().strip() for p in (stack.settings.home / "secrets").iterdir() if p.suffix != ".json"]
    shown = " ".join(" ".join([*p.cmdline(), *p.environ().values()]) for p in stack.processes())
    assert not [s for s in secrets if s in shown]


def test_without_the_password_airflow_tells_nothing(stack: "Stack") -> None:
    import requests

    base = f"http://127.0.0.1:{stack.settings.airflow_port}"
    assert requests.get(f"{base}/api/v2/dags", timeout=10).status_code == 401
    wrong = {"username": "admin", "password": "admin"}
    assert requests.post(f"{base}/auth/token", json=wrong, timeout=10).status_code == 401


def test_up_again_changes_nothing(stack: "Stack") -> None:
    before = pids(stack)
    up(stack.settings)
    assert pids(stack) == before


def test_down_and_up_goes_on_where_it_was(stack: "Stack", study: "Study", second: "Second") -> None:
    champion, runs = champion_version(stack.ports, MODEL), history(stack)
    down(stack.settings)
    assert [p.cmdline() for p in stack.processes()] == []
    up(stack.settings)
    assert champion_version(stack.ports, MODEL) == champion
    row = study.rows[["request_id", "event_time", "person", "lncoins", "lpi", "fmde", "physlm", "disea", "health"]].iloc[7]
    answer = stack.until("an answer", lambda: answered(stack, {**row.to_dict(), "idp": int(study.rows.iloc[7]["idp"])}), 30)
    assert answer["version"] == champion
    assert history(stack) >= runs
    assert len(stack.rollouts()) == 2


def answered(stack: "Stack", row: dict[str, object]) -> dict[str, object] | None:
    answer = stack.ask(row)
    return dict(answer.json()) if answer.status_code == 200 else None


def history(stack: "Stack") -> set[tuple[str, str]]:
    return {(verb, r["dag_run_id"]) for verb in ("ingest", "retrain", "release") for r in stack.runs(f"{MODEL}_{verb}")}


def pids(stack: "Stack") -> set[int]:
    """The supervisor and what it supervises: children of theirs come and go."""
    top = int((stack.settings.supervisor / "supervisord.pid").read_text())
    return {top, *(p.pid for p in psutil.Process(top).children())}


def connections(process: psutil.Process) -> list[psutil._ntuples.sconn]:
    try:
        return process.net_connections(kind="inet")
    except psutil.NoSuchProcess:
        return []
