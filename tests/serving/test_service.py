"""One request: what is answered, counted and logged."""

import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sluicegate.domain.evidence import SCORE_BINS, Reading
from sluicegate.domain.route import BUCKETS, bucket
from sluicegate.errors import PackageError
from sluicegate.serving.application import ServerApplication
from sluicegate.serving.package import load_package
from sluicegate.serving.prediction_log import PredictionLog
from sluicegate.serving.service import Service
from sluicegate.testing.package import SPEC, toy_package, toy_row

MOODY = """\
def features(row):
    if row["distance"] == 13:
        raise ValueError("unlucky")
    row["distance"], row["tailnum"] = row["distance"] + 1, {"spoiled"}
    return {"distance": (row["distance"] - 1) / 1000, "wind": 0.0}
"""


class Bench:
    """A service whose log lines stay in memory."""

    def __init__(self, folder: Path, package: Path) -> None:
        self.told: list[str] = []
        self.log = PredictionLog(folder / "log", self.told.append)
        self.service = Service(load_package(package), "7", self.log, self.told.append)

    def ask(self, row: dict[str, Any], received_at: float | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
        pairs = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        status, content = self.service.predict(orjson.dumps(row), pairs, received_at or time.time())
        return status, orjson.loads(content)

    def logged(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.log._lines]

    def arm(self, role: str = "answer") -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.service.evidence())[role]
        return found


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_package(tmp_path_factory.mktemp("toy"), features=MOODY).folder


@pytest.fixture
def bench(tmp_path: Path, package: Path) -> Bench:
    return Bench(tmp_path, package)


class TestAnswer:
    def test_an_answer_names_model_version_request_score_and_decision(self, bench: Bench) -> None:
        status, answer = bench.ask(toy_row(1))
        score = bench.service.model.score_row(toy_row(1))
        assert status == 200
        assert answer == {"model": "toy", "version": "7", "request_id": "r1", "score": score, "decision": score >= 0.5}

    def test_ids_that_the_body_lacks_come_from_the_headers(self, bench: Bench) -> None:
        row = {k: v for k, v in toy_row(1).items() if k not in ("request_id", "tailnum")}
        _, answer = bench.ask(row, x_request_id="abc", x_user_id="N9")
        assert (answer["request_id"], bench.logged()[0]["user"]) == ("abc", "N9")

    def test_a_request_without_any_request_id_gets_one(self, bench: Bench) -> None:
        row = {k: v for k, v in toy_row(1).items() if k != "request_id"}
        assert len({bench.ask(row)[1]["request_id"] for _ in range(5)}) == 5

    @pytest.mark.parametrize(
        ("field", "value"), [("tailnum", None), ("tailnum", ""), ("tailnum", {"a": 1}), ("request_id", [1]), ("tailnum", 1.5)]
    )
    def test_a_wrong_id_is_refused_by_its_field(self, bench: Bench, field: str, value: Any) -> None:
        status, answer = bench.ask(toy_row(1) | {field: value})
        assert (status, answer["field"]) == (422, field)


class TestRefused:
    def test_a_refused_request_is_neither_counted_nor_logged_as_the_models(self, bench: Bench) -> None:
        assert bench.ask(toy_row(1) | {"distance": "far"})[0] == 422
        assert bench.service.predict(b"{", {}, time.time())[0] == 400
        assert sum(bench.arm()["requests"]) == sum(bench.arm()["errors"]) == 0
        assert bench.service.refused == {422: 1, 400: 1}
        assert bench.logged() == bench.told == []


class TestModelErrors:
    def test_a_raising_features_is_a_500_with_a_sentence_and_counts_as_the_models_error(self, bench: Bench) -> None:
        status, answer = bench.ask(toy_row(1) | {"distance": 13})
        assert status == 500
        assert answer["error"] == "features.py fails on row 'r1': ValueError: unlucky"
        assert (answer["model"], answer["version"], answer["request_id"]) == ("toy", "7", "r1")
        place = bucket("N1")
        assert (bench.arm()["errors"][place], bench.arm()["requests"][place], sum(bench.arm()["score_histogram"])) == (1, 1, 0)
        assert bench.told == [answer["error"]]
        assert bench.logged() == []

    def test_what_features_do_to_their_row_does_not_spoil_the_log(self, bench: Bench) -> None:
        assert bench.ask(toy_row(1))[0] == 200
        assert bench.logged()[0]["inputs"] == toy_row(1)


class TestEvidence:
    def test_the_counters_are_those_of_the_domain_and_add_up_by_bucket(self, bench: Bench) -> None:
        for number in range(30):
            bench.ask(toy_row(number))
        arm = Reading.from_dict({"taken_at": 0, "champion": bench.arm()}).champion
        assert arm is not None
        assert (len(arm.requests), len(arm.score_histogram), sum(arm.requests)) == (BUCKETS, SCORE_BINS, 30)
        scores = [line["score"] for line in bench.logged()]
        assert sum(arm.score_sum) == pytest.approx(sum(scores))
        assert sum(arm.score_square_sum) == pytest.approx(sum(s * s for s in scores))
        assert sum(arm.decisions) == sum(s >= 0.5 for s in scores)
        assert [arm.score_histogram[n] for n in range(SCORE_BINS)] == [
            sum(int(s * 20) == n for s in scores) for n in range(SCORE_BINS)
        ]
        assert arm.requests[bucket("N3")] >= 1
        assert set(arm.slow) == {"25"}

    def test_a_retry_for_a_failed_candidate_is_answered_but_is_no_evidence_about_this_version(self, bench: Bench) -> None:
        status, _ = bench.ask(toy_row(1), x_envoy_attempt_count="2")
        assert status == 200
        assert sum(bench.arm()["requests"]) == 0
        assert bench.logged()[0]["role"] == "answer"

    @pytest.mark.parametrize("host", ["gateway-shadow", "gateway-shadow:8182", "[::1]:8182-shadow"])
    def test_a_mirrored_request_is_counted_and_logged_apart(self, bench: Bench, host: str) -> None:
        bench.ask(toy_row(1), host=host)
        bench.ask(toy_row(2), host="gateway:8182")
        assert (sum(bench.arm("mirror")["requests"]), sum(bench.arm("answer")["requests"])) == (1, 1)
        assert [line["role"] for line in bench.logged()] == ["mirror", "answer"]

    def test_a_request_that_another_version_answers_is_a_copy(self, bench: Bench) -> None:
        bench.ask(toy_row(1), x_sluicegate_version="another")
        bench.ask(toy_row(2), x_sluicegate_version=bench.service.version)
        assert [line["role"] for line in bench.logged()] == ["mirror", "answer"]

    def test_latency_counts_from_the_gateways_start_when_that_is_sane(self, bench: Bench) -> None:
        now = time.time()
        bench.ask(toy_row(1), now, x_sluicegate_start=str(int((now - 0.5) * 1e6)))
        assert sum(bench.arm()["slow"]["25"]) == 1
        assert bench.logged()[0]["latency_us"] == pytest.approx(500_000, abs=100_000)

    @pytest.mark.parametrize("start", ["", "soon", "-5", "0", str(10**18), "1e15"])
    def test_a_start_that_cannot_be_is_not_believed(self, bench: Bench, start: str) -> None:
        bench.ask(toy_row(1), x_sluicegate_start=start)
        assert bench.logged()[0]["latency_us"] < 400_000

    def test_scores_outside_the_range_fall_in_the_outer_bins(self, tmp_path: Path) -> None:
        spec = SPEC.replace("model: toy", "model: toy\nscore_range: [0.45, 0.55]")
        bench = Bench(tmp_path, toy_package(tmp_path, spec=spec).folder)
        bench.ask(toy_row(1) | {"distance": 0, "wind": 12})
        bench.ask(toy_row(1) | {"distance": 6000, "wind": 0})
        histogram = bench.arm()["score_histogram"]
        assert (histogram[0], histogram[-1], sum(histogram)) == (1, 1, 2)


class TestLogLine:
    def test_a_line_has_what_ingest_and_meter_need(self, bench: Bench) -> None:
        now = time.time()
        bench.ask(toy_row(1) | {"new_input": 3}, now)
        (line,) = bench.logged()
        assert {k: line[k] for k in ("request_id", "event_time", "received_at", "model", "version", "role", "user")} == {
            "request_id": "r1",
            "event_time": "2013-08-01T10:00:00Z",
            "received_at": now,
            "model": "toy",
            "version": "7",
            "role": "answer",
            "user": "N1",
        }
        assert line["decision"] is (line["score"] >= 0.5)
        assert isinstance(line["latency_us"], int)
        assert line["inputs"] == toy_row(1) | {"new_input": 3}

    def test_a_line_break_in_a_value_stays_inside_its_line(self, bench: Bench) -> None:
        bench.ask(toy_row(1) | {"note": "a\nb\u2028c"})
        assert bench.log._lines[0].count(b"\n") == 1


class TestHealth:
    def test_a_package_whose_golden_rows_would_be_refused_is_not_ready(self, tmp_path: Path) -> None:
        narrow = SPEC.replace("max: 6000", "max: 200")
        bench = Bench(tmp_path, toy_package(tmp_path, spec=narrow).folder)
        with pytest.raises(PackageError, match="golden row would be refused as a request: the field 'distance'"):
            bench.service.check()

    def test_deep_health_leaves_no_trace_in_the_state_of_features(self, tmp_path: Path) -> None:
        counting = "seen = []\ndef features(row):\n    seen.append(1)\n    return {'distance': len(seen), 'wind': 0.0}\n"
        bench = Bench(tmp_path, toy_package(tmp_path, features=counting).folder)
        for _ in range(2):
            bench.service.check()
        assert bench.ask(toy_row(5))[1]["score"] == bench.service.model.golden[0]["score"]

    def test_while_unready_predictions_are_refused_with_the_trouble(self, bench: Bench) -> None:
        application = ServerApplication(bench.service, {})
        application.ready("golden row 3 differs")
        for path, method in (("/models/toy/predict", b"POST"), ("/health/ready", b"GET")):
            status, _, content = application.respond(method, path, {}, orjson.dumps(toy_row(1)), time.time())
            assert status == 503
            assert b"golden row 3 differs" in content
        assert sum(bench.arm()["requests"]) == 0


def test_metrics_parse_and_carry_model_and_version(bench: Bench) -> None:
    application = ServerApplication(bench.service, {})
    application.ready(None)
    for row in (toy_row(1), toy_row(2), toy_row(3) | {"distance": 13}, toy_row(4) | {"distance": -1}):
        application.respond(b"POST", "/models/toy/predict", {}, orjson.dumps(row), time.time())
    text = application.respond(b"GET", "/metrics", {}, b"", time.time())[2].decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert all((s.labels["model"], s.labels["version"]) == ("toy", "7") for s in samples)
    values = {s.name: s.value for s in samples if s.labels.get("role", "answer") == "answer" and "le" not in s.labels}
    assert values["sluicegate_requests_total"] == values["sluicegate_latency_seconds_count"] == 3
    assert (values["sluicegate_errors_total"], values["sluicegate_refused_total"], values["sluicegate_score_count"]) == (1, 1, 2)
    assert {"sluicegate_in_flight", "sluicegate_prediction_log_dropped_total"} <= set(values)
