"""Outcomes are counted for the answers of this rollout alone, once, and in the same way by whoever looks; late ones are seen."""

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.actions.ingest.known import EARLIER_S
from sluicegate.actions.ingest.outcomes import OUTCOMES
from sluicegate.adapters.local_meter import LocalMeter
from sluicegate.adapters.local_meter.labels import Labels
from sluicegate.domain.evidence import LabelCounters, Reading
from sluicegate.domain.gate_spec import LabelsGate
from sluicegate.domain.route import Route, Target, bucket
from sluicegate.ports import LabelWindow
from sluicegate.settings import Settings

T0 = 1_372_680_000.0  # 12:00:00 UTC
CHAMPION, CANDIDATE = Target("1", "127.0.0.1", 1), Target("2", "127.0.0.1", 2)


@dataclass(frozen=True)
class Said:
    """One answer: request number, seconds after T0, version, role, score."""

    number: int
    after: float
    version: str = "1"
    role: str = "answer"
    score: float = 0.25

    def line(self) -> bytes:
        row = {"request_id": f"r{self.number}", "received_at": T0 + self.after, "role": self.role, "user": f"u{self.number}"}
        return orjson.dumps(row | {"score": self.score, "decision": self.score >= 0.5}) + b"\n"

    def row(self, outcome: float) -> dict[str, object]:
        told = orjson.loads(self.line()) | {"version": self.version}
        return told | {"outcome": outcome, "positive": outcome > 0.5, "known_at": T0 + self.after + 100}


@dataclass
class Rollout:
    """Logs and committed batches of one rollout in the making."""

    settings: Settings
    batches: int = field(default=0)

    def say(self, *said: Said, name: str = "20130701T12-1.jsonl") -> None:
        for one in said:
            folder = self.settings.predictions / "toy" / one.version
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("ab") as log:
                log.write(one.line())

    def label(self, said: Iterable[Said], outcome: float = 1.0, *, at: float = 1000.0) -> None:
        """Commit a batch of outcomes, `at` seconds after T0."""
        self.batches += 1
        folder = self.settings.data / "toy" / "batches" / f"b{self.batches}"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([one.row(outcome) for one in said], OUTCOMES), folder / "outcomes.parquet")
        os.utime(folder / "outcomes.parquet", (T0 + at, T0 + at))

    def labels(self, loss: str = "squared", *, since: float = 0.0, within: float = 60.0) -> Labels:
        gate = LabelsGate.model_validate({"margin": 0.05, "loss": loss, "within": within})
        data, logs = self.settings.data / "toy" / "batches", self.settings.predictions / "toy"
        return Labels(data, logs, "1", "2", LabelWindow(gate, T0 + since))

    def read(self, after: float = 1000.0) -> LabelCounters:
        return self.labels().read(T0 + after)


@pytest.fixture
def rollout(tmp_path: Path) -> Rollout:
    return Rollout(Settings(home=tmp_path, gateway_admin_port=1))


class TestOutcomes:
    def test_arms_and_pairs_are_counted_in_the_users_bucket_with_their_losses(self, rollout: Rollout) -> None:
        rollout.label([Said(1, 1), Said(1, 1.1, "2", "mirror", 0.75), Said(2, 2, "2", score=0.5)], 1.0)
        told, one, two = rollout.read(), bucket("u1"), bucket("u2")
        assert (sum(told.champion), told.champion[one], told.champion_loss_sum[one]) == (1, 1, 0.75**2)
        assert (sum(told.candidate), told.candidate_loss_sum[two], told.candidate_loss_square_sum[two]) == (1, 0.25, 0.0625)
        assert (sum(told.pairs), told.difference_sum[one]) == (1, 0.25**2 - 0.75**2)
        assert told.difference_square_sum[one] == told.difference_sum[one] ** 2
        assert told.newest == T0 + 102

    @pytest.mark.parametrize(("loss", "expected"), [("squared", 0.0625), ("absolute", 0.25), ("wrong", 0.0)])
    def test_the_loss_is_the_one_that_the_gate_names(self, rollout: Rollout, loss: str, expected: float) -> None:
        rollout.label([Said(1, 1, score=0.75)], 1.0)
        assert sum(rollout.labels(loss).read(T0).champion_loss_sum) == expected

    def test_a_wrong_decision_counts_one(self, rollout: Rollout) -> None:
        rollout.label([Said(1, 1, score=0.75), Said(2, 1, score=0.75)], 0.0)
        assert sum(rollout.labels("wrong").read(T0).champion_loss_sum) == 2.0

    def test_answers_before_the_rollout_and_of_other_versions_are_not_its_outcomes(self, rollout: Rollout) -> None:
        rollout.label([Said(1, -1), Said(2, 1, "7"), Said(3, 1, "1", "mirror"), Said(4, 1)])
        assert sum(rollout.read().champion) == 1

    def test_a_copy_that_came_much_later_is_no_pair(self, rollout: Rollout) -> None:
        rollout.label([Said(1, 1), Said(1, 40, "2", "mirror")])
        assert (sum(rollout.read().pairs), sum(rollout.read().champion)) == (0, 1)

    def test_nothing_labelled_yet_is_zero_and_not_missing(self, rollout: Rollout) -> None:
        told = rollout.read()
        assert (sum(told.champion), sum(told.candidate), sum(told.pairs), told.due, told.newest) == (0, 0, 0, 0, None)


class TestCost:
    def test_each_batch_is_opened_once_and_those_of_before_the_rollout_never(
        self, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[str] = []
        monkeypatch.setattr(pq, "read_table", lambda path, read=pq.read_table: opened.append(path.parent.name) or read(path))
        rollout.label([Said(1, -5000)], at=-EARLIER_S - 1)
        rollout.label([Said(2, 1)])
        labels = rollout.labels()
        labels.read(T0)
        rollout.label([Said(3, 1)])
        assert [sum(labels.read(T0).champion) for _ in range(3)] == [2, 2, 2]
        assert opened == ["b2", "b3"]

    def test_a_batch_of_a_version_of_before_outcomes_were_kept_is_passed_over(self, rollout: Rollout) -> None:
        (rollout.settings.data / "toy" / "batches" / "old").mkdir(parents=True)
        assert sum(rollout.read().champion) == 0


class TestDue:
    def test_answers_to_users_older_than_the_gate_allows_are_due_and_copies_are_not(self, rollout: Rollout) -> None:
        rollout.say(Said(0, -10), Said(1, 10), Said(2, 20), Said(1, 10, "2", "mirror"), Said(3, 15, "2"), Said(4, 50))
        labels = rollout.labels(within=60.0)
        assert [labels.read(T0 + after).due for after in (0, 70, 75.5, 80.5, 110.5)] == [0, 0, 2, 3, 4]

    def test_a_clock_that_is_set_back_makes_nothing_less_due(self, rollout: Rollout) -> None:
        rollout.say(Said(1, 10))
        labels = rollout.labels()
        assert [labels.read(T0 + after).due for after in (100, 0, 100)] == [1, 1, 1]

    @pytest.mark.parametrize("seed", range(3))
    def test_a_fresh_instance_finds_as_many_due_as_one_that_watched(
        self, rollout: Rollout, seed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, size in (("NEAR", 500), ("CHUNK", 2000)):
            monkeypatch.setattr(f"sluicegate.adapters.local_meter.tail.{name}", size)
        chance, watching, number = random.Random(seed), rollout.labels(), 0
        for second in range(-20, 300, 5):
            for _ in range(20):
                number += 1
                version, role = chance.choice((("1", "answer"), ("2", "answer"), ("2", "mirror")))
                after = second + 5 * chance.random() / 20
                rollout.say(Said(number, after, version, role), name=f"20130701T12-{1 + second // 100}.jsonl")
            due = watching.read(T0 + second).due
        assert due > 200
        assert rollout.labels().read(T0 + second).due == due

    def test_a_torn_last_line_is_not_due_before_it_is_whole(self, rollout: Rollout) -> None:
        rollout.say(Said(1, 10), Said(2, 20))
        (path,) = (rollout.settings.predictions / "toy" / "1").iterdir()
        whole = path.read_bytes()
        path.write_bytes(whole[:-5])
        labels = rollout.labels()
        assert labels.read(T0 + 500).due == 1
        path.write_bytes(whole)
        assert labels.read(T0 + 500).due == 2


class TestReading:
    def window(self, within: float = 60.0) -> LabelWindow:
        return LabelWindow(LabelsGate.model_validate({"margin": 0.05, "within": within}), T0)

    def test_labels_are_read_when_they_are_asked_for_and_survive_the_journal(self, rollout: Rollout) -> None:
        rollout.label([Said(1, 1), Said(1, 1.1, "2", "mirror")])
        meter, route = LocalMeter(rollout.settings), Route("toy", CHAMPION, CANDIDATE)
        assert meter.read(route, since=T0).labels is None
        reading = meter.read(route, since=T0, labels=self.window())
        assert reading.labels is not None
        assert sum(reading.labels.pairs) == 1
        assert Reading.from_dict(orjson.loads(orjson.dumps(reading.to_dict()))) == reading

    def test_a_batch_that_cannot_be_read_is_missing_with_its_reason_until_it_can(self, rollout: Rollout) -> None:
        rollout.label([Said(1, 1)])
        path = rollout.settings.data / "toy" / "batches" / "b1" / "outcomes.parquet"
        whole = path.read_bytes()
        path.write_bytes(b"")
        meter, route = LocalMeter(rollout.settings), Route("toy", CHAMPION, CANDIDATE)
        reading = meter.read(route, since=T0, labels=self.window())
        assert reading.labels is None
        assert any(sentence.startswith("labels: ") for sentence in reading.missing)
        path.write_bytes(whole)
        again = meter.read(route, since=T0, labels=self.window())
        assert again.labels is not None
        assert sum(again.labels.champion) == 1
