"""The part `comparison` of a spec: by what a candidate is compared with its champion before anything is deployed."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from sluicegate.domain.parts import Part, Share


class OfflineGates(Part):
    """Limits that the candidate must be proven to keep before it is released. A gate that is not named does not exist."""

    brier: Annotated[float, Field(gt=0)] | None = None
    """The Brier score may be at most this much worse."""
    flips: Share | None = None
    """At most this share of decisions may change."""
    negative_flips: Share | None = None
    """At most this share of rows may be right before and wrong now."""
    p95_ms: Annotated[float, Field(gt=0)] | None = None
    """One row in twenty may take longer than this, features and score, in process."""
    slowdown: Annotated[float, Field(ge=1)] | None = None
    """The median row may take at most this many times what it takes the champion."""
    size_mb: Annotated[float, Field(gt=0)] | None = None
    """Size of the package, in units of 10^6 bytes."""
    growth: Annotated[float, Field(ge=1)] | None = None
    """The package may be at most this many times as large as the champion's."""


METRICS = {
    "classification": ("auc", "average_precision", "log_loss", "brier", "accuracy"),
    "regression": ("mae", "mse", "rmse", "quantile_loss"),
}
"""Metrics by task that a comparison can be decided by."""


class Comparison(Part):
    """The offline verdict: primary metric, what we accept to lose, and where harm is looked for."""

    primary: str = "auc"
    quantile: float = Field(default=0.5, gt=0, lt=1)
    """Of the primary metric quantile_loss."""
    margin: float = Field(default=0.01, gt=0)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Level of one claim: of harm, and of "no worse" in one protected slice."""
    false_promotions: float = Field(default=0.1, gt=0, lt=1)
    """Chance that `looks` candidates that are equal to the champion, compared one after the other, replace it even once."""
    looks: int = Field(default=52, ge=1)
    """Comparisons with one champion that share `false_promotions`: a year of weekly retrains."""
    cluster: str | None = None
    """Field whose rows move together; None takes the user id."""
    weight: str | None = None
    """Input that says how many rows of the population a row stands for, where not every outcome becomes known; None: all the same."""
    slices: tuple[str, ...] = ()
    """Inputs over whose values harm is searched, with Holm's correction."""
    protected: tuple[str, ...] = ()
    """Slices, each written field=value, in every one of which the candidate must be proven no worse."""
    gates: OfflineGates = OfflineGates()
    neutral: Literal["release", "keep"] = "keep"
    """Whether a candidate that is proven no worse, but not proven better, is released."""

    @field_validator("protected")
    @classmethod
    def _field_and_value(cls, protected: tuple[str, ...]) -> tuple[str, ...]:
        for written in protected:
            if not all(part.strip() for part in written.partition("=")):
                raise ValueError(f"'{written}' is no slice: write field=value, such as region=west")
        return protected

    @property
    def guarded(self) -> tuple[tuple[str, str], ...]:
        """Field and value of every protected slice."""
        parts = (written.partition("=") for written in self.protected)
        return tuple((field.strip(), value.strip()) for field, _, value in parts)
