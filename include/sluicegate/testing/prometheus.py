"""A real Prometheus for tests and benchmarks; what is started here is stopped here, by pid."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sluicegate.errors import UnavailableError
from sluicegate.testing.gateway import free_port
from sluicegate.testing.waiting import wait_until

EVERY = "1s"
"""Interval of scraping, as in the shipped configuration."""


@dataclass
class RunningPrometheus:
    """A running server and the targets that it was told."""

    program: str
    folder: Path
    port: int
    host: str = "127.0.0.1"
    process: "subprocess.Popen[bytes] | None" = None
    targets: dict[str, dict[str, Mapping[str, str]]] = field(default_factory=dict)
    """Job -> address -> labels."""

    def start(self) -> None:
        """Start it, or start it again where it stopped; returns when it answers."""
        command = [self.program, f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data"]
        command += [
            f"--web.listen-address={self.host}:{self.port}",
            "--log.level=warn",
            f"--scrape.discovery-reload-interval={EVERY}",
        ]
        with (self.folder / "prometheus.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self.answers, within=60.0)

    def answers(self) -> bool:
        """Whether it is ready; OSError when it does not listen yet."""
        with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2.0) as answer:  # noqa: S310 - our own process
            return bool(answer.status == 200)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def scrape(self, job: str, address: str, **labels: str) -> None:
        """Let a job of `on_loopback` have this target too; Prometheus hears of it within some seconds."""
        self.targets.setdefault(job, {})[address] = labels
        self._tell(job)

    def forget(self, job: str, address: str) -> None:
        """Let a job have this target no more."""
        del self.targets[job][address]
        self._tell(job)

    def _tell(self, job: str) -> None:
        entries = [{"targets": [address], "labels": dict(labels)} for address, labels in self.targets[job].items()]
        fresh = self.folder / f"{job}.new"
        fresh.write_text(json.dumps(entries))
        fresh.replace(self.folder / f"{job}.json")


def find_prometheus(path: str | None = None) -> str:
    """The program on this PATH; UnavailableError when it is not there."""
    found = shutil.which("prometheus", path=path)
    if found is None:
        raise UnavailableError("there is no program `prometheus` on PATH: install Prometheus 3")
    return found


@contextmanager
def running_prometheus(
    program: str, folder: Path, configuration: Mapping[str, Any], host: str = "127.0.0.1"
) -> Iterator[RunningPrometheus]:
    """A server with this configuration (what would stand in prometheus.yml), its data in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(dict(configuration)))
    running = RunningPrometheus(program, folder, free_port(), host)
    try:
        running.start()
        yield running
    finally:
        running.kill()


def on_loopback(folder: Path, jobs: Mapping[str, str]) -> dict[str, Any]:
    """A configuration that scrapes these jobs (name -> path of the page) every second; their targets come later."""
    scrapes = [
        {
            "job_name": job,
            "honor_labels": True,
            "metrics_path": page,
            "file_sd_configs": [{"files": [f"{folder}/{job}.json"], "refresh_interval": EVERY}],
        }
        for job, page in jobs.items()
    ]
    return {"global": {"scrape_interval": EVERY, "scrape_timeout": EVERY}, "scrape_configs": scrapes}
