"""Names that cannot lead anywhere else, and a cluster's answers in our own words."""

import json
import os
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from sluicegate import kube
from sluicegate.errors import InputError, RefusedError, UnavailableError
from sluicegate.settings import Settings

HOSTILE = [
    "../../kube-system/secrets/x",
    "a.b/c",
    "a\nb",
    "$(reboot)",
    "quote\"s'",
    "ünïcödé",
    "\x00",
    "-",
    "...",
    "9lives",
    "UPPER",
    "x" * 300,
    "\ud800",
]
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


class TestNames:
    def test_plain_parts_are_joined_as_they_are(self) -> None:
        assert kube.named("flights", "v3") == "flights-v3"

    @pytest.mark.parametrize("part", HOSTILE)
    def test_hostile_part_becomes_a_dns_label(self, part: str) -> None:
        assert DNS_LABEL.fullmatch(kube.named(part, "v1"))
        assert DNS_LABEL.fullmatch(kube.named("flights", part))

    def test_different_parts_never_share_a_name(self) -> None:
        lists = [
            ("a_b", "v1"),
            ("a-b", "v1"),
            ("a", "b-v1"),
            ("a", "b", "v1"),
            ("A", "b", "v1"),
            ("a.b", "v1"),
            *((h, "v1") for h in HOSTILE),
        ]
        assert len({kube.named(*parts) for parts in lists}) == len(lists)

    def test_same_parts_always_have_the_same_name(self) -> None:
        assert kube.named("a_b", "v1") == kube.named("a_b", "v1")

    @pytest.mark.parametrize("parts", [(), ("",), ("a", "")])
    def test_nothing_has_no_name(self, parts: tuple[str, ...]) -> None:
        with pytest.raises(InputError, match="not empty"):
            kube.named(*parts)

    @pytest.mark.parametrize("value", HOSTILE)
    def test_hostile_label_is_made_safe(self, value: str) -> None:
        assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", kube.label(value))

    def test_allowed_label_stays_as_it_is(self) -> None:
        assert kube.label("night_flights.v2") == "night_flights.v2"

    def test_every_object_says_whose_it_is(self) -> None:
        assert kube.labels("server", model="flights", version="3") == {
            "app.kubernetes.io/part-of": "sluicegate",
            "sluicegate/role": "server",
            "sluicegate/model": "flights",
            "sluicegate/version": "3",
        }


class Answers(BaseHTTPRequestHandler):
    """Answers every request as the test says, and keeps what was asked."""

    answer: tuple[int, Any] = (200, {})
    asked: list[tuple[str, str, str, bytes]]
    tokens: list[str]

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.asked.append((self.command, self.path, self.headers.get("content-type", ""), body))
        self.tokens.append(self.headers.get("authorization", ""))
        status, content = self.answer
        text = json.dumps(content).encode() if not isinstance(content, bytes) else content
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PATCH = do_DELETE = do_POST = _respond

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[Any]:
    handler = type("Handler", (Answers,), {"asked": [], "tokens": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        handler.url = f"http://127.0.0.1:{http.server_address[1]}"
        yield handler
        http.shutdown()
        thread.join()


def kubeconfig(path: Path, url: str, token: str = "secret-token") -> None:
    named = {"clusters": "cluster", "users": "user", "contexts": "context"}
    values = {"cluster": {"server": url}, "user": {"token": token}, "context": {"cluster": "c", "user": "u"}}
    names = {"clusters": "c", "users": "u", "contexts": "x"}
    lists = {many: [{"name": names[many], one: values[one]}] for many, one in named.items()}
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", **lists}))


@pytest.fixture
def api(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    kubeconfig(tmp_path / "config", server.url)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with kube.client(Settings(profile="kubernetes")) as made:
        yield made
        made.rest_client.pool_manager.clear()


def replace(path: Path, content: str) -> None:
    """Write it at another time than before, however coarse the clock of the disk is."""
    before = path.stat().st_mtime_ns
    path.write_text(content)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def service(name: str = "flights-v3", namespace: str = "sluicegate") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}}


class TestObjects:
    def test_apply_is_a_server_side_apply_of_the_whole_object(self, api: Any, server: Any) -> None:
        server.answer = (200, service())
        assert kube.apply(api, service()) == service()
        method, path, content_type, body = server.asked[0]
        assert (method, content_type) == ("PATCH", "application/apply-patch+yaml")
        assert path == "/api/v1/namespaces/sluicegate/services/flights-v3?fieldManager=sluicegate&force=true"
        assert json.loads(body) == service()

    @pytest.mark.parametrize(
        ("api_version", "kind", "place"),
        [
            ("apps/v1", "Deployment", "/apis/apps/v1/namespaces/n/deployments/x"),
            ("networking.k8s.io/v1", "NetworkPolicy", "/apis/networking.k8s.io/v1/namespaces/n/networkpolicies/x"),
            ("gateway.networking.k8s.io/v1", "Gateway", "/apis/gateway.networking.k8s.io/v1/namespaces/n/gateways/x"),
            ("networking.k8s.io/v1", "Ingress", "/apis/networking.k8s.io/v1/namespaces/n/ingresses/x"),
        ],
    )
    def test_kind_is_found_where_kubernetes_keeps_it(
        self, api: Any, server: Any, api_version: str, kind: str, place: str
    ) -> None:
        kube.read(api, api_version, kind, "n", "x")
        assert server.asked[0][1] == place

    @pytest.mark.parametrize("name", ["../x", "a/b", "A", "", "x?y", "a%2fb", "x" * 254])
    def test_name_that_could_lead_elsewhere_is_refused_unasked(self, api: Any, server: Any, name: str) -> None:
        for thing in (service(name), service(namespace=name)):
            with pytest.raises(RefusedError, match="is no name"):
                kube.apply(api, thing)
        assert server.asked == []

    def test_absent_object_reads_as_none_and_is_removed_without_complaint(self, api: Any, server: Any) -> None:
        server.answer = (404, {"message": "not found"})
        assert kube.read(api, "v1", "Service", "n", "x") is None
        kube.remove(api, "v1", "Service", "n", "x")

    def test_only_the_object_that_bears_the_uid_is_removed(self, api: Any, server: Any) -> None:
        server.answer = (409, {"message": "the UID in the precondition (a) does not match the UID in record (b)"})
        kube.remove(api, "v1", "Pod", "n", "x", "a")
        assert json.loads(server.asked[0][3]) == {"preconditions": {"uid": "a"}}
        with pytest.raises(kube.ConflictError):
            kube.remove(api, "v1", "Pod", "n", "x")

    def test_list_asks_for_labels_and_is_ordered_by_name(self, api: Any, server: Any) -> None:
        server.answer = (200, {"items": [service("b"), service("a")]})
        found = kube.listed(api, "v1", "Service", "n", {"sluicegate/model": "a/b"})
        assert [thing["metadata"]["name"] for thing in found] == ["a", "b"]
        assert server.asked[0][1].startswith("/api/v1/namespaces/n/services?labelSelector=sluicegate%2Fmodel%3Da-b-")

    def test_list_without_labels_is_refused(self, api: Any) -> None:
        with pytest.raises(InputError, match="name the labels"):
            kube.listed(api, "v1", "Service", "n", {})

    def test_two_writers_who_saw_the_same_are_told_apart(self, api: Any, server: Any) -> None:
        server.answer = (409, {"message": "the object has been modified"})
        with pytest.raises(kube.ConflictError, match="has been modified"):
            kube.apply(api, service())

    @pytest.mark.parametrize(
        ("status", "body", "error", "said"),
        [
            (403, {"message": 'services is forbidden: User "x"'}, RefusedError, "grant the role"),
            (401, {"message": "Unauthorized"}, UnavailableError, "renew the credential in the kubeconfig"),
            (422, {"message": "spec.ports: Required value"}, RefusedError, "spec.ports: Required value"),
            (404, {"message": 'namespaces "n" not found'}, RefusedError, "install what defines it"),
            (429, {"message": "Cannot evict pod"}, UnavailableError, "Cannot evict pod"),
            (500, b"<html>proxy</html>", UnavailableError, "proxy"),
            (503, {"message": "etcdserver: leader changed"}, UnavailableError, "leader changed"),
        ],
    )
    def test_refusal_is_told_from_outage(
        self, api: Any, server: Any, status: int, body: Any, error: type[Exception], said: str
    ) -> None:
        server.answer = (status, body)
        with pytest.raises(error, match=said) as caught:
            kube.apply(api, service())
        assert "secret-token" not in str(caught.value)

    def test_a_token_that_is_renewed_in_the_file_is_used_from_the_next_request_on(
        self, api: Any, server: Any, tmp_path: Path
    ) -> None:
        for content in (None, "", "clusters: [", "{}"):  # as it was; then half written in several ways
            if content is not None:
                replace(tmp_path / "config", content)
            kube.read(api, "v1", "Service", "n", "x")
        kubeconfig(tmp_path / "new", server.url, "next-token")
        replace(tmp_path / "config", (tmp_path / "new").read_text())
        kube.read(api, "v1", "Service", "n", "x")
        assert server.tokens == [*["Bearer secret-token"] * 4, "Bearer next-token"]

    def test_cluster_that_is_away_is_an_outage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        kubeconfig(tmp_path / "config", "http://127.0.0.1:9")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        api = kube.client(Settings(profile="kubernetes"))
        with pytest.raises(UnavailableError, match="does not answer PATCH /api/v1/namespaces/sluicegate"):
            kube.apply(api, service())

    def test_without_any_cluster_the_sentence_says_what_to_set(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        monkeypatch.delenv("KUBECONFIG", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        with pytest.raises(UnavailableError, match="set KUBECONFIG"):
            kube.client(Settings(profile="kubernetes"))

    def test_kubeconfig_that_is_not_there_never_becomes_another_cluster(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
        with pytest.raises(UnavailableError, match="set KUBECONFIG"):
            kube.client(Settings(profile="kubernetes"))
