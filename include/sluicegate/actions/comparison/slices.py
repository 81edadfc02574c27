"""Harm scan: is the candidate worse than the margin allows in some slice, though it is fine overall? Holm over all slices."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.comparison.effects import Effect, attempt
from sluicegate.actions.comparison.paired import Paired
from sluicegate.actions.holdout.chart import number
from sluicegate.domain.spec import ModelSpec
from sluicegate.stats import holm

MOST_VALUES = 8
"""Values of a field that get a slice of their own, by rows; the rest share one."""
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
class Scan:
    slices: tuple[Slice, ...]
    too_small: tuple[str, ...]
    """Names of slices that could not be judged."""

    @property
    def harmed(self) -> tuple[Slice, ...]:
        return tuple(s for s in self.slices if s.harmed)


def scan_slices(pairs: Paired, spec: ModelSpec) -> Scan:
    """Effects of the primary metric in every slice that the spec names."""
    rule = spec.comparison
    found: list[tuple[str, str, Effect]] = []
    small: list[str] = []
    for field in rule.slices:
        for value, rows in _groups(pairs.holdout.columns[field]):
            seen = _effect(pairs, rows, rule.primary, rule.margin, rule.alpha)
            if seen is None:
                small.append(f"{field} = {value}")
            else:
                found.append((field, value, seen))
    if not found:
        return Scan((), tuple(small))
    adjusted = holm([e.p_worse for _, _, e in found])
    slices = (Slice(f, v, e, float(p), bool(p <= rule.alpha)) for (f, v, e), p in zip(found, adjusted, strict=True))
    return Scan(tuple(slices), tuple(small))


def _effect(pairs: Paired, rows: NDArray[np.bool_], metric: str, margin: float, alpha: float) -> Effect | None:
    clusters = pairs.clusters[rows]
    if rows.sum() < LEAST_ROWS or np.unique(clusters).size < LEAST_UNITS:
        return None
    return attempt(metric, pairs.y[rows], pairs.champion[rows], pairs.candidate[rows], clusters, margin=margin, alpha=alpha)


def _groups(values: list[Any]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Names and masks of a field's slices: quarters of a number with many values, otherwise its commonest values."""
    known = [v for v in values if v is not None]
    if known and all(isinstance(v, int | float) for v in known) and len(set(known)) > MOST_VALUES:
        yield from _quarters(np.asarray([np.nan if v is None else v for v in values], dtype=np.float64))
        return
    names = np.asarray(["(missing)" if v is None else str(v) for v in values], dtype=str)
    kinds, counts = np.unique(names, return_counts=True)
    own = kinds[np.argsort(-counts, kind="stable")[:MOST_VALUES]]
    for kind in own:
        yield str(kind), names == kind
    if kinds.size > own.size:
        yield f"({kinds.size - own.size} others)", ~np.isin(names, own)


def _quarters(numbers: NDArray[np.float64]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    edges = np.unique(np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    for place, (low, high) in enumerate(pairwise(edges)):
        last = place == edges.size - 2
        mask = (numbers >= low) & ((numbers <= high) if last else (numbers < high))
        yield f"{number(low)} to {number(high)}", mask
    if np.isnan(numbers).any():
        yield "(missing)", np.isnan(numbers)
