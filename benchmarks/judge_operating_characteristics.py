"""How the online judge behaves: false reverts, power, time to decision, faults; beside three restated peers. Seeds fixed.

    python benchmarks/judge_operating_characteristics.py [--rollouts 400] [--harms 300] [--write docs]

Whole rollouts of simulated services go through the shipped judge (open_case, add, judge) at every look; see judge/__init__.py.
Finished runs are kept under --keep as long as the judge's sources do not change, so a run that was stopped goes on. With --write
the figures stand in judge.md between the marks, and the plots beside it.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from judge import peers, plots, tables
from judge.ledger import Ledger
from judge.rollouts import BEFORE, prediction
from judge.scenarios import BUSY, FAULTS, HARMS, HEALTHY, LOOKS, RIGHTLY, SHARP
from judge.store import Store
from judge.world import World

from sluicegate.gates import add, judge, open_case

MARKS = ("<!-- figures: begin -->", "<!-- figures: end -->")
UNITS = dict(zip((s.name for s in SHARP), tables.UNITS, strict=True))
ROOT = Path(__file__).parents[1]
PAGE = """### False reverts

Five stages of at least {looks} looks, nine gates and five segments, one `alpha` of 5 %.

{healthy}

![False reverts](judge-false-reverts.svg)

### Harm

Whole rollouts of a harmful candidate. What the comparison predicts is right except where a row says otherwise.

{harms}

A slower tail under an unchanged 95th percentile is within what `p95_ms` allows: no gate looks at it. Two percent of moved score mass
need more pairs than these rollouts have (next table).

One stage alone, with the gates and stages of `models/flights` and their parts of the budget (decisions with `any_harm`; `mass` 0.5 % and
segments where the harm is theirs), independent users; at weight 5 nothing is mirrored:

{sharp}

![How much it takes](judge-detection.svg)

### Faults of the surroundings

{faults}

### Beside other tools

The same requests, watched by other rules. {rules}

Our column counts, among these rollouts, reverts of harmless candidates and promotions of harmful ones without a person. That a rule
misses little says nothing where it reverts identical candidates as often: at 300 requests a minute thresholds on a few minutes do.

{peers}

### The raw rule against a better model

{rightly}

![The raw rule](judge-raw-rule.svg)

{effort}
"""


def page(found: dict[str, list]) -> str:
    """All figures as Markdown."""
    innocent, harmful, sharp, broken, right = (
        {s.name: found[s.name] for s in group} for group in ((*HEALTHY, BUSY), HARMS, SHARP, FAULTS, RIGHTLY)
    )
    spent = sum(run.seconds for runs in found.values() for run in runs)
    looks = sum(run.looks for runs in found.values() for run in runs)
    return PAGE.format(
        looks=LOOKS,
        healthy=tables.healthy({s.name: found[s.name] for s in HEALTHY}),
        harms=tables.harms(harmful),
        sharp=tables.sharp(sharp, UNITS),
        faults=tables.faults(broken),
        rules=(peers.__doc__ or "").strip(),
        peers=tables.peers(innocent, harmful, {name: done for name, done in broken.items() if name != "labels stalled"}),
        rightly=tables.rightly(right),
        effort=f"{spent / 60:.0f} core-minutes, {looks / 1e6:.1f} million looks, {1000 * spent / looks:.2f} ms each with their requests.",
    )


def trace() -> dict[str, list[float]]:
    """What the score gate sees at one mirror stage of a better model, relative to the champion's mean score."""
    scenario, seed = RIGHTLY[0], 1
    world = World(scenario.surroundings, seed, scenario.champion, scenario.compared)
    due, ledger = prediction(scenario, seed), Ledger(world, scenario.mirrored)
    ledger.record(BEFORE, 0)
    readings, _ = ledger.record(LOOKS, 0)
    case = open_case(scenario.release, scenario.release.stages[0], due, next(readings), (0.0, 1.0))
    rows: dict[str, list[float]] = {"seen": [], "error": [], "predicted": [], "limit": []}
    for reading in readings:
        case = add(case, reading)
        numbers = next(g.numbers for g in judge(case).gates if g.gate == "score")
        mean = due.champion_mean_score or 1.0
        told = (numbers["seen_difference"], 2 * numbers["standard_error"], numbers["predicted_difference"])
        for name, value in zip(("seen", "error", "predicted"), told, strict=True):
            rows[name].append(value / mean)
        rows["limit"].append(0.05)
    return rows


def write(folder: Path, text: str, found: dict[str, list]) -> None:
    """Put the figures into judge.md and the plots beside it."""
    document = folder / "judge.md"
    old = document.read_text()
    head, tail = old[: old.index(MARKS[0]) + len(MARKS[0])], old[old.index(MARKS[1]) :]
    document.write_text(f"{head}\n\n{text}\n{tail}")
    plots.false_reverts({s.name: found[s.name] for s in HEALTHY}, folder / "judge-false-reverts.svg")
    plots.detection({s.name: found[s.name] for s in SHARP}, UNITS, folder / "judge-detection.svg")
    plots.raw_rule(trace(), folder / "judge-raw-rule.svg")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=400, help="a row of identical candidates")
    parser.add_argument("--harms", type=int, default=300, help="a row of harmful ones")
    parser.add_argument("--sharp", type=int, default=300, help="a row at one stage")
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=ROOT / "var" / "judge-runs", help="where finished runs are kept")
    parser.add_argument("--write", type=Path, help="folder of judge.md and its plots")
    wanted = parser.parse_args()
    sizes = {s.name: wanted.rollouts for s in HEALTHY} | {s.name: wanted.harms for s in (*HARMS, *RIGHTLY)}
    sizes |= {s.name: wanted.sharp for s in SHARP}
    sizes |= {s.name: wanted.faults for s in FAULTS} | {BUSY.name: max(1, wanted.harms // 5)}
    found = Store(wanted.keep).runs(sizes, wanted.processes)
    text = page(found)
    print(text)
    if wanted.write is not None:
        write(wanted.write, text, found)
    return 0


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    sys.exit(main())
