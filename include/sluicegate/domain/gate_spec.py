"""The gates of a rollout as a user writes them: by name, with margins in the user's units. What each one does: docs/judge.md."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from sluicegate.domain.parts import Duration, Part, Share, share

Amount = Annotated[float, BeforeValidator(share), Field(gt=0)]
"""A positive number in the unit of what it bounds; 1pp is 0.01."""


class Gate(Part):
    """A rule that may stop a rollout; `margin` is the tolerated worsening."""

    margin: Share = 0.01


class ScoreGate(Part):
    """Mean and distribution of the score, as seen against as predicted."""

    model_config = ConfigDict(from_attributes=True)

    margin: Share | None = None
    """In units of the score."""
    within: Share | None = None
    """Instead of a margin: a share of the predicted mean score, such as 5%."""
    mass: Share | None = None
    """Share of the scores that may lie elsewhere than predicted at whatever mean; None does not look at it."""

    @model_validator(mode="after")
    def _one_tolerance(self) -> "ScoreGate":
        if (self.margin is None) == (self.within is None):
            raise ValueError("write either {margin: 0.03}, in units of the score, or {within: 5%}, of the predicted mean")
        return self


class DecisionGate(Part):
    """Share of positive decisions, as seen against as predicted."""

    model_config = ConfigDict(from_attributes=True)

    margin: Share = 0.01
    any_harm: bool = False
    """Fail on any difference that chance and the holdout's size do not explain, however small; `margin` is then for PASS alone."""


class LoadGate(Part):
    """What a request costs, against the champion's at the same time; the margin is a share of it."""

    margin: Share = 0.2


class ValueGate(Part):
    """Business value of a request, against the champion's at the same time; less is worse."""

    margin: Share | None = None
    """A share of the champion's value of a request."""
    absolute: Annotated[float, Field(gt=0)] | None = None
    """Instead: in the unit of the value."""

    @model_validator(mode="after")
    def _one_tolerance(self) -> "ValueGate":
        if (self.margin is None) == (self.absolute is None):
            raise ValueError("write either {margin: 2%}, of the champion's value of a request, or {absolute: 0.5}, in its unit")
        return self


class LabelsGate(Part):
    """Loss of the answers whose outcome has become known; more is worse."""

    margin: Amount
    """In units of the loss; for `wrong` 1pp."""
    loss: Literal["squared", "absolute", "wrong"] = "squared"
    """Of an answer: (score - outcome) squared (for a probability: Brier), its size, or 1 where the decision was wrong."""
    within: Duration
    """An outcome that is not known after so long is late: too many of them, and the labels count as stalled."""


class RawRule(Part):
    """A rule on the raw shift against the champion, as a regulation may have it. It does not ask which model is better."""

    within: Share


class Gates(Part):
    """The gates of a rollout, by name. A gate that is not named does not exist."""

    p95_ms: Annotated[float, Field(gt=0)] | None = None
    """At most 5 % of the candidate's requests may be slower than this many milliseconds."""
    error_rate: Gate | None = None
    score: ScoreGate | None = None
    decision_rate: DecisionGate | None = None
    throughput: LoadGate | None = None
    """Requests per busy second: how many a server of the same size can carry."""
    cpu_ms: LoadGate | None = None
    """CPU time of a request."""
    memory_mb: Annotated[float, Field(gt=0)] | None = None
    """The candidate's process may not grow beyond so many megabytes."""
    value: ValueGate | None = None
    labels: LabelsGate | None = None
    raw_score_mean: RawRule | None = None
    """Mean score within this share of the champion's, whatever was predicted."""
    raw_decision_rate: RawRule | None = None
    """Share of positive decisions within so many points of the champion's, whatever was predicted."""

    @model_validator(mode="after")
    def _some_gate(self) -> "Gates":
        if not any(getattr(self, name) is not None for name in type(self).model_fields):
            raise ValueError(f"a rollout without gates would never be judged: name one of {', '.join(type(self).model_fields)}")
        return self
