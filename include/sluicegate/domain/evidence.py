"""Evidence: counters that only grow, per version and per user-hash bucket. A look is the difference of two readings.

Arrays have one entry per evidence bucket (`route.BUCKETS`) unless said otherwise. Four kinds: *arms* (champion's users against the
candidate's users), *pairs* (champion and candidate scored the same mirrored request), what the *gateway* itself counted, and
*labels* (outcomes that have become known). Fields with a default came later: what was journaled before reads as not measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

SCORE_BINS = 20
"""Equal bins of the score histogram on the score range of the spec (0..1 for probabilities); out of range falls in the outer bins."""
SEGMENT_BUCKETS = 20
"""Entries of a segment's arrays: evidence bucket modulo this. Segments are many and small; their variance needs no more."""


@dataclass(frozen=True)
class Segment:
    """What one version has answered to the requests of one segment; arrays have SEGMENT_BUCKETS entries."""

    requests: tuple[int, ...]
    errors: tuple[int, ...]
    decisions: tuple[int, ...]
    slow: Mapping[str, tuple[int, ...]]
    """As `ArmCounters.slow`."""


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
    value_sum: tuple[float, ...] = ()
    value_square_sum: tuple[float, ...] = ()
    """Business value of the answers, by the model's own `value(row, decision)`; higher is better. Empty: it has none."""
    busy_sum: tuple[float, ...] = ()
    """Seconds that the handler was busy with the requests, waiting for a turn not included. Empty: not measured."""
    cpu_sum: tuple[float, ...] = ()
    """CPU seconds of the thread that answered, so that a version with few requests is not charged for idling. Empty: not measured."""
    segments: Mapping[str, Segment] = field(default_factory=dict)
    """By "field=value" of the segments that the spec names."""
    cpu_seconds: float | None = None
    """CPU seconds of the whole process since it started, all roles together."""
    memory_bytes: float | None = None
    """Resident memory of the whole process now; the one number here that may fall."""


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
class LabelCounters:
    """Outcomes of this rollout's answers that have become known: what the answers turned out to be worth.

    The loss of an answer is the one that the spec's gate `labels` names, e.g. (score - outcome) squared; lower is better.
    """

    started_at: float
    champion: tuple[int, ...]
    """Answers to the champion's users whose outcome is known."""
    champion_loss_sum: tuple[float, ...]
    champion_loss_square_sum: tuple[float, ...]
    candidate: tuple[int, ...]
    candidate_loss_sum: tuple[float, ...]
    candidate_loss_square_sum: tuple[float, ...]
    pairs: tuple[int, ...]
    """Mirrored requests, answered by both, whose outcome is known; they are among the champion's as well."""
    difference_sum: tuple[float, ...]
    """Sum of candidate's loss - champion's loss on the pairs."""
    difference_square_sum: tuple[float, ...]
    due: int
    """Answers to users so old that their outcome should be known by now (the gate's `within`), known or not."""
    newest: float | None = None
    """When the newest outcome became known, seconds since the epoch."""


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
    labels: LabelCounters | None = None

    def to_dict(self) -> dict[str, Any]:
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

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
            labels=LabelCounters(**_tuples(raw["labels"])) if raw.get("labels") else None,
        )


@dataclass(frozen=True)
class SegmentPrediction:
    """What the holdout says about one segment."""

    rows: int
    decision_difference: float
    """Candidate's share of positive decisions - champion's, on the segment's rows."""


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
    segments: Mapping[str, SegmentPrediction] = field(default_factory=dict)
    """By "field=value" of the spec's segments. A segment that is not here has its errors and latency judged, not its decisions."""
    extra: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> "Predicted":
        segments = {name: SegmentPrediction(**told) for name, told in raw.get("segments", {}).items()}
        return Predicted(**_tuples(raw) | {"segments": segments})


def _plain(value: Any) -> Any:
    """Dataclasses as dictionaries; arrays stay the tuples that they are, which `dataclasses.asdict` would copy number by number."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return {key: _plain(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}


def _arm(raw: Mapping[str, Any] | None) -> ArmCounters | None:
    if raw is None:
        return None
    segments = {name: Segment(**_tuples(seen) | {"slow": _slow(seen)}) for name, seen in raw.get("segments", {}).items()}
    return ArmCounters(**_tuples(raw) | {"slow": _slow(raw), "segments": segments})


def _slow(raw: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {str(bound): tuple(counts) for bound, counts in raw["slow"].items()}


def _pairs(raw: Mapping[str, Any] | None) -> PairCounters | None:
    return None if raw is None else PairCounters(**_tuples(raw))
