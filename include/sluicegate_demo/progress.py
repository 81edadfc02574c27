"""What a person sees while the demo works: each new fact of the journal, of the orders and of the traffic, once, in a line."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from sluicegate.domain.rollout import Kind
from sluicegate.errors import UnavailableError
from sluicegate.ports import Ports
from sluicegate.ports.journal import Event
from sluicegate_demo.airflow import Airflow
from sluicegate_demo.world import MODEL, Clients

DAGS = (f"{MODEL}_ingest", f"{MODEL}_retrain", f"{MODEL}_release")
RESULTS_EVERY = 1.0
"""Seconds between two lists of results, which a store may be asked for."""
_FACTS = [k for k in Kind if k not in (Kind.EVIDENCE, Kind.LOOKED, Kind.FOLLOWED_UP)]


class Progress:
    """Prints new facts and waits for what the story needs next."""

    def __init__(self, ports: Ports, clients: Clients) -> None:
        self._ports, self._clients = ports, clients
        self._begun, self._told, self._seen = time.monotonic(), 0, set[str]()
        self._spoke = self._asked_at = 0.0

    def say(self, text: str) -> None:
        """One line with the time since the beginning."""
        now = int(time.monotonic() - self._begun)
        self._spoke = time.monotonic()
        print(f"[{now // 60}:{now % 60:02d}] {text}", flush=True)

    def wait(self, what: str, done: Callable[[], bool], airflow: Airflow, seconds: float) -> None:
        """Until `done`, telling what happens; UnavailableError when a task fails for good or the time is over."""
        until, checked = time.monotonic() + seconds, time.monotonic()
        while not done():
            self.tell_news()
            if time.monotonic() - checked > 3:
                checked = time.monotonic()
                self._refuse_failures(airflow)
            if time.monotonic() > until:
                raise UnavailableError(f"{what}: not within {seconds:.0f} s; look at Airflow's Dags {', '.join(DAGS)}")
            if time.monotonic() - self._spoke > 8:
                counts = self._clients.counts()
                self.say(f"  ... {what}; {counts['answered']} requests answered, {counts['failed']} failed")
            time.sleep(0.2)
        self.tell_news()

    def tell_news(self) -> None:
        """Print what the journal and the orders have learnt since the last call."""
        for event in self._ports.journal.events(MODEL, after=self._told, kinds=_FACTS):
            self._told = event.number
            self.say(f"  {_sentence(event)}")
        if time.monotonic() >= self._asked_at + RESULTS_EVERY:
            self._asked_at = time.monotonic()
            self._tell_results()

    def _tell_results(self) -> None:
        results = self._ports.results
        for key in sorted(set(results.keys()) - self._seen):
            self._seen.add(key)
            if (folder := results.find(key)) is not None:
                action = json.loads((folder / "order.json").read_text())["action"]
                if action != "release":  # of which the journal tells
                    self.say(f"  {action}: {_result(action, json.loads((folder / 'result.json').read_text()))}")

    def _refuse_failures(self, airflow: Airflow) -> None:
        if failed := airflow.failed_tasks(*DAGS):
            raise UnavailableError(f"Airflow tasks failed: {', '.join(failed)}; their logs are in the UI")


def _sentence(event: Event) -> str:
    data = event.data
    match event.kind:
        case Kind.OPENED:
            return f"rollout {event.rollout}: version {data['candidate']} is to replace {data['champion'] or 'nothing (first version)'}"
        case Kind.STAGE_ENTERED:
            return (
                "mirror stage: candidate answers copies, users see nothing"
                if data["kind"] == "mirror"
                else f"weight {data['weight']} %"
            )
        case Kind.STAGE_DECIDED:
            return f"{data['verdict']}" + (
                f" by gate {data['gate']}: {data['message']}" if data.get("gate") else f" ({data['reason']})"
            )
        case Kind.CUT:
            return f"CUT to 0 % ({data['reason']})"
    return f"{event.kind} {data.get('candidate', data.get('version', ''))}".rstrip()


def _result(action: str, result: Mapping[str, Any]) -> str:
    match action:
        case "validate":
            return ", ".join(f"{n} {name}" for name, n in sorted(result["rows"].items()))
        case "snapshot":
            return f"{result['rows']} rows from {result['first_event'][:10]} to {result['last_event'][:10]}"
        case "train":
            return ", ".join(f"{name} {result['metrics'][name]:.4f}" for name in ("auc", "brier", "log_loss"))
        case "compare":
            return f"{result['verdict']}: {result['message']}"
        case "register":
            return f"version {result['version']}, {'to be released' if result['release'] else 'not released'}"
    return ", ".join(f"{k} {v}" for k, v in result.items() if isinstance(v, str | int))[:100]
