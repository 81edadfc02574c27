"""What a watcher in a cluster reads of a server: every counter whole, the newest answers in order, and neither at the users' port."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sluicegate.serving.counters import Counters
from sluicegate.serving.evidence_page import EvidencePage, escaped, rows, series
from sluicegate.serving.recent import Recent
from sluicegate.testing.gateway import free_port
from sluicegate.testing.model_server import running_model_server
from sluicegate.testing.package import toy_package, toy_row
from sluicegate.testing.waiting import wait_until


def page(counters: Counters) -> dict[tuple[tuple[str, str], ...], float]:
    """Labels -> number, as a Prometheus would parse it."""
    text = EvidencePage().text(rows("answer", counters.to_dict()), [((("fact", "taken_at"),), 1.5), ((("fact", "none"),), None)])
    families = text_string_to_metric_families(text.decode())
    return {tuple(sorted(sample.labels.items())): sample.value for family in families for sample in family.samples}


def counted() -> Counters:
    counters = Counters(1.0, (25.0, 100.0), (0.0, 1.0), ("site",), valued=True)
    for place, site in ((3, 'sh"op'), (7, "a\\b\nc")):
        counters.scored(place, 0.5 + place / 100, True, 0.03)
        counters.spent(place, 0.002, 0.001)
        counters.valued(place, -2.5)
        counters.in_segments(place, {"site": site}, 0.03, error=False, decision=True)
    return counters


class TestPage:
    def test_every_counter_of_every_bucket_is_a_series(self) -> None:
        told, counters = page(counted()), counted().to_dict()
        for name in ("requests", "errors", "decisions", "score_sum", "score_square_sum", "value_sum", "busy_sum", "cpu_sum"):
            seen = [told[("bucket", f"{n}"), ("role", "answer"), ("row", name)] for n in range(200)]
            assert seen == counters[name]
        for bound in ("25", "100"):
            key = (("bound", bound), ("bucket", "7"), ("role", "answer"), ("row", "slow"))
            assert told[key] == counters["slow"][bound][7]

    def test_segments_keep_any_name_that_a_request_can_give_them(self) -> None:
        names = {dict(labels).get("segment") for labels in page(counted())} - {None}
        assert names == {'site=sh"op', "site=a\\b\nc"}

    def test_value_that_is_not_told_has_no_series_and_an_unknown_fact_none(self) -> None:
        counters = counted()
        counters.value_unknown()
        told = [dict(labels) for labels in page(counters)]
        assert not [labels for labels in told if labels.get("row", "").startswith("value")]
        assert [labels["fact"] for labels in told if "fact" in labels] == ["taken_at"]

    def test_sum_that_is_no_number_is_told_as_none(self) -> None:
        counters = counted()
        counters.valued(5, float("nan"))
        told = page(counters)[("bucket", "5"), ("role", "answer"), ("row", "value_sum")]
        assert told != told

    def test_label_can_not_end_its_quotes(self) -> None:
        assert escaped('a"} 1\n\\') == 'a\\"} 1\\n\\\\'
        assert series("x", (("k", '"'),)) == b'x{k="\\""} '


class TestRecent:
    def test_answers_are_told_from_a_number_on_in_order(self) -> None:
        recent = Recent()
        for n in range(5):
            recent.add(f"r{n}", float(n), "answer", "u", 0.5, True)
        assert [answer[:2] for answer in recent.since(3)] == [(3, "r3"), (4, "r4")]
        assert recent.since(5) == []
        assert len(recent.since(0, most=2)) == 2

    def test_what_was_forgotten_shows_as_a_gap_in_the_numbers(self) -> None:
        recent = Recent(most=3)
        for n in range(10):
            recent.add(f"r{n}", float(n), "answer", "u", 0.5, True)
        assert [answer[0] for answer in recent.since(2)] == [7, 8, 9]


def ask(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.read()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_package(tmp_path_factory.mktemp("toy")).folder


def test_server_tells_watchers_beside_its_loop_what_it_answered_and_users_nothing(package: Path, tmp_path: Path) -> None:
    port = free_port()
    with running_model_server(package, "7", tmp_path, more=("--pulse-port", str(port))) as server:
        server.ask(toy_row(1) | {"request_id": "mine"})
        server.ask(toy_row(1) | {"request_id": "copy"}, headers={"host": "gateway-shadow"})
        wait_until(lambda: len(server.lines()) == 2)
        status, answers = ask(port, "/answers/0")
        _, evidence = ask(port, "/metrics/evidence")
        assert [ask(server.port, path)[0] for path in ("/answers/0", "/metrics/evidence")] == [404, 404]
        assert [ask(port, f"/answers/{wrong}")[0] for wrong in ("", "-1", "x", "1/2", "9" * 18)] == [404] * 5
    told = json.loads(answers)
    assert (status, told["model"], told["version"], told["score_range"]) == (200, "toy", "7", [0.0, 1.0])
    assert [[*answer[:2], answer[3]] for answer in told["answers"]] == [[0, "mine", "answer"], [1, "copy", "mirror"]]
    samples = [s for family in text_string_to_metric_families(evidence.decode()) for s in family.samples]
    requests = [s for s in samples if s.labels.get("row") == "requests" and "segment" not in s.labels]
    assert {role: sum(s.value for s in requests if s.labels["role"] == role) for role in ("answer", "mirror")} == {
        "answer": 1.0,
        "mirror": 1.0,
    }
    facts = {s.labels["fact"]: s for s in samples if "fact" in s.labels}
    assert facts.keys() == {"taken_at", "started_at", "answers", "cpu_seconds", "memory_bytes"}
    assert {(s.labels["model"], s.labels["version"], s.labels["process"]) for s in facts.values()} == {
        ("toy", "7", told["process"])
    }
