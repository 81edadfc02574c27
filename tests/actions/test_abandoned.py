"""What holds a model's lock and has nobody behind it any more is ended, and nothing else is."""

import pytest

from sluicegate.actions.release import enter_stage, open_watch, pause, promote, rollout
from sluicegate.actions.release.abandoned import Sweep, run_sweep
from sluicegate.domain.rollout import Kind, Outcome
from sluicegate.domain.spec import ABANDONED_S
from sluicegate.errors import UnavailableError
from sluicegate.ports import Lock
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.rollouts import begin, enter, watch_until_decided, weight, world


@pytest.fixture
def ports() -> FakePorts:
    return world()


@pytest.fixture
def sweep(ports: FakePorts) -> Sweep:
    return Sweep(ports, uptime=ports.clock.now)


def silence(ports: FakePorts, sweep: Sweep, seconds: float) -> list[str]:
    """Holders that were ended while nobody did anything for so long."""
    ended = sweep.look()
    ports.clock.sleep(seconds)
    return [lock.holder for lock in (*ended, *sweep.look())]


def test_rollout_about_which_nothing_is_journaled_is_taken_back(ports: FakePorts, sweep: Sweep) -> None:
    rollout_id = begin(ports)
    assert watch_until_decided(ports, enter(ports, rollout_id, 0)) == "pass"
    enter_stage(ports, "toy", rollout_id, 1, author="test")
    assert silence(ports, sweep, ABANDONED_S + 1) == [rollout_id]
    state = rollout(ports, "toy", rollout_id)
    assert (state.outcome, state.reason, weight(ports), ports.journal.locks().get("toy")) == (
        Outcome.REVERTED,
        "abandoned",
        0,
        None,
    )


def test_rollout_that_somebody_watches_is_left_alone_however_long_it_takes(ports: FakePorts, sweep: Sweep) -> None:
    rollout_id = begin(ports)
    enter_stage(ports, "toy", rollout_id, 0, author="test")
    watch = open_watch(ports, "toy", rollout_id, 0, author="test")
    for _ in range(4):
        watch.look()
        assert silence(ports, sweep, 0.6 * ABANDONED_S) == []


def test_rollout_that_a_person_paused_waits_for_that_person(ports: FakePorts, sweep: Sweep) -> None:
    rollout_id = begin(ports)
    pause(ports, "toy", rollout_id, author="anna", reason="let me look")
    assert silence(ports, sweep, 10 * ABANDONED_S) == []


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_promotion_that_was_journaled_but_not_carried_out_is_carried_out(
    ports: FakePorts, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = begin(ports)
    for index in range(4):
        assert watch_until_decided(ports, enter(ports, rollout_id, index)) == "pass"
    with monkeypatch.context() as killed:
        killed.setattr(ports.router, "apply", interrupted)
        with pytest.raises(KeyboardInterrupt):
            promote(ports, "toy", rollout_id, author="test")
    assert silence(ports, sweep, ABANDONED_S + 1) == [rollout_id]
    route = ports.router.read("toy")
    assert (route.champion.version, route.candidate, ports.journal.locks().get("toy")) == ("2", None, None)


def test_lock_that_was_taken_for_something_that_never_began_is_given_back(ports: FakePorts, sweep: Sweep) -> None:
    ports.journal.acquire("toy", "nobody")
    assert silence(ports, sweep, ABANDONED_S + 1) == ["nobody"]
    assert ports.journal.locks().get("toy") is None


def test_model_that_has_no_files_here_is_swept_as_well(ports: FakePorts, sweep: Sweep) -> None:
    rollout_id = begin(ports)
    assert not (ports.settings.models / "toy").exists()
    assert silence(ports, sweep, ABANDONED_S + 1) == [rollout_id]


def test_lock_that_was_given_back_and_taken_again_is_counted_anew(ports: FakePorts, sweep: Sweep) -> None:
    first = ports.journal.acquire("toy", "first")
    assert silence(ports, sweep, 0.9 * ABANDONED_S) == []
    ports.journal.release("toy", first.token)
    ports.journal.acquire("toy", "second")
    assert silence(ports, sweep, 0.9 * ABANDONED_S) == []
    assert silence(ports, sweep, 0.2 * ABANDONED_S) == ["second"]


def test_journal_that_does_not_answer_is_asked_again_and_the_sweep_is_not_well_meanwhile(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Exception | dict[str, Lock]] = [UnavailableError("the database is away"), {}, {}]
    looks, beats = 0, list[int]()

    def locks() -> dict[str, Lock]:
        nonlocal looks
        looks += 1
        answer = answers[looks - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(ports.journal, "locks", locks)
    run_sweep(ports, stopped=lambda _: looks == len(answers), looked=lambda: beats.append(looks))
    assert beats == [2, 3]
    assert "the database is away" in caplog.text


def test_end_that_cannot_be_made_now_is_made_at_a_later_look(ports: FakePorts, sweep: Sweep) -> None:
    rollout_id = begin(ports)
    enter_stage(ports, "toy", rollout_id, 0, author="test")
    sweep.look()
    ports.clock.sleep(ABANDONED_S + 1)
    ports.router.answering = False
    assert sweep.look() == []
    assert not ports.journal.events("toy", rollout_id, kinds=(Kind.REVERTED,))
    ports.router.answering = True
    ports.clock.sleep(5)
    assert [lock.holder for lock in sweep.look()] == [rollout_id]
