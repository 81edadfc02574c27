"""A whole stage at once: the case after its bake, where nothing came near a decision on the way.

Before the bake is over a stage can only fail. Array arithmetic over all looks proves for most healthy stages that no gate could, and
folds their evidence into the case that the shipped judge then judges. Where that proof is not to be had, the answer is None and the
looks go through `add` and `judge` one by one. So the stage ends as it would have ended anyway (a test holds it to that), only sooner.

What else moves evidence (counters, e-processes, blocks) is folded by the shipped functions themselves.
"""

from itertools import pairwise
from math import log

import numpy as np

from judge.ledger import LOOK_S, MEMORY
from judge.proof import FINE, NearDecisionError, clear, reach
from judge.quiet_pairs import paired
from judge.quiet_segments import segments
from judge.world import Array
from sluicegate.domain.evidence import SCORE_BINS
from sluicegate.gates import blocks, failures, latency, looks, matched, moments, shock
from sluicegate.gates.case import LEAST_BLOCK, MATCHED_ROWS, Case
from sluicegate.gates.failures import Failures
from sluicegate.gates.labels import Labels
from sluicegate.gates.latency import Latency
from sluicegate.gates.looks import ERRORS, REQUESTS
from sluicegate.gates.matched import Matched
from sluicegate.gates.memory import BYTES_PER_MB, Memory
from sluicegate.gates.moments import Moments
from sluicegate.gates.records import changed

COUNTED = [looks.REQUESTS, looks.ERRORS, looks.DECISIONS, looks.SCORE, looks.SCORE_SQUARE, looks.SLOW]
COUNTED += [looks.VALUE, looks.VALUE_SQUARE, looks.BUSY, looks.CPU]
"""Rows of an arm's array in the order of ARM_ROWS."""
KNOWN = (*MATCHED_ROWS, "p95_ms", "error_rate", "score", "decision_rate", "memory_mb", "labels", "segments")
"""Gates of which something is proven here."""


def after_bake(case: Case, rows: dict[str, Array]) -> Case | None:
    """The case after all looks of these running totals, or None: then they must be looked at one by one."""
    if not case.gates.keys() <= {*KNOWN}:
        return None
    try:
        return _fold(case, rows)
    except NearDecisionError:
        return None


def _fold(case: Case, rows: dict[str, Array]) -> Case:
    names = ("champion", "candidate" if case.stage.kind == "split" else "mirror")
    sums, total = _sums(rows, names), _total(rows, names)
    count, megabytes = len(sums), MEMORY / BYTES_PER_MB
    shocked = [not case.alone and shock.shocked(look, case.limits) for look in sums[:, 0]]
    seen = [moments.of(rows[name][1:, (0, 1, 5)] - rows[name][0, (0, 1, 5)]) for name in names]
    ends = _blocks(sums[..., REQUESTS], alone=case.alone)
    case = changed(
        case,
        taken_at=case.opened_at + count * LOOK_S,
        readings=count,
        calm=_calm(case, sums, shocked),
        arms_source=FINE,
        pairs_source=FINE,
        gateway_source=FINE,
        arms=total,
        moments=moments.of(total),
        routed=np.add.reduce(_gateway(case, sums))[:, 0],
        failures=_failures(case, sums, seen, shocked),
        latency=_latency(case, sums, seen[1], shocked, ends),
        means=_means(case, rows, ends),
        memory=Memory(megabytes, megabytes, count, 0),
    )
    if case.alone:
        return case
    return changed(case, paired=paired(case, rows), labels=_labels(case, rows), segments=segments(case, rows, names))


def _sums(rows: dict[str, Array], names: tuple[str, ...]) -> Array:
    """What each look added, (looks, 2, ARM_ROWS), all buckets together, champion first."""
    sums = np.zeros((len(rows["due"]) - 1, 2, looks.ARM_ROWS))
    for arm, name in enumerate(names):
        sums[:, arm, COUNTED] = np.diff(np.add.reduce(rows[name], axis=-1), axis=0)
    return sums


def _total(rows: dict[str, Array], names: tuple[str, ...]) -> Array:
    """What all looks added, (2, ARM_ROWS, buckets)."""
    total = np.zeros((2, looks.ARM_ROWS, rows[names[0]].shape[-1]))
    for arm, name in enumerate(names):
        total[arm, COUNTED] = rows[name][-1] - rows[name][0]
        total[arm, looks.HISTOGRAM, :SCORE_BINS] = rows[f"{name}_bins"][-1, 0] - rows[f"{name}_bins"][0, 0]
    return total


def _gateway(case: Case, sums: Array) -> Array:
    """Requests and errors of each look at the gateway, (looks, 2, 2): of mirrored ones it counts none."""
    counted = sums[..., : ERRORS + 1].copy()
    counted[:, 1] *= case.stage.kind == "split"
    return counted


def _calm(case: Case, sums: Array, shocked: list[bool]) -> int:
    """Looks since the last common shock."""
    calm = case.calm
    for look, hit in zip(sums, shocked, strict=True):
        calm = 0 if hit and shock.suffers(look[1], case.limits) else calm + 1
    return calm


def _failures(case: Case, sums: Array, seen: list[tuple[Moments, ...]], shocked: list[bool]) -> Failures:
    found, gate = case.failures, case.release.gates.error_rate
    limit = min(1.0, (case.reference_errors or 0.0) + (gate.margin if gate else 0.0))
    for look, gateway, champion, candidate, hit in zip(sums, _gateway(case, sums), *seen, shocked, strict=True):
        over = max(champion.overdispersion(1), candidate.overdispersion(1))
        found = failures.fold(found, look, gateway, over, limit=limit, alone=case.alone, shocked=hit)
    clear(found.log_peak < -log(case.gates["error_rate"]))
    return found


def _blocks(requests: Array, *, alone: bool) -> list[int]:
    """Looks (1 is the first) after which a block of both arms is full, requests (looks, 2)."""
    ends, asked = [], [0.0, 0.0]
    for look, (champion, candidate) in enumerate(requests.tolist(), 1):
        asked = [asked[0] + champion, asked[1] + candidate]
        if (alone or asked[0] >= LEAST_BLOCK[0]) and asked[1] >= LEAST_BLOCK[1]:
            ends.append(look)
            asked = [0.0, 0.0]
    clear(bool(ends))
    return ends


def _latency(case: Case, sums: Array, seen: tuple[Moments, ...], shocked: list[bool], ends: list[int]) -> Latency:
    found = case.latency
    if "p95_ms" not in case.gates:
        return found
    for start, end in pairwise([0, *ends]):
        block, over = np.add.reduce(sums[start:end]), seen[end - 1].overdispersion(2)
        found = latency.fold(found, block, over, alone=case.alone, shocked=any(shocked[start:end]))
    clear(float(found.process.log_peak) < -log(case.gates["p95_ms"]))
    return found


def _means(case: Case, rows: dict[str, Array], ends: list[int]) -> Matched:
    names = [name for name in MATCHED_ROWS if name in case.gates]
    if not names:
        return case.means
    chosen = [0, *(COUNTED.index(MATCHED_ROWS[name]) for name in names)]
    arms = (rows["champion"], rows["candidate" if case.stage.kind == "split" else "mirror"])
    part = np.diff(np.stack([arm[[0, *ends]][:, chosen] for arm in arms], axis=1), axis=0)
    asked = np.add.reduce(part[:, :, 0], axis=-1)
    weight = asked[:, 0] * asked[:, 1] / np.add.reduce(asked, axis=1)
    part *= (weight[:, None] / asked)[:, :, None, None]
    sums = np.add.reduce(part, axis=-1)
    in_time = case.means.in_time
    for w, means in zip(weight.tolist(), sums[:, :, 1:], strict=True):
        in_time = blocks.push(in_time, np.concatenate(([w], means.ravel())))
    for place, name in enumerate(names, 1):
        clear(_close(case, name, *np.add.accumulate(sums[..., place]).T))
    whole = np.add.reduce(part)
    grown = changed(case.means, units=whole[:, 0], values=whole[:, 1:].swapaxes(0, 1), in_time=in_time)
    return changed(grown, means=matched.measured(grown))


def _close(case: Case, name: str, champion: Array, candidate: Array) -> bool:
    """Whether the arms' sums kept within the margin since there were enough blocks: where they did, no bound lies beyond it."""
    late, gates = slice(blocks.LEAST - 1, None), case.release.gates
    if (champion[late] <= 0).any():
        return False
    ratio = candidate[late] / champion[late]
    if name == "value":
        return gates.value is not None and gates.value.margin is not None and bool((ratio > 1 - gates.value.margin).all())
    gate = gates.throughput if name == "throughput" else gates.cpu_ms
    margin = gate.margin if gate else 0.0
    return bool((ratio < (1 / (1 - margin) if name == "throughput" else 1 + margin)).all())


def _labels(case: Case, rows: dict[str, Array]) -> Labels:
    gate = case.release.gates.labels
    if "labels" not in case.gates or gate is None:
        return case.labels
    now, due = rows["labels"], rows["due"][:, 0, 0]
    total = now[1:, 6:] - now[0, 6:]
    found = moments.of(total)
    errors = reach(case.gates["labels"])
    clear(found[-1].requests > 0)
    news = [m for m in found if m.requests > 0]
    clear(all(abs(m.mean(1)) - errors * m.error(1) <= gate.margin for m in news[blocks.LEAST - 1 :]))
    in_time = case.labels.pairs_in_time
    for look in np.diff(np.add.reduce(total[:, :2], axis=-1), axis=0, prepend=0.0):
        in_time = blocks.push(in_time, look)
    known = np.add.reduce(now[:, 0] + now[:, 3], axis=-1)
    last = int(np.flatnonzero(np.diff(known, prepend=-1.0) > 0)[-1])
    return changed(
        case.labels,
        source=FINE,
        due=int(due[-1]),
        due_at_news=int(due[last]),
        known=float(known[-1]),
        pairs=found[-1],
        pairs_total=total[-1],
        pairs_in_time=in_time,
        sums=np.add.reduce(now[-1] - now[0], axis=-1),
    )
