"""What the judge gets from labels: each accepted one beside what every version had answered, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from sluicegate.testing.ingest_world import SPEC, Outcome, World, asked, csv, told


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def said(
    number: int, role: str = "answer", *, score: float = 0.25, at: float = 0.0, decision: bool | None = None
) -> dict[str, Any]:
    """A line of a prediction log."""
    row = asked(number)
    names = ("request_id", "event_time")
    line = {name: row[name] for name in names} | {"received_at": 1000.0 + number + at, "role": role, "user": row["card"]}
    return line | {"score": score, "decision": score >= 0.5 if decision is None else decision, "inputs": row}


def served(world: World, lines: list[dict[str, Any]], version: str, tail: str = "") -> None:
    world.served([line | {"version": version} for line in lines], version, tail)


def seen(outcome: Outcome) -> list[tuple[Any, ...]]:
    names = ("request_id", "version", "role", "score", "decision", "outcome", "positive")
    return sorted(tuple(row[name] for name in names) for row in outcome.table("outcomes"))


def test_a_label_stands_beside_the_champions_answer_and_the_candidates_copy(world: World) -> None:
    served(world, [said(1, score=0.25)], "1")
    served(world, [said(1, "mirror", score=0.75)], "2")
    outcome = world.land(csv([told(1, loss=3.5)]))
    assert seen(outcome) == [("r1", "1", "answer", 0.25, False, 1.0, True), ("r1", "2", "mirror", 0.75, True, 1.0, True)]
    row = outcome.table("outcomes")[0]
    assert (row["user"], row["received_at"], row["known_at"]) == ("c1", 1001.0, 1_685_577_600.0)


def test_what_was_not_answered_here_or_not_accepted_is_no_outcome(world: World) -> None:
    served(world, [said(2), said(3)], "1")
    outcome = world.land(csv([told(1), told(2, loss="much"), told(3)]))
    assert [row[0] for row in seen(outcome)] == ["r3"]


def test_a_request_that_a_client_repeats_counts_with_its_first_answer(world: World) -> None:
    served(world, [said(1, score=0.9, at=5.0), said(1, score=0.1), said(1, score=0.8, at=7.0)], "1")
    assert [row[3] for row in seen(world.land(csv([told(1)])))] == [0.1]


def test_the_first_accepted_label_of_a_request_counts(world: World) -> None:
    served(world, [said(1)], "1")
    first, second = (world.land(csv([told(1, loss=loss)])) for loss in (-1, 5))
    assert ([row[5] for row in seen(first)], seen(second)) == ([0.0], [])


def test_without_a_prediction_log_there_are_no_outcomes(world: World) -> None:
    assert seen(world.land(csv([told(1)]))) == []


def test_a_torn_log_line_costs_that_line_alone(world: World) -> None:
    served(world, [said(1, decision=True), said(2, decision=False)], "1", tail='{"request_id": \n')
    assert [(row[0], row[4]) for row in seen(world.land(csv([told(1), told(2)])))] == [("r1", True), ("r2", False)]


def test_a_regressions_outcome_is_the_number_and_its_decision_is_taken_at_the_threshold(tmp_path: Path) -> None:
    label = {"field": "loss", "min": -100, "max": 5000}
    world = World(tmp_path, task="regression", threshold=2.0, comparison={"primary": "mae"}, data=SPEC["data"] | {"label": label})
    served(world, [said(1, score=3.0), said(2, score=1.0)], "1")
    assert [row[5:] for row in seen(world.land(csv([told(1, loss=4.5), told(2, loss=1.5)])))] == [(4.5, True), (1.5, False)]
