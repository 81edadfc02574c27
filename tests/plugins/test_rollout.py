"""The tasks of a rollout over the shipped fakes: what they ask of the verbs, and how they end."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

from sluicegate.actions.release import champion_version, deploy, open_rollout, promote, revert, rollout, status
from sluicegate.domain.spec import parse_spec
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.rollouts import BRIEF, PREDICTED
from sluicegate_airflow import rollout as shell
from sluicegate_airflow.rollout import OutcomeOperator, ReleaseOperator
from sluicegate_airflow.tasks import verb_task

AUTHOR = "airflow:toy_release"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> FakePorts:
    """A world in which three versions are registered and none is champion."""
    ports = FakePorts(parse_spec(BRIEF, "toy/spec.yaml"))
    for version in ("1", "2", "3"):
        ports.register(version, predicted=PREDICTED)
    monkeypatch.setattr(shell, "wire", lambda: ports)
    return ports


@pytest.fixture
def ports(world: FakePorts) -> FakePorts:
    """The same world with version 1 as champion."""
    first = opened("1", "first")["rollout_id"]
    deploy(world, "toy", first, author=AUTHOR)
    promote(world, "toy", first, author=AUTHOR)
    return world


def context(version: str | None = None, run_id: str = "run", events: dict | None = None) -> dict:
    pushed: dict[str, object] = {}
    ti = SimpleNamespace(map_index=-1, pushed=pushed, xcom_push=lambda key, value: pushed.update({key: value}))
    dag = SimpleNamespace(dag_id="toy_release")
    return {"dag": dag, "ti": ti, "run_id": run_id, "params": {"version": version}, "triggering_asset_events": events or {}}


def opened(version: str = "2", run_id: str = "run") -> dict:
    return verb_task("toy", "open").execute(context(version, run_id))


class TestOpen:
    def test_a_version_given_by_hand_is_opened_in_the_name_of_the_dag(self, ports) -> None:
        assert opened("2")["candidate"] == "2"
        assert ports.journal.events("toy", kinds=("OPENED",))[-1].author == AUTHOR

    def test_the_newest_candidate_event_names_the_version(self, ports) -> None:
        events = {"asset": [SimpleNamespace(extra={"version": v}) for v in ("3", "2")]}
        assert verb_task("toy", "open").execute(context(events=events))["candidate"] == "3"

    def test_the_same_run_opens_the_same_rollout_again(self, ports) -> None:
        assert opened()["rollout_id"] == opened()["rollout_id"]

    def test_a_run_that_names_no_version_fails_with_what_to_do(self, ports) -> None:
        with pytest.raises(AirflowFailException, match="fill in 'version'"):
            opened(None)

    def test_the_champion_is_not_released_again(self, ports) -> None:
        with pytest.raises(AirflowSkipException, match="champion already"):
            opened("1")

    def test_what_an_earlier_run_of_this_dag_left_open_is_taken_back_first(self, ports) -> None:
        left = opened("2", "killed")["rollout_id"]
        assert opened("3", "next")["candidate"] == "3"
        assert rollout(ports, "toy", left).reason == "abandoned"

    def test_a_lock_that_a_promotion_was_killed_before_giving_back_is_given_back_first(self, world, monkeypatch) -> None:
        first = opened("1", "first")["rollout_id"]
        deploy(world, "toy", first, author=AUTHOR)
        with monkeypatch.context() as killed:
            killed.setattr(world.journal, "release", interrupted)
            with pytest.raises(KeyboardInterrupt):
                promote(world, "toy", first, author=AUTHOR)
        assert opened("2")["candidate"] == "2"
        assert champion_version(world, "toy") == "1"

    def test_a_rollout_of_somebody_else_is_left_alone(self, ports) -> None:
        other = open_rollout(ports, "toy", "3", author="cli:eve", run_id="x").rollout_id
        with pytest.raises(AirflowFailException, match=other):
            opened("2")
        assert rollout(ports, "toy", other).open


class TestVerbs:
    def test_a_verb_is_called_with_model_rollout_stage_and_author(self, ports) -> None:
        mine = opened()["rollout_id"]
        for verb, index in (("deploy", None), ("enter_stage", 0)):
            ReleaseOperator(task_id=verb, model="toy", verb=verb, index=index, rollout_id=mine).execute(context())
        assert [e.kind for e in ports.journal.events("toy", mine)] == ["OPENED", "DEPLOYED", "STAGE_ENTERED"]
        assert ports.router.read("toy").mirror == 50

    def test_what_makes_no_sense_now_fails_the_task_for_good(self, ports) -> None:
        mine = opened()["rollout_id"]
        with pytest.raises(AirflowFailException, match="not deployed"):
            ReleaseOperator(task_id="promote", model="toy", verb="promote", rollout_id=mine).execute(context())


class TestEnds:
    def test_a_task_that_failed_reverts_with_that_reason(self, ports) -> None:
        mine = opened()["rollout_id"]
        deploy(ports, "toy", mine, author=AUTHOR)
        ended = verb_task("toy", "revert", rollout_id=mine).execute(context())
        assert (ended["outcome"], ended["reason"]) == ("REVERTED", "task_failed")

    def test_a_promoted_rollout_is_not_taken_back(self, ports) -> None:
        with pytest.raises(AirflowSkipException, match="nothing to take back"):
            verb_task("toy", "revert", rollout_id=status(ports, "toy").rollout_id).execute(context())

    def test_a_reverted_rollout_is_an_outcome_and_the_rest_is_skipped(self, ports) -> None:
        mine = opened()["rollout_id"]
        revert(ports, "toy", mine, author="cli:eve", reason="by_hand")
        outcome, given = with_follower(mine), context()
        with pytest.raises(DownstreamTasksSkipped) as e:
            outcome.execute(given)
        assert e.value.tasks == ["retention"]
        assert given["ti"].pushed["return_value"]["outcome"] == "REVERTED"

    def test_a_first_version_has_no_old_champion_to_wait_for(self, ports) -> None:
        with pytest.raises(DownstreamTasksSkipped):
            with_follower(status(ports, "toy").rollout_id).execute(context())

    def test_a_rollout_that_is_still_open_is_no_outcome(self, ports) -> None:
        mine = opened()["rollout_id"]
        with pytest.raises(AirflowFailException, match="neither been promoted nor reverted"):
            with_follower(mine).execute(context())


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def with_follower(rollout_id: str) -> OutcomeOperator:
    from airflow.sdk import DAG

    with DAG("toy_release", schedule=None):
        outcome = OutcomeOperator(task_id="outcome", model="toy", rollout_id=rollout_id)
        outcome >> verb_task("toy", "retire", task_id="retention")
    return outcome
