"""Sign-flip test of paired losses: under "no difference" each unit's difference could as well have the other sign."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from sluicegate.stats import checks
from sluicegate.stats.checks import Vector

EXACT_UNITS = 20
"""Up to here all 2^k sign patterns are enumerated (half of them, by symmetry)."""
MONTE_CARLO_UNITS = 20_000
"""Up to here signs are drawn; beyond, the saddlepoint approximation is closer to the truth than the draw."""
DOMINANT = 0.01
"""A unit with a larger share of the sum of squares makes the saddlepoint doubtful: signs are drawn after all."""


@dataclass(frozen=True)
class PermutationResult:
    """Sign-flip test."""

    difference: float
    """Mean loss of the champion - mean loss of the candidate over the rows: positive when the candidate is better."""
    p_value: float
    """Two-sided."""
    units: int
    """Rows or clusters with a difference that is not 0: only they can speak."""
    method: Literal["exact", "monte-carlo", "saddlepoint"]


def paired_permutation(
    loss_champion: ArrayLike,
    loss_candidate: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    resamples: int = 9999,
    seed: int = 0,
) -> PermutationResult:
    """Test of equal mean loss by flipping signs of differences, whole clusters at a time.

    Parameters
    ----------
    loss_champion, loss_candidate : array of shape (n,)
        Losses of the same rows, lower is better.
    clusters : array of shape (n,), optional
        Unit that was sampled; the differences of a cluster change sign together.
    resamples, seed : int
        Number of sign patterns drawn, and their seed, where enumeration is too long.

    Returns
    -------
    PermutationResult
        Exact up to `EXACT_UNITS` units that differ. Then drawn, with the observed pattern counted in, so the level is
        kept. Beyond `MONTE_CARLO_UNITS` Lugannani and Rice's saddlepoint approximation of the same distribution
        (relative error of the order 1/units). No difference anywhere gives p 1.

    Raises
    ------
    InputError
        NaN, unequal lengths, one cluster only.

    References
    ----------
    Fisher 1935 (Darwin's maize); Robinson 1982, JRSS B 44:91 (saddlepoint); Phipson and Smyth 2010 (counting in).

    Examples
    --------
    >>> paired_permutation([3, 4, 5], [1, 1, 1]).p_value
    0.25
    """
    old, new = checks.vector("loss_champion", loss_champion), checks.vector("loss_candidate", loss_candidate)
    checks.same_length(old.size, loss_candidate=new)
    gaps = old - new
    difference = float(gaps.mean())
    if clusters is not None:
        codes, count = checks.cluster_codes(clusters, old.size)
        gaps = checks.sums(codes, gaps, count)
    draws = checks.whole("resamples", resamples, least=1)
    gaps = gaps[gaps != 0]
    p_value, method = _p_value(gaps, draws, seed)
    return PermutationResult(difference, min(p_value, 1.0), int(gaps.size), method)


def _p_value(gaps: Vector, resamples: int, seed: int) -> tuple[float, Literal["exact", "monte-carlo", "saddlepoint"]]:
    if gaps.size <= EXACT_UNITS:
        return _exact(gaps), "exact"
    squares = gaps * gaps
    if gaps.size <= MONTE_CARLO_UNITS or squares.max() > DOMINANT * squares.sum():
        # At most 4e8 signs: beyond that many units a smaller number of patterns keeps the level all the same.
        return _monte_carlo(gaps, min(resamples, max(999, 400_000_000 // gaps.size)), seed), "monte-carlo"
    return _saddlepoint(gaps), "saddlepoint"


def _reached(sums: Vector, gaps: Vector) -> int:
    """How many sums are as far from 0 as the observed one; rounding must not break ties."""
    slack = 1e-12 * float(np.abs(gaps).sum())
    return int(np.count_nonzero(np.abs(sums) >= abs(float(gaps.sum())) - slack))


def _exact(gaps: Vector) -> float:
    if gaps.size == 0:
        return 1.0
    sums = gaps[:1]  # the first sign stays: the other half is its mirror image
    for gap in gaps[1:]:
        sums = np.concatenate((sums + gap, sums - gap))
    return _reached(sums, gaps) / sums.size


def _monte_carlo(gaps: Vector, resamples: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    width = -(-gaps.size // 8)
    chunk = max(1, 16_000_000 // gaps.size)
    reached, total = 0, float(gaps.sum())
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        raw = np.frombuffer(rng.bytes(rows * width), dtype=np.uint8).reshape(rows, width)
        signs = np.unpackbits(raw, axis=1, count=gaps.size)
        reached += _reached(2 * (signs @ gaps) - total, gaps)
    return (reached + 1) / (resamples + 1)


def _saddlepoint(gaps: Vector) -> float:
    observed = abs(float(gaps.sum()))
    size = np.abs(gaps)
    scale = float(np.sqrt(size @ size))
    if observed < 1e-3 * scale:  # the formula is 0/0 at the centre, where the normal distribution is exact enough
        return float(2 * ndtr(-observed / scale))
    if observed >= float(size.sum()) * (1 - 1e-12):
        return float(2.0 ** (1 - gaps.size))
    t = _tilt(size, observed, scale)
    bend = t * size
    cumulant = float(np.sum(bend + np.log1p(np.exp(-2 * bend)) - np.log(2)))
    curvature = float(np.sum(size * size / np.cosh(np.minimum(bend, 300.0)) ** 2))
    r = float(np.sqrt(2 * (t * observed - cumulant)))
    u = t * float(np.sqrt(curvature))
    density = float(np.exp(-r * r / 2) / np.sqrt(2 * np.pi))
    return 2 * (float(ndtr(-r)) + density * (1 / u - 1 / r))


def _tilt(size: Vector, observed: float, scale: float) -> float:
    """t with sum d tanh(t d) = observed: bracketed Newton on a rising function."""
    low, high, t = 0.0, np.inf, observed / scale**2
    for _ in range(200):
        bent = np.tanh(t * size)
        excess = float(size @ bent) - observed
        low, high = (low, t) if excess > 0 else (t, high)
        slope = float((size * size) @ (1 - bent * bent))
        proposal = t - excess / slope if slope > 0 else 2 * t
        inside = low < proposal < high
        fallback = 2 * t if np.isinf(high) else (low + high) / 2
        previous, t = t, proposal if inside else fallback
        if abs(t - previous) <= 1e-13 * t:
            break
    return t
