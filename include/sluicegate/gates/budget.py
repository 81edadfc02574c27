"""How the one error budget of a rollout is split, and the constants of the rules. See docs/judge.md, "The budget"."""

from sluicegate.domain.spec import Release, StageSpec

FULL_GATES = ("p95_ms", "error_rate", "memory_mb")
"""At weight 100 no champion answers, so most gates have nothing to compare with; the stages before judged them."""
EXPOSED_GATES = ("p95_ms",)
"""Nobody waits for a mirrored answer: its latency is not gated."""
PARTS = {
    "p95_ms": 1.0,
    "error_rate": 3.0,
    "score": 1.0,
    "decision_rate": 3.0,
    "throughput": 0.25,
    "cpu_ms": 0.25,
    "memory_mb": 0.0,
    "value": 0.5,
    "labels": 0.5,
    "segments": 1.0,
    "raw_score_mean": 0.5,
    "raw_decision_rate": 0.5,
}
"""Each gate's part of a stage's budget, relative to the others. Errors and decisions are dear to find and get most; what a request costs is
measured so closely that little is needed; memory is not a matter of chance. The order is that of the verdicts."""
MIRROR_PART = 0.25
"""The mirror stage's part of the rollout's budget, relative to the first weight's: evidence is strong there, and nobody is exposed."""

SLOW_SHARE = 0.05
"""A 95th percentile below a bound is the statement that at most this share of requests is slower."""
EARLY_WEIGHT = 50
"""Below this weight a stage may end with `no_harm_seen` instead of a PASS of every gate."""
SLOW_RISK = 0.01
"""Share of all requests that an early stage may have put at risk of being slow: upper bound of harm times weight."""
DISTRIBUTION_PART = 0.2
"""Part of a drift gate's budget that guards the shape of the score distribution; the rest guards the mean."""
SHARE_ALPHA = 0.01
"""Error of the share test; outside the rollout's budget because it can only hold, never revert."""


def gates_of(release: Release, stage: StageSpec) -> tuple[str, ...]:
    """Gates of the spec that a stage can judge, in the order of the verdicts."""
    return tuple(name for name in PARTS if _named(release, name) and _possible(name, stage))


def _named(release: Release, name: str) -> bool:
    return bool(release.segments) if name == "segments" else getattr(release.gates, name) is not None


def _possible(name: str, stage: StageSpec) -> bool:
    if stage.weight == 100:
        return name in FULL_GATES
    return stage.kind == "split" or name not in EXPOSED_GATES


def fail_alpha(release: Release, stage: StageSpec, gate: str) -> float:
    """Chance, over all looks of this stage, that this gate fails a harmless candidate.

    The rollout's alpha is divided over the stages of the plan, and a stage's part over the gates that it can judge: all parts
    add up to alpha, so by the union bound the rollout's false reverts are at most alpha, whatever the dependence between gates
    and stages.
    """
    parts = sum(PARTS[name] for name in gates_of(release, stage))
    return release.alpha * _stage_share(release, stage) * (PARTS[gate] / parts if parts else 0.0)


def _stage_share(release: Release, stage: StageSpec) -> float:
    """The k-th weight gets a part of 1 / k²: harm is to be found where few users meet it, and later stages see more in less time."""
    weights = [s.weight for s in release.stages if s.weight is not None]
    parts = {weight: 1 / (place + 1) ** 2 for place, weight in enumerate(weights)}
    whole = sum(parts.values()) + (MIRROR_PART if len(weights) < len(release.stages) else 0.0)
    return (MIRROR_PART if stage.weight is None else parts[stage.weight]) / whole


def pass_alpha(release: Release) -> float:
    """Chance that one gate passes a candidate whose harm exceeds the margin.

    Not divided: a stage passes only when all its gates do, so a harm has to deceive the very gate that looks for it
    (intersection-union test, Berger 1982).
    """
    return release.alpha


def needs_pass(release: Release, stage: StageSpec) -> bool:
    """Whether this stage must end with a real PASS of every gate: all but mirror-stage errors and early split stages."""
    below_full = [s.weight for s in release.stages if s.weight is not None and s.weight < 100]
    last_below_full = max(below_full, default=0)
    return stage.weight is None or stage.weight >= EARLY_WEIGHT or stage.weight == last_below_full
