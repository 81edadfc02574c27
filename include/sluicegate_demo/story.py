"""The demonstration: three rollouts on real flights, through a real Airflow, MLflow and gateway, on this machine or in a cluster.

before   history lands, a champion is trained on the early months and put in service
act 1    July is served live; its labels land late; the better model is promoted by data arrival alone
act 2    an engineer adds the air pressure; since August the live feed sends another unit: stopped in the mirror stage
act 3    an engineer adds a list that grows and is scanned at every request: cut at a traffic stage
"""

import json
import time
from pathlib import Path

from sluicegate.actions.release import rollout
from sluicegate.domain.rollout import Kind, Outcome
from sluicegate.errors import UnavailableError
from sluicegate.local.secrets import airflow_password
from sluicegate.local.stack import up, where
from sluicegate.supervisord import Supervisord
from sluicegate.wiring import Wiring, wire
from sluicegate_demo import flights_data
from sluicegate_demo.airflow import Airflow
from sluicegate_demo.breach import answers
from sluicegate_demo.picture import draw
from sluicegate_demo.place import Pace, Place
from sluicegate_demo.pod_log import pods_told
from sluicegate_demo.progress import DAGS, Progress
from sluicegate_demo.summary import summary
from sluicegate_demo.world import MODEL, Clients, apply_change

ASKED = 1500
"""Flights of August that people ask about, in any order, again and again."""
SHIPPED_WITHIN, SHIPPED_EVERY = 120.0, 7.0
"""Seconds in which the last answers must be in the prediction logs, and after which a log that was not added to is whole."""


def tell(place: Place) -> int:
    """Run everything; 0 when the three outcomes are the promised ones and no request failed."""
    settings, started_at = place.settings, time.time()
    ports, clients = wire(settings), Clients(settings, place.gateway)
    progress = Progress(ports, clients)
    progress.say("writing the history: requests and labels of real flights, January to June 2013")
    flights_data.write_demo(ports.requests, settings.home / "source")
    progress.say(f"starting the stack: {place.started}")
    up(settings)
    for name, command in place.beside.items():
        Supervisord(settings).add(name, command)
    airflow = Airflow(f"http://{settings.host}:{settings.airflow_port}", airflow_password(settings.home))
    airflow.wait_for_dags(*DAGS)
    try:
        _acts(ports, clients, progress, airflow, place.pace)
    finally:
        clients.stop()
    progress.tell_news()
    _wait_for_logs(ports, clients.counts()["answered"])
    return _end(place, ports, clients, progress, started_at)


def _acts(ports: Wiring, clients: Clients, progress: Progress, airflow: Airflow, pace: Pace) -> None:
    source = ports.settings.home / "source"
    progress.say("BEFORE: labels of January to May land; a first champion is trained and put in service")
    _land(ports, source, "labels-2013-01-to-05.csv")
    progress.wait("first champion", lambda: _ended(ports) == 1, airflow, 150 * pace.patience)
    progress.say("all July flights ask the gateway, as fast as they can")
    clients.start("july", source / "requests-2013-07.parquet", pace.july, loop=False)
    clients.wait()
    progress.say(f"July is over: {clients.counts()['answered']} requests answered, {clients.counts()['failed']} failed")
    clients.start("august", source / "requests-2013-08.parquet", pace.live, loop=True, sample=ASKED)
    progress.say("ACT 1: the labels of June and July land; nobody presses anything")
    _land(ports, source, "labels-2013-06.csv", "labels-2013-07.csv")
    progress.wait("act 1", lambda: _ended(ports) == 2, airflow, 240 * pace.patience)
    progress.say("ACT 2: an engineer adds the air pressure (labelled data: millibar; live since August: inches) and retrains")
    _change(ports, airflow, "pressure")
    progress.wait("act 2", lambda: _ended(ports) == 3, airflow, 180 * pace.patience)
    progress.say("ACT 3: an engineer adds 'how often was this flight asked about' with a list that is scanned at every request")
    _change(ports, airflow, "repeated_requests")
    progress.wait("act 3", lambda: _ended(ports) == 4, airflow, 240 * pace.patience)


def _land(ports: Wiring, source: Path, *names: str) -> None:
    for name in names:
        ports.landing.drop(MODEL, name, source / name)


def _change(ports: Wiring, airflow: Airflow, name: str) -> None:
    apply_change(ports.settings, name)
    airflow.trigger(f"{MODEL}_retrain")


def _ended(ports: Wiring) -> int:
    """How many rollouts there are, all of them ended and their lock given back; -1 while one goes on.

    Counted before anything else is asked: one that is opened meanwhile must not be counted as ended.
    """
    opened = ports.journal.events(MODEL, kinds=(Kind.OPENED,))
    if opened and rollout(ports, MODEL, opened[-1].rollout).open:
        return -1
    return len(opened) if ports.journal.locks().get(MODEL) is None else -1


def _wait_for_logs(ports: Wiring, answered: int) -> None:
    """Until the prediction logs hold every answer, also of servers that are gone: where a store is between, they are on their way."""
    until, seen, since = time.monotonic() + SHIPPED_WITHIN, -1, 0.0
    while seen < answered or (ports.shared and time.monotonic() < since + SHIPPED_EVERY):
        if time.monotonic() > until:
            raise UnavailableError(f"the prediction logs hold {seen} of {answered} answers after {SHIPPED_WITHIN:.0f} s")
        if (now := answers(ports.requests.served(MODEL))) != seen:
            seen, since = now, time.monotonic()
        time.sleep(1)


def _end(place: Place, ports: Wiring, clients: Clients, progress: Progress, started_at: float) -> int:
    """Write summary and picture, and say in six lines what happened."""
    home, finished_at = ports.settings.home, time.time()
    facts = summary(ports, MODEL, clients.tallies, started_at, finished_at, place.pod_log)
    (home / "summary.json").write_text(json.dumps(facts, indent=2))
    draw(ports, MODEL, home / "weights.svg", started_at, finished_at)
    progress.say(f"THE END after {finished_at - started_at:.0f} s")
    for number, r in enumerate(facts["rollouts"], 1):
        last = r["stages"][-1]
        where_ended = (
            ""
            if r["outcome"] == Outcome.PROMOTED
            else f" at {'the mirror stage' if last['kind'] == 'mirror' else str(last['weight']) + ' %'}"
        )
        breach = "" if r["breach_to_zero_ms"] is None else f", breach to zero {r['breach_to_zero_ms']:.0f} ms"
        print(
            f"  {number}. version {r['candidate_version']} against {r['champion_version']}: {r['outcome']}{where_ended}{breach}"
        )
    rows = facts["rows"]
    print(f"  4. {facts['requests_total']} requests, {facts['requests_failed']} failed")
    print(
        f"  5. {rows['in']} rows in = {rows['accepted']} accepted + {rows['quarantined']} quarantined + {rows['duplicate']} duplicates"
    )
    print(f"  6. summary {home / 'summary.json'}, picture {home / 'weights.svg'}")
    if place.pod_log is not None:
        print(f"  7. {pods_told(facts['pods'])}, each in {place.pod_log}")
    print(f"look: {where(ports.settings)}\nstop: {place.stop}")
    return 0 if _as_promised(facts) else 1


def _as_promised(facts: dict[str, object]) -> bool:
    rollouts = facts["rollouts"]
    assert isinstance(rollouts, list)
    outcomes = [(r["outcome"], r["stages"][-1]["kind"]) for r in rollouts]
    wanted = [("PROMOTED", "split"), ("REVERTED", "mirror"), ("REVERTED", "split")]
    if outcomes == wanted and facts["requests_failed"] == 0:
        return True
    print(f"this is not what was promised: {wanted} and no failed request, but {outcomes} and {facts['requests_failed']} failed")
    return False
