"""What the comparison predicts for each segment of the release, named as the model server names it."""

from typing import Any

import numpy as np
import pytest

from sluicegate.actions.comparison.paired import Paired, Scored
from sluicegate.actions.comparison.segments import predicted_segments
from sluicegate.actions.holdout.labelled import Labelled
from sluicegate.serving.segments import Segments

ROWS = 400


@pytest.fixture
def pairs() -> Paired:
    """Half of the rows from AA, where every second decision is switched on; the champion decides nothing."""
    half = np.arange(ROWS) < ROWS // 2
    candidate = np.where(half & (np.arange(ROWS) % 2 == 0), 0.9, 0.1)
    columns: dict[str, list[Any]] = {
        "carrier": ["AA" if aa else "UA" for aa in half],
        "gate": [7.0 if aa else None for aa in half],
        "rare": ["a"] * 5 + ["b"] * (ROWS - 5),
    }
    zero, ids = np.zeros(ROWS), np.array([str(row) for row in range(ROWS)])
    holdout = Labelled(columns, ids, ids, zero, zero, zero, float("inf"))
    return Paired(Scored(zero, np.full(ROWS, 0.1), candidate, np.arange(ROWS)), holdout, 0.5, 0.5)


def test_each_segment_has_its_own_difference_of_decisions(pairs: Paired) -> None:
    told = predicted_segments(pairs, ("carrier",))
    assert (told["carrier=AA"].rows, told["carrier=AA"].decision_difference) == (200, pytest.approx(0.5))
    assert told["carrier=UA"].decision_difference == 0


def test_a_segment_of_few_rows_is_not_predicted(pairs: Paired) -> None:
    assert set(predicted_segments(pairs, ("rare",))) == {"rare=b"}


def test_segments_are_named_as_the_model_server_names_them(pairs: Paired) -> None:
    server = Segments(("carrier", "gate"), (25.0,))
    for carrier, gate in (("AA", 7), ("UA", None)):
        server.answered(0, {"carrier": carrier, "gate": gate}, 0.001, error=False, decision=False)
    assert set(predicted_segments(pairs, ("carrier", "gate"))) == set(server.to_dict())


def test_no_segments_are_predicted_where_the_release_names_none(pairs: Paired) -> None:
    assert predicted_segments(pairs, ()) == {}
