"""Where each number of a report comes from: the function that made it, what it was given, and digests of those arrays."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.comparison.effects import RESAMPLES, Effect
from sluicegate.actions.comparison.paired import Paired

STATS = "sluicegate.stats"


def trace(pairs: Paired, effects: Iterable[Effect], names: Iterable[str]) -> dict[str, Any]:
    """Call behind each number, by its place in report.json, and the SHA-256 of every input array.

    Parameters
    ----------
    names
        Other tests that were made: keys of the report's numbers.
    """
    weighted = "" if pairs.scored.weights is None else ", weights=weights"
    calls = {f"effects.{e.metric}": _effect_call(e, weighted) for e in effects}
    calls |= {name: CALLS[name] for name in names if name in CALLS}
    return {"calls": calls, "inputs": _digests(pairs)}


CALLS = {
    "flips": f"{STATS}.churn(champion >= threshold, candidate >= threshold, y)",
    "mcnemar": f"{STATS}.mcnemar_test(right only before, right only now, method='midp')",
    "calibration": f"{STATS}.calibration_line(y, scores, clusters=clusters)",
    "spiegelhalter": f"{STATS}.spiegelhalter_test(y, scores, clusters=clusters)",
    "diebold_mariano": f"{STATS}.diebold_mariano(y - champion, y - candidate, horizon, power, variance='bartlett')",
    "slices": f"as the primary metric, on the slice's rows; adjusted_p: {STATS}.holm(p_worse of all slices)",
    "protected": "as the primary metric, on the slice's rows, at comparison.alpha",
    "look": f"{STATS}.harmonic_spending(number, looks) * comparison.false_promotions",
}


def _effect_call(found: Effect, weighted: str) -> str:
    given = f"{found.margin:g}, {found.alpha:.6g}, degrees_of_freedom={found.units - 1}"
    test = f"{STATS}.closed_test(difference, standard_error, {given})"
    if found.method == "delong_test":
        return f"{STATS}.delong_test(y, champion, candidate, clusters=clusters); {test}"
    quantile = f", quantile={found.quantile:g}" if found.metric == "quantile_loss" else ""
    drawn = f"clusters=clusters{weighted}, resamples={RESAMPLES}, seed=0{quantile}"
    return f"{STATS}.paired_bootstrap('{found.metric}', y, champion, candidate, {drawn}); {test}"


def _digests(pairs: Paired) -> dict[str, str]:
    scored = pairs.scored
    arrays: dict[str, NDArray[Any]] = {
        "y": scored.y,
        "champion": scored.champion,
        "candidate": scored.candidate,
        "clusters": scored.clusters,
    }
    if scored.weights is not None:
        arrays["weights"] = scored.weights
    return {name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:32] for name, array in arrays.items()}
