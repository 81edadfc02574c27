"""Three canary tools, restated so that a reader can object. What they see is one value a look (a minute) for canary and baseline.

Restated are their published rules and defaults, not their code; where a user must choose a number, our spec's number is taken or
the one of their documentation's example, whichever stops less. They begin at weight 5, as none compares mirrored answers.

**Kayenta** (its judge with Mann–Whitney, 98 %): four metrics of equal weight in one group: error rate, 95th percentile of latency,
mean score, rate of positive decisions. Points that are not a number are left out, then those beyond three interquartile ranges.
A metric without points on either side is not counted. Else the 98 % interval of the shift (Hodges and Lehmann, normal
approximation) of canary against a baseline of the same size; a metric fails if the interval lies beyond a quarter of the estimated
shift, for errors and latency only upwards. The score is the share of counted metrics that do not fail, 0 if none is counted.
Judged every 20 minutes on all points since the stage began: below 75 reverts, and below 95 at the end of the stage.

**Argo Rollouts** (analysis at every stage, a measurement a minute over the last five minutes): error rate at most 5 % (its
documentation's example), 95th percentile at most the bound. `failureLimit` 0: one failed measurement reverts; not a number fails.
`consecutiveErrorLimit` 4: the fifth query in a row without an answer reverts. Scores and decisions have no rule.

**Flagger** (interval one minute, `threshold` 5): success rate at least 98.5 %, 99th percentile at most 110 ms (healthy: 99.5 % and
95 ms), each over the last minute. A minute in which a check fails, or has no value, is a failed check; the fifth one of the whole rollout
reverts. Scores and decisions have no rule.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from statistics import NormalDist

import numpy as np

from judge.ledger import BOUND_MS
from judge.points import Points
from judge.world import Array


class Ending(StrEnum):
    """What a peer does with a rollout; none of them holds for evidence."""

    PROMOTED = "promoted"
    REVERTED = "reverted"


KAYENTA_EVERY, KAYENTA_MARGINAL, KAYENTA_PASS = 20, 75.0, 95.0
KAYENTA_Z = NormalDist().inv_cdf(0.99)
KAYENTA_TOLERANCE, KAYENTA_FENCE = 0.25, 3.0
ARGO_WINDOW, ARGO_ERRORS, ARGO_ERROR_LIMIT = 5, 0.05, 4
FLAGGER_ERRORS, FLAGGER_P99_MS, FLAGGER_THRESHOLD = 0.015, 110.0, 5


def kayenta(stages: Sequence[Points]) -> Ending:
    """Judge every KAYENTA_EVERY looks on all points of the stage."""
    for seen in stages:
        looks = seen.errors.shape[1]
        for until in range(KAYENTA_EVERY, looks + 1, KAYENTA_EVERY):
            needed = KAYENTA_PASS if until + KAYENTA_EVERY > looks else KAYENTA_MARGINAL
            if kayenta_score(seen, until) < needed:
                return Ending.REVERTED
    return Ending.PROMOTED


def kayenta_score(seen: Points, until: int) -> float:
    """Percent of the counted metrics that pass on the first `until` looks."""
    rising = (seen.errors, seen.p95_ms)
    said = [kayenta_metric(canary[:until], baseline[:until], both_ways=False) for canary, baseline in rising]
    said += [
        kayenta_metric(canary[:until], baseline[:until], both_ways=True) for canary, baseline in (seen.score, seen.decisions)
    ]
    counted = [passes for passes in said if passes is not None]
    return 100 * sum(counted) / len(counted) if counted else 0.0


def kayenta_metric(canary: Array, baseline: Array, *, both_ways: bool) -> bool | None:
    """Whether a metric passes; None without points."""
    experiment, control = _kept(canary), _kept(baseline)
    if not len(experiment) or not len(control):
        return None
    low, estimate, high = shift(experiment, control)
    beyond = KAYENTA_TOLERANCE * abs(estimate)
    return not (low > beyond or (both_ways and high < -beyond))


def shift(experiment: Array, control: Array) -> tuple[float, float, float]:
    """98 % interval and estimate of Hodges and Lehmann's shift, by the normal approximation of the rank sum."""
    gaps = np.sort((experiment[:, None] - control[None, :]).ravel())
    n, m = len(experiment), len(control)
    reach = KAYENTA_Z * np.sqrt(n * m * (n + m + 1) / 12)
    place = min(max(int(np.floor(n * m / 2 - reach)), 0), (len(gaps) - 1) // 2)
    return float(gaps[place]), float(np.median(gaps)), float(gaps[-1 - place])


def _kept(values: Array) -> Array:
    """Numbers within three interquartile ranges of the quartiles."""
    known = values[np.isfinite(values)]
    if not len(known):
        return known
    first, third = np.quantile(known, (0.25, 0.75))
    reach = KAYENTA_FENCE * (third - first)
    return np.asarray(known[(known >= first - reach) & (known <= third + reach)])


def argo(stages: Sequence[Points]) -> Ending:
    """A measurement at every look; the runs of errors begin anew at every stage."""
    for seen in stages:
        unanswered = 0
        for look in range(seen.errors.shape[1]):
            unanswered = unanswered + 1 if not seen.answered[look] else 0
            if unanswered > ARGO_ERROR_LIMIT:
                return Ending.REVERTED
            if not unanswered and not _argo_succeeds(seen, look):
                return Ending.REVERTED
    return Ending.PROMOTED


def _argo_succeeds(seen: Points, look: int) -> bool:
    """Both conditions on the canary's last looks; comparisons with what is not a number are false."""
    window = slice(max(0, look + 1 - ARGO_WINDOW), look + 1)
    weight = seen.requests[0, window]
    if weight.sum() <= 0:
        return False
    asked = weight > 0
    errors = float(np.average(seen.errors[0, window][asked], weights=weight[asked]))
    return errors <= ARGO_ERRORS and bool(seen.recent_p95_ms[look] <= BOUND_MS)


def flagger(stages: Sequence[Points]) -> Ending:
    """Count failed minutes over the whole rollout."""
    failed = 0
    for seen in stages:
        fine = seen.answered & (seen.errors[0] <= FLAGGER_ERRORS) & (seen.p99_ms[0] <= FLAGGER_P99_MS)
        failed += int((~fine).sum())
        if failed >= FLAGGER_THRESHOLD:
            return Ending.REVERTED
    return Ending.PROMOTED


PEERS: Mapping[str, Callable[[Sequence[Points]], Ending]] = {"Kayenta": kayenta, "Argo Rollouts": argo, "Flagger": flagger}
