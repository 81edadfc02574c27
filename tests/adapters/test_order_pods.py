"""Pods of orders against an API server that keeps pods as the real one does: one of a name, each with a uid of its own."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from sluicegate import kube
from sluicegate.adapters import order_pods
from sluicegate.adapters.order_pods import OrderPods
from sluicegate.domain.order import Order
from sluicegate.domain.pod import Job
from sluicegate.domain.resources import Resources
from sluicegate.settings import Settings


class Kept(BaseHTTPRequestHandler):
    """Keeps pods by name. `before` is called once before a deletion: what others do between somebody's look and deletion."""

    pods: dict[str, dict[str, Any]]
    before: list[Any]

    def do_GET(self) -> None:
        self._say(200, self.pods[self._name]) if self._name in self.pods else self._say(404, {})

    def do_POST(self) -> None:
        pod = self._body()
        name = pod["metadata"]["name"]
        if name in self.pods:
            self._say(409, {"message": "already exists"})
            return
        self.put(pod)
        self._say(201, self.pods[name])

    def do_DELETE(self) -> None:
        wanted = (self._body() or {}).get("preconditions", {}).get("uid")
        while self.before:
            self.before.pop()()
        if self._name not in self.pods:
            self._say(404, {})
        elif wanted not in (None, self.pods[self._name]["metadata"]["uid"]):
            self._say(409, {"message": "the UID in the precondition does not match the UID in record"})
        else:
            self._say(200, self.pods.pop(self._name))

    @classmethod
    def put(cls, pod: dict[str, Any], phase: str = "Running") -> None:
        made = f"uid-{len(cls.pods)}-{phase}"
        cls.pods[pod["metadata"]["name"]] = {**pod, "metadata": {**pod["metadata"], "uid": made}, "status": {"phase": phase}}

    @property
    def _name(self) -> str:
        return self.path.partition("?")[0].rpartition("/")[2]

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"null")

    def _say(self, status: int, content: Any) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Kept]]:
    handler = type("Handler", (Kept,), {"pods": {}, "before": []})
    monkeypatch.setattr(order_pods, "PAUSE_S", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", http.server_address[1])))
        yield handler
        http.shutdown()
        thread.join()


def kubeconfig(path: Path, port: int) -> Path:
    parts = {"cluster": {"server": f"http://127.0.0.1:{port}"}, "user": {}, "context": {"cluster": "x", "user": "x"}}
    lists = {f"{one}s": [{"name": "x", one: value}] for one, value in parts.items()}
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", **lists}))
    return path


@pytest.fixture
def pods(kept: type[Kept]) -> Iterator[OrderPods]:
    made = OrderPods(Settings(profile="kubernetes", namespace="ml"))
    yield made
    made._api.rest_client.pool_manager.clear()


def job(verb: str = "promote", attempt: str = "run 1") -> Job:
    return Job(
        Order("release", "toy", {"verb": verb, "rollout_id": "r1", "attempt": attempt}), "s3://b/o", Resources(), "resources"
    )


def pod(of: Job) -> dict[str, Any]:
    return {"metadata": {"name": of.name, "labels": {"sluicegate/order": kube.label(of.order.key)}}}


def test_an_ended_pod_makes_room_for_the_next_one(kept, pods) -> None:
    kept.put(pod(job()), "Failed")
    assert pods.claim(job(), pod(job())).state == "started"
    assert kept.pods[job().name]["status"]["phase"] == "Running"


def test_of_two_that_saw_the_ended_pod_the_slower_one_leaves_the_others_new_pod_alone(kept, pods) -> None:
    kept.put(pod(job()), "Failed")
    kept.before.append(lambda: kept.put(pod(job())))
    assert pods.claim(job(), pod(job())).state == "found"
    assert kept.pods[job().name]["status"]["phase"] == "Running"


def test_a_pod_that_has_the_name_by_now_is_not_removed_for_one_that_was_seen_before(kept, pods) -> None:
    kept.put(pod(job()), "Failed")
    seen = kept.pods[job().name]
    kept.put(pod(job()))
    pods.remove(seen)
    assert kept.pods[job().name]["status"]["phase"] == "Running"
    pods.remove(kept.pods[job().name])
    pods.remove(seen)
    assert kept.pods == {}


def test_what_is_left_of_a_done_order_goes_and_the_pod_of_a_later_try_stays(kept, pods) -> None:
    kept.put(pod(job()), "Succeeded")
    pods.clear(job(attempt="run 2"))
    assert list(kept.pods) == [job().name]
    pods.clear(job())
    pods.clear(job())
    assert kept.pods == {}
