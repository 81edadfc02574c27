"""How a rollout ends in a whole installation when its Dag does not end it.

A person asks in Airflow, with the rights of Airflow's account and no others, and has the traffic at once, the servers by a pod. Or nobody
works on it any more, and the sweep ends it from within the cluster.
"""

import json
from collections.abc import Iterator

import pytest
from tests.cluster.pods.ground import MODEL, Ground, standing
from tests.cluster.pods.rig import PATIENT_S

from sluicegate.actions.release import champion_version, rollout
from sluicegate.domain.rollout import Kind, Outcome
from sluicegate.errors import RefusedError
from sluicegate.testing.cluster import Cluster, Images
from sluicegate.testing.waiting import wait_until


@pytest.fixture(scope="module")
def ground(cluster: Cluster, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with standing(cluster, images, tmp_path_factory.mktemp("installed")) as ground:
        yield ground


def test_the_account_of_airflow_may_itself_stop_no_server(ground: Ground) -> None:
    with ground.acting("airflow") as ports, pytest.raises(RefusedError, match=r"forbids .*deployments"):
        ports.runtime.stop(MODEL, str(champion_version(ports, MODEL)))


@pytest.mark.parametrize(("action", "outcome"), [("abort", Outcome.ABORTED), ("revert", Outcome.REVERTED)])
def test_who_stops_a_rollout_has_its_traffic_at_once_and_its_servers_soon(ground: Ground, action: str, outcome: Outcome) -> None:
    mine = ground.candidate(promoted=False)
    with ground.acting("airflow") as ports:
        task, champion = ground.chosen(action), str(champion_version(ports, MODEL))
        pause = task.begin()
        route = ports.router.read(MODEL)
        assert route is not None
        assert (route.weight, route.champion.version, len(ground.servers())) == (0, champion, 2)
        assert task.follow(pause)["outcome"] == outcome
        state = rollout(ports, MODEL, mine)
        (cut,) = ports.journal.events(MODEL, mine, kinds=(Kind.CUT,))
    assert (state.outcome, state.reason, cut.author) == (outcome, "customers call", "airflow-user:anna")
    assert state.followed_up == done("reverted", "candidate_alias")
    ground.left_with(champion)


@pytest.mark.parametrize("action", ["revert", "reinstate"])
def test_who_takes_a_promotion_back_leaves_no_server_of_it(ground: Ground, action: str) -> None:
    with ground.acting("airflow") as ports:
        old = champion_version(ports, MODEL)
    mine = ground.candidate(promoted=True)
    with ground.acting("airflow") as ports:
        ground.chosen(action).run()
        state, route = rollout(ports, MODEL, mine), ports.router.read(MODEL)
        assert route is not None
        assert (champion_version(ports, MODEL), route.champion.version, state.reinstated) == (old, old, True)
    ground.left_with(str(old))
    assert done("reinstated", "alias") <= state.followed_up


def test_who_retires_an_old_champion_leaves_no_server_of_it(ground: Ground) -> None:
    mine = ground.candidate(promoted=True)
    with ground.acting("airflow") as ports:
        ground.chosen("retire").run()
        state = rollout(ports, MODEL, mine)
        (retired,) = ports.journal.events(MODEL, mine, kinds=(Kind.RETIRED,))
    assert (state.retired, retired.author) == (True, "airflow-user:anna")
    ground.left_with(state.candidate)


def test_who_pauses_and_resumes_needs_no_pod(ground: Ground) -> None:
    mine = ground.candidate(promoted=False)
    with ground.acting("airflow") as ports:
        for action, held in (("pause", True), ("resume", False)):
            assert ground.chosen(action).begin() is None
            assert (rollout(ports, MODEL, mine).paused_at is not None, ground.verbs()) == (held, [])
        ground.chosen("abort").run()


def test_what_nobody_works_on_any_more_is_taken_back_by_the_sweep_with_its_servers(ground: Ground) -> None:
    ground.plan(abandoned="25s")
    with ground.swept(), ground.acting("release") as ports:
        champion = champion_version(ports, MODEL)
        left = ground.candidate(promoted=False)
        route = ports.router.read(MODEL)
        assert route is not None
        assert (route.weight, len(ground.servers())) == (50, 2)
        ground.left_with(str(champion))
        wait_until(lambda: done("reverted", "candidate_alias") <= rollout(ports, MODEL, left).followed_up, PATIENT_S)
        state, route = rollout(ports, MODEL, left), ports.router.read(MODEL)
        assert route is not None
        assert (route.weight, route.champion.version, ports.journal.locks()) == (0, champion, {})
        (ended,) = ports.journal.events(MODEL, left, kinds=(Kind.REVERTED,))
        told = [json.loads(line) for line in ground.kubectl("logs", "deployment/sluicegate-sweep").splitlines()]
    assert (state.outcome, state.reason, ended.author) == (Outcome.REVERTED, "abandoned", "sweep")
    assert [line["holder"] for line in told if line.get("event") == "abandoned"] == [left]


def done(end: str, own: str) -> set[str]:
    """What follows an end."""
    return {f"{end}:{step}" for step in ("server", own, "incident", "notice")}
