"""`python -m sluicegate.testing.machine --sequences 10000 --workers 2`: runs the sequences and says what they reached."""

import argparse
import json
import logging
import subprocess
import sys
import time
from collections import Counter

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from sluicegate.testing.machine.reached import SITUATIONS
from sluicegate.testing.machine.rules import machine

STEPS = 40
"""Most things that happen in one sequence."""


def run(sequences: int, number: int, *, shrink: bool = True) -> Counter[str]:
    """Run so many sequences; AssertionError with the shortest sequence that breaks something. Returns what was reached."""
    reached: Counter[str] = Counter()
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    how = settings(
        max_examples=sequences,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    run_state_machine_as_test(seed(number)(machine(reached)), settings=how)
    return reached


def main() -> int:
    """Split the sequences over workers, add up what they reached; 1 when something broke or a situation was never reached."""
    args = _arguments()
    logging.getLogger("sluicegate.guard").setLevel(logging.CRITICAL)  # it cuts a thousand times
    if args.worker is not None:
        print(json.dumps(run(args.sequences, args.worker, shrink=not args.no_shrink)))
        return 0
    begun, share = time.monotonic(), -(-args.sequences // args.workers)
    command = [sys.executable, "-m", "sluicegate.testing.machine", "--sequences", str(share), *(["--no-shrink"] * args.no_shrink)]
    seeds = range(args.seed, args.seed + args.workers)
    workers = [subprocess.Popen([*command, "--worker", str(n)], stdout=subprocess.PIPE, text=True) for n in seeds]
    told = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        print("\n".join(told))
        return 1
    reached = sum((Counter(json.loads(text.splitlines()[-1])) for text in told), Counter[str]())
    return _say(reached, time.monotonic() - begun)


def _say(reached: Counter[str], seconds: float) -> int:
    missed = [name for name in SITUATIONS if not reached[name]]
    print(f"{reached['sequences']} sequences in {seconds:.0f} s, no invariant broken")
    for name in (*SITUATIONS, *sorted(set(reached) - set(SITUATIONS) - {"sequences"})):
        print(f"{reached[name]:10}  {name}")
    if missed:
        print(f"never reached: {', '.join(missed)}")
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sluicegate.testing.machine", description=__doc__)
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", type=int, help="run this worker's part alone (its seed)")
    parser.add_argument("--no-shrink", action="store_true", help="tell the first broken sequence as it was found")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
