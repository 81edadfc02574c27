"""Evidence: counters that only grow, per version and per user-hash bucket. A look is the difference of two readings.

Arrays have one entry per evidence bucket (`route.BUCKETS`) unless said otherwise. Three kinds: *arms* (champion's users against the
candidate's users), *pairs* (champion and candidate scored the same mirrored request), and what the *gateway* itself counted.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCORE_BINS = 20
"""Equal bins of the score histogram on the score range of the spec (0..1 for probabilities); out of range falls in the outer bins."""


@dataclass(frozen=True)
class ArmCounters:
    """What one version has answered to users since its process started."""

    started_at: float
    """When this counter began (process start, seconds since the epoch): a later one means the counter was reset."""
    requests: tuple[int, ...]
    """Requests answered, with a score or with the model's own error; refused requests (4xx) are not the model's and not here."""
    errors: tuple[int, ...]
    """Requests that the model failed to answer (its own 5xx)."""
    decisions: tuple[int, ...]
    """Requests whose decision was positive (score >= threshold)."""
    score_sum: tuple[float, ...]
    score_square_sum: tuple[float, ...]
    slow: Mapping[str, tuple[int, ...]]
    """Requests slower than each latency bound, keyed by the bound in milliseconds as written in the spec, e.g. "25"."""
    score_histogram: tuple[int, ...]
    """Length SCORE_BINS, all buckets together."""


@dataclass(frozen=True)
class PairCounters:
    """What champion and candidate said to the same requests."""

    started_at: float
    pairs: tuple[int, ...]
    difference_sum: tuple[float, ...]
    """Sum of candidate score - champion score."""
    difference_square_sum: tuple[float, ...]
    candidate_score_sum: tuple[float, ...]
    candidate_score_square_sum: tuple[float, ...]
    candidate_decisions: tuple[int, ...]
    champion_decisions: tuple[int, ...]
    flips_on: tuple[int, ...]
    """Candidate decided positive where the champion decided negative."""
    flips_off: tuple[int, ...]
    champion_histogram: tuple[int, ...]
    candidate_histogram: tuple[int, ...]
    """Length SCORE_BINS, all buckets together."""


@dataclass(frozen=True)
class GatewayCounters:
    """What the gateway itself counted for the two clusters of a model since it started."""

    started_at: float
    champion_requests: int
    champion_errors: int
    candidate_requests: int
    candidate_errors: int
    """5xx, resets, failed connections and time-outs of the upstream, also those that a retry hid from the user."""


@dataclass(frozen=True)
class Reading:
    """All counters of a rollout at one instant. What could not be read is None and `missing` says why: never zero."""

    taken_at: float
    champion: ArmCounters | None = None
    candidate: ArmCounters | None = None
    pairs: PairCounters | None = None
    gateway: GatewayCounters | None = None
    missing: tuple[str, ...] = ()
    mirror: ArmCounters | None = None
    """What the candidate did with mirrored requests, whose answers nobody sees; None when it is not counted apart."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> "Reading":
        return Reading(
            taken_at=float(raw["taken_at"]),
            champion=_arm(raw.get("champion")),
            candidate=_arm(raw.get("candidate")),
            pairs=_pairs(raw.get("pairs")),
            gateway=GatewayCounters(**raw["gateway"]) if raw.get("gateway") else None,
            missing=tuple(raw.get("missing", ())),
            mirror=_arm(raw.get("mirror")),
        )


@dataclass(frozen=True)
class Predicted:
    """What the offline comparison predicts the candidate will do on recent data, and how much the holdout allows us to know."""

    rows: int
    mean_score: float
    decision_rate: float
    histogram: tuple[float, ...]
    """Shares, length SCORE_BINS, sum 1."""
    champion_mean_score: float | None = None
    champion_decision_rate: float | None = None
    champion_histogram: tuple[float, ...] = ()
    mean_difference: float | None = None
    """Mean of candidate score - champion score on the same rows."""
    flips_on: float | None = None
    flips_off: float | None = None
    """Shares of rows whose decision flips."""
    difference_by_champion_bin: tuple[float, ...] = ()
    """Mean of candidate score - champion score where the champion's score falls in each bin; length SCORE_BINS, NaN-free (0 if empty).

    With it and the champion's histogram the prediction is re-weighted to the live population, so that a month with another mix of
    requests is not mistaken for training-serving skew. Empty: the plain mean is predicted.
    """
    decision_difference_by_champion_bin: tuple[float, ...] = ()
    """The same for the decision (1 or 0)."""
    joint_histogram: tuple[float, ...] = ()
    """Share of rows by champion's bin (slow index) and candidate's bin (fast index); length SCORE_BINS squared, sum 1."""
    extra: Mapping[str, float] = field(default_factory=dict)


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}


def _arm(raw: Mapping[str, Any] | None) -> ArmCounters | None:
    if raw is None:
        return None
    fields = _tuples(raw)
    fields["slow"] = {str(bound): tuple(counts) for bound, counts in raw["slow"].items()}
    return ArmCounters(**fields)


def _pairs(raw: Mapping[str, Any] | None) -> PairCounters | None:
    return None if raw is None else PairCounters(**_tuples(raw))
