"""What a Prometheus cannot tell whole is missing with its reason, the real judge says INCONCLUSIVE, and both go on by themselves."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from tests.cluster.watching.rig import PATIENCE_S, Rig, grown

from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.promql_meter import PromqlMeter
from sluicegate.adapters.promql_meter.queries import SERVERS
from sluicegate.adapters.promql_meter.table import STALE_S
from sluicegate.domain.evidence import SCORE_BINS, Predicted, Reading
from sluicegate.domain.spec import Gate, Gates, Release, StageSpec
from sluicegate.domain.verdict import Verdict
from sluicegate.gates import add, judge, open_case
from sluicegate.gates.looks import COUNTER_RESET, SOURCE_MISSING
from sluicegate.serving.counters import Counters
from sluicegate.serving.evidence_page import CONTENT_TYPE, EvidencePage, rows
from sluicegate.serving.pulse import Pulse
from sluicegate.testing.waiting import wait_until

INVENTED = "7"
STAGE = StageSpec(weight=50, bake=1, min_requests=1)
RELEASE = Release(stages=(STAGE, StageSpec(weight=100)), gates=Gates(error_rate=Gate(margin=0.01)))
PREDICTED = Predicted(rows=1000, mean_score=0.5, decision_rate=0.5, histogram=(1 / SCORE_BINS,) * SCORE_BINS)


def judged(*readings: Reading) -> tuple[Verdict, str]:
    """Verdict and reason after these readings of a stage, the first one at its entry."""
    case = open_case(RELEASE, STAGE, PREDICTED, readings[0], (0.0, 1.0))
    for reading in readings[1:]:
        case = add(case, reading)
    verdict = judge(case)
    return verdict.verdict, verdict.reason


def lacks(reading: Reading, words: str) -> bool:
    return any(words in sentence for sentence in reading.missing)


def test_prometheus_that_is_down_is_missing_and_read_again_when_it_is_back(rig: Rig) -> None:
    before = rig.served()
    rig.prometheus.kill()
    try:
        blind = rig.read()
    finally:
        rig.prometheus.start()
    after = rig.served()
    assert (blind.champion, blind.candidate, blind.mirror, blind.pairs, blind.gateway) == (None,) * 5
    assert all("does not answer" in sentence for sentence in blind.missing)
    assert judged(before, blind) == (Verdict.INCONCLUSIVE, SOURCE_MISSING)
    assert judged(before, blind, after)[1] != SOURCE_MISSING
    assert grown(before, after)[:3] == (20, 20, 20)


def test_prometheus_that_hangs_is_missing_after_its_patience(rig: Rig) -> None:
    before = rig.whole()
    assert rig.prometheus.process is not None
    hasty = PromqlMeter(rig.settings, FolderDataset(rig.settings))
    os.kill(rig.prometheus.process.pid, signal.SIGSTOP)
    try:
        blind = hasty.read(rig.route, since=0.0)
    finally:
        os.kill(rig.prometheus.process.pid, signal.SIGCONT)
    assert {sentence.split(":")[0] for sentence in blind.missing} == {"champion 1", "candidate 2", "pairs"}
    assert lacks(blind, "does not answer within 1.0 s")
    assert judged(before, blind) == (Verdict.INCONCLUSIVE, SOURCE_MISSING)


def test_replica_that_cannot_be_scraped_makes_its_version_missing_and_not_smaller(rig: Rig) -> None:
    before = rig.served()
    pod = rig.of("2")[0]
    os.kill(pod.server.process.pid, signal.SIGSTOP)
    try:
        blind = rig.until(lambda reading: lacks(reading, "1 of 2 pods cannot be scraped"))
    finally:
        os.kill(pod.server.process.pid, signal.SIGCONT)
    after = rig.served()
    assert (blind.candidate, blind.mirror) == (None, None)
    assert lacks(blind, pod.folder.name)
    assert blind.champion is not None
    assert judged(before, blind) == (Verdict.INCONCLUSIVE, SOURCE_MISSING)
    assert after.candidate is not None
    assert before.candidate is not None
    assert after.candidate.started_at == before.candidate.started_at
    assert grown(before, after)[:3] == (20, 20, 20)


def test_replica_that_starts_anew_is_told_as_a_reset_and_what_it_counts_then_counts(rig: Rig) -> None:
    before = rig.served()
    pod = rig.of("2")[0]
    pod.kill()
    rig.start_pod("2", again=pod)
    reset = rig.until(lambda r: not r.missing and r.candidate.started_at > before.candidate.started_at)
    after = rig.served()
    assert judged(before, reset) == (Verdict.INCONCLUSIVE, COUNTER_RESET)
    assert judged(before, reset, after)[1] != COUNTER_RESET
    assert grown(reset, after) == (20, 20, 20, 18)


def test_replica_that_joins_is_no_reset_and_adds_what_it_answers(rig: Rig) -> None:
    before = rig.served()
    rig.start_pod("2")
    joined = rig.until(lambda r: not r.missing and len(rig.of("2")) == 3)
    after = rig.served(30)
    assert joined.candidate is not None
    assert before.candidate is not None
    assert joined.candidate.started_at == before.candidate.started_at
    assert grown(before, after)[:3] == (30, 30, 30)
    rig.remove_pod(rig.of("2")[-1])
    removed = rig.until(lambda r: not r.missing and r.candidate.started_at > before.candidate.started_at)
    assert judged(after, removed) == (Verdict.INCONCLUSIVE, COUNTER_RESET)


def test_pod_that_ends_in_order_hides_nobody_while_its_target_is_still_there(rig: Rig) -> None:
    """As in a cluster, where a pod stays for many seconds after its server, until its log is shipped."""
    pod = rig.start_pod("1", linger=6.0)
    before = rig.until(lambda r: not r.missing and pod.folder.name in rig.scraped())
    pod.server.process.terminate()
    pod.server.process.wait(60.0)
    try:
        after = rig.until(lambda r: not r.missing and r.champion.started_at > before.champion.started_at)
        assert pod.address in rig.prometheus.targets[SERVERS]
    finally:
        rig.remove_pod(pod)
    assert judged(before, after) == (Verdict.INCONCLUSIVE, COUNTER_RESET)


def test_version_without_targets_is_missing(rig: Rig) -> None:
    before, blind = rig.whole(), rig.read(candidate="9")
    assert "candidate 9: Prometheus scrapes no pod of it" in blind.missing
    assert judged(before, blind) == (Verdict.INCONCLUSIVE, SOURCE_MISSING)


def page(process: str = "second", *, version: str = INVENTED, value: float = 1.0, at: float | None = None) -> bytes:
    """A page of one valued answer; with `at`, epoch seconds, every sample has that time."""
    counters = Counters(1.0, (25.0,), (0.0, 1.0), ("site",), valued=True)
    counters.scored(3, 0.5, True, 0.01)
    counters.valued(3, value)
    common = (("model", "toy"), ("version", version), ("process", process))
    told = {"taken_at": time.time(), "started_at": 1.0, "cpu_seconds": 1.0, "memory_bytes": 1e6, "answers": 1}
    facts = [((*common, ("fact", name)), number) for name, number in told.items()]
    text = EvidencePage().text(rows("answer", counters.to_dict()), facts)
    if at is None:
        return text
    stamp = f" {at * 1000:.0f}".encode()
    return b"\n".join(line + stamp if line and not line.startswith(b"#") else line for line in text.split(b"\n"))


@pytest.fixture(scope="module")
def invented(shared_rig: Rig) -> Iterator[dict[str, Callable[[], bytes]]]:
    """A version of two pods that tell what a test wants: the pages by pod."""
    pages: dict[str, Callable[[], bytes]] = {name: partial(page, name) for name in ("first", "second")}
    pulses = [Pulse("127.0.0.1", 0, lambda _, name=name: (200, CONTENT_TYPE, pages[name]())) for name in pages]  # no answers
    for name, pulse in zip(pages, pulses, strict=True):
        shared_rig.prometheus.scrape(SERVERS, f"127.0.0.1:{pulse.port}", model="toy", version=INVENTED, pod=name)
    shared_rig.until(lambda r: r.candidate is not None and sum(r.candidate.requests) == 2, candidate=INVENTED)
    yield pages
    for pulse in pulses:
        shared_rig.prometheus.forget(SERVERS, f"127.0.0.1:{pulse.port}")
        pulse.close()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        pytest.param(lambda: page(value=float("nan")), "answer value_sum are no 200 finite numbers", id="nan"),
        pytest.param(lambda: page("first"), "scraped by two targets", id="the same process twice"),
        pytest.param(
            lambda: page(version="8"), "1 of 2 pods are scraped and tell no evidence of it (second)", id="another version"
        ),
        pytest.param(lambda: b"", "1 of 2 pods are scraped and tell no evidence of it (second)", id="empty"),
        pytest.param(lambda: b"<html>", "1 of 2 pods cannot be scraped (second)", id="no page for Prometheus"),
        pytest.param(lambda: page(at=time.time() - 30), f"s old, more than {STALE_S:g} s", id="old"),
    ],
)
def test_one_pod_without_sound_evidence_makes_its_version_missing(
    rig: Rig, invented: dict[str, Callable[[], bytes]], told: Callable[[], bytes], words: str
) -> None:
    before = rig.whole()
    invented["second"] = told
    try:
        blind = rig.until(lambda reading: lacks(reading, words), candidate=INVENTED)
    finally:
        invented["second"] = page
    assert (blind.candidate, blind.mirror) == (None, None)
    assert blind.champion is not None
    assert judged(before, blind) == (Verdict.INCONCLUSIVE, SOURCE_MISSING)


def test_pod_that_is_starting_hides_nobody(rig: Rig) -> None:
    before = rig.whole()
    nowhere = "127.0.0.1:9"
    rig.prometheus.scrape(SERVERS, nowhere, model="toy", version="2", pod="starting")
    try:
        time.sleep(3.0)  # three scrapes
        during = rig.whole()
    finally:
        rig.prometheus.forget(SERVERS, nowhere)
    assert grown(before, during)[:3] == (0, 0, 0)


def test_pods_of_another_installation_count_and_hide_nothing_here(rig: Rig) -> None:
    """The same Prometheus watches models of the same names in another namespace."""
    before = rig.whole()
    theirs = Pulse("127.0.0.1", 0, lambda _: (200, CONTENT_TYPE, page("theirs", version="2")))
    addresses = {"theirs": f"127.0.0.1:{theirs.port}", "silent": "127.0.0.1:9"}
    for pod, address in addresses.items():
        rig.prometheus.scrape(SERVERS, address, model="toy", version="2", pod=pod, namespace="elsewhere")
    try:
        wait_until(lambda: "theirs" in rig.scraped(), PATIENCE_S, "a scrape of the other one's pod")
        time.sleep(4.0)  # longer than the joiner lets a pod be silent
        during = rig.whole()
    finally:
        for address in addresses.values():
            rig.prometheus.forget(SERVERS, address)
        theirs.close()
    assert grown(before, during) == (0, 0, 0, 0)


def test_joiner_that_is_gone_is_missing_and_its_successor_counts_from_zero(rig: Rig) -> None:
    before = rig.served()
    assert rig.joiner is not None
    rig.joiner.kill()
    rig.joiner.wait()
    blind = rig.until(lambda reading: lacks(reading, "pairs: 1 of 1 pods cannot be scraped"))
    rig.start_joiner()
    reset = rig.until(lambda r: not r.missing and r.pairs.started_at > before.pairs.started_at)
    after = rig.served()
    assert blind.pairs is None
    assert sum(reset.pairs.pairs) < sum(before.pairs.pairs)
    assert grown(reset, after) == (20, 20, 20, 18)


def test_pod_whose_answers_cannot_be_read_makes_pairs_missing(rig: Rig) -> None:
    rig.served()
    pod = rig.of("1")[0]
    os.kill(pod.server.process.pid, signal.SIGSTOP)
    try:
        blind = rig.until(lambda reading: lacks(reading, "pairs: the joiner cannot read the newest answers of 1 pods"))
    finally:
        os.kill(pod.server.process.pid, signal.SIGCONT)
    assert blind.pairs is None
    assert rig.served().pairs is not None
