"""The temporal split: newest rows are the holdout, an embargo before it is used by nobody, no label is learned too early.

    |------- window -------|-- embargo --|---- holdout ----|
                           ^ cut         ^ start           ^ newest event

Training sees rows with event_time < cut whose label was known at `start`, the first instant at which the model could have served.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sluicegate.actions.holdout.labelled import Labelled, Mask
from sluicegate.domain.spec import Training
from sluicegate.errors import RefusedError

MIN_TRAIN, MIN_HOLDOUT = 50, 20
TRAINING = "training.json"
"""File of a package that holds its `Window`: on which rows it was trained."""


@dataclass(frozen=True)
class Window:
    """The split in numbers. Times are seconds since the epoch."""

    train_from: float
    """Event time of the oldest training row."""
    train_until: float
    """Event time of the newest training row."""
    train_known_until: float
    """When the last of the training labels became known."""
    cut: float
    """No training row happened at or after this."""
    holdout_from: float
    holdout_until: float
    embargo_s: float
    rows_train: int
    rows_holdout: int
    rows_embargo: int
    rows_unknown_at_cut: int
    """Before the cut, but the label came too late to be known when the holdout began."""
    rows_label_before_event: int
    """Label known before its event: a wrong clock somewhere; used by nobody."""
    rows_outside_window: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Split:
    train: Mask
    holdout: Mask
    window: Window


def temporal_split(rows: Labelled, training: Training) -> Split:
    """Split by time.

    Raises
    ------
    RefusedError
        Too few rows on either side, with the numbers and what to change.
    """
    newest = float(rows.event_time.max()) if len(rows) else 0.0
    start = newest - training.holdout.length
    cut = start - training.holdout.embargo
    sane = rows.known_at >= rows.event_time
    before = rows.event_time < cut
    known = rows.known_at <= start
    inside = rows.event_time >= (cut - training.window if training.window is not None else -np.inf)
    train = sane & before & known & inside
    holdout = sane & (rows.event_time > start)
    _refuse_too_few(int(train.sum()), int(holdout.sum()), training)
    times = rows.event_time[train]
    window = Window(
        train_from=float(times.min()),
        train_until=float(times.max()),
        train_known_until=float(rows.known_at[train].max()),
        cut=cut,
        holdout_from=start,
        holdout_until=newest,
        embargo_s=training.holdout.embargo,
        rows_train=int(train.sum()),
        rows_holdout=int(holdout.sum()),
        rows_embargo=int((sane & ~before & (rows.event_time <= start)).sum()),
        rows_unknown_at_cut=int((sane & before & ~known).sum()),
        rows_label_before_event=int((~sane).sum()),
        rows_outside_window=int((sane & before & known & ~inside).sum()),
    )
    return Split(train, holdout, window)


def _refuse_too_few(train: int, holdout: int, training: Training) -> None:
    days = f"{training.holdout.length / 86400:g} d holdout and {training.holdout.embargo / 86400:g} d embargo"
    if train < MIN_TRAIN:
        raise RefusedError(f"{train} rows are left to train on before {days}; {MIN_TRAIN} are needed: wait or shorten them")
    if holdout < MIN_HOLDOUT:
        raise RefusedError(f"the {days} leave {holdout} rows to test on; {MIN_HOLDOUT} are needed: lengthen the holdout")
