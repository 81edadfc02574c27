"""How often a comparison promotes a candidate that is only as good as its champion, and what that strictness costs.

    python benchmarks/comparison_errors.py [years] [repeats]

Holdouts of 60 customers with 10 rows each, intra-customer correlation 0.5 in outcomes and scores; both models score the same
latent truth with noise of the same law, so neither is better. Every decision is `decide` on a clustered DeLong test, as an order
makes it; slices, gates and calibration could only prevent a promotion and are left out.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from sluicegate.actions.comparison.effects import Asked, effect
from sluicegate.actions.comparison.looks import look_at
from sluicegate.actions.comparison.paired import Scored
from sluicegate.actions.comparison.verdict import Case, decide
from sluicegate.domain.spec import ModelSpec, parse_spec
from sluicegate.domain.verdict import OfflineVerdict

CUSTOMERS, ROWS, ICC, NOISE = 60, 10, 0.5, 1.0
WEEKS_KEPT = 4
"""Weeks that a holdout spans where it overlaps with the ones before."""
LOOKS = (1, 2, 5, 10, 26, 52)
EDGE = 0.61
"""Noise of the candidate that a single comparison at 5 % finds about four times in five."""


def spec_of(**comparison: float) -> ModelSpec:
    """A model that differs from the defaults in its comparison alone."""
    return parse_spec(
        {
            "model": "equal",
            "data": {"user_id": "customer", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
            "training": {"holdout": {"length": "7d"}},
            "comparison": comparison,
            "release": {"stages": [{"weight": 100}], "gates": {"p95_ms": 80}},
        },
        "benchmark",
    )


def holdout(rng: np.random.Generator, customers: int = CUSTOMERS, noise: float = NOISE) -> Scored:
    """Fresh customers; the candidate's scores carry `noise`, the champion's NOISE."""
    owner = np.repeat(np.arange(customers), ROWS)

    def moved() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        shared, own = rng.normal(size=customers), rng.normal(size=owner.size)
        return np.asarray(np.sqrt(ICC) * shared[owner] + np.sqrt(1 - ICC) * own)

    truth = moved()
    y = (truth + 0.5 * rng.normal(size=owner.size) > 0.8).astype(np.float64)
    return Scored(y, truth + NOISE * moved(), truth + noise * moved(), owner)


def promoted(scored: Scored, spec: ModelSpec, number: int) -> bool:
    """Whether the comparison with that number promotes."""
    rule, look = spec.comparison, look_at(spec.comparison, number)
    found = effect(scored, Asked(rule.primary, rule.margin, look.level))
    return decide(Case(spec, found, look)).verdict is OfflineVerdict.PROMOTE


def overlapping(rng: np.random.Generator) -> Iterator[Scored]:
    """A holdout a week that shares all but one of its weeks with the one before."""
    weeks = [holdout(rng, CUSTOMERS // WEEKS_KEPT) for _ in range(WEEKS_KEPT)]
    while True:
        yield joined(weeks)
        weeks = [*weeks[1:], holdout(rng, CUSTOMERS // WEEKS_KEPT)]


def joined(parts: list[Scored]) -> Scored:
    """One holdout of several, whose customers differ."""
    clusters = [part.clusters + place * CUSTOMERS for place, part in enumerate(parts)]
    y, champion, candidate = (np.concatenate([getattr(part, name) for part in parts]) for name in ("y", "champion", "candidate"))
    return Scored(y, champion, candidate, np.concatenate(clusters))


@dataclass(frozen=True)
class Rate:
    """A share of repeats with its exact 95 % interval."""

    hits: int
    of: int

    def __str__(self) -> str:
        found = binomtest(self.hits, self.of).proportion_ci(method="exact")
        return f"{100 * self.hits / self.of:.2f} % ({100 * found.low:.2f} to {100 * found.high:.2f} %, {self.hits} of {self.of})"


def single(repeats: int, spec: ModelSpec, seed: int, *, noise: float = NOISE, number: int = 1) -> Rate:
    """Promotions among comparisons that do not know of each other."""
    rng = np.random.default_rng(seed)
    return Rate(sum(promoted(holdout(rng, noise=noise), spec, number) for _ in range(repeats)), repeats)


def years(repeats: int, spec: ModelSpec, seed: int, *, overlap: bool, looks: int = 52) -> Rate:
    """Years of weekly retrains in which at least one candidate was promoted."""
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(repeats):
        weeks = overlapping(rng) if overlap else (holdout(rng) for _ in range(looks))
        hits += any(promoted(week, spec, number) for number, week in zip(range(1, looks + 1), weeks, strict=False))
    return Rate(hits, repeats)


def main(count: int, repeats: int) -> None:
    budget = spec_of()
    alone = spec_of(alpha=0.05, false_promotions=0.05, looks=1)
    uncorrected = spec_of(alpha=0.05, false_promotions=0.999, looks=1)
    start = time.perf_counter()
    print(f"one comparison at 5 %, clustered rows:     {single(repeats, alone, 1)}", flush=True)
    print(f"first comparison of a year's budget:       {single(repeats, budget, 2)}", flush=True)
    print(f"a year, each at 5 %:                       {years(min(count, 200), uncorrected, 3, overlap=False)}", flush=True)
    print(f"a year, budget 10 %:                       {years(count, budget, 4, overlap=False)}", flush=True)
    print(f"a year, budget 10 %, holdouts of 4 weeks:  {years(count, budget, 5, overlap=True)}", flush=True)
    print(f"power of one comparison at 5 %:            {single(repeats, alone, 6, noise=EDGE)}", flush=True)
    for number in LOOKS:
        level = look_at(budget.comparison, number).level
        print(
            f"power of comparison {number:2d}, at {100 * level:.3f} %:      {single(repeats, budget, 6, noise=EDGE, number=number)}"
        )
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    main(*(given + [1000, 4000][len(given) :]))
