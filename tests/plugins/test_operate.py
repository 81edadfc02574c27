"""People act from the UI: the verb they chose, in their own name, and what the waiting tasks make of it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped, TaskDeferred
from kubernetes.client import ApiClient

from sluicegate.actions import carry_out
from sluicegate.actions.release import (
    champion_version,
    deploy,
    enter_stage,
    open_rollout,
    pause,
    promote,
    reinstate,
    resume,
    rollout,
)
from sluicegate.actions.release.asked import end_abandoned
from sluicegate.adapters.order_pods import Claim
from sluicegate.domain.order import Order
from sluicegate.domain.spec import parse_spec
from sluicegate.errors import RefusedError, UnavailableError
from sluicegate.settings import Settings
from sluicegate.testing.outbox import MemoryOutbox
from sluicegate.testing.ports import FakePorts
from sluicegate.testing.results import MemoryResults
from sluicegate.testing.rollouts import BRIEF, PREDICTED
from sluicegate.testing.runtime import MemoryRuntime
from sluicegate_airflow import operate, pauses, pods, retention
from sluicegate_airflow import rollout as shell
from sluicegate_airflow.operate import OperateOperator
from sluicegate_airflow.pauses import PauseTrigger
from sluicegate_airflow.retention import TAKEN_BACK, RetentionSensor, RetentionTrigger
from sluicegate_airflow.rollout import ReleaseOperator
from sluicegate_airflow.tasks import operate_task


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> FakePorts:
    """A world in which version 1 is champion and version 2 is deployed."""
    ports = FakePorts(parse_spec(BRIEF, "toy/spec.yaml"))
    for version in ("1", "2"):
        ports.register(version, predicted=PREDICTED)
        opened = open_rollout(ports, "toy", version, author="airflow:toy_release", run_id=version).rollout_id
        deploy(ports, "toy", opened, author="test")
        if version == "1":
            promote(ports, "toy", opened, author="test")
    for module in (shell, operate, pauses, retention):
        monkeypatch.setattr(module, "wire", lambda: ports)
    return ports


@pytest.fixture
def mine(world: FakePorts) -> str:
    """The rollout of version 2."""
    return world.journal.events("toy", kinds=("OPENED",))[-1].rollout


def context(
    action: str = "pause", reason: str = "a look at the numbers", user: str | None = "anna", at: datetime | None = None
) -> dict:
    dag_run = SimpleNamespace(triggering_user_name=user, run_after=at or datetime.now(UTC))
    params = {"action": action, "reason": reason}
    ti = SimpleNamespace(map_index=-1, xcom_push=lambda **_: None)
    return {
        "dag": SimpleNamespace(dag_id="toy_operate"),
        "dag_run": dag_run,
        "params": params,
        "ti": ti,
    }


def act(action: str, **more: Any) -> dict:
    return OperateOperator(task_id="act", model="toy").execute(context(action, **more))


def promoted(world: FakePorts, mine: str) -> None:
    """What the stages leave when every one has passed."""
    for index in range(2):
        enter_stage(world, "toy", mine, index, author="test")
        data = {"index": index, "verdict": "PASS", "reason": "all_gates_pass", "message": ""}
        world.journal.append("toy", mine, "STAGE_DECIDED", data, author="test")
    promote(world, "toy", mine, author="test")


class TestOperate:
    def test_the_journal_names_the_user_who_triggered_the_run_and_the_reason(self, world, mine) -> None:
        act("pause")
        event = world.journal.events("toy", mine, kinds=("PAUSED",))[-1]
        assert (event.author, event.reason) == ("airflow-user:anna", "a look at the numbers")

    def test_a_run_that_no_person_triggered_is_the_dags(self, world, mine) -> None:
        act("pause", user=None)
        assert world.journal.events("toy", mine, kinds=("PAUSED",))[-1].author == "airflow:toy_operate"

    def test_every_choice_calls_its_verb(self, world, mine) -> None:
        act("pause")
        act("resume")
        promoted(world, mine)
        assert act("revert")["phase"] == "ended"
        assert champion_version(world, "toy") == "1"

    @pytest.mark.parametrize("action", ["resume", "approve", "reinstate", "retire"])
    def test_what_makes_no_sense_now_fails_at_once_with_a_sentence(self, world, mine, action: str) -> None:
        with pytest.raises(AirflowFailException, match="RefusedError: rollout"):
            act(action)

    def test_a_later_try_means_the_rollout_that_its_person_saw_not_one_that_came_since(self, world, mine) -> None:
        pressed = datetime.fromtimestamp(world.clock.now(), UTC)
        act("abort", at=pressed)
        world.clock.sleep(60)
        world.register("3", predicted=PREDICTED)
        newer = open_rollout(world, "toy", "3", author="airflow:toy_release", run_id="3").rollout_id
        assert act("abort", at=pressed)["rollout_id"] == mine
        assert rollout(world, "toy", newer).open

    def test_a_model_that_was_never_released_has_nothing_to_act_on(self, monkeypatch) -> None:
        empty = FakePorts(parse_spec(BRIEF, "toy/spec.yaml"))
        monkeypatch.setattr(operate, "wire", lambda: empty)
        with pytest.raises(AirflowFailException, match="no rollout yet"):
            act("abort")


class ServersForbidden(MemoryRuntime):
    """What the account of Airflow may do to servers: see them."""

    def stop(self, model: str, version: str) -> None:
        raise RefusedError(f"the cluster forbids to stop version {version} of {model}")


class InPods:
    """The world with pods: a worker that may stop no server, and what the pod of an order does, who may."""

    def __init__(self, world: FakePorts, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.world, self.outbox, self.claimed = world, MemoryOutbox(), []
        self.mine, self.folder = world.runtime, folder
        world.settings = Settings(
            profile="kubernetes", home=folder, store_url="s3://b/p", image_work="work:1", image_serve="serve:1"
        )
        world.results, world.outbox, world.pods = MemoryResults(folder / "results"), self.outbox, self
        world.sources = SimpleNamespace(send=lambda model: f"digest-of-{model}")
        world.runtime = ServersForbidden()
        world.runtime.__dict__.update(self.mine.__dict__)  # it sees the same servers
        for name, value in world.settings.to_environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(pods, "wire", lambda: world)
        monkeypatch.setattr(pods.PodOperator, "hook", SimpleNamespace(is_in_cluster=False))

    def claim(self, job: object, body: dict) -> Claim:
        self.claimed.append((job, body))
        return Claim("started")

    def plain(self, pod: object) -> dict:
        found: dict = ApiClient().sanitize_for_serialization(pod)
        return found

    def chosen(self, action: str) -> Order:
        """A person chooses; returns the order that the pod got."""
        with pytest.raises(TaskDeferred):
            operate_task("toy").execute(in_run(action))
        return self.claimed[-1][0].order

    def carried_out(self, order: Order) -> dict:
        """What the pod does."""
        self.world.runtime = self.mine
        return dict(carry_out(order, self.world))


@pytest.fixture
def cluster(world: FakePorts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InPods:
    return InPods(world, monkeypatch, tmp_path)


def in_run(action: str) -> dict:
    known = context(action)
    pushed: dict = {}
    ti = SimpleNamespace(
        **{"dag_id": "toy_operate", "task_id": "act", "map_index": -1, "try_number": 1, "pushed": pushed},
        start_date=datetime.now(UTC),
        xcom_push=lambda key, value: pushed.update({key: value}),
    )
    return known | {"ti": ti, "run_id": "by hand"}


class TestOperateInPods:
    def test_an_abort_has_cut_before_there_is_a_pod_and_the_pod_does_the_rest(self, world, mine, cluster) -> None:
        enter_stage(world, "toy", mine, 0, author="test")
        order = cluster.chosen("abort")
        state, route = rollout(world, "toy", mine), world.router.read("toy")
        assert (route.weight, route.mirror, route.champion.version) == (0, 0, "1")
        assert (state.open, state.ending, state.cut_reason) == (True, "ABORTED", "a look at the numbers")
        wish = {"verb": "abort", "rollout_id": mine, "author": "airflow-user:anna", "reason": "a look at the numbers"}
        assert dict(order.inputs) == wish | {"attempt": "by hand 1"}
        assert cluster.claimed[-1][1]["spec"]["serviceAccountName"] == "sluicegate-release"
        assert cluster.carried_out(order)["outcome"] == "ABORTED"
        assert [s.target.version for s in world.runtime.status("toy")] == ["1"]

    def test_whoever_ends_it_before_the_pod_does_so_as_the_person_said(self, world, mine, cluster) -> None:
        enter_stage(world, "toy", mine, 0, author="test")
        order = cluster.chosen("abort")
        world.runtime = cluster.mine
        end_abandoned(world, "toy", "airflow:toy_release")
        ended = cluster.carried_out(order)
        assert (ended["outcome"], ended["reason"]) == ("ABORTED", "a look at the numbers")

    def test_a_gateway_that_does_not_answer_keeps_no_pod_from_its_work(self, world, mine, cluster, monkeypatch) -> None:
        enter_stage(world, "toy", mine, 0, author="test")
        with monkeypatch.context() as away:
            away.setattr(world.router, "apply", unavailable)
            order = cluster.chosen("abort")
        assert cluster.carried_out(order)["outcome"] == "ABORTED"
        assert world.router.read("toy").mirror == 0

    @pytest.mark.parametrize(("action", "left"), [("revert", ["1"]), ("reinstate", ["1"]), ("retire", ["2"])])
    def test_a_promoted_rollout_is_left_to_the_pod_alone(self, world, mine, cluster, action: str, left: list[str]) -> None:
        promoted(world, mine)
        order = cluster.chosen(action)
        assert world.router.read("toy").champion.version == "2"
        assert cluster.carried_out(order)["outcome"] == "PROMOTED"
        assert [s.target.version for s in world.runtime.status("toy")] == left

    def test_what_touches_the_journal_alone_needs_no_pod(self, world, mine, cluster) -> None:
        run = in_run("pause")
        operate_task("toy").execute(run)
        assert (cluster.claimed, run["ti"].pushed["return_value"]["rollout_id"]) == ([], mine)
        assert rollout(world, "toy", mine).paused_at is not None

    def test_what_came_of_it_is_returned(self, world, mine, cluster) -> None:
        run, task = in_run("abort"), operate_task("toy")
        with pytest.raises(TaskDeferred) as pause:
            task.execute(run)
        (job, _) = cluster.claimed[0]
        cluster.outbox.results[job.order.key] = cluster.carried_out(job.order)
        task.trigger_reentry(run, {"pod": None, "refused": ""}, **pause.value.kwargs)
        assert run["ti"].pushed["return_value"]["outcome"] == "ABORTED"

    def test_the_pod_of_a_person_and_that_of_the_dag_retire_one_after_the_other(self, world, mine, cluster) -> None:
        promoted(world, mine)
        cluster.chosen("retire")
        theirs = Order(
            "release", "toy", {"verb": "retire", "rollout_id": mine, "author": "airflow:toy_release", "attempt": "run 1"}
        )
        assert pods.Job(theirs, "", cluster.claimed[0][0].resources, "").name == cluster.claimed[0][0].name


class TestPauseBetweenStages:
    def test_a_stage_is_not_entered_but_waited_for_without_a_worker(self, world, mine) -> None:
        pause(world, "toy", mine, author="anna", reason="lunch")
        enter = ReleaseOperator(task_id="enter", model="toy", verb="enter_stage", index=0, rollout_id=mine)
        run = {"dag": SimpleNamespace(dag_id="toy_release")}
        with pytest.raises(TaskDeferred) as deferred:
            enter.execute(run)
        assert deferred.value.trigger.serialize()[1] == {"model": "toy", "rollout_id": mine, "every": 1.0}
        resume(world, "toy", mine, author="anna", reason="back")
        assert enter.again(run, "resumed")["phase"] == "stage"

    def test_the_wait_is_over_when_somebody_resumes(self, world, mine) -> None:
        pause(world, "toy", mine, author="anna", reason="lunch")
        answers = [UnavailableError("no journal"), None, None]
        ask = PauseTrigger._held

        def held(trigger: PauseTrigger, ports: FakePorts) -> bool:
            if answers:
                answers.pop()
                return ask(trigger, ports)
            resume(ports, "toy", mine, author="anna", reason="back")
            return ask(trigger, ports)

        async def fired() -> list[str]:
            trigger = PauseTrigger("toy", mine, every=0)
            trigger._held = lambda ports: held(trigger, ports)
            return [event.payload async for event in trigger.run()]

        assert asyncio.run(fired()) == ["resumed"]

    def test_an_outage_of_the_journal_ends_no_wait(self, world, mine, monkeypatch) -> None:
        def gone(*_: object, **__: object) -> None:
            raise UnavailableError("the journal does not answer")

        monkeypatch.setattr(world.journal, "events", gone)
        assert PauseTrigger("toy", mine)._held(world)


class TestReinstated:
    def test_the_wait_for_the_retirement_ends_and_nothing_is_retired(self, world, mine) -> None:
        promoted(world, mine)
        reinstate(world, "toy", mine, author="anna", reason="worse")

        async def first() -> str:
            async for event in RetentionTrigger("toy", mine, world.clock.now() + 1e6, every=0).run():
                return event.payload
            return ""

        assert asyncio.run(first()) == TAKEN_BACK
        with DAG("toy_release", schedule=None):
            wait = RetentionSensor(task_id="retention", model="toy", retention=1, rollout_id=mine)
            wait >> ReleaseOperator(task_id="retire", model="toy", verb="retire", rollout_id=mine)
        with pytest.raises(DownstreamTasksSkipped) as skipped:
            wait.over(context(), TAKEN_BACK)
        assert list(skipped.value.tasks) == ["retire"]

    def test_a_reinstatement_that_was_killed_is_finished_by_the_next_run(self, world, mine, monkeypatch) -> None:
        promoted(world, mine)
        with monkeypatch.context() as killed:
            killed.setattr(world.router, "apply", interrupted)
            with pytest.raises(KeyboardInterrupt):
                reinstate(world, "toy", mine, author="anna", reason="worse")
        assert end_abandoned(world, "toy", "airflow:toy_release")
        assert (world.router.read("toy").champion.version, world.journal.locks().get("toy")) == ("1", None)
        assert rollout(world, "toy", mine).reinstated


def unavailable(*_: object, **__: object) -> None:
    raise UnavailableError("it does not answer")


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
