"""Did the traffic really move? A weight counts only when the gateway's realised share confirms it."""

from dataclasses import dataclass

import numpy as np

from sluicegate.gates import bounds
from sluicegate.gates.budget import SHARE_ALPHA
from sluicegate.gates.looks import Array

TOLERANCE = (0.005, 0.1)
"""Accepted distance from the weight: half a point plus a tenth of the weight, beyond what chance explains."""
LEAST_EXPECTED = 10.0
"""Candidate requests that must be due before a share can be confirmed."""


@dataclass(frozen=True)
class Share:
    """Realised share of the candidate against its weight, both 0..1."""

    share: float
    weight: float
    half_width: float
    confirmed: bool
    expected: float
    """Requests that were due to the candidate."""


def realised(gateway: Array, requests: Array, weight: float) -> Share:
    """Compare the share at the gateway with the weight.

    Parameters
    ----------
    gateway : requests of champion and candidate that the gateway counted, while somebody watched.
    requests : (2, buckets) that the servers counted: users differ in how much they ask, which only buckets can tell.
    weight : 0..1.
    """
    count = float(gateway.sum())
    if count * weight < LEAST_EXPECTED:
        return Share(float(gateway[1] / count) if count else 0.0, weight, 1.0, False, count * weight)
    share = float(gateway[1]) / count
    clustered = float(bounds.ratio_standard_error(requests[1], requests[0] + requests[1]))
    independent = float(np.sqrt(max(weight * (1 - weight), 1 / count) / count))
    error = max(independent, clustered if np.isfinite(clustered) else 0.0)
    half_width = bounds.half_width(error, 0.1, SHARE_ALPHA)
    accepted = TOLERANCE[0] + TOLERANCE[1] * weight + half_width
    return Share(share, weight, half_width, abs(share - weight) <= accepted, count * weight)
