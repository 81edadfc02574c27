"""One release after the other, each lane on its own: what a busy team does, so that every fault meets rollouts under way."""

import threading
import time
from dataclasses import dataclass, field

import requests
from tests.faults.lanes import Lane

from sluicegate.domain.rollout import Kind
from sluicegate.errors import SluicegateError
from sluicegate.testing.waiting import wait_until
from sluicegate_demo.airflow import Airflow

OPENS_WITHIN = 150.0
"""Seconds from the trigger to the journal's OPENED while parts of the stack are killed; later is called stuck."""


@dataclass
class Roller:
    """Registers a version, asks Airflow to release it, waits for the end, begins again."""

    lane: Lane
    airflow: Airflow
    stuck: list[str] = field(default_factory=list)
    """One sentence a release that never began."""
    releases: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """No new release; the one that is under way goes on."""
        self._stop.set()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._release(self.releases)
            except (SluicegateError, requests.RequestException, OSError):
                time.sleep(0.5)  # something that it needs was hit: asked again
                continue
            self.releases += 1

    def _release(self, number: int) -> None:
        version = self.lane.register(number)
        run = self.airflow.trigger(f"{self.lane.model}_release", version=version)
        rollout = self._opened(version, run)
        while rollout and not self._ended(rollout):
            time.sleep(0.3)

    def _opened(self, version: str, run: str) -> str | None:
        what = f"a rollout of {self.lane.model} that was triggered for version {version}"
        try:
            wait_until(lambda: self._rollout_of(version) or self._told(run), OPENS_WITHIN, what, pause=0.3)
        except TimeoutError as late:
            self.stuck.append(str(late))
        return self._rollout_of(version)

    def _rollout_of(self, version: str) -> str | None:
        opened = self.lane.ports.journal.events(self.lane.model, kinds=(Kind.OPENED,))
        return opened[-1].rollout if opened and str(opened[-1].data["candidate"]) == version else None

    def _told(self, run: str) -> bool:
        """Whether the run failed, which is what a person is told."""
        try:
            return self.airflow.state(f"{self.lane.model}_release", run) == "failed"
        except (SluicegateError, requests.RequestException):
            return False

    def _ended(self, rollout: str) -> bool:
        kinds = (Kind.PROMOTED, Kind.REVERTED)
        return bool(self.lane.ports.journal.events(self.lane.model, rollout, kinds=kinds))
