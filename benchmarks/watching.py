"""What one reading through a real Prometheus costs: three replicas of two versions, 200 buckets, all rows, copies and pairs.

    python benchmarks/watching.py [--replicas 3] [--segments 0] [--readings 100]

The pods are pages of this process, filled once: what is measured is Prometheus and the meter, not the servers. `prometheus` is taken
from PATH.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.promql_meter import PromqlMeter
from sluicegate.adapters.promql_meter.queries import PAIRS, SERVERS
from sluicegate.domain.pairing import Line, Pairing
from sluicegate.domain.route import BUCKETS, Route, Target
from sluicegate.serving.counters import Counters
from sluicegate.serving.evidence_page import CONTENT_TYPE, EvidencePage, Labels, Row, rows
from sluicegate.serving.pulse import Pulse
from sluicegate.serving.watched import EVIDENCE
from sluicegate.settings import Settings
from sluicegate.testing.prometheus import RunningPrometheus, find_prometheus, on_loopback, running_prometheus
from sluicegate.testing.waiting import wait_until


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--segments", type=int, default=0, help="values of a field that are counted apart")
    parser.add_argument("--readings", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluicegate-watching-") as name, ExitStack() as stack:
        folder = Path(name)
        configuration = on_loopback(folder, {SERVERS: EVIDENCE, PAIRS: EVIDENCE})
        prometheus = stack.enter_context(running_prometheus(find_prometheus(), folder, configuration))
        sizes = [
            stack.enter_context(pod(prometheus, version, n, args.segments)) for version in "12" for n in range(args.replicas)
        ]
        sizes.append(stack.enter_context(joiner(prometheus)))
        settings = Settings(profile="kubernetes", router="istio", home=folder, prometheus_url=prometheus.url)
        meter = PromqlMeter(settings, FolderDataset(settings))
        route = Route("toy", Target("1", "h", 1), Target("2", "h", 1), 0, 100)
        wait_until(lambda: not meter.read(route, since=0.0).missing, 120.0)
        report(meter, route, prometheus, args.readings, sum(sizes))


def report(meter: PromqlMeter, route: Route, prometheus: RunningPrometheus, readings: int, series: int) -> None:
    """Times of so many readings, one a quarter of a second, and the processor time of both sides."""
    idle = spent_by(prometheus, lambda: time.sleep(5.0)) / 5.0
    times: list[float] = []
    missing: list[str] = []
    begun, mine = time.monotonic(), time.process_time()

    def read_all() -> None:
        for _ in range(readings):
            start = time.perf_counter()
            reading = meter.read(route, since=0.0)
            times.append(1000 * (time.perf_counter() - start))
            missing.extend(reading.missing)
            time.sleep(0.25)

    theirs = spent_by(prometheus, read_all) - idle * (time.monotonic() - begun)
    cuts = statistics.quantiles(times, n=100)
    print(f"{series} series; scraping them every second costs Prometheus {1000 * idle:.0f} ms of processor time a second")
    print(f"a reading: p50 {cuts[49]:.0f} ms, p90 {cuts[89]:.0f} ms, p99 {cuts[98]:.0f} ms over {readings}")
    mine, theirs = (1000 * spent / readings for spent in (time.process_time() - mine, theirs))
    print(f"processor time a reading: meter and pages {mine:.0f} ms, Prometheus {theirs:.0f} ms")
    print(f"sources missing: {len(missing)}", *sorted(set(missing))[:3], sep="\n  ")


def spent_by(prometheus: RunningPrometheus, work: Callable[[], object]) -> float:
    """Seconds of processor time that the server took during the work."""
    assert prometheus.process is not None
    stat = Path(f"/proc/{prometheus.process.pid}/stat")

    def seconds() -> float:
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = seconds()
    work()
    return seconds() - before


@contextmanager
def pod(prometheus: RunningPrometheus, version: str, number: int, segments: int) -> Iterator[int]:
    """The page of a pod that has answered; how many series it has."""
    fields = ("site",) if segments else ()
    chance, roles = random.Random(number), ("answer", "mirror") if version == "2" else ("answer",)
    counted = {role: Counters(1.0, (25.0,), (0.0, 1.0), fields, valued=True) for role in roles}
    for counters in counted.values():
        for n in range(20_000):
            place, score, latency = n % BUCKETS, chance.random(), chance.random() * 0.03
            counters.scored(place, score, score > 0.5, latency)
            counters.spent(place, latency / 10, latency / 20)
            counters.valued(place, score)
            if segments:
                counters.in_segments(place, {"site": f"s{n % segments}"}, latency, error=False, decision=score > 0.5)
    lines = [row for role, counters in counted.items() for row in rows(role, counters.to_dict())]
    labels = (("model", "toy"), ("version", version), ("process", f"{version}-{number}"))
    with scraped(
        prometheus, SERVERS, lines, labels, {"cpu_seconds": 3.0, "memory_bytes": 1e8}, model="toy", version=version
    ) as size:
        yield size


@contextmanager
def joiner(prometheus: RunningPrometheus) -> Iterator[int]:
    """The page of a joiner that has paired; how many series it has."""
    pairing = Pairing(0.0, (0.0, 1.0))
    for n in range(20_000):
        pairing.champion_said(Line(f"r{n}", 1.0, "answer", f"u{n}", 0.4, False))
        pairing.candidate_said(Line(f"r{n}", 1.0, "mirror", f"u{n}", 0.6, True))
    couple = (("role", "pairs"), ("model", "toy"), ("champion", "1"), ("candidate", "2"))
    lines: list[Row] = [((*couple, ("row", n)), v) for n, v in vars(pairing.counted()).items() if n != "started_at"]
    with scraped(prometheus, PAIRS, lines, (("process", "joiner"),), {"unread 1": 0.0, "unread 2": 0.0}) as size:
        yield size


@contextmanager
def scraped(
    prometheus: RunningPrometheus, job: str, lines: list[Row], labels: Labels, told: dict[str, float], **target: str
) -> Iterator[int]:
    """A page with these rows and facts, as a target of the job; how many series it has."""
    page = EvidencePage()

    def content(path: str) -> tuple[int, bytes, bytes]:
        facts = {"taken_at": time.time(), "started_at": 1.0, **told}
        return 200, CONTENT_TYPE, page.text(lines, [(fact(labels, name), value) for name, value in facts.items()])

    pulse = Pulse("127.0.0.1", 0, content)
    prometheus.scrape(job, f"127.0.0.1:{pulse.port}", **target)
    try:
        yield sum(len(values) for _, values in lines) + len(told) + 2
    finally:
        pulse.close()


def fact(labels: Labels, name: str) -> Labels:
    """A fact of a process; what the joiner has not read is told by version."""
    name, _, version = name.partition(" ")
    return (*labels, ("fact", name), *((("model", "toy"), ("version", version)) if version else ()))


if __name__ == "__main__":
    main()
