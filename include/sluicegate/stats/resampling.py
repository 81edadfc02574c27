"""Paired bootstrap: both models on the same resample, whole clusters at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from sluicegate.errors import InputError
from sluicegate.stats import checks
from sluicegate.stats.aggregates import (
    EXACT_ROWS,
    EXACT_UNITS,
    Aggregate,
    CallableAggregate,
    MeanAggregate,
    RankAggregate,
    Units,
)
from sluicegate.stats.checks import Codes, Vector
from sluicegate.stats.metrics import Metric, RankMetric, check_inputs, exact_value, named_metric

JACKKNIFE_GROUPS = 512
"""Acceleration of BCa: leave out one unit, or one of so many groups of them."""
CELLS = 4_000_000
"""Numbers held at once per array while resampling."""


@dataclass(frozen=True)
class BootstrapResult:
    """Bootstrap of a difference; `difference` is oriented so that higher is better."""

    metric: str
    champion: float
    """Value of the metric itself (a loss stays a loss)."""
    candidate: float
    difference: float
    """candidate - champion, with the sign turned for losses."""
    standard_error: float
    ci: tuple[float, float]
    method: Literal["bca", "percentile"]
    resamples: int
    """Resamples in which the metric was defined."""
    units: int
    """What was drawn: rows, clusters, or groups of them."""
    exact: bool
    """Every row or cluster was its own unit and no score was binned."""
    binning_error: float
    """|difference from binned scores - exact difference|, 0 when nothing was binned; taken out of `ci`."""


def paired_bootstrap(
    metric: str | Callable[[Any, Any], float],
    y: ArrayLike,
    champion: ArrayLike,
    candidate: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int,
    alpha: float = 0.05,
    method: Literal["bca", "percentile"] = "bca",
    quantile: float = 0.5,
    threshold: float = 0.5,
    higher_is_better: bool = True,
    exact: bool | None = None,
) -> BootstrapResult:
    """Bootstrap the difference of a metric between two models on the same rows.

    Parameters
    ----------
    metric : str or callable
        auc, average_precision, log_loss, brier, accuracy, mae, mse, rmse, quantile_loss; or metric(y, scores) -> float.
    y, champion, candidate : array of shape (n,)
        Labels, and scores (probabilities, predictions) of both models.
    clusters : array of shape (n,), optional
        Unit that was sampled: whole clusters are drawn.
    weights : array of shape (n,), optional
        How many rows of the population each row stands for, >= 0: 1 / probability of being labelled where outcomes are
        censored. For named metrics.
    resamples : int
        Number of resamples, >= 2.
    seed : int
        Seed of the draw: the same inputs and seed give the same result bit for bit.
    alpha : float
        Two-sided level of `ci`.
    method : {"bca", "percentile"}
        Bias-corrected and accelerated, or plain percentiles.
    quantile, threshold : float
        For quantile_loss and accuracy.
    higher_is_better : bool
        Orientation of a callable metric.
    exact : bool, optional
        True: draw every row (or cluster) by itself and bin nothing. None: so up to 8192 units; beyond, named metrics
        draw 4096 random groups of units, and rank metrics of more than 8192 rows use 512 score bins. A callable
        is always exact.

    Returns
    -------
    BootstrapResult
        Resamples in which the metric is undefined (one class only) are left out.

    Raises
    ------
    InputError
        NaN, unequal lengths, one class only where a ranking metric needs two, one cluster only, an unknown name, or a
        metric that is undefined in more than a tenth of the resamples.

    Notes
    -----
    A million rows and 2000 resamples take about a second; see `sluicegate.stats.aggregates` for the condensation.

    References
    ----------
    Efron 1987, JASA 82:171 (BCa); Field and Welsh 2007, JRSS B 69:369 (clusters).
    """
    level = checks.fraction("alpha", alpha)
    draws = checks.whole("resamples", resamples, least=2)
    _refuse_unknown(method)
    rng = np.random.default_rng(seed)
    plan = _plan(metric, y, champion, candidate, clusters, weights, exact, rng, quantile=quantile, threshold=threshold)
    if not isinstance(metric, str) and not higher_is_better:
        plan = replace(plan, sign=-1)
    return _resampled(plan, method, draws, level, rng)


def _resampled(
    plan: "_Plan", method: Literal["bca", "percentile"], draws: int, level: float, rng: np.random.Generator
) -> BootstrapResult:
    units = plan.aggregate.units
    everyone = plan.sign * float(_differences(plan.aggregate, [np.ones((1, units))])[0])
    difference = plan.sign * (plan.candidate - plan.champion)
    differences = plan.sign * _differences(plan.aggregate, _weights(units, draws, rng))
    kept = _defined(differences, plan.name) + (difference - everyone)
    jackknife = plan.sign * _differences(plan.aggregate, _leave_out(units)) if method == "bca" else None
    return BootstrapResult(
        plan.name,
        plan.champion,
        plan.candidate,
        difference,
        float(kept.std(ddof=1)),
        _interval(kept, difference, level, jackknife),
        method,
        kept.size,
        units,
        plan.exact,
        0.0 if plan.exact else abs(difference - everyone),
    )


def _refuse_unknown(method: str) -> None:
    if method not in ("bca", "percentile"):
        raise InputError(f"`method` is {method!r}: choose bca or percentile.")


@dataclass(frozen=True)
class _Plan:
    name: str
    sign: int
    champion: float
    candidate: float
    aggregate: Aggregate
    exact: bool


def _plan(
    metric: str | Callable[[Any, Any], float],
    y: ArrayLike,
    champion: ArrayLike,
    candidate: ArrayLike,
    clusters: ArrayLike | None,
    weights: ArrayLike | None,
    exact: bool | None,
    rng: np.random.Generator,
    **options: float,
) -> _Plan:
    if not isinstance(metric, str):
        return _callable_plan(metric, y, champion, candidate, clusters, weights, rng)
    named = named_metric(metric, **options)
    label, scores = check_inputs(named, y, champion=champion, candidate=candidate)
    heavy = None if weights is None else _weighty(weights, label.size)
    codes, count = _coded(clusters, label.size)
    units = Units.of(codes, label.size, count, exact=bool(exact) or (exact is None and count <= EXACT_UNITS), rng=rng)
    return _named_plan(named, units, label, scores, heavy, exact)


def _callable_plan(
    metric: Callable[[Any, Any], float],
    y: ArrayLike,
    champion: ArrayLike,
    candidate: ArrayLike,
    clusters: ArrayLike | None,
    weights: ArrayLike | None,
    rng: np.random.Generator,
) -> _Plan:
    name = getattr(metric, "__name__", "callable")
    if weights is not None:
        raise InputError(f"`weights` cannot be given to the function {name}: choose a metric by name.")
    label = checks.vector("y", y)
    scores = [checks.vector("champion", champion), checks.vector("candidate", candidate)]
    checks.same_length(label.size, champion=scores[0], candidate=scores[1])
    codes, count = _coded(clusters, label.size)
    units = Units.of(codes, label.size, count, exact=True, rng=rng)
    values = [float(metric(label, row)) for row in scores]
    return _Plan(name, 1, values[0], values[1], CallableAggregate(metric, units, label, scores), exact=True)


def _coded(clusters: ArrayLike | None, rows: int) -> tuple[Codes | None, int]:
    return (None, rows) if clusters is None else checks.cluster_codes(clusters, rows)


def _weighty(weights: ArrayLike, rows: int) -> Vector:
    heavy = checks.counts("weights", weights)
    checks.same_length(rows, weights=heavy)
    if not heavy.any():
        raise InputError("`weights` are all 0: nothing would be measured.")
    return heavy


def _named_plan(
    metric: Metric, units: Units, y: Vector, scores: list[Vector], weights: Vector | None, exact: bool | None
) -> _Plan:
    old, new = (exact_value(metric, y, row, weights) for row in scores)
    sign = 1 if metric.higher_is_better else -1
    if not isinstance(metric, RankMetric):
        return _Plan(metric.name, sign, old, new, MeanAggregate(metric, units, y, scores, weights), exact=not units.grouped)
    unbinned = bool(exact) or (exact is None and y.size <= EXACT_ROWS)
    aggregate = RankAggregate(metric, units, y, scores, weights, exact=unbinned)
    return _Plan(metric.name, sign, old, new, aggregate, exact=unbinned and not units.grouped)


def _differences(aggregate: Aggregate, weights: Any) -> Vector:
    values = np.concatenate([aggregate.values(part) for part in weights])
    difference: Vector = values[:, 1] - values[:, 0]
    return difference


def _weights(units: int, resamples: int, rng: np.random.Generator) -> Iterator[Vector]:
    """Multiplicities of the units in chunks of resamples."""
    chunk = max(1, CELLS // units)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(0, units, (rows, units)) + np.arange(rows)[:, None] * units
        yield np.bincount(drawn.ravel(), None, rows * units).reshape(rows, units).astype(np.float64)


def _leave_out(units: int) -> Iterator[Vector]:
    groups = min(units, JACKKNIFE_GROUPS)
    # Shuffled, because rows often come sorted and a group must look like the whole; the seed is of no consequence.
    member = np.random.default_rng(0).permutation(units) % groups
    chunk = max(1, CELLS // units)
    for start in range(0, groups, chunk):
        these = np.arange(start, min(start + chunk, groups))
        yield (member[None, :] != these[:, None]).astype(np.float64)


def _defined(differences: Vector, name: str) -> Vector:
    kept = differences[np.isfinite(differences)]
    if kept.size < 0.9 * differences.size or kept.size < 2:
        raise InputError(
            f"`metric` {name} is undefined in {differences.size - kept.size} of {differences.size} resamples: "
            "too few rows or clusters hold one of the classes."
        )
    return kept


def _interval(differences: Vector, observed: float, alpha: float, jackknife: Vector | None) -> tuple[float, float]:
    levels = np.array([alpha / 2, 1 - alpha / 2])
    if differences.min() == differences.max():
        return observed, observed
    if jackknife is not None:
        below = np.count_nonzero(differences < observed) + np.count_nonzero(differences == observed) / 2
        edge = 1 / (differences.size + 1)
        bias = float(ndtri(np.clip(below / differences.size, edge, 1 - edge)))
        shifted = bias + ndtri(levels)
        levels = ndtr(bias + shifted / (1 - _acceleration(jackknife) * shifted))
    low, high = np.quantile(differences, levels)
    return float(low), float(high)


def _acceleration(jackknife: Vector) -> float:
    values = jackknife[np.isfinite(jackknife)]
    pull = values.mean() - values
    spread = float(pull @ pull)
    return float((pull**3).sum() / (6 * spread**1.5)) if spread > 0 else 0.0
