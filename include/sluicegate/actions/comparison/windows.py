"""Whether a model has seen the rows on which it is to be judged."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def overlap(who: str, window: Mapping[str, Any] | None, *, holdout_from: float, embargo_s: float) -> str | None:
    """Why a model must not be judged on rows from `holdout_from` on, or None when it may.

    Parameters
    ----------
    who
        "champion" or "candidate", for the message.
    window
        `train_until` (event time of its newest training row) and `train_known_until`, seconds since the epoch; None when its
        package does not say.
    holdout_from
        Where the holdout begins, seconds since the epoch.
    embargo_s
        Time before the holdout of which no row may have been trained on, seconds.
    """
    if not window or "train_until" not in window:
        return f"the {who}'s package does not say which rows it was trained on, so it may have seen the holdout"
    if window["train_until"] > holdout_from - embargo_s:
        return (
            f"the {who} was trained on rows until {_day(window['train_until'])}, the holdout begins {_day(holdout_from)} and "
            f"the embargo before it is {embargo_s / 86400:g} d: it has seen rows on which it would be judged"
        )
    if window.get("train_known_until", 0.0) > holdout_from:
        return (
            f"the {who} learned labels that became known at {_day(window['train_known_until'])}, after the holdout began "
            f"({_day(holdout_from)})"
        )
    return None


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
