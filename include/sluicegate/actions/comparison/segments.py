"""How the candidate's decisions differ from the champion's in each segment of the release: what the live gate `segments` expects."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from sluicegate.actions.comparison.paired import Paired
from sluicegate.domain.evidence import SegmentPrediction

LEAST_ROWS = 50
"""A segment with fewer holdout rows is not predicted, and so its decisions are not judged live."""
MISSING = "(missing)"
"""As the model server names the segment of requests without the field."""


def predicted_segments(pairs: Paired, fields: Sequence[str]) -> dict[str, SegmentPrediction]:
    """By "field=value", as the model server names its segments."""
    gap = pairs.decided_candidate.astype(np.float64) - pairs.decided_champion
    told: dict[str, SegmentPrediction] = {}
    for field in fields:
        values = np.array([_written(value) for value in pairs.holdout.columns[field]])
        for value, rows in sorted(Counter(values.tolist()).items()):
            if rows >= LEAST_ROWS:
                told[f"{field}={value}"] = SegmentPrediction(rows, float(gap[values == value].mean()))
    return told


def _written(value: Any) -> str:
    """As a request of the same value is written: whole numbers without a point."""
    if value is None or value != value:
        return MISSING
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
