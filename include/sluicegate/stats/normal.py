"""The normal distribution in the few forms that the tests share, without importing scipy.stats."""

from scipy.special import ndtr, ndtri


def quantile(probability: float) -> float:
    """Quantile of the standard normal distribution."""
    return float(ndtri(probability))


def upper_tail(z: float) -> float:
    """P(Z > z)."""
    return float(ndtr(-z))


def two_sided(z: float) -> float:
    """P(|Z| > |z|)."""
    return float(2 * ndtr(-abs(z)))


def z_value(difference: float, standard_error: float) -> float:
    """difference / standard_error; 0 for 0/0, signed infinity when only the standard error is 0."""
    if standard_error > 0:
        return difference / standard_error
    if difference == 0:
        return 0.0
    return float("inf") if difference > 0 else float("-inf")
