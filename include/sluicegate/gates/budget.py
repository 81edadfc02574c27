"""How the one error budget of a rollout is split, and the constants of the rules. See docs/judge.md, "The budget"."""

from sluicegate.domain.spec import Release, StageSpec

MIRROR_GATES = ("error_rate", "score", "decision_rate")
"""Nobody waits for a mirrored answer: its latency is not gated."""
SPLIT_GATES = ("p95_ms", "error_rate", "score", "decision_rate")
FULL_GATES = ("p95_ms", "error_rate")
"""At weight 100 no champion answers, so scores and decisions have nothing to be compared with; the stages before judged them."""

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
    split = FULL_GATES if stage.weight == 100 else SPLIT_GATES
    possible: tuple[str, ...] = MIRROR_GATES if stage.kind == "mirror" else split
    return tuple(name for name in possible if getattr(release.gates, name) is not None)


def fail_alpha(release: Release, stage: StageSpec) -> float:
    """Chance, over all looks of this stage, that one gate fails a harmless candidate.

    The rollout's alpha is divided equally over the stages of the plan, and a stage's part over the gates that it can judge: by
    the union bound the rollout's false reverts are at most alpha, whatever the dependence between gates and stages.
    """
    return release.alpha / len(release.stages) / max(1, len(gates_of(release, stage)))


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
