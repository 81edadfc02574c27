"""The segments of a whole stage at once, and the proof that none could have failed at any look."""

from math import sqrt

import numpy as np

from judge.ledger import KEYS
from judge.proof import FINE, clear, grown
from judge.world import Array, Numbers
from sluicegate.domain.evidence import SEGMENT_BUCKETS
from sluicegate.gates import contrast, events, looks
from sluicegate.gates.budget import SLOW_SHARE
from sluicegate.gates.case import LEAST_BLOCK, Case
from sluicegate.gates.contrast import Contrast
from sluicegate.gates.looks import DECISIONS, ERRORS, REQUESTS, SLOW
from sluicegate.gates.records import changed
from sluicegate.gates.segments import ONLY_DECISIONS, Segments, log_shares


def segments(case: Case, rows: dict[str, Array], names: tuple[str, ...]) -> Segments:
    if "segments" not in case.gates:
        return case.segments
    empty = case.segments
    order = [KEYS.index(name) for name in empty.names]
    table = np.zeros((len(rows["due"]), len(order), 2, looks.HISTOGRAM + 1, SEGMENT_BUCKETS))
    for arm, name in enumerate(names):
        split = rows[f"{name}_segments"].reshape(-1, 4, len(KEYS), SEGMENT_BUCKETS)[:, :, order]
        table[:, :, arm, (REQUESTS, ERRORS, DECISIONS, SLOW)] = split.transpose(0, 2, 1, 3)
    total = table[1:] - table[0]
    metrics = 3 if names[1] == "candidate" else 2
    alphas = case.gates["segments"] / metrics * np.exp(log_shares(empty))
    compared, added = _segment_blocks(total)
    slow = _slow_segments(empty, total[compared], added, alphas)
    return changed(
        empty,
        source=FINE,
        total=total[-1],
        errors=_failed_segments(empty, total, alphas),
        slow=slow if metrics == 3 else empty.slow,
        contrast=_decided_segments(case, total, (compared, added), alphas),
    )


def _segment_blocks(total: Array) -> tuple[Numbers, Array]:
    """Looks (0 is the first) at which a segment has a full block, and what the full blocks hold, zero for the other segments."""
    asked = np.add.reduce(total[..., REQUESTS, :], axis=-1)
    last, before = np.zeros_like(total[0]), np.zeros_like(asked[0])
    compared, added = [], []
    for look, now in enumerate(asked):
        full = (now - before >= LEAST_BLOCK).all(axis=1)
        if full.any():
            compared.append(look)
            added.append(np.where(full[:, None, None, None], total[look] - last, 0.0))
            last, before = last + added[-1], np.where(full[:, None], now, before)
    clear(bool(compared))
    return np.array(compared), np.stack(added)


def _failed_segments(empty: Segments, total: Array, alphas: Array) -> events.Process:
    sums = np.diff(np.add.reduce(total, axis=-1), axis=0, prepend=0.0)
    asked, failed = sums[..., REQUESTS], sums[..., ERRORS]
    exposure = asked[..., 1] / np.maximum(np.add.reduce(asked, axis=-1), 1.0)
    spread = events.overdispersion(total[:, :, 1, ERRORS], total[:, :, 1, REQUESTS])
    return grown(empty.errors, events.arm_evidence(failed[..., 0], failed[..., 1], exposure, spread), alphas)


def _slow_segments(empty: Segments, total: Array, added: Array, alphas: Array) -> events.Process:
    sums = np.add.reduce(added, axis=-1)
    asked, slow = sums[..., REQUESTS], sums[..., SLOW]
    champion = (slow[..., 0] + 1.0 + np.sqrt(slow[..., 0] + 0.25)) / (asked[..., 0] + 1.0)
    limit = np.maximum(SLOW_SHARE, np.minimum(1.0, champion))
    spread = events.overdispersion(total[:, :, 1, SLOW], total[:, :, 1, REQUESTS])
    return grown(empty.slow, events.share_evidence(slow[..., 1], asked[..., 1], limit, spread), alphas)


def _decided_segments(case: Case, total: Array, blocked: tuple[Numbers, Array], alphas: Array) -> Contrast:
    """Decisions of each segment over the blocks so far, none of which were off beyond the margin."""
    compared, added = blocked
    shape = added.shape[:2]
    nothing = Contrast(np.zeros(shape), np.zeros((*shape, 1)), np.zeros((*shape, 1)), np.zeros((*shape, 1, SEGMENT_BUCKETS)))
    parts = contrast.fold(nothing, added, ONLY_DECISIONS)
    fields = [np.add.accumulate(part) for part in (parts.weight, parts.sums, parts.noise, parts.influence)]
    since = np.arange(compared[0], len(total))
    place = np.searchsorted(compared, since, side="right") - 1
    seen, errors = contrast.difference(Contrast(*(part[place] for part in fields)), total[since, :, 0], contrast.DECISION)
    told = [case.predicted.segments[name] for name in case.segments.names]
    units = np.add.reduce(total[since, :, 1, REQUESTS], axis=-1)
    widened = errors * sqrt(SEGMENT_BUCKETS / (SEGMENT_BUCKETS - 3)) * np.sqrt(1 + units / np.array([one.rows for one in told]))
    reach = np.sqrt(-2 * np.log(alphas))
    gate = case.release.gates.decision_rate
    gap = np.abs(seen - np.array([one.decision_difference for one in told]))
    clear(gate is not None and bool((gap - reach * widened <= gate.margin).all()))
    return Contrast(*(part[-1] for part in fields))
