"""What answers where a model server should is evidence of the right shape, or it is named and missing: the judge never meets it."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest

from sluicegate.adapters.local_meter.sources import Source, evidence
from sluicegate.domain.evidence import Reading
from sluicegate.domain.rollout import Kind
from sluicegate.domain.route import Target
from sluicegate.errors import UnavailableError
from sluicegate.gates.looks import NOT_A_NUMBER, arms_array, step
from sluicegate.gates.looks import Source as Counter
from sluicegate.serving.counters import Counters
from sluicegate.testing.clock import VirtualClock
from sluicegate.testing.journal import MemoryJournal

TARGET = Target("2", "127.0.0.1", 8191)


class Says(Source):
    """A server that answers this."""

    def __init__(self, raw: Any) -> None:
        super().__init__(TARGET.host, TARGET.port)
        self.raw = raw

    def get(self, path: str) -> Any:
        return self.raw


def sound() -> dict[str, Any]:
    arm = Counters(1.0, (25.0,), (0.0, 1.0), ("site",), valued=True)
    arm.scored(3, 0.5, True, 0.1)
    arm.in_segments(3, {"site": "a"}, 0.1, error=False, decision=True)
    roles = {role: copy.deepcopy(arm.to_dict()) for role in ("answer", "mirror")}
    return {"model": "toy", "version": "2", "score_range": [0.0, 1.0], **roles}


def test_what_a_server_counts_is_evidence() -> None:
    found = evidence(Says(sound()), "toy", TARGET, Path("nowhere"))
    assert (sum(found.answer.requests), sum(found.mirror.segments["site=a"].decisions)) == (1, 1)


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("answer", "requests"), [1, 2, 3]),
        (("answer", "requests"), None),
        (("mirror", "score_sum"), ["much"] * 200),
        (("answer", "slow", "25"), [0] * 199),
        (("answer", "value_sum"), [0.0] * 7),
        (("mirror", "segments", "site=a", "errors"), [0] * 200),
        (("answer", "segments", "site=a"), {"requests": []}),
        (("answer", "score_histogram"), []),
        (("answer", "busy_sum"), [math.inf] * 200),
        (("answer",), None),
        (("answer",), []),
        (("score_range",), [1.0]),
    ],
)
def test_an_answer_of_another_shape_is_missing_with_its_reason(place: tuple[str, ...], wrong: Any) -> None:
    raw = sound()
    inner = raw
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = wrong
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:8191 answers something else than evidence"):
        evidence(Says(raw), "toy", TARGET, Path("nowhere"))


@pytest.mark.parametrize("raw", [None, [], "evidence", 3, {}, {"model": "toy", "version": "2"}])
def test_an_answer_that_is_no_evidence_at_all_is_missing(raw: Any) -> None:
    with pytest.raises(UnavailableError, match="answers something else than evidence"):
        evidence(Says(raw), "toy", TARGET, Path("nowhere"))


def test_a_server_of_before_value_load_and_segments_is_still_evidence() -> None:
    raw = sound()
    for role in ("answer", "mirror"):
        for name in ("value_sum", "value_square_sum", "busy_sum", "cpu_sum", "segments"):
            del raw[role][name]
    found = evidence(Says(raw), "toy", TARGET, Path("nowhere"))
    assert (found.answer.value_sum, found.answer.segments, found.answer.memory_bytes) == ((), {}, None)


@pytest.mark.parametrize("name", ["score_sum", "value_sum", "cpu_sum"])
def test_a_counter_that_is_no_number_reaches_the_judge_who_says_so_and_the_journal(name: str) -> None:
    raw = sound()
    raw["answer"][name][0] = None  # JSON has no NaN: the server's encoder writes null for it
    found = evidence(Says(raw), "toy", TARGET, Path("nowhere"))
    reading = Reading(1.0, champion=found.mirror, candidate=found.answer)
    source, look = step(Counter(), *arms_array(reading, "split", 25.0), (0, 1))
    assert (source.problem, look) == (NOT_A_NUMBER, None)
    MemoryJournal(VirtualClock()).append("toy", "r", Kind.EVIDENCE, {"reading": reading.to_dict()}, author="test")
