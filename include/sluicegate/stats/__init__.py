"""Numbers in, numbers out: every test by which Sluicegate compares a candidate with its champion.

Pure functions over arrays: no clock, no I/O, no random beyond a seed that the caller gives. Nothing here knows what a
rollout is. Differences are candidate - champion, oriented so that higher is better; `alpha` is two-sided unless a
function says otherwise; NaN is refused by the name of the argument that holds it.

Names are loaded on first use, so `import sluicegate.stats` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluicegate.stats.auc import DelongResult as DelongResult
    from sluicegate.stats.auc import delong_covariance as delong_covariance
    from sluicegate.stats.auc import delong_test as delong_test
    from sluicegate.stats.calibration import CalibrationLine as CalibrationLine
    from sluicegate.stats.calibration import SpiegelhalterResult as SpiegelhalterResult
    from sluicegate.stats.calibration import calibration_line as calibration_line
    from sluicegate.stats.calibration import spiegelhalter_test as spiegelhalter_test
    from sluicegate.stats.drift import StabilityIndex as StabilityIndex
    from sluicegate.stats.drift import population_stability_index as population_stability_index
    from sluicegate.stats.evalues import mcnemar_e_value as mcnemar_e_value
    from sluicegate.stats.evalues import mcnemar_log_e_value as mcnemar_log_e_value
    from sluicegate.stats.flips import ChurnResult as ChurnResult
    from sluicegate.stats.flips import churn as churn
    from sluicegate.stats.forecast import DieboldMarianoResult as DieboldMarianoResult
    from sluicegate.stats.forecast import diebold_mariano as diebold_mariano
    from sluicegate.stats.margins import NonInferiorityResult as NonInferiorityResult
    from sluicegate.stats.margins import closed_test as closed_test
    from sluicegate.stats.margins import non_inferiority as non_inferiority
    from sluicegate.stats.metrics import evaluate as evaluate
    from sluicegate.stats.mixtures import best_rho as best_rho
    from sluicegate.stats.mixtures import beta_binomial_bound as beta_binomial_bound
    from sluicegate.stats.mixtures import beta_binomial_log_value as beta_binomial_log_value
    from sluicegate.stats.mixtures import normal_mixture_bound as normal_mixture_bound
    from sluicegate.stats.mixtures import normal_mixture_log_value as normal_mixture_log_value
    from sluicegate.stats.multinomial import MultinomialTest as MultinomialTest
    from sluicegate.stats.multinomial import multinomial_log_e_value as multinomial_log_e_value
    from sluicegate.stats.multiplicity import benjamini_hochberg as benjamini_hochberg
    from sluicegate.stats.multiplicity import harmonic_spending as harmonic_spending
    from sluicegate.stats.multiplicity import holm as holm
    from sluicegate.stats.multiplicity import hommel as hommel
    from sluicegate.stats.paired import McnemarResult as McnemarResult
    from sluicegate.stats.paired import mcnemar_test as mcnemar_test
    from sluicegate.stats.paired import tango_interval as tango_interval
    from sluicegate.stats.permutation import PermutationResult as PermutationResult
    from sluicegate.stats.permutation import paired_permutation as paired_permutation
    from sluicegate.stats.power import auc_mde as auc_mde
    from sluicegate.stats.power import hanley_mcneil_se as hanley_mcneil_se
    from sluicegate.stats.power import mcnemar_sample_size as mcnemar_sample_size
    from sluicegate.stats.power import minimum_detectable_effect as minimum_detectable_effect
    from sluicegate.stats.quantiles import quantile_ab_p_value as quantile_ab_p_value
    from sluicegate.stats.ratios import RatioDifference as RatioDifference
    from sluicegate.stats.ratios import ratio_difference as ratio_difference
    from sluicegate.stats.recipe import ResampledResult as ResampledResult
    from sluicegate.stats.recipe import corrected_resampled_t as corrected_resampled_t
    from sluicegate.stats.resampling import BootstrapResult as BootstrapResult
    from sluicegate.stats.resampling import paired_bootstrap as paired_bootstrap

_ROOMS: dict[str, tuple[str, ...]] = {
    "auc": (
        "DelongResult",
        "delong_covariance",
        "delong_test",
    ),
    "calibration": (
        "CalibrationLine",
        "SpiegelhalterResult",
        "calibration_line",
        "spiegelhalter_test",
    ),
    "drift": (
        "StabilityIndex",
        "population_stability_index",
    ),
    "evalues": (
        "mcnemar_e_value",
        "mcnemar_log_e_value",
    ),
    "flips": (
        "ChurnResult",
        "churn",
    ),
    "forecast": (
        "DieboldMarianoResult",
        "diebold_mariano",
    ),
    "margins": (
        "NonInferiorityResult",
        "closed_test",
        "non_inferiority",
    ),
    "metrics": ("evaluate",),
    "mixtures": (
        "best_rho",
        "beta_binomial_bound",
        "beta_binomial_log_value",
        "normal_mixture_bound",
        "normal_mixture_log_value",
    ),
    "multinomial": (
        "MultinomialTest",
        "multinomial_log_e_value",
    ),
    "multiplicity": (
        "benjamini_hochberg",
        "harmonic_spending",
        "holm",
        "hommel",
    ),
    "paired": (
        "McnemarResult",
        "mcnemar_test",
        "tango_interval",
    ),
    "permutation": (
        "PermutationResult",
        "paired_permutation",
    ),
    "power": (
        "auc_mde",
        "hanley_mcneil_se",
        "mcnemar_sample_size",
        "minimum_detectable_effect",
    ),
    "quantiles": ("quantile_ab_p_value",),
    "ratios": (
        "RatioDifference",
        "ratio_difference",
    ),
    "recipe": (
        "ResampledResult",
        "corrected_resampled_t",
    ),
    "resampling": (
        "BootstrapResult",
        "paired_bootstrap",
    ),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"sluicegate.stats has no '{name}'; it has {', '.join(__all__)}.")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
