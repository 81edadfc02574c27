"""airflow_settings.yaml over the REST API: created, changed, never doubled."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sluicegate_airflow.apply_settings import entries, main

PROJECT = Path(__file__).resolve().parents[2]


class FakeAirflow(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted, answers 409 to a second one of the same identity, and changes it by PATCH."""

    kept: dict[tuple[str, str], dict]

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/auth/token":
            return self._answer(201, {"access_token": "t"}) if body["password"] == "secret" else self._answer(401, {})
        kind = self.path.rsplit("/", 1)[1]
        identity = (kind, str(body.get("name") or body.get("key") or body.get("connection_id")))
        if identity in self.kept:
            return self._answer(409, {})
        self.kept[identity] = body
        return self._answer(201, body)

    def do_PATCH(self) -> None:
        kind, name = self.path.split("/")[-2:]
        self.kept[kind, name] = self._body()
        self._answer(200, {})

    def _body(self) -> dict:
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def _answer(self, code: int, body: dict) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def airflow() -> Iterator[tuple[str, dict]]:
    kept: dict = {}
    handler = type("Handler", (FakeAirflow,), {"kept": kept})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", kept
        server.shutdown()
        thread.join()


def apply(tmp_path: Path, url: str, settings: dict) -> None:
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "passwords.json").write_text('{"admin": "secret"}')
    assert main([str(tmp_path / "settings.yaml"), "--url", url, "--passwords", str(tmp_path / "passwords.json")]) == 0


def test_applying_twice_changes_instead_of_doubling(tmp_path, airflow) -> None:
    url, kept = airflow
    for slots in (2, 5):
        apply(tmp_path, url, {"airflow": {"pools": [{"pool_name": "orders", "pool_slot": slots}]}})
    assert kept == {("pools", "orders"): {"name": "orders", "slots": 5}}


def test_connections_and_variables_are_applied_in_the_words_of_the_api(tmp_path, airflow) -> None:
    url, kept = airflow
    connection = {"conn_id": "lake", "conn_type": "aws", "conn_extra": {"region": "eu"}, "conn_host": None}
    apply(tmp_path, url, {"airflow": {"connections": [connection], "variables": [{"variable_name": "a", "variable_value": "b"}]}})
    assert kept["connections", "lake"] == {"connection_id": "lake", "conn_type": "aws", "extra": '{"region": "eu"}'}
    assert kept["variables", "a"] == {"key": "a", "value": "b"}


def test_an_empty_entry_as_the_template_has_them_is_left_out() -> None:
    assert entries({"airflow": {"pools": [{"pool_name": None, "pool_slot": None}]}}, "pools") == []


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown key 'slots'; valid keys are pool_name"):
        entries({"airflow": {"pools": [{"pool_name": "a", "slots": 3}]}}, "pools")


def test_every_pool_that_the_dags_use_is_in_the_project_file() -> None:
    from sluicegate_airflow import gates, orders

    settings = yaml.safe_load((PROJECT / "airflow_settings.yaml").read_text())
    named = {pool["name"]: pool for pool in entries(settings, "pools")}
    assert {orders.POOL, gates.POOL} <= named.keys()
    assert all(pool["include_deferred"] for pool in named.values())
