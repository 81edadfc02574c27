"""A model as its user writes it: the shape of spec.yaml, checked with one sentence per mistake.

Unknown keys, wrong types and impossible stages are refused with the key, the value and what would be valid.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from sluicegate.domain import presets
from sluicegate.domain.comparison import METRICS, Comparison
from sluicegate.domain.gate_spec import Gate as Gate
from sluicegate.domain.gate_spec import Gates as Gates
from sluicegate.domain.parts import NAME as NAME
from sluicegate.domain.parts import Duration, Part
from sluicegate.domain.resources import Resources
from sluicegate.domain.servers import Serving
from sluicegate.errors import SpecError

ABANDONED_S = 1800.0
"""Longer than Airflow is usually away for an upgrade; a lease ends the exposure long before."""


class InputField(Part):
    """One raw field of a request, before features.py sees it."""

    type: Literal["number", "integer", "string", "boolean", "timestamp"]
    required: bool = True
    """A field that is not required may be absent or null; features.py then sees None."""
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] | None = None
    """The set of allowed strings; None allows any."""


class Label(Part):
    """The truth that arrives later. `above` turns a measured number into a binary label (number > above)."""

    field: str
    above: float | None = None
    min: float | None = None
    max: float | None = None
    """A label outside min..max is quarantined as absurd."""


class Data(Part):
    """What requests and labels look like."""

    request_id: str = "request_id"
    event_time: str = "event_time"
    user_id: str
    inputs: dict[str, InputField] = Field(min_length=1)
    label: Label
    label_time: str = "known_at"
    """Field of a label row that says when the label became known."""

    @model_validator(mode="after")
    def _names_apart(self) -> "Data":
        taken = {"request_id", "event_time", "user", "label", "known_at", "score", "version"}
        taken |= {self.request_id, self.event_time, self.label.field, self.label_time}
        for name in self.inputs:
            if name in taken:
                raise ValueError(f"the input '{name}' has the name of another column of the labelled data: rename it")
        return self


class Expectation(Part):
    """A Great Expectations expectation by its class or snake-case name; `critical` blocks the batch, `warning` is reported."""

    expect: str
    severity: Literal["critical", "warning"] = "critical"
    kwargs: dict[str, Any] = Field(default_factory=dict)


class Holdout(Part):
    """Temporal split: the newest `length` is the holdout; `embargo` before it is used by nobody."""

    length: Duration
    embargo: Duration = 0.0


class Training(Part):
    """How to train: a dotted estimator class and its parameters."""

    estimator: str = "xgboost.XGBClassifier"
    params: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    holdout: Holdout
    window: Duration | None = None
    """Train on this much time before the embargo; None takes everything."""
    resources: Resources | None = None
    """What the pod that trains gets; None is the model's `resources`."""


class StageSpec(Part):
    """One plateau of the plan: either a mirror (percent of requests copied) or a weight (percent of users)."""

    mirror: Annotated[int, Field(ge=1, le=100)] | None = None
    weight: Annotated[int, Field(ge=1, le=100)] | None = None
    bake: Duration = 60.0
    """Least time at this stage, seconds."""
    deadline: Duration | None = None
    """Past it, undecided follows `undecided`; None is ten times the bake."""
    min_requests: int = Field(default=100, ge=1)
    """Candidate requests (pairs when mirroring) below which no gate may pass."""
    approve: bool = False
    """Whether a person must agree, besides the judge's PASS, before this stage is left."""

    @model_validator(mode="after")
    def _one_kind(self) -> "StageSpec":
        if (self.mirror is None) == (self.weight is None):
            raise ValueError("a stage is either {mirror: percent} or {weight: percent}")
        return self

    @property
    def kind(self) -> str:
        return "mirror" if self.mirror is not None else "split"

    @property
    def name(self) -> str:
        return "mirror" if self.mirror is not None else f"weight_{self.weight:03d}"

    @property
    def deadline_s(self) -> float:
        return self.deadline if self.deadline is not None else 10 * self.bake


class Release(Part):
    """How a candidate becomes champion: stages, gates, and what to do when the evidence does not decide."""

    preset: str | None = None
    """Name of the plan that this one started from; see presets.py."""
    stages: tuple[StageSpec, ...] = Field(min_length=1)
    gates: Gates
    segments: tuple[str, ...] = ()
    """Inputs by whose values errors, slow requests and decisions are judged apart, so that harm to a few is not averaged away."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """The one error budget of a rollout: chance that a harmless candidate is reverted."""
    undecided: Literal["hold", "revert"] = "revert"
    """At a stage's deadline without a verdict: hold for a person, or revert. Never promote."""
    look_every: Duration = 0.5
    lease: Duration = 10.0
    """Weight above zero is held at most this long without a watcher, seconds."""
    blind: Duration | None = None
    """Traffic is held at most this long by a watcher that can read nothing, seconds; None is three leases."""
    retention: Duration = 86400.0
    """How long the old champion stays warm after a promotion, seconds."""
    abandoned: Annotated[Duration, Field(gt=0)] = ABANDONED_S
    """A rollout about which nothing was journaled for so long (nobody looks, no task works on it) is taken back, seconds."""
    newer: Literal["wait", "supersede"] = "wait"
    """Whether a newer candidate waits for the end of this rollout, or ends it as SUPERSEDED."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, raw: Any) -> Any:
        return presets.expanded(raw)

    @model_validator(mode="after")
    def _judged(self) -> "Release":
        if self.segments and not any((self.gates.p95_ms, self.gates.error_rate, self.gates.decision_rate)):
            raise ValueError("segments are judged by the gates p95_ms, error_rate and decision_rate: name one of them")
        labels, waited = self.gates.labels, sum(s.deadline_s for s in self.stages if s.weight != 100)
        if labels is not None and labels.within > waited:
            raise ValueError(
                f"gates.labels waits {labels.within:g} s for an outcome, but all stages below 100 end after {waited:g} s: "
                "give them longer deadlines"
            )
        return self

    @property
    def blind_s(self) -> float:
        return self.blind if self.blind is not None else 3 * self.lease

    @field_validator("stages")
    @classmethod
    def _staircase(cls, stages: tuple[StageSpec, ...]) -> tuple[StageSpec, ...]:
        weights = [s.weight for s in stages if s.weight is not None]
        if weights != sorted(set(weights)):
            raise ValueError(f"the weights {weights} do not grow: within a rollout every weight must exceed the one before it")
        if not weights or weights[-1] != 100:
            raise ValueError(f"the last weight is {weights[-1] if weights else 'missing'}: a plan must end at weight 100")
        if any(s.mirror is not None for s in stages[1:]):
            raise ValueError("a mirror stage exposes nobody and so must be the first stage")
        return stages


class Schedule(Part):
    """When ingest starts besides data arrival and the UI: a cron expression, or never."""

    cron: str | None = None
    arrival: bool = True


class ModelSpec(Part):
    """One model, whole."""

    model: str
    summary: str = ""
    task: Literal["classification", "regression"] = "classification"
    score_range: tuple[float, float] = (0.0, 1.0)
    """Range of the score histogram; regression models name their own."""
    threshold: float = 0.5
    """Decision is positive when score >= threshold."""
    data: Data
    expectations: tuple[Expectation, ...] = ()
    training: Training
    comparison: Comparison = Comparison()
    release: Release
    resources: Resources = Resources()
    """What the pods of this model's orders get."""
    serving: Serving = Serving()
    """What its model servers get, and how many there are."""
    schedule: Schedule = Schedule()

    @field_validator("model")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("a model's name is a lower-case letter, then at most 47 lower-case letters, digits or underscores")
        return name

    @model_validator(mode="after")
    def _fields_exist(self) -> "ModelSpec":
        known = {*self.data.inputs, self.data.user_id, self.data.event_time}
        rule = self.comparison
        named = [("slices", name) for name in rule.slices] + [("protected", name) for name, _ in rule.guarded]
        named += [("cluster", rule.cluster or self.data.user_id)] + ([("weight", rule.weight)] if rule.weight else [])
        for key, name in named:
            if name not in known:
                raise ValueError(f"comparison.{key} names '{name}', which is no input; inputs are {', '.join(sorted(known))}")
        if rule.primary not in METRICS[self.task]:
            metrics = ", ".join(METRICS[self.task])
            raise ValueError(f"comparison.primary is '{rule.primary}', no metric of a {self.task}: choose {metrics}")
        sets = sorted(name for name, field in self.data.inputs.items() if field.type in ("string", "boolean", "integer"))
        for name in self.release.segments:
            if name not in sets:
                raise ValueError(
                    f"release.segments names '{name}': choose inputs of few values, such as {', '.join(sets) or 'none'}"
                )
        if self.score_range[0] >= self.score_range[1]:
            raise ValueError(f"score_range {list(self.score_range)} is empty: write [low, high]")
        return self


def parse_spec(raw: Any, where: str) -> ModelSpec:
    """Check the mapping read from a spec.yaml; `where` is the file's name for the message.

    Raises
    ------
    SpecError
        One sentence a mistake, joined by newlines: file, key, value, what would be valid.
    """
    if not isinstance(raw, Mapping):
        raise SpecError(f"{where}: a spec is a mapping of keys, not {type(raw).__name__}; start with 'model: <name>'")
    try:
        return ModelSpec.model_validate(dict(raw))
    except ValidationError as e:
        raise SpecError("\n".join(f"{where}: {_sentence(error)}" for error in e.errors())) from e


def _sentence(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "spec"
    if error["type"] == "missing":
        return f"the key '{key}' is missing"
    if error["type"] == "extra_forbidden":
        return f"unknown key '{key}' (value {error['input']!r}); valid keys here are {', '.join(_siblings(error['loc']))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    shown = repr(error["input"])
    return f"'{key}' is {shown if len(shown) <= 120 else shown[:117] + '...'}: {message}"


def _siblings(loc: tuple[Any, ...]) -> list[str]:
    """Keys that the part holding `loc` accepts."""
    part: Any = ModelSpec
    for step in loc[:-1]:
        part = _inner(part, step)
    return sorted(part.model_fields) if isinstance(part, type) and issubclass(part, BaseModel) else ["(none)"]


def _inner(part: Any, step: Any) -> Any:
    annotation = (
        part.model_fields[step].annotation
        if isinstance(part, type) and issubclass(part, BaseModel) and step in part.model_fields
        else part
    )
    return _first_part(annotation)


def _first_part(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _first_part(inner)
        if found is not None:
            return found
    return None
