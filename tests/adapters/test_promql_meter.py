"""An answer of Prometheus becomes evidence whole or not at all, and sums over pods grow as one counter would.

The tables here are what a real Prometheus answers (tests/cluster/watching asks one).
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import yaml

from sluicegate.adapters.cluster_router.gateway_api import GatewayApi
from sluicegate.adapters.promql_meter import answers, gateway, queries
from sluicegate.adapters.promql_meter.arms import arms
from sluicegate.adapters.promql_meter.pairs import pairs
from sluicegate.adapters.promql_meter.prometheus import Prometheus, Sample, Vector, prometheus
from sluicegate.adapters.promql_meter.table import STALE_S, check_targets, table
from sluicegate.domain.pairing import APART_S, Line, Pairing
from sluicegate.domain.route import Route, Target
from sluicegate.errors import InputError, UnavailableError
from sluicegate.kube import named
from sluicegate.serving.counters import Counters
from sluicegate.serving.evidence_page import rows
from sluicegate.serving.http import JSON, Response
from sluicegate.serving.pulse import Pulse
from sluicegate.serving.recent import MOST_TOLD, Recent
from sluicegate.settings import PROJECT, Settings

NOW = 1000.0


class Told:
    """What Prometheus knows of a version's pods, in the making."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def fact(self, name: str, pod: str, value: float, process: str = "") -> None:
        labels = {"fact": name, "instance": f"{pod}:8081", "pod": pod} | ({"process": process} if process else {})
        self.samples.append(Sample(labels, value))

    def target(self, pod: str, up: float = 1.0, *, before: bool = True) -> None:
        self.fact("up", pod, up)
        if before:
            self.fact("up_before", pod, 1.0)

    def alive(self, pod: str, started_at: float = 1.0, age: float = 0.5, memory: float = 1e6) -> None:
        """A pod that was scraped `age` seconds ago."""
        process = f"{pod}-{started_at}"
        told = {"taken_at": NOW - age, "sampled_at": NOW - age, "last_seen": NOW - age, "started_at": started_at}
        for name, value in (told | {"cpu_seconds": 2.0, "memory_bytes": memory}).items():
            self.fact(name, pod, value, process)

    def lost(self, pod: str, seen: float, *, ended: bool = False) -> None:
        """A process of this pod that was last seen at a time; `ended`: it had said that it ends."""
        self.fact("last_seen", pod, seen, f"{pod}-old")
        if ended:
            self.fact("ended", pod, 1.0, f"{pod}-old")

    def counted(self, role: str = "answer", pods: int = 1, without: str = "") -> None:
        """Sums over the pods: three answers, one of them slow."""
        counters = Counters(1.0, (25.0,), (0.0, 1.0), ("site",), valued=True)
        for place in (3, 3, 7):
            counters.scored(place, 0.25, True, 0.03 if place == 7 else 0.01)
            counters.valued(place, 2.0)
            counters.in_segments(place, {"site": "shop"}, 0.01, error=False, decision=True)
        for labels, values in rows(role, counters.to_dict()):
            row = dict(labels)
            if "segment" not in row:
                told = pods - 1 if row["row"] == without else pods
                self.samples.append(Sample(row | {"fact": "told"}, told))
            self.samples += [Sample(row | {"bucket": f"{n}"}, float(value)) for n, value in enumerate(values)]

    def vector(self) -> Vector:
        return Vector(NOW, tuple(self.samples))


def version(*pods: str) -> Told:
    """Pods that are all there."""
    told = Told()
    for pod in pods:
        told.target(pod)
        told.alive(pod)
    told.counted(pods=len(pods))
    return told


class TestArms:
    def test_sums_of_all_pods_are_one_arm_and_its_memory_is_that_of_the_largest(self) -> None:
        told = version("a", "b")
        told.target("c")
        told.alive("c", memory=9e6)
        told.samples = [s._replace(value=3.0) if s.labels.get("fact") == "told" else s for s in told.samples]
        found = arms(table(told.vector())).answer
        assert (sum(found.requests), found.requests[3], found.slow["25"][7], found.score_histogram[5]) == (3, 2, 1, 3)
        assert (sum(found.value_sum), found.segments["site=shop"].decisions[3]) == (6.0, 2)
        assert (found.cpu_seconds, found.memory_bytes) == (6.0, 9e6)

    def test_role_that_no_pod_tells_is_zero_in_the_shape_of_the_other(self) -> None:
        found = arms(table(version("a").vector()))
        assert (sum(found.mirror.requests), found.mirror.slow.keys()) == (0, {"25"})
        assert len(found.mirror.value_sum) == len(found.answer.value_sum)

    def test_copies_are_told_by_the_pods_that_got_any(self) -> None:
        told = version("a", "b")
        told.counted("mirror", pods=1)
        assert sum(arms(table(told.vector())).mirror.requests) == 3

    def test_value_that_one_pod_does_not_tell_is_told_by_nobody(self) -> None:
        told = version("a")
        told.counted(pods=1, without="value_sum")
        found = arms(table(told.vector())).answer
        assert (found.value_sum, len(found.value_square_sum)) == ((), 200)

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda s: s._replace(value=float("nan")), "answer errors are no 200 finite numbers"),
            (lambda s: s._replace(value=float("inf")), "answer errors are no 200 finite numbers"),
            (lambda s: s._replace(value=0.5), "answer errors are no whole numbers"),
            (lambda s: s._replace(labels={**s.labels, "bucket": "200"}), "answer errors are no 200 finite numbers"),
            (lambda s: s._replace(labels={**s.labels, "bucket": "?"}), "has no bucket"),
        ],
    )
    def test_row_with_one_wrong_number_refuses_all_of_it(self, spoil: Callable[[Sample], Sample], words: str) -> None:
        told = version("a")
        place = next(n for n, s in enumerate(told.samples) if s.labels.get("row") == "errors" and s.labels.get("bucket") == "9")
        told.samples[place] = spoil(told.samples[place])
        with pytest.raises(UnavailableError, match=words):
            arms(table(told.vector()))

    def test_pod_that_tells_what_it_is_and_not_what_it_counted_refuses_all_of_it(self) -> None:
        told = version("a")
        told.target("b")
        told.alive("b")
        with pytest.raises(UnavailableError, match="2 pods say what they are and not all of them what they counted"):
            arms(table(told.vector()))


class TestTargets:
    def refused(self, told: Told) -> str:
        with pytest.raises(UnavailableError) as caught:
            check_targets(table(told.vector()))
        return str(caught.value)

    def test_pod_that_cannot_be_scraped_any_more_is_named(self) -> None:
        told = version("a")
        told.target("b", up=0.0)
        told.lost("b", NOW - 2)
        assert self.refused(told) == "1 of 2 pods cannot be scraped (b)"

    def test_pod_that_was_there_for_long_and_never_scraped_is_named(self) -> None:
        told = version("a")
        told.target("b", up=0.0)
        assert self.refused(told) == "1 of 2 pods cannot be scraped (b)"

    def test_pod_that_is_new_and_was_never_scraped_is_starting(self) -> None:
        told = version("a")
        told.target("b", up=0.0, before=False)
        check_targets(table(told.vector()))

    def test_pod_that_said_that_it_ends_has_ended(self) -> None:
        told = version("a")
        told.target("b", up=0.0)
        told.lost("b", NOW - 2, ended=True)
        check_targets(table(told.vector()))

    def test_pod_that_ended_and_started_again_counts_again(self) -> None:
        told = version("a")
        told.target("b", up=0.0)
        told.lost("b", NOW - 60, ended=True)
        told.fact("last_seen", "b", NOW - 2, "b-second")
        assert self.refused(told) == "1 of 2 pods cannot be scraped (b)"

    def test_version_of_which_all_pods_are_starting_is_not_known(self) -> None:
        told = Told()
        told.target("a", up=0.0, before=False)
        assert self.refused(told) == "none of its pods has been scraped yet"

    def test_version_without_a_pod_is_not_known(self) -> None:
        assert self.refused(Told()) == "Prometheus scrapes no pod of it"

    def test_sample_is_told_as_old_after_three_intervals_and_not_before(self) -> None:
        young, old = Told(), Told()
        for told, age in ((young, STALE_S - 0.1), (old, STALE_S + 0.1)):
            told.target("a")
            told.alive("a", age=age)
        check_targets(table(young.vector()))
        assert self.refused(old) == f"the newest sample is {STALE_S + 0.1:.1f} s old, more than {STALE_S:g} s"

    def test_process_behind_two_targets_is_not_added_twice(self) -> None:
        told = version("a")
        told.samples += [s._replace(labels={**s.labels, "instance": "again"}) for s in told.samples if "fact" in s.labels]
        assert "scraped by two targets" in self.refused(told)


class TestBegan:
    """A sum over pods is reset when it loses a process, and by nothing else."""

    def began(self, told: Told) -> float:
        return table(told.vector()).began_at()

    def test_sum_began_with_its_first_process_whoever_joins_later(self) -> None:
        told = Told()
        told.alive("a", started_at=5.0)
        assert self.began(told) == 5.0
        told.alive("b", started_at=500.0)
        assert self.began(told) == 5.0

    def test_sum_began_anew_when_a_process_was_lost(self) -> None:
        told = Told()
        told.alive("a", started_at=5.0)
        told.lost("b", 700.0)
        assert self.began(told) == 700.0

    def test_process_that_follows_another_one_in_its_pod_is_a_new_beginning(self) -> None:
        told = Told()
        told.lost("a", 700.0)
        told.alive("a", started_at=702.0)
        assert self.began(told) == 702.0


class TestPairs:
    def joiner(self, unread: float = 0.0) -> Told:
        told = Told()
        told.target("join")
        told.alive("join", started_at=5.0)
        told.fact("unread_champion", "join", unread, "join-5.0")
        told.fact("unread_candidate", "join", 0.0, "join-5.0")
        return told

    def test_joiner_that_has_paired_nothing_yet_says_zero(self) -> None:
        found = pairs(table(self.joiner().vector()))
        assert (found.started_at, sum(found.pairs), len(found.champion_histogram)) == (5.0, 0, 20)

    def test_pod_whose_answers_are_not_read_makes_all_pairs_missing(self) -> None:
        with pytest.raises(UnavailableError, match="cannot read the newest answers of 2 pods"):
            pairs(table(self.joiner(unread=2.0).vector()))

    def test_two_joiners_count_every_pair_twice_and_are_refused(self) -> None:
        told = self.joiner()
        told.target("second")
        told.alive("second")
        with pytest.raises(UnavailableError, match="2 processes pair the same answers"):
            pairs(table(told.vector()))

    def test_joiner_that_does_not_know_the_model_is_not_zero(self) -> None:
        told = Told()
        told.target("join")
        told.alive("join")
        with pytest.raises(UnavailableError, match="does not know both versions"):
            pairs(table(told.vector()))


def envoys(**counted: dict[str, float]) -> Vector:
    """What replicas of an Envoy that are all there counted: cluster -> total, retry, retry_success, or a class of status."""
    told = Told()
    told.target("envoy")
    for name in ("taken_at", "sampled_at"):
        told.fact(name, "envoy", NOW - 0.5)
    for cluster, values in counted.items():
        for what, value in values.items():
            row = {"envoy_response_code_class": what[0]} if what.endswith("xx") else {"row": what}
            told.samples.append(Sample({"envoy_cluster_name": cluster, **row}, value))
    return told.vector()


def at(router: str) -> Settings:
    return Settings(profile="kubernetes", router=router, namespace="ns")


ROUTE = Route("toy", Target("1", "h", 1), Target("2", "h", 1), 0, 100)
ROUTED = Route("toy", Target("1", "a.ns.svc", 8080), Target("2", "b.ns.svc", 8080), 25, 0, "s", 1, 60.0)
RULE = f"httproute/ns/{named('toy', 'route')}/rule/"


class TestGateway:
    def test_retries_of_the_candidates_cluster_are_its_errors_unless_the_champion_refused_too(self) -> None:
        counted = {"toy/champion": {"total": 90, "5xx": 2, "2xx": 88}, "toy/candidate": {"total": 13, "retry": 3, "4xx": 1}}
        found = gateway.from_envoy(envoys(**counted), ROUTE, at("envoy"))
        assert (found.champion_requests, found.champion_errors) == (90, 2)
        assert (found.candidate_requests, found.candidate_errors) == (10, 2)

    def test_rules_of_an_http_route_tell_the_versions_apart_and_each_request_fails_once(self) -> None:
        counted = {RULE + "3": {"2xx": 80.0, "5xx": 1.0, "retry": 20.0, "retry_success": 2.0}}
        counted |= {RULE + "2": {"2xx": 8.0, "4xx": 1.0, "5xx": 1.0, "total": 40.0, "retry": 31.0}}
        found = gateway.from_envoy(envoys(**counted), ROUTE, at("gateway-api"))
        assert (found.champion_requests, found.champion_errors) == (81, 3)
        assert (found.candidate_requests, found.candidate_errors) == (10, 1)

    def test_candidate_without_a_rule_has_no_requests(self) -> None:
        found = gateway.from_envoy(envoys(**{RULE + "3": {"2xx": 50.0}}), ROUTE, at("gateway-api"))
        assert (found.champion_requests, found.candidate_requests, found.candidate_errors) == (50, 0, 0)

    @pytest.mark.parametrize("router", ["envoy", "gateway-api"])
    def test_gateway_that_does_not_know_the_model_is_not_zero(self, router: str) -> None:
        with pytest.raises(UnavailableError, match="do not follow this route yet"):
            gateway.from_envoy(envoys(), ROUTE, at(router))

    def test_replica_that_is_not_seen_makes_the_gateway_missing(self) -> None:
        told = Told()
        told.samples = list(envoys(**{"toy/champion": {"total": 90.0}}).samples)
        told.target("second", up=0.0)
        with pytest.raises(UnavailableError, match="1 of 2 pods cannot be scraped"):
            gateway.from_envoy(told.vector(), ROUTE, at("envoy"))

    def test_only_the_clusters_of_the_route_are_asked_for(self) -> None:
        ours, rules = (re.compile(gateway.clusters_of(ROUTE, at(router))) for router in ("envoy", "gateway-api"))
        assert ours.fullmatch("toy/candidate")
        assert not ours.fullmatch("toy/mirror")
        assert rules.fullmatch(RULE + "2")
        assert not any(rules.fullmatch(RULE + rest) for rest in ("0", "1", "2-mirror-0", "21"))

    def test_rules_that_are_counted_are_those_that_are_written(self) -> None:
        rules = [rule["name"] for rule in GatewayApi("gate", "ns", "ns").body(ROUTED)["spec"]["rules"]]
        assert (rules[int(gateway.CANDIDATE)], rules[int(gateway.CHAMPION)]) == ("candidate", "champion")


class TestSeveralInstallations:
    """One Prometheus watches several, with models of the same names."""

    @pytest.mark.parametrize(
        "question",
        [
            queries.evidence("ns", "toy", "1"),
            queries.pairs("ns", "toy", "1", "2"),
            queries.answered("ns", "toy", "1", 0.0, 60.0),
            queries.servers("ns"),
            gateway.question(ROUTE, at("envoy")),
            gateway.question(ROUTE, at("gateway-api")),
        ],
    )
    def test_every_selector_of_a_question_names_the_namespace(self, question: str) -> None:
        chosen = re.findall(r"\{[^}]*\}", question)
        assert chosen
        assert [each for each in chosen if 'namespace="ns"' not in each] == []

    def test_proxies_of_a_gateway_elsewhere_are_asked_for_where_it_is(self) -> None:
        elsewhere = replace(at("gateway-api"), cluster_gateway="edge.gateways")
        assert 'namespace="gateways"' in gateway.question(ROUTE, elsewhere)

    def test_every_shipped_job_tells_the_namespace_of_its_targets(self) -> None:
        shipped = yaml.safe_load((PROJECT / "docker" / "kubernetes" / "watching" / "scrape.yml").read_text())
        told = {
            job["job_name"]: [rule["source_labels"] for rule in job["relabel_configs"] if rule.get("target_label") == "namespace"]
            for job in shipped["scrape_configs"]
        }
        here = ["__meta_kubernetes_namespace"]
        owner = ["__meta_kubernetes_pod_label_gateway_envoyproxy_io_owning_gateway_namespace"]
        assert told == {
            "sluicegate-evidence": [here],
            "sluicegate-pairs": [here],
            "sluicegate-gateway": [here, owner],
            "sluicegate": [here],
        }


def test_name_of_a_model_cannot_end_its_quotes() -> None:
    assert queries.selector(model='x"} or vector(1) #\\') == 'model="x\\"} or vector(1) #\\\\"'


def test_settings_without_a_prometheus_are_refused() -> None:
    with pytest.raises(InputError, match="SLUICEGATE_PROMETHEUS_URL is not set"):
        prometheus(Settings(profile="kubernetes"))


@pytest.fixture
def says() -> Iterator[Callable[[int, bytes], str]]:
    """Starts a server that answers every POST with this status and body; its URL."""
    servers = []

    def start(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None: ...

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(kind: str = "vector", result: Any = (), **more: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}} | more).encode()


CLOCK = {"metric": {"fact": "now"}, "value": [5.0, "5.0"]}


class TestQuestion:
    def test_vector_says_when_it_was_evaluated(self, says: Callable[[int, bytes], str]) -> None:
        found = Prometheus(says(200, answer(result=[CLOCK, {"metric": {"a": "b"}, "value": [5.0, "NaN"]}]))).query("x")
        assert (found.at, found.samples[1].labels) == (5.0, {"a": "b"})
        assert found.samples[1].value != found.samples[1].value

    @pytest.mark.parametrize(
        ("status", "body", "words"),
        [
            (200, answer("matrix", [{"metric": {}, "values": []}]), "it is a matrix"),
            (200, answer("scalar", [5.0, "1"]), "it is a scalar"),
            (200, answer(result=[]), "does not say when it was evaluated"),
            (200, answer(result=[CLOCK], warnings=["a store did not answer"]), "a store did not answer"),
            (200, answer(result=[{"metric": {}, "value": [5.0, "many"]}]), "something else than an instant vector"),
            (200, b"<html>", "something else than an instant vector"),
            (200, b"[]", "something else than an instant vector"),
            (200, b'{"status": "error", "error": "too many samples", "data": {}}', "too many samples"),
            (503, b"shutting down", "answers 503"),
            (404, b"", "answers 404"),
        ],
    )
    def test_anything_else_is_missing_with_its_reason(
        self, says: Callable[[int, bytes], str], status: int, body: bytes, words: str
    ) -> None:
        with pytest.raises(UnavailableError, match=words):
            Prometheus(says(status, body)).query("x")

    def test_silence_is_missing_after_its_patience(self) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as hole:
            url = f"http://127.0.0.1:{hole.getsockname()[1]}"
            with pytest.raises(UnavailableError, match=r"does not answer within 0\.2 s"):
                Prometheus(url, timeout=0.2).query("x")

    def test_nobody_there_is_missing(self) -> None:
        with pytest.raises(UnavailableError, match="is it running"):
            Prometheus("http://127.0.0.1:1").query("x")


class PodPage:
    """What a pod tells to whom pairs answers; it may start anew, end, or be somebody else."""

    def __init__(self) -> None:
        self.recent, self.process, self.version, self.ending = Recent(), "first", "2", False
        self.pulse = Pulse("127.0.0.1", 0, self.page)

    def say(self, count: int) -> None:
        for _ in range(count):
            self.recent.add("r", 1.0, "answer", "u", 0.5, True)

    def page(self, path: str) -> Response:
        told = {"model": "toy", "version": self.version, "process": self.process, "ending": self.ending}
        told |= {"score_range": [0, 10], "answers": self.recent.since(int(path.rpartition("/")[2]))}
        return 200, JSON, json.dumps(told).encode()


@pytest.fixture
def pod() -> Iterator[PodPage]:
    made = PodPage()
    yield made
    made.pulse.close()


@pytest.fixture
def reader(pod: PodPage) -> Iterator[answers.PodAnswers]:
    connections = answers.pool()
    yield answers.PodAnswers("toy", "2", f"127.0.0.1:{pod.pulse.port}", connections, lambda: NOW)
    connections.clear()


class TestPodAnswers:
    def test_each_answer_is_read_once(self, pod: PodPage, reader: answers.PodAnswers) -> None:
        pod.say(3)
        assert [len(reader.read()) for _ in range(2)] == [3, 0]
        pod.say(2)
        assert (len(reader.read()), reader.lost, reader.score_range) == (2, 0, (0.0, 10.0))

    def test_many_answers_are_read_in_several_questions(self, pod: PodPage, reader: answers.PodAnswers) -> None:
        pod.say(MOST_TOLD + 10)
        assert len(reader.read()) == MOST_TOLD + 10

    def test_next_process_counts_from_zero(self, pod: PodPage, reader: answers.PodAnswers) -> None:
        pod.say(3)
        reader.read()
        pod.recent, pod.process = Recent(), "second"
        pod.say(5)
        assert (len(reader.read()), reader.lost) == (5, 0)

    def test_answers_that_were_forgotten_are_lost_and_counted(self, pod: PodPage, reader: answers.PodAnswers) -> None:
        pod.recent = Recent(most=4)
        pod.say(10)
        assert (len(reader.read()), reader.lost) == (4, 6)

    def test_pod_of_another_version_is_not_read(self, pod: PodPage, reader: answers.PodAnswers) -> None:
        pod.say(3)
        pod.version, reader.read_at = "3", 0.0
        assert (reader.read(), reader.read_at) == ([], 0.0)

    @pytest.mark.parametrize("nonsense", [b"", b"[]", b"{}", b"<html>", b'{"model": "toy", "version": "2", "process": "p"}'])
    def test_pod_that_talks_nonsense_is_not_read_and_breaks_nothing(
        self, pod: PodPage, reader: answers.PodAnswers, nonsense: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pod.pulse, "_page", lambda path: (200, JSON, nonsense))
        reader.read_at = 0.0
        assert (reader.read(), reader.read_at) == ([], 0.0)

    def test_pod_that_ends_says_so(self, pod: PodPage, reader: answers.PodAnswers) -> None:
        pod.ending = True
        reader.read()
        assert reader.ending


def test_half_that_waited_too_long_finds_no_other_half() -> None:
    pairing = Pairing(0.0, (0.0, 1.0))
    pairing.champion_said(Line("a", 10.0, "answer", "u", 0.5, True))
    pairing.forget(10.0, 10.0 + APART_S + 1)
    pairing.candidate_said(Line("a", 10.0, "mirror", "u", 0.5, True))
    assert sum(pairing.counted().pairs) == 0
