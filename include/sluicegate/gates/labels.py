"""Gate `labels`: what the answers turned out to be worth, once their outcomes are known. Pairs where requests were mirrored, else arms.

Outcomes that should be known and are not are no evidence of anything but themselves: the labels have stalled.
"""

from dataclasses import dataclass, field

import numpy as np

from sluicegate.domain.evidence import LabelCounters
from sluicegate.gates import blocks, looks, matched, moments
from sluicegate.gates.blocks import Blocks
from sluicegate.gates.looks import CANDIDATE_KNOWN, CHAMPION_KNOWN, LABEL_COUNTS, PAIRS_KNOWN, Array, Source
from sluicegate.gates.matched import Matched
from sluicegate.gates.moments import Moments
from sluicegate.gates.records import changed

LEAST_BLOCK = (30, 5)
"""Known outcomes of champion and candidate in a block of looks in which their losses are compared."""
LEAST_DUE = 20
"""Answers that must have come due before labels can be called stalled."""
KNOWN_SHARE = 0.5
"""Labels have stalled when fewer than this share of the answers that are due is known ..."""
SILENCE = 0.1
"""... or when so large a share of all known ones came due since the last outcome became known."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Evidence from outcomes since the stage began."""

    source: Source = field(default_factory=Source)
    due: int = 0
    """Answers of this rollout whose outcome should be known, as last read."""
    due_at_news: int = 0
    """The same when an outcome last became known."""
    known: float = 0.0
    """Known outcomes of this rollout's answers to users, as last read."""
    block: Array = field(default_factory=lambda: np.zeros((9, 1)))
    arms: Matched = field(default_factory=lambda: matched.nothing((False,)))
    pairs: Moments = field(default_factory=lambda: moments.of(np.zeros((1, 3, 1)))[0])
    pairs_total: Array = field(default_factory=lambda: np.zeros((3, 1)))
    pairs_in_time: Blocks = field(default_factory=lambda: Blocks(np.zeros((0, 2))))
    sums: Array = field(default_factory=lambda: np.zeros(9))
    """What became known since the stage began, all buckets together."""

    @property
    def stalled(self) -> bool:
        """Whether outcomes that should be known are not."""
        silent = self.due - self.due_at_news
        return self.due >= LEAST_DUE and (self.known < KNOWN_SHARE * self.due or silent >= max(LEAST_DUE, SILENCE * self.known))


def fold(labels: Labels, read: LabelCounters | None) -> Labels:
    """One more reading of the labels; None: they could not be read."""
    started_at, now = looks.labels_array(read)
    source, look = looks.step(labels.source, started_at, now, LABEL_COUNTS)
    if read is None or now is None or source.problem:
        return changed(labels, source=source)
    known = float(np.add.reduce(now[CHAMPION_KNOWN]) + np.add.reduce(now[CANDIDATE_KNOWN]))
    news = read.due if known > labels.known or look is None else labels.due_at_news
    labels = changed(labels, source=source, due=read.due, due_at_news=news, known=known)
    return labels if look is None or not look[::3].any() else _count(labels, look)


def _count(labels: Labels, look: Array) -> Labels:
    total, sums = labels.pairs_total + look[PAIRS_KNOWN:], np.add.reduce(look, axis=1)
    block = labels.block + look
    requests, losses = block[CHAMPION_KNOWN:PAIRS_KNOWN:3], block[CHAMPION_KNOWN + 1 : PAIRS_KNOWN : 3]
    asked = np.add.reduce(requests, axis=1).tolist()
    full = asked[0] >= LEAST_BLOCK[0] and asked[1] >= LEAST_BLOCK[1]
    return changed(
        labels,
        block=np.zeros_like(block) if full else block,
        arms=matched.fold(labels.arms, requests, losses[None]) if full else labels.arms,
        pairs_total=total,
        pairs=moments.of(total[None])[0],
        pairs_in_time=blocks.push(labels.pairs_in_time, sums[PAIRS_KNOWN : PAIRS_KNOWN + 2]),
        sums=labels.sums + sums,
    )
