"""The gates of a comparison besides its primary metric: calibration, decisions that flip, time and size of the packaged model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluicegate.actions.comparison.effects import Effect
from sluicegate.actions.comparison.paired import Codes, Paired, mean_error
from sluicegate.domain.comparison import Comparison, OfflineGates
from sluicegate.domain.verdict import Verdict
from sluicegate.stats import normal

CALIBRATION = "brier"
Cost = Mapping[str, float]


@dataclass(frozen=True)
class Check:
    """One gate: passed when all of `lower` to `upper` keeps the bound, failed when none of it does."""

    gate: str
    value: float
    lower: float
    upper: float
    bound: float
    unit: str

    @property
    def verdict(self) -> Verdict:
        if self.lower > self.bound:
            return Verdict.FAIL
        return Verdict.PASS if self.upper <= self.bound else Verdict.INCONCLUSIVE

    @property
    def message(self) -> str:
        """What was seen and what the spec allows."""
        seen = self.say(self.value)
        if self.lower < self.upper:
            seen += f" ({self.say(self.lower)} to {self.say(self.upper)})"
        return f"{self.gate.replace('_', ' ')} is {seen}; the gate allows {self.say(self.bound)}"

    def say(self, value: float) -> str:
        """A value with its unit."""
        text = f"{100 * value:.3g} %" if self.unit == "%" else f"{value:.4g} {self.unit}".strip()
        return text.replace("-", "−")

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict.value}


def check_limits(pairs: Paired, rule: Comparison, effects: Sequence[Effect], costs: Mapping[str, Cost]) -> tuple[Check, ...]:
    """Every gate that the spec names."""
    return (
        *_calibration(rule, effects),
        *_flips(pairs, rule),
        *cost_limits(rule.gates, costs["candidate"], costs["champion"]),
    )


def cost_limits(gates: OfflineGates, candidate: Cost, champion: Cost | None) -> Iterator[Check]:
    """Time and size of the package, absolute and against the champion's; these are measured, not estimated."""
    if gates.p95_ms is not None:
        yield _exact("p95_ms", candidate["p95_us"] / 1000, gates.p95_ms, "ms")
    if gates.size_mb is not None:
        yield _exact("size_mb", candidate["bytes"] / 1e6, gates.size_mb, "MB")
    if champion is not None and gates.slowdown is not None:
        yield _exact("slowdown", candidate["p50_us"] / champion["p50_us"], gates.slowdown, "times")
    if champion is not None and gates.growth is not None:
        yield _exact("growth", candidate["bytes"] / champion["bytes"], gates.growth, "times")


def _exact(gate: str, value: float, bound: float, unit: str) -> Check:
    return Check(gate, value, value, value, bound, unit)


def _calibration(rule: Comparison, effects: Sequence[Effect]) -> Iterator[Check]:
    found = next((e for e in effects if e.metric == CALIBRATION), None)
    if rule.gates.brier is not None and found is not None:
        reach = normal.quantile(1 - rule.alpha) * found.standard_error
        loss = -found.difference
        yield Check("brier", loss, loss - reach, loss + reach, rule.gates.brier, "")


def _flips(pairs: Paired, rule: Comparison) -> Iterator[Check]:
    before, after, truth = pairs.decided_champion, pairs.decided_candidate, pairs.scored.y == 1
    if rule.gates.flips is not None:
        yield _share("flips", before != after, pairs.scored.clusters, rule.gates.flips, rule.alpha)
    if rule.gates.negative_flips is not None:
        wronged = (before == truth) & (after != truth)
        yield _share("negative_flips", wronged, pairs.scored.clusters, rule.gates.negative_flips, rule.alpha)


def _share(gate: str, hit: NDArray[np.bool_], clusters: Codes, bound: float, alpha: float) -> Check:
    """Share of rows with its one-sided bounds; where no row is hit, the upper bound is that of no unit in so many."""
    share = float(hit.mean())
    reach = normal.quantile(1 - alpha) * mean_error(hit.astype(np.float64), clusters)
    units = int(np.count_nonzero(np.bincount(clusters)))
    upper = share + reach if share else 1 - alpha ** (1 / units)
    return Check(gate, share, max(share - reach, 0.0), upper, bound, "%")
