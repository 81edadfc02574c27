"""A watcher that can read nothing: nobody is promoted, nobody reverted, and nobody exposed for long. Virtual clock, lease 10 s."""

import pytest

from sluicegate.actions.release import Watch, open_watch, rollout
from sluicegate.actions.release.withdraw import MOST
from sluicegate.domain.rollout import Kind
from sluicegate.errors import UnavailableError
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.rollouts import begin, enter, pass_stages, watch_until_decided, weight, world

GONE = "the metric source does not answer"


@pytest.fixture
def ports() -> FakePorts:
    return world(stages={0: {"deadline": "1h"}, 1: {"deadline": "1h"}}, look_every="2s")


@pytest.fixture
def mine(ports: FakePorts) -> str:
    return begin(ports)


def at_ten_percent(ports: FakePorts, mine: str) -> Watch:
    pass_stages(ports, mine, 1)
    return enter(ports, mine, 1)


def look_for(ports: FakePorts, watch: Watch, seconds: float) -> list[str]:
    """Decisions of the looks of so many seconds; the guard looks too."""
    end, said = ports.clock.now() + seconds, []
    while ports.clock.now() < end:
        ports.clock.sleep(watch.look_every)
        ports.router.enforce(ports.clock.now())
        said.append(watch.look().decision)
    return said


def events(ports: FakePorts, mine: str, *kinds: Kind) -> list[str]:
    return [e.kind for e in ports.journal.events("toy", mine, kinds=kinds)]


def test_for_three_leases_the_weight_is_held(ports: FakePorts, mine: str) -> None:
    watch = at_ten_percent(ports, mine)
    ports.meter.gone = GONE
    assert set(look_for(ports, watch, 28)) == {"waiting"}
    assert weight(ports) == 10


def test_after_that_it_is_withdrawn_and_the_rollout_stays_open(ports: FakePorts, mine: str) -> None:
    watch = at_ten_percent(ports, mine)
    ports.meter.gone = GONE
    look_for(ports, watch, 40)
    state = rollout(ports, "toy", mine)
    assert (weight(ports), state.open, state.cut_at) == (0, True, None)
    (event,) = ports.journal.events("toy", mine, kinds=(Kind.WITHDRAWN,))
    assert (event.data["weight"], event.reason) == (10, "source_missing")


def test_people_are_told_once(ports: FakePorts, mine: str) -> None:
    watch = at_ten_percent(ports, mine)
    ports.meter.gone = GONE
    told = []
    for _ in range(60):
        ports.clock.sleep(2)
        told.append(watch.look().notice)
    assert [n.what for n in told if n] == ["withdrawn"]


def test_no_outage_promotes_or_reverts_before_the_deadline(ports: FakePorts, mine: str) -> None:
    watch = at_ten_percent(ports, mine)
    ports.meter.gone = GONE
    assert set(look_for(ports, watch, 300)) == {"waiting", "withdrawn"}
    assert events(ports, mine, Kind.PROMOTED, Kind.REVERTED, Kind.CUT) == []


def test_the_weight_is_given_back_when_evidence_returns_and_the_stage_passes(ports: FakePorts, mine: str) -> None:
    watch = at_ten_percent(ports, mine)
    ports.meter.gone = GONE
    look_for(ports, watch, 60)
    ports.meter.gone = ""
    look_for(ports, watch, 2)
    assert weight(ports) == 10
    assert watch_until_decided(ports, watch) == "pass"


def test_harm_is_found_after_the_evidence_is_back(ports: FakePorts, mine: str) -> None:
    watch = at_ten_percent(ports, mine)
    ports.meter.gone = GONE
    look_for(ports, watch, 60)
    ports.meter.gone, ports.meter.candidate.slow = "", 0.6
    assert (watch_until_decided(ports, watch), weight(ports)) == ("fail", 0)


def test_evidence_that_comes_and_goes_is_trusted_only_so_often(ports: FakePorts, mine: str) -> None:
    ports.meter.rate = 1.0
    pass_stages(ports, mine, 1)
    watch = enter(ports, mine, 1)
    for _ in range(MOST + 2):
        ports.meter.gone = GONE
        look_for(ports, watch, 50)
        ports.meter.gone = ""
        look_for(ports, watch, 4)
    assert len(events(ports, mine, Kind.RESUMED)) == MOST
    assert weight(ports) == 0
    assert rollout(ports, "toy", mine).open


def test_while_it_is_withdrawn_the_journal_shows_that_somebody_looks(ports: FakePorts, mine: str) -> None:
    watch = at_ten_percent(ports, mine)
    ports.meter.gone = GONE
    look_for(ports, watch, 40)
    before = ports.clock.now()
    look_for(ports, watch, 60)
    newest = ports.journal.events("toy", mine)[-1]
    assert (newest.kind, newest.at > before + 40) == (Kind.LOOKED, True)
    assert events(ports, mine, Kind.LOOKED).count(Kind.LOOKED) <= 10


@pytest.mark.parametrize(("undecided", "decision"), [("revert", "undecided"), ("hold", "never")])
def test_at_the_deadline_the_spec_decides(undecided: str, decision: str) -> None:
    ports = world(stages={1: {"deadline": "60s"}}, undecided=undecided, look_every="2s")
    watch = at_ten_percent(ports, begin(ports))
    ports.meter.gone = GONE
    assert watch_until_decided(ports, watch, looks=50) == decision
    assert weight(ports) == 0


def test_a_mirror_is_withdrawn_too_and_given_back(ports: FakePorts, mine: str) -> None:
    watch = enter(ports, mine, 0)
    ports.meter.gone = GONE
    look_for(ports, watch, 60)
    assert ports.router.read("toy").mirror == 0
    ports.meter.gone = ""
    assert watch_until_decided(ports, watch) == "pass"
    assert ports.router.read("toy").mirror == 50


def test_the_spec_may_be_more_patient() -> None:
    ports = world(stages={1: {"deadline": "1h"}}, blind="2m", look_every="2s")
    watch = at_ten_percent(ports, begin(ports))
    ports.meter.gone = GONE
    assert set(look_for(ports, watch, 116)) == {"waiting"}


class TestWatcherDies:
    def test_a_new_watcher_knows_for_how_long_nothing_was_seen(self, ports: FakePorts, mine: str) -> None:
        watch = at_ten_percent(ports, mine)
        ports.meter.gone = GONE
        look_for(ports, watch, 20)
        again = open_watch(ports, "toy", mine, 1, author="test")
        look_for(ports, again, 12)
        assert weight(ports) == 0

    def test_a_new_watcher_of_a_withdrawn_stage_gives_nothing_before_it_sees(self, ports: FakePorts, mine: str) -> None:
        watch = at_ten_percent(ports, mine)
        ports.meter.gone = GONE
        look_for(ports, watch, 60)
        again = open_watch(ports, "toy", mine, 1, author="test")
        look_for(ports, again, 20)
        assert weight(ports) == 0
        ports.meter.gone = ""
        look_for(ports, again, 4)
        assert weight(ports) == 10

    def test_a_watcher_that_dies_between_the_journal_and_the_cut_is_followed_by_one_that_cuts(
        self, ports: FakePorts, mine: str, monkeypatch
    ) -> None:
        watch = at_ten_percent(ports, mine)
        ports.meter.gone = GONE
        look_for(ports, watch, 28)
        with monkeypatch.context() as killed:
            killed.setattr(ports.router, "apply", interrupted)
            with pytest.raises(KeyboardInterrupt):
                look_for(ports, watch, 10)
        open_watch(ports, "toy", mine, 1, author="test")
        assert (weight(ports), len(events(ports, mine, Kind.WITHDRAWN))) == (0, 1)

    def test_a_gateway_that_refuses_the_withdrawal_is_asked_again_before_the_stage_is_ended(self, monkeypatch) -> None:
        ports = world(stages={0: {"deadline": "60s"}}, undecided="revert", look_every="2s")
        mine = begin(ports)
        watch = enter(ports, mine, 0)
        ports.meter.gone = GONE
        look_for(ports, watch, 28)
        with monkeypatch.context() as down:
            down.setattr(ports.router, "apply", unavailable)
            with pytest.raises(UnavailableError):
                look_for(ports, watch, 10)
            ports.clock.sleep(60)
            with pytest.raises(UnavailableError):
                watch.look()
            assert events(ports, mine, Kind.CUT) == []
        assert (watch.look().decision, ports.router.read("toy").mirror) == ("undecided", 0)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def unavailable(*_: object) -> None:
    raise UnavailableError("the gateway's folder cannot be written")
