"""Replay: every verdict comes out of the journal again, bit for bit, and a forged one does not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sluicegate.__main__ import main
from sluicegate.actions.journal import judge_code, replay, verify
from sluicegate.actions.release import deploy, enter_stage, open_rollout, open_watch, promote, revert
from sluicegate.adapters.journal_file import JournalFile
from sluicegate.adapters.sql_journal import SqlArchive, SqlJournal
from sluicegate.domain.compact import WHOLE_EVERY, Base, plain, trail
from sluicegate.domain.evidence import SCORE_BINS
from sluicegate.domain.rollout import Kind
from sluicegate.domain.spec import parse_spec
from sluicegate.errors import InputError
from sluicegate.ports.archive import Book
from sluicegate.testing.meter import Behaviour
from sluicegate.testing.ports import FakePorts

SPEC = {
    "model": "toy",
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {
        "stages": [
            {"mirror": 50, "bake": "5s", "min_requests": 100},
            {"weight": 10, "bake": "5s", "min_requests": 20},
            {"weight": 100, "bake": "5s"},
        ],
        "gates": {"p95_ms": 25, "error_rate": {"margin": 0.02}},
        "look_every": "500ms",
        "lease": "10s",
    },
}
PREDICTED = {
    "rows": 10_000,
    "mean_score": 0.3,
    "decision_rate": 0.2,
    "histogram": [1 / SCORE_BINS] * SCORE_BINS,
    "champion_mean_score": 0.3,
    "champion_decision_rate": 0.2,
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/journal.db"


@pytest.fixture
def ports(url: str) -> FakePorts:
    return _world(url)


@dataclass(frozen=True)
class Promotion:
    """A journal that tells of a whole rollout; nobody writes to it any more."""

    url: str
    rollout_id: str


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Promotion:
    url = f"sqlite:///{tmp_path_factory.mktemp('promoted')}/journal.db"
    ports = _world(url)
    rollout_id = _begin(ports)
    assert [_watch(ports, rollout_id, index) for index in range(3)] == ["pass"] * 3
    promote(ports, "toy", rollout_id, author="test")
    return Promotion(url, rollout_id)


def _world(url: str) -> FakePorts:
    """A champion, a registered candidate, and a real journal."""
    world = FakePorts(parse_spec(SPEC, "toy/spec.yaml"))
    world.journal = SqlJournal(url)
    for version in ("1", "2"):
        world.register(version, predicted=PREDICTED)
    first = open_rollout(world, "toy", "1", author="test", run_id="first")
    deploy(world, "toy", first.rollout_id, author="test")
    promote(world, "toy", first.rollout_id, author="test")
    return world


def _begin(ports: FakePorts) -> str:
    opened = open_rollout(ports, "toy", "2", author="test", run_id="second")
    deploy(ports, "toy", opened.rollout_id, author="test")
    return opened.rollout_id


def _watch(
    ports: FakePorts, rollout_id: str, index: int, looks: int = 400, disturb: Callable[[int], None] = lambda _: None
) -> str:
    """Look every half second, with a new watcher every twentieth look; the decision."""
    enter_stage(ports, "toy", rollout_id, index, author="test")
    for number in range(looks):
        if number % 20 == 0:
            watch = open_watch(ports, "toy", rollout_id, index, author="test")
        disturb(number)
        ports.clock.sleep(watch.look_every)
        look = watch.look()
        if look.decided:
            return look.decision
    return "never"


class TestReplay:
    def test_a_promotion_comes_out_again_at_every_look(self, promoted: Promotion) -> None:
        (one,) = replay(SqlArchive(promoted.url))
        looks = len(SqlJournal(promoted.url).events("toy", kinds=(Kind.EVIDENCE,)))
        assert (one.model, one.rollout_id, one.looks, one.exact, one.differences) == (
            "toy",
            promoted.rollout_id,
            looks,
            looks,
            [],
        )
        assert looks > 20

    def test_a_breach_and_the_looks_before_it_come_out_again(self, ports: FakePorts, url: str) -> None:
        rollout_id = _begin(ports)
        _watch(ports, rollout_id, 0)
        ports.meter.candidate = Behaviour(errors=0.5)
        assert _watch(ports, rollout_id, 1) == "fail"
        revert(ports, "toy", rollout_id, author="test", reason="gate")
        (one,) = replay(SqlArchive(url), "toy", rollout_id)
        assert one.same
        assert one.looks > 5

    def test_a_stage_whose_meter_went_dark_and_came_back_comes_out_again(self, ports: FakePorts, url: str) -> None:
        rollout_id = _begin(ports)

        def darken(number: int) -> None:
            ports.meter.gone = "no answer" if 3 <= number < 6 else ""

        assert _watch(ports, rollout_id, 0, disturb=darken) == "pass"
        assert all(one.same for one in replay(SqlArchive(url)))

    def test_a_long_stage_passes_a_whole_reading(self, ports: FakePorts, url: str) -> None:
        rollout_id = _begin(ports)
        ports.meter.rate = 0.5
        assert _watch(ports, rollout_id, 0, looks=WHOLE_EVERY + 5) == "never"
        (one,) = replay(SqlArchive(url))
        assert (one.looks, one.same) == (WHOLE_EVERY + 5, True)

    def test_two_watchers_at_once_each_come_out_again(self, ports: FakePorts, url: str) -> None:
        rollout_id = _begin(ports)
        enter_stage(ports, "toy", rollout_id, 0, author="test")
        both = [open_watch(ports, "toy", rollout_id, 0, author=name) for name in ("first", "second")]
        for number in range(30):
            ports.clock.sleep(0.1)
            both[number % 2 if number < 9 else number // 12 % 2].look()
        open_watch(ports, "toy", rollout_id, 0, author="third").look()
        (one,) = replay(SqlArchive(url))
        assert (one.looks, one.exact, one.differences) == (31, 31, [])

    def test_a_watcher_that_is_late_for_the_next_stage_comes_out_again_at_its_own(self, ports: FakePorts, url: str) -> None:
        rollout_id = _begin(ports)
        enter_stage(ports, "toy", rollout_id, 0, author="test")
        late = open_watch(ports, "toy", rollout_id, 0, author="late")
        assert _watch(ports, rollout_id, 0) == "pass"
        enter_stage(ports, "toy", rollout_id, 1, author="test")
        late.look()
        ports.clock.sleep(0.5)
        present = open_watch(ports, "toy", rollout_id, 1, author="test")
        present.look()
        late.look()
        assert [e.data["index"] for e in ports.journal.events("toy", kinds=(Kind.EVIDENCE,))[-3:]] == [0, 1, 0]
        (one,) = replay(SqlArchive(url))
        assert one.differences == []

    def test_a_stage_that_two_enter_at_once_is_judged_from_the_first_entry_on(
        self, ports: FakePorts, url: str, tmp_path: Path
    ) -> None:
        rollout_id = _begin(ports)
        _watch(ports, rollout_id, 0, looks=4)
        ports.clock.sleep(1)
        first = ports.journal.events("toy", rollout_id, kinds=(Kind.STAGE_ENTERED,))[0]
        again = dict(first.data) | {"baseline": plain(ports.meter.read(ports.router.read("toy"), since=ports.clock.now()))}
        ports.journal.append("toy", rollout_id, Kind.STAGE_ENTERED, again, author="slower")
        _watch(ports, rollout_id, 0, looks=4)
        (one,) = replay(SqlArchive(url))
        assert (one.looks, one.differences) == (8, [])

    def test_a_verdict_that_was_changed_in_the_journal_is_located(self, promoted: Promotion, tmp_path: Path) -> None:
        rows = _rows(promoted.url)
        place = next(i for i, r in enumerate(rows) if r.kind == Kind.EVIDENCE)
        rows[place] = replace(rows[place], data=rows[place].data.replace('"INCONCLUSIVE"', '"PASS"'))
        (one,) = replay(_file(tmp_path, rows))
        assert [d.number for d in one.differences] == [rows[place].number]
        assert one.differences[0].journaled.startswith("PASS")

    def test_one_error_more_in_the_evidence_is_located_at_its_look(self, promoted: Promotion, tmp_path: Path) -> None:
        rows = _rows(promoted.url)
        place = max(i for i, r in enumerate(rows) if r.kind == Kind.STAGE_ENTERED)
        entered, looked = json.loads(rows[place].data), json.loads(rows[place + 1].data)
        (first,) = trail(Base(rows[place].number, entered["baseline"]), [(rows[place + 1].number, looked["reading"])])
        looked["reading"] = json.loads(json.dumps(first.tree))
        rows[place + 1] = replace(rows[place + 1], data=json.dumps(looked))
        assert all(one.same for one in replay(_file(tmp_path, rows)))
        looked["reading"]["candidate"]["errors"][0] += 1
        rows[place + 1] = replace(rows[place + 1], data=json.dumps(looked))
        (one,) = replay(_file(tmp_path, rows))
        assert one.differences[0].number == rows[place + 1].number

    def test_a_verdict_of_another_judge_is_told_from_a_forged_one(
        self, promoted: Promotion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = _rows(promoted.url)
        place = next(i for i, r in enumerate(rows) if r.kind == Kind.EVIDENCE)
        other = json.loads(rows[place].data) | {"judge": "0badc0de", "digest": "0" * 16}
        rows[place] = replace(rows[place], data=json.dumps(other))
        _file(tmp_path, rows)
        assert main(["journal", "replay", "--file", str(tmp_path / "changed.jsonl")]) == 1
        assert f"by the judge 0badc0de, this is {judge_code()}, replayed" in capsys.readouterr().out

    def test_an_unknown_rollout_has_nothing_to_replay(self, promoted: Promotion) -> None:
        assert replay(SqlArchive(promoted.url), "toy", "unknown") == []

    def test_evidence_without_its_stage_is_refused_by_its_event(self, promoted: Promotion, tmp_path: Path) -> None:
        rows = [r for r in _rows(promoted.url) if r.kind != Kind.STAGE_ENTERED]
        first = next(r.number for r in rows if r.kind == Kind.EVIDENCE)
        with pytest.raises(InputError, match=f"event {first} "):
            replay(_file(tmp_path, rows))


class TestCommands:
    """`python -m sluicegate journal …`"""

    @pytest.fixture(autouse=True)
    def _environment(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SLUICEGATE_JOURNAL_URL", url)

    def test_an_exported_journal_replays_without_the_database_and_without_this_machines_vector_units(
        self, promoted: Promotion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SLUICEGATE_JOURNAL_URL", promoted.url)
        looks = len(SqlJournal(promoted.url).events("toy", kinds=(Kind.EVIDENCE,)))
        file = str(tmp_path / "journal.jsonl")
        assert main(["journal", "export", file]) == 0
        plain = {"NPY_DISABLE_CPU_FEATURES": _vector_units(), "OPENBLAS_CORETYPE": "Prescott"}
        elsewhere = os.environ | {"SLUICEGATE_JOURNAL_URL": "sqlite:////nowhere/journal.db"} | plain
        command = [sys.executable, "-m", "sluicegate", "journal", "replay", "--file", file]
        said = subprocess.run(command, env=elsewhere, capture_output=True, text=True, check=False)
        assert (
            said.stdout
            == f"toy {promoted.rollout_id}: {looks} looks ({looks} compared bit for bit), every verdict comes out again\n"
        )
        assert (said.returncode, said.stderr) == (0, "")

    def test_verify_prints_the_head_and_ends_with_one_when_something_is_found(
        self, ports: FakePorts, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["journal", "verify", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["sound"], told["models"]) == (True, ["toy"])
        assert main(["journal", "verify", "--expect", told["head"]]) == 0
        file = JournalFile(tmp_path / "cut.jsonl")
        with SqlArchive(url).read() as book:
            file.write(replace(book, rows=iter(list(book.rows)[:-2])))
        assert main(["journal", "verify", "--file", str(tmp_path / "cut.jsonl")]) == 1
        said = capsys.readouterr().out
        assert "DAMAGED" in said
        assert f"the end is cut off: events {told['events'] - 1} to {told['events']} are missing" in said

    def test_a_head_that_is_none_is_refused_with_how_to_write_it(
        self, ports: FakePorts, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["journal", "verify", "--expect", "12"]) == 1
        assert "--expect is '12': write NUMBER:DIGEST" in capsys.readouterr().err

    def test_replaying_an_unknown_model_is_refused_by_its_name(
        self, ports: FakePorts, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["journal", "replay", "nobody"]) == 1
        assert "no judged look of nobody" in capsys.readouterr().err


def _vector_units() -> str:
    """What numpy would use here beyond its baseline."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(unit for unit in __cpu_dispatch__ if __cpu_features__.get(unit))


def _rows(url: str) -> list[Any]:
    with SqlArchive(url).read() as book:
        return list(book.rows)


def _file(folder: Path, rows: list[Any]) -> JournalFile:
    file = JournalFile(folder / "changed.jsonl")
    file.write(Book(iter(rows), None, ()))
    assert not verify(file).sound
    return file
