"""Hits a real stack under traffic and releases, and checks the invariants from outside: `python -m tests.faults --rounds 20 --seed 1`.

Exit status 1 on any violation. --how kill is kill -9, stop is SIGSTOP beyond the lease, other locks or restarts databases and fills
a disk, act is what happens in Airflow itself (a run is marked, cleared, paused or started twice, files change, Airflow is away), any
draws from all.
"""

import argparse
import contextlib
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.accidents import KINDS as ACCIDENTS
from tests.faults.invariants import violations
from tests.faults.lanes import settings_in
from tests.faults.records import Records, read_records
from tests.faults.report import summary, table
from tests.faults.rounds import draws
from tests.faults.targets import KILLED, OTHERS, database_server, others
from tests.faults.world import World, world

from sluicegate.settings import Settings
from sluicegate.testing.postgres import PostgresServer


def main() -> int:
    args = _arguments()
    if args.judge:
        return _tell(read_records(args.judge / "records.json"), args.judge)
    print(f"seed {args.seed}, {args.rounds} rounds, {args.lanes} lanes")
    home = args.home or Path(tempfile.mkdtemp(prefix="faults-"))
    home.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} {text}", flush=True)

    with database_server(args.postgres) as postgres, world(_settings(home, postgres), args.lanes, say, postgres) as here:
        with contextlib.suppress(KeyboardInterrupt):  # no more rounds; what was seen so far is judged
            _rounds(here, args)
        say("no new releases; waiting for the last ends")
        here.quiet()
        records = here.records()
    return _tell(records, home)


def _settings(home: Path, postgres: PostgresServer | None) -> Settings:
    return settings_in(home, postgres.database("journal") if postgres else "")


def _rounds(here: World, args: argparse.Namespace) -> None:
    for draw in draws(args.seed, args.rounds, args.how, args.kill, args.at, here.others):
        begun = time.monotonic()
        here.rounds.carry_out(draw)
        time.sleep(max(0.0, args.pace - (time.monotonic() - begun)))


def _tell(records: Records, home: Path) -> int:
    found = violations(records)
    records.save(home / "records.json")
    (home / "summary.json").write_text(json.dumps(summary(records, found), indent=1))
    print(table(records, found))
    print(f"records and summary: {home}")
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="what is hit, where and when")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--lanes", type=int, default=4, help="models that are released at once")
    parser.add_argument("--how", choices=("kill", "stop", "other", "act", "any"), default="kill")
    targets = (*KILLED, *OTHERS, *ACCIDENTS)
    parser.add_argument("--kill", metavar="TARGET", choices=targets, help=f"always this one: {', '.join(targets)}")
    parser.add_argument("--at", metavar="STEP|SECONDS", help="always at this step, or so long after the deployment")
    parser.add_argument("--pace", type=float, default=10.0, help="least seconds from one round to the next")
    parser.add_argument(
        "--postgres", action="store_true", help="Airflow and the journal on one PostgreSQL, which can be restarted"
    )
    parser.add_argument("--home", type=Path, help="folder of the installation and of the records; a fresh one by default")
    parser.add_argument("--judge", type=Path, metavar="HOME", help="hit nothing: judge the records of an earlier run again")
    args = parser.parse_args()
    if args.kill in OTHERS and args.kill not in others(disk=True, postgres=args.postgres):
        parser.error(f"{args.kill} is not there {'with' if args.postgres else 'without'} --postgres")
    return args


if __name__ == "__main__":
    sys.exit(main())
