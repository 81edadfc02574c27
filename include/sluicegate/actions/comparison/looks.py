"""How often this champion has been challenged, and how strict that makes the next claim.

Every comparison with one champion is a chance to replace it by luck. They share one error budget: `comparison.false_promotions`
over `comparison.looks` comparisons; a new champion has a budget of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sluicegate.domain.comparison import Comparison
from sluicegate.stats import harmonic_spending


@dataclass(frozen=True)
class Look:
    """One comparison in the row of those with the same champion."""

    number: int
    """1 for the first."""
    level: float
    """One-sided level at which this comparison proves "no worse" and "better"."""
    looks: int
    budget: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def look_at(rule: Comparison, number: int) -> Look:
    """The look and its level: its share of the budget, never above the level of a single claim."""
    share = harmonic_spending(number, rule.looks)
    return Look(number, min(rule.alpha, rule.false_promotions * share), rule.looks, rule.false_promotions)


def look_number(registered: Iterable[Mapping[str, Any]], champion: str | None, train_key: str) -> int:
    """Place of a training among all that were compared with this champion, 1 for the first.

    Parameters
    ----------
    registered
        Data of the model's REGISTERED events, oldest first: one for every comparison that was made.
    train_key
        A training that was compared before keeps its place, so that an order that is repeated is the same order.
    """
    compared = list(dict.fromkeys(str(data["train_key"]) for data in registered if data.get("champion") == champion))
    return compared.index(train_key) + 1 if train_key in compared else len(compared) + 1
