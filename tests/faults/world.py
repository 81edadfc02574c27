"""A whole installation with lanes under traffic: Airflow, MLflow, Envoy, guard and servers, as `make up` starts them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.accidents import Accidents
from tests.faults.lanes import LEASE_S, Lane, lanes
from tests.faults.records import End, Entry, Records, read_requests
from tests.faults.rolling import Roller
from tests.faults.rounds import Rounds
from tests.faults.tape import Tape
from tests.faults.targets import Target, others, small_disk
from tests.faults.witness import Witness

from sluicegate.actions.release import champion_version
from sluicegate.domain.rollout import Kind
from sluicegate.local.secrets import airflow_password
from sluicegate.local.stack import down, up
from sluicegate.settings import Settings
from sluicegate.testing.postgres import PostgresServer
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import Wiring, wire
from sluicegate_demo.airflow import Airflow

RATE = 40.0
"""Requests a second and lane."""
FIRST_WITHIN = 180.0
LAST_WITHIN = 150.0


@dataclass
class World:
    """What runs, and what sees it."""

    settings: Settings
    ports: Wiring
    lanes: list[Lane]
    rollers: list[Roller]
    tape: Tape
    witness: Witness
    rounds: Rounds
    log: Path
    others: tuple[str, ...]
    """What can be locked, filled or restarted here."""

    def quiet(self) -> None:
        """No new release; wait until those under way have ended, or for LAST_WITHIN seconds."""
        for roller in self.rollers:
            roller.finish()
        with contextlib.suppress(TimeoutError):  # what has not ended is found in the records
            wait_until(self._settled, LAST_WITHIN, pause=0.5)

    def records(self) -> Records:
        """Everything that was seen, with the journal read anew and the ends looked up."""
        stuck = [sentence for roller in self.rollers for sentence in roller.stuck]
        return Records(
            requests=read_requests(self.log),
            shown=list(self.witness.shown),
            held=list(self.witness.held),
            journal=[entry for lane in self.lanes for entry in whole_journal(self.ports, lane.model)],
            hits=list(self.rounds.hits),
            ends=[end_of(self.ports, self.witness, lane.model) for lane in self.lanes],
            stuck=[*stuck, *self.rounds.stuck],
            lease=LEASE_S,
        )

    def _settled(self) -> bool:
        """Nobody begins anything, nothing is open, and what follows an end (alias, lock) is done."""
        idle = all(roller.done for roller in self.rollers)
        self.tape.wind()
        return idle and not self.tape.open() and all(self.ports.journal.locks().get(lane.model) is None for lane in self.lanes)


@contextmanager
def world(
    settings: Settings, how_many: int, say: Callable[[str], None], postgres: PostgresServer | None = None
) -> Iterator[World]:
    """Up, with a first version of every lane in service and clients who ask; nothing is left behind."""
    ports = wire(settings)
    with small_disk(settings.gateway) as disk, contextlib.ExitStack() as left:
        left.callback(end_stack, settings)
        made = lanes(ports, settings.home / "prepared", how_many)
        say("starting the stack")
        up(settings)
        airflow = Airflow(f"http://{settings.host}:{settings.airflow_port}", airflow_password(settings.home))
        airflow.wait_for_dags(*(f"{lane.model}_release" for lane in made))
        rollers = [Roller(lane, airflow) for lane in made]
        for roller in rollers:
            roller.start()
        _wait_for_first_versions(ports, made)
        say("every lane has a first version; clients begin")
        log = settings.home / "clients.jsonl"
        left.enter_context(_clients(settings, how_many, log))
        witness = left.enter_context(Witness(settings))
        here = others(disk=disk, postgres=postgres is not None)
        tape = Tape(ports.journal, [lane.model for lane in made])
        rounds = Rounds(Target(settings, postgres), Accidents(settings), tape, [lane.model for lane in made], LEASE_S, say)
        yield World(settings, ports, made, rollers, tape, witness, rounds, log, here)


def whole_journal(ports: Wiring, model: str) -> list[Entry]:
    """Every event of a lane; of the evidence only that it was there."""
    found = ports.journal.events(model)
    return [
        Entry(e.number, e.at, model, e.rollout, str(e.kind), e.author, {} if e.kind == Kind.EVIDENCE else dict(e.data))
        for e in found
    ]


def end_of(ports: Wiring, witness: Witness, model: str, *, trained: bool = False) -> End:
    """What journal, gateway, registry and lock say now; `trained` versions have a committed result too."""
    keys = [str(e.data["train_key"]) for e in ports.journal.events(model, kinds=(Kind.REGISTERED,))] if trained else []
    alias, lock, shown = ports.registry.resolve(model, "champion"), ports.journal.locks().get(model), witness.now(model)
    return End(
        model,
        champion_version(ports, model),
        shown.champion if shown else "",
        shown.weight if shown else -1,
        alias.version if alias else None,
        {v.version: v.tags["train_key"] for v in ports.registry.versions(model)},
        lock.holder if lock else None,
        tuple(key for key in keys if ports.results.find(key) is None),
    )


def _wait_for_first_versions(ports: Wiring, made: list[Lane]) -> None:
    def missing() -> list[str]:
        return [lane.model for lane in made if not _served(ports, lane.model)]

    wait_until(lambda: not missing(), FIRST_WITHIN, lambda: f"a first version of {', '.join(missing())}", pause=0.5)


def _served(ports: Wiring, model: str) -> bool:
    """Whether the gateway has a route: the journal knows of a promotion a little earlier."""
    return champion_version(ports, model) is not None and ports.router.read(model) is not None


@contextmanager
def _clients(settings: Settings, how_many: int, log: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.faults.clients", "--port", str(settings.gateway_port), "--lanes", str(how_many)]
    process = subprocess.Popen([*command, "--rate", str(RATE), "--log", str(log)], cwd=settings.project)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def end_stack(settings: Settings) -> None:
    """Also what lost its supervisor."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((settings.supervisor / "supervisord.pid").read_text()), signal.SIGKILL)
    down(settings)
