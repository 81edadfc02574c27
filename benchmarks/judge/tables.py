"""The runs as Markdown tables: counts with their exact 95 % intervals (Clopper and Pearson)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from judge.peers import PEERS, Ending
from judge.rollouts import Run, Stage
from judge.scenarios import RELEASE
from sluicegate.domain.verdict import Verdict

Runs = Mapping[str, Sequence[Run]]


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Exact 95 % interval of a share."""
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, total - count + 1))
    high = 1.0 if count == total else float(beta.ppf(0.975, count + 1, total - count))
    return low, high


def share(count: int, total: int) -> str:
    """Share in percent with its interval."""
    low, high = clopper_pearson(count, total)
    return f"{100 * count / total:.1f} % ({100 * low:.1f}–{100 * high:.1f})" if total else "–"


def middle(values: Iterable[float]) -> str:
    """Median and 90th percentile."""
    known = sorted(values)
    return f"{_thousands(quantile(known, 0.5))} / {_thousands(quantile(known, 0.9))}" if known else "–"


def quantile(values: Sequence[float], level: float) -> float:
    """An observed value, not below the level; what never came is infinite."""
    return float(np.quantile(values, level, method="higher"))


def _thousands(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if np.isfinite(value) else "not found"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def healthy(runs: Runs) -> str:
    """False reverts by dependence."""
    head = ("identical candidate", "rollouts", "looks, median", "falsely reverted", "finished without a person", "reverted by")
    rows = []
    for name, done in runs.items():
        number, whole = len(done), [run.looks for run in done if not run.reverted]
        reverted, alone = sum(run.reverted for run in done), sum(run.alone for run in done)
        looks = f"{np.median(whole):.0f}" if whole else "–"
        rows.append((name, str(number), looks, share(reverted, number), share(alone, number), _blamed(done)))
    return table(head, rows)


def _blamed(done: Sequence[Run]) -> str:
    """Which gates reverted at which stages, most often first."""
    count = Counter(f"{s.gate} at {_stage(s)}" for run in done for s in run.stages if s.verdict is Verdict.FAIL)
    return ", ".join(f"{where}: {n}" for where, n in count.most_common(3)) or "–"


def _stage(stage: Stage) -> str:
    found = RELEASE.stages[stage.index]
    return "mirror" if found.weight is None else f"{found.weight} %"


def harms(runs: Runs) -> str:
    """What is found, where, and after how much."""
    head = (
        "harm",
        "rollouts",
        "found",
        "missed (promoted)",
        "found by",
        "looks to FAIL",
        "answers of the candidate to users until FAIL",
    )
    rows = []
    for name, done in runs.items():
        number, found = len(done), [run for run in done if run.reverted]
        missed = sum(run.alone for run in done)
        exposed = (sum(s.requests for s in run.stages if s.index) for run in found)
        told = (share(len(found), number), share(missed, number), _blamed(done))
        rows.append((name, str(number), *told, middle(run.looks for run in found), middle(exposed)))
    return table(head, rows)


@dataclass(frozen=True)
class Unit:
    """What is counted until FAIL, and the most that it may take at the 90th percentile."""

    field: str
    """Of a stage."""
    name: str
    bar: float | None = None


UNITS = (Unit("errors", "error events", 711), Unit("everyone", "requests", 127_000), Unit("requests", "pairs"))
UNITS += (Unit("everyone", "requests"),)


def sharp(runs: Runs, units: Mapping[str, Unit]) -> str:
    """Units until FAIL at one stage, against their bars."""
    head = (
        "harm at one stage",
        "rollouts",
        "found",
        "until FAIL, median / p90",
        "bar at p90",
        "found within the bar (90 % needed)",
    )
    rows = []
    for name, done in runs.items():
        unit = units[name]
        spent = until_fail(done, unit.field)
        found = share(int(np.isfinite(spent).sum()), len(done))
        within = sum(s <= unit.bar for s in spent) if unit.bar is not None else 0
        bar = ("–", "–") if unit.bar is None else (_thousands(unit.bar), share(within, len(done)))
        rows.append((name, str(len(done)), found, f"{middle(spent)} {unit.name}", *bar))
    return table(head, rows)


def until_fail(done: Sequence[Run], field: str) -> list[float]:
    """Units of the stage that failed; infinite where it did not."""
    return [float(getattr(r.stages[-1], field)) if r.reverted else np.inf for r in done]


def faults(runs: Runs) -> str:
    """Stages entered with a fault: none may pass, none may fail."""
    head = ("fault", "stages", "passed", "reverted", "reasons told")
    rows = []
    for name, done in runs.items():
        stages = [stage for run in done for stage in run.stages]
        count, said = Counter(s.verdict for s in stages), Counter(s.reason for s in stages)
        rows.append((name, str(len(stages)), str(count[Verdict.PASS]), str(count[Verdict.FAIL]), ", ".join(said)))
    return table(head, rows)


def peers(innocent: Runs, harmful: Runs, broken: Runs) -> str:
    """Ours beside the restated rules on the same requests, where the peers watched."""
    innocent = {name: done for name, done in innocent.items() if any(run.peers for run in done)}
    rows = [_beside(f"*false revert:* {name}", done, Ending.REVERTED) for name, done in innocent.items()]
    rows += [_beside(f"*missed:* {name}", done, Ending.PROMOTED) for name, done in harmful.items()]
    rows += [_blind(name, done) for name, done in broken.items()]
    return table(("", "rollouts", "Sluicegate", *PEERS), rows)


def _beside(title: str, done: Sequence[Run], ending: Ending) -> tuple[str, ...]:
    seen = [run for run in done if run.peers]
    ours = sum(run.alone if ending is Ending.PROMOTED else run.reverted for run in seen)
    theirs = [sum(run.peers[peer] is ending for run in seen) for peer in PEERS]
    return title, str(len(seen)), *(f"{100 * n / len(seen):.1f} %" for n in (ours, *theirs))


def _blind(name: str, done: Sequence[Run]) -> tuple[str, ...]:
    """What everybody did without evidence."""
    seen = [run for run in done if run.peers]
    ours = Counter("reverted" if run.reverted else "promoted" if run.alone else "held" for run in seen)
    theirs = [Counter(run.peers[peer].value for run in seen) for peer in PEERS]
    said = (", ".join(f"{what} {100 * n / len(seen):.0f} %" for what, n in count.items()) for count in (ours, *theirs))
    return f"*no evidence:* {name}", str(len(seen)), *said


def rightly(runs: Runs) -> str:
    """A better model against the raw rule."""
    head = ("rightly better model", "rollouts", "reverted", "finished without a person", "reverted by", "looks to FAIL")
    rows = []
    for name, done in runs.items():
        number, found = len(done), [run for run in done if run.reverted]
        told = (share(len(found), number), share(sum(run.alone for run in done), number), _blamed(done))
        rows.append((name, str(number), *told, middle(run.looks for run in found)))
    return table(head, rows)
