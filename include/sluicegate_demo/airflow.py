"""A small client of Airflow's public REST API: what a person does in the UI, done by the demo."""

import time
import uuid
from typing import Any
from urllib.parse import quote

import requests

from sluicegate.errors import UnavailableError

ALREADY_THERE = 409


class Airflow:
    """One Airflow, with the login that `make up` generated."""

    def __init__(self, url: str, password: str) -> None:
        self._url, self._password = url, password
        self._session = requests.Session()

    def trigger(self, dag_id: str, **params: Any) -> str:
        """Start a run by hand; returns its run id."""
        run_id = f"by-hand-{uuid.uuid4().hex[:12]}"  # ours, so that asking again after a silence starts no second one
        wanted = {"dag_run_id": run_id, "logical_date": None, "conf": params}
        self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", wanted)
        return run_id

    def state(self, dag_id: str, run_id: str) -> str:
        """queued, running, success or failed."""
        return str(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")["state"])

    def busy(self, dag_id: str) -> bool:
        """Whether a run of the Dag is queued or under way."""
        return bool(self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns?state=queued&state=running&limit=1")["dag_runs"])

    def wait_for_dags(self, *dag_ids: str, seconds: float = 60.0) -> None:
        """Wait until the Dags are parsed."""
        until = time.monotonic() + seconds
        while missing := set(dag_ids) - {d["dag_id"] for d in self._call("GET", "/api/v2/dags?limit=100")["dags"]}:
            if time.monotonic() > until:
                raise UnavailableError(f"Airflow has not loaded {', '.join(sorted(missing))} within {seconds:.0f} s")
            time.sleep(0.3)

    def failed_tasks(self, *dag_ids: str) -> list[str]:
        """Tasks that failed for good, as dag_id.task_id."""
        failed = []
        for dag_id in dag_ids:
            found = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/~/taskInstances?state=failed&limit=50")
            failed += [f"{dag_id}.{t['task_id']}" for t in found["task_instances"]]
        return failed

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        said = ""
        for _ in range(10):
            try:
                answer = self._session.request(method, self._url + path, json=body, timeout=20)
            except requests.RequestException as e:
                said = f"did not answer ({type(e).__name__})"
                continue
            if answer.ok or (method == "POST" and answer.status_code == ALREADY_THERE):
                return answer.json()
            said = f"answered {answer.status_code}: {answer.text[:300]}"
            if answer.status_code == 401:
                self._login()
            elif answer.status_code < 500:
                break
            else:
                time.sleep(1)  # on SQLite a writer may have to wait for another
        raise UnavailableError(f"Airflow {said} to {method} {path}")

    def _login(self) -> None:
        answer = self._session.post(f"{self._url}/auth/token", json={"username": "admin", "password": self._password}, timeout=20)
        if not answer.ok:
            raise UnavailableError(f"Airflow refused the login: {answer.status_code} {answer.text[:200]}")
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
