"""Slices: a search for harm over all of them, with Holm's correction, and the protected ones, each of which must be proven no worse."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.comparison.effects import Asked, Effect, attempt
from sluicegate.actions.comparison.groups import groups, rows_with
from sluicegate.actions.comparison.paired import Paired
from sluicegate.domain.comparison import Comparison
from sluicegate.domain.spec import ModelSpec
from sluicegate.stats import holm

LEAST_ROWS, LEAST_UNITS = 100, 20
"""A slice smaller than this cannot be judged, and is counted as such."""


@dataclass(frozen=True)
class Slice:
    field: str
    value: str
    effect: Effect
    adjusted_p: float
    """Holm-adjusted one-sided p-value of "at most the margin worse"."""
    harmed: bool

    @property
    def name(self) -> str:
        return f"{self.field} = {self.value}"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "effect": self.effect.to_dict()}


@dataclass(frozen=True)
class Guarded:
    """A protected slice; without effect where it has too few rows, or one class only."""

    field: str
    value: str
    rows: int
    effect: Effect | None

    @property
    def name(self) -> str:
        return f"{self.field} = {self.value}"

    @property
    def harmed(self) -> bool:
        """Worse, and not shown to be within the margin."""
        found = self.effect
        return found is not None and not found.non_inferior and found.p_harm <= found.alpha

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "effect": None if self.effect is None else self.effect.to_dict()}


@dataclass(frozen=True)
class Scan:
    slices: tuple[Slice, ...] = ()
    too_small: tuple[str, ...] = ()
    """Names of slices that could not be judged."""
    protected: tuple[Guarded, ...] = ()

    @property
    def harmed(self) -> tuple[Slice, ...]:
        return tuple(s for s in self.slices if s.harmed)


def scan_slices(pairs: Paired, spec: ModelSpec) -> Scan:
    """Effects of the primary metric in every slice that the spec names."""
    rule = spec.comparison
    found, small = _searched(pairs, rule)
    adjusted = holm([e.p_worse for _, _, e in found]) if found else ()
    slices = (Slice(f, v, e, float(p), bool(p <= rule.alpha)) for (f, v, e), p in zip(found, adjusted, strict=True))
    return Scan(tuple(slices), small, tuple(_protected(pairs, rule)))


def _searched(pairs: Paired, rule: Comparison) -> tuple[list[tuple[str, str, Effect]], tuple[str, ...]]:
    found: list[tuple[str, str, Effect]] = []
    small: list[str] = []
    for field in rule.slices:
        for value, rows in groups(pairs.holdout.columns[field]):
            seen = _effect(pairs, rows, rule)
            if seen is None:
                small.append(f"{field} = {value}")
            else:
                found.append((field, value, seen))
    return found, tuple(small)


def _protected(pairs: Paired, rule: Comparison) -> Iterator[Guarded]:
    """All must be no worse, so each is tested at the full level: more of them make a promotion harder, never easier (Berger 1982)."""
    for field, value in rule.guarded:
        rows = rows_with(pairs.holdout.columns[field], value)
        yield Guarded(field, value, int(rows.sum()), _effect(pairs, rows, rule))


def _effect(pairs: Paired, rows: NDArray[np.bool_], rule: Comparison) -> Effect | None:
    chosen = pairs.scored.where(rows)
    if len(chosen) < LEAST_ROWS or chosen.units < LEAST_UNITS:
        return None
    return attempt(chosen, Asked(rule.primary, rule.margin, rule.alpha, rule.quantile))
