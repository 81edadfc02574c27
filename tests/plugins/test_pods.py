"""An order as a pod, as Airflow sees it: found or started, followed without a worker, and decided by its committed result alone."""

import asyncio
import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.triggers.base import TaskSuccessEvent
from kubernetes.client import ApiClient
from kubernetes_asyncio.client.exceptions import ApiException

from sluicegate.adapters.order_pods import Claim
from sluicegate.domain.pod import Job, manifest
from sluicegate.domain.spec import parse_spec
from sluicegate.errors import UnavailableError
from sluicegate.settings import Settings
from sluicegate.testing.outbox import MemoryOutbox
from sluicegate_airflow import pod_trigger, pods
from sluicegate_airflow import rollout as shell
from sluicegate_airflow.pauses import PauseTrigger
from sluicegate_airflow.pod_trigger import PodTrigger
from sluicegate_airflow.tasks import order_task, verb_task

PODS = Path(__file__).parents[1] / "domain" / "pods"
SPEC = {
    "model": "toy",
    "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d"}},
    "release": {"stages": [{"weight": 100}], "gates": {"p95_ms": 80}},
}
BATCH = {"batch": {"batch_id": "b1", "name": "labels.csv"}}
FACTS = {"rollout_id": "r1", "candidate": "2", "champion": "1", "reason": "", "message": "", "phase": "stage", "outcome": None}


def recorded(name: str) -> dict[str, Any]:
    """As the trigger hands it on; its uid is the record's name."""
    pod: dict[str, Any] = json.loads((PODS / f"{name}.json").read_text())
    pod["metadata"]["uid"] = name
    return pod


class ScriptedPods:
    """The cluster's answers to claims, one after the other, the last one for ever."""

    def __init__(self, *answers: Claim) -> None:
        self.answers, self.claimed = list(answers), []
        self.removed: list[str] = []  # uids
        self.cleared: list[str] = []  # names

    def claim(self, job: Job, body: dict[str, Any]) -> Claim:
        self.claimed.append((job, body))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def remove(self, pod: dict[str, Any]) -> None:
        self.removed.append(pod["metadata"]["uid"])

    def clear(self, job: Job) -> None:
        self.cleared.append(job.name)

    def plain(self, pod: Any) -> dict[str, Any]:
        found: dict[str, Any] = ApiClient().sanitize_for_serialization(pod)
        return found


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Claim) -> None:
        self.outbox, self.pods = MemoryOutbox(), ScriptedPods(*(answers or (Claim("started"),)))
        self.settings = Settings(
            profile="kubernetes", store_url="s3://b/p", namespace="ml", image_work="work:1", image_serve="serve:1"
        )
        self.spec = lambda _: parse_spec(SPEC, "toy/spec.yaml")
        self.sources = SimpleNamespace(send=lambda model: f"digest-of-{model}")
        for name, value in self.settings.to_environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(pods, "wire", lambda: self)
        monkeypatch.setattr(shell, "wire", lambda: self)
        monkeypatch.setattr(pods.PodOperator, "hook", SimpleNamespace(is_in_cluster=False))


def context(attempt: int = 1, began: datetime | None = None) -> dict[str, Any]:
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        **{"dag_id": "toy_retrain", "task_id": "t", "map_index": -1, "try_number": attempt, "pushed": pushed},
        start_date=began or datetime.now(UTC),
        xcom_push=lambda key, value: pushed.update({key: value}),
    )
    return {"ti": ti, "run_id": "run", "dag": SimpleNamespace(dag_id="toy_release"), "params": {}}


def deferred(task: Any, given: dict[str, Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as raised:
        task.execute(given)
    return raised.value


def resumed(task: Any, given: dict[str, Any], pause: TaskDeferred, pod: dict[str, Any] | None, refused: str = "") -> Any:
    getattr(task, pause.method_name)(given, {"pod": pod, "refused": refused}, **(pause.kwargs or {}))
    return given["ti"].pushed.get("return_value")


def changed(wanted: Any, found: Any, where: str = "pod") -> list[str]:
    """Where `found` differs from what is wanted; what it has besides is no difference."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [place for key, value in wanted.items() for place in changed(value, found.get(key), f"{where}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [place for n, value in enumerate(wanted) for place in changed(value, found[n], f"{where}[{n}]")]
    same = wanted == found or (not wanted and not found)  # an empty list may be left out
    return [] if same else [f"{where}: {found!r} instead of {wanted!r}"]


class TestOrder:
    def test_a_started_pod_is_followed_and_its_committed_result_returned(self, monkeypatch) -> None:
        world, given, task = World(monkeypatch), context(), order_task("toy", "validate", BATCH)
        pause = deferred(task, given)
        (job, body), (order,) = world.pods.claimed[0], world.outbox.sent.values()
        assert isinstance(pause.trigger, PodTrigger)
        assert (order.action, dict(order.inputs)) == ("validate", {"batch_id": "b1", "name": "labels.csv"})
        assert body["metadata"]["name"] == job.name == f"toy-validate-{order.key}"
        assert job.source == "digest-of-toy"
        assert body["metadata"]["labels"]["sluicegate/order"] == order.key
        assert body["metadata"]["labels"]["dag_id"] == "toy_retrain"
        world.outbox.results[order.key] = {"rows": {"in": 3}, "long": "x" * 2000}
        assert resumed(task, given, pause, recorded("uncommitted")) == {"key": order.key, "rows": {"in": 3}}
        assert world.pods.removed == ["uncommitted"]

    def test_airflow_changes_nothing_of_what_the_manifest_says(self, monkeypatch) -> None:
        world = World(monkeypatch)
        deferred(order_task("toy", "validate", BATCH), context())
        job, body = world.pods.claimed[0]
        assert changed(manifest(job, world.settings), body) == []

    def test_a_committed_result_needs_no_pod(self, monkeypatch) -> None:
        world, given, task = World(monkeypatch), context(), order_task("toy", "validate", BATCH)
        with suppress(TaskDeferred):
            task.execute(given)
        world.outbox.results[next(iter(world.outbox.sent))] = {"rows": 1}
        order_task("toy", "validate", BATCH).execute(given)
        assert given["ti"].pushed["return_value"]["rows"] == 1
        (claimed,) = world.pods.claimed
        assert world.pods.cleared == [claimed[0].name]

    def test_a_cluster_that_does_not_answer_keeps_no_result_back(self, monkeypatch) -> None:
        world, given, task = World(monkeypatch), context(), order_task("toy", "validate", BATCH)
        deferred(task, given)
        world.outbox.results[next(iter(world.outbox.sent))] = {"rows": 1}
        monkeypatch.setattr(world.pods, "clear", lambda _: (_ for _ in ()).throw(UnavailableError("it is away")))
        task.execute(given)
        assert given["ti"].pushed["return_value"]["rows"] == 1

    @pytest.mark.parametrize("pod", ["oom", "evicted_last", "deleted_leaving", None])
    def test_a_result_counts_whatever_became_of_the_pod(self, monkeypatch, pod: str | None) -> None:
        world, given, task = World(monkeypatch), context(), order_task("toy", "validate", BATCH)
        pause = deferred(task, given)
        world.outbox.results[next(iter(world.outbox.sent))] = {"rows": 1}
        assert resumed(task, given, pause, pod and recorded(pod))["rows"] == 1

    @pytest.mark.parametrize(
        ("pod", "error", "words"),
        [
            ("oom", AirflowFailException, "raise resources.memory"),
            ("crashed", AirflowFailException, "a bug of ours"),
            ("exit_99", AirflowSkipException, "no new rows"),
            ("evicted_leaving", UnavailableError, "another pod starts again"),
            (None, UnavailableError, "was deleted"),
            ("uncommitted", AirflowFailException, "SLUICEGATE_STORE_URL"),
        ],
    )
    def test_a_pod_without_a_result_ends_the_task_as_people_expect(self, monkeypatch, pod, error, words: str) -> None:
        world, given, task = World(monkeypatch), context(), order_task("toy", "validate", BATCH)
        pause = deferred(task, given)
        with pytest.raises(error, match=words):
            resumed(task, given, pause, pod and recorded(pod))
        assert world.pods.removed == []

    def test_a_pod_that_never_will_start_is_removed_and_told(self, monkeypatch) -> None:
        world, given, task = World(monkeypatch), context(), order_task("toy", "validate", BATCH)
        pause = deferred(task, given)
        with pytest.raises(AirflowFailException, match="no node took it in"):
            resumed(task, given, pause, recorded("no_gpu"))
        assert world.pods.removed == ["no_gpu"]

    def test_a_name_that_is_taken_is_waited_for_and_then_claimed_again(self, monkeypatch) -> None:
        world = World(monkeypatch, Claim("taken", "pod is being deleted"), Claim("started"))
        given, task = context(), order_task("toy", "validate", BATCH)
        pause = deferred(task, given)
        assert (pause.trigger.gone, pause.method_name) == (True, "again")
        with pytest.raises(TaskDeferred) as next_pause:
            resumed(task, given, pause, None)
        assert (next_pause.value.trigger.gone, len(world.pods.claimed)) == (False, 2)

    def test_a_full_quota_is_waited_for_half_an_hour(self, monkeypatch) -> None:
        World(monkeypatch, Claim("full", "exceeded quota: wait, or raise it"))
        task = order_task("toy", "validate", BATCH)
        assert deferred(task, context()).method_name == "again"
        with pytest.raises(AirflowFailException, match="exceeded quota: wait, or raise it"):
            task.execute(context(began=datetime.now(UTC) - timedelta(minutes=31)))

    def test_an_account_that_may_see_no_pods_is_told_so(self, monkeypatch) -> None:
        World(monkeypatch)
        given, task = context(), order_task("toy", "validate", BATCH)
        pause = deferred(task, given)
        with pytest.raises(AirflowFailException, match=r"shows Airflow no pod toy-validate-.*403 Forbidden"):
            resumed(task, given, pause, None, "403 Forbidden")

    def test_a_credential_that_is_over_is_an_outage_with_its_remedy(self, monkeypatch) -> None:
        World(monkeypatch)
        given, task = context(), order_task("toy", "validate", BATCH)
        pause = deferred(task, given)
        with pytest.raises(UnavailableError, match=r"401 Unauthorized\): renew the credential in the kubeconfig"):
            resumed(task, given, pause, recorded("running"), "401 Unauthorized")

    def test_a_wait_outlasts_everything_that_its_pod_may_take(self, monkeypatch) -> None:
        World(monkeypatch)
        assert deferred(order_task("toy", "validate", BATCH), context()).timeout > timedelta(hours=12, minutes=35)

    def test_the_order_of_a_comparison_shows_its_report(self, monkeypatch) -> None:
        World(monkeypatch)
        task = order_task("toy", "compare", {})
        assert [link.name for link in task.operator_extra_links] == ["Report"]


class TestVerb:
    def asked(self, world: World) -> dict[str, Any]:
        return dict(list(world.outbox.sent.values())[-1].inputs)

    def test_a_verb_is_an_order_with_its_author_and_another_one_at_each_try(self, monkeypatch) -> None:
        world = World(monkeypatch)
        task = verb_task("toy", "enter_stage", 2, task_id="enter", rollout_id="r1")
        deferred(task, context(attempt=1))
        first = self.asked(world)
        deferred(task, context(attempt=2))
        known = {"verb": "enter_stage", "rollout_id": "r1", "index": 2, "author": "airflow:toy_release"}
        assert first == {**known, "attempt": "run 1"}
        assert self.asked(world) == {**known, "attempt": "run 2"}
        assert world.pods.claimed[0][0].name == world.pods.claimed[1][0].name

    def test_what_came_of_it_is_returned(self, monkeypatch) -> None:
        world, given, task = World(monkeypatch), context(), verb_task("toy", "deploy", rollout_id="r1")
        pause = deferred(task, given)
        world.outbox.results[next(iter(world.outbox.sent))] = FACTS
        assert resumed(task, given, pause, None) == FACTS

    def test_a_promoted_rollout_is_not_taken_back(self, monkeypatch) -> None:
        world, given, task = World(monkeypatch), context(), verb_task("toy", "revert", rollout_id="r1")
        pause = deferred(task, given)
        world.outbox.results[next(iter(world.outbox.sent))] = FACTS | {"outcome": "PROMOTED"}
        with pytest.raises(AirflowSkipException, match="version 2 was promoted"):
            resumed(task, given, pause, None)

    def test_only_what_may_end_otherwise_than_well_wakes_a_worker_for_its_result(self, monkeypatch) -> None:
        World(monkeypatch)
        tasks = [verb_task("toy", verb, rollout_id="r1") for verb in ("deploy", "promote", "revert")]
        tasks += [order_task("toy", "validate", BATCH)]
        assert [deferred(task, context()).trigger.ends for task in tasks] == [True, True, False, True]

    def test_a_paused_rollout_waits_for_its_resume_and_is_asked_again(self, monkeypatch) -> None:
        world, given, task = World(monkeypatch), context(), verb_task("toy", "promote", rollout_id="r1")
        pause = deferred(task, given)
        pod = recorded("crashed")
        stopped = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        stopped["message"] = json.dumps({"kind": "PausedError", "message": "anna holds it"})
        with pytest.raises(TaskDeferred) as held:
            resumed(task, given, pause, pod)
        assert isinstance(held.value.trigger, PauseTrigger)
        with pytest.raises(TaskDeferred):
            task.again(given, "resumed")
        assert len(world.pods.claimed) == 2


class ScriptedTrigger(PodTrigger):
    """Sees the given pods one after the other; an exception is raised instead."""

    def __init__(self, *seen: Any, gone: bool = False, ends: bool = False) -> None:
        job = Job(pods.Order("train", "toy", {}), "s3://b/o", pods.pods.RELEASE, "training.resources")
        super().__init__("ml", job.plain(), gone, ends)
        self.seen, self.lines, self.logged = list(seen), [["t1 one"], ["t1 one", "t2 two"], ["t1 one", "t2 two", "t3 three"]], []
        self.deleted: list[tuple[str, str]] = []
        self.pushed: list[Any] = []
        self._push = self.pushed.append  # type: ignore[method-assign]
        self._warm_up = lambda: None  # type: ignore[method-assign]

    async def _pod(self) -> dict[str, Any] | None:
        now = self.seen.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    @property
    def hook(self) -> Any:  # type: ignore[override]
        async def read_logs(*_: Any) -> list[str]:
            return self.lines.pop(0)

        async def delete_pod(name: str, namespace: str) -> None:
            self.deleted.append((name, namespace))

        return SimpleNamespace(read_logs=read_logs, delete_pod=delete_pod)

    @property
    def log(self) -> Any:
        return SimpleNamespace(info=lambda _, line: self.logged.append(line))


def fired(trigger: PodTrigger, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return [event.payload for event in events(trigger, monkeypatch)]


def events(trigger: PodTrigger, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    for pause in ("EVERY", "AWAY_EVERY", "LOG_EVERY"):
        monkeypatch.setattr(pod_trigger, pause, 0.0)

    async def run() -> list[Any]:
        return [event async for event in trigger.run()]

    return asyncio.run(run())


class TestTrigger:
    def test_it_fires_once_when_the_pod_has_ended_and_shows_every_line_of_its_log_once(self, monkeypatch) -> None:
        trigger = ScriptedTrigger(recorded("running"), recorded("running"), recorded("uncommitted"))
        assert fired(trigger, monkeypatch) == [{"pod": recorded("uncommitted"), "refused": ""}]
        assert trigger.logged == ["one", "two", "three"]

    def test_an_api_server_that_is_away_changes_nothing(self, monkeypatch) -> None:
        away = [ApiException(status=503, reason="Unavailable"), ConnectionRefusedError("refused"), TimeoutError()]
        trigger = ScriptedTrigger(recorded("running"), *away, recorded("oom"))
        assert fired(trigger, monkeypatch) == [{"pod": recorded("oom"), "refused": ""}]
        assert "the cluster does not answer (503 Unavailable): the pod goes on, asking again" in trigger.logged

    def test_a_pod_that_is_gone_is_told_as_it_was_seen_last(self, monkeypatch) -> None:
        trigger = ScriptedTrigger(recorded("evicted_leaving"), None)
        assert fired(trigger, monkeypatch) == [{"pod": recorded("evicted_leaving"), "refused": ""}]

    def test_a_pod_that_never_will_start_is_not_followed_for_ever(self, monkeypatch) -> None:
        assert fired(ScriptedTrigger(recorded("image_never")), monkeypatch)[0]["pod"] == recorded("image_never")

    def test_people_are_told_what_a_waiting_pod_waits_for_and_not_at_every_look(self, monkeypatch) -> None:
        waiting = recorded("no_gpu")
        waiting["metadata"]["creationTimestamp"] = datetime.fromtimestamp(time.time(), UTC).isoformat()
        trigger = ScriptedTrigger(waiting, waiting, waiting, None)
        fired(trigger, monkeypatch)
        (line,) = trigger.logged
        assert line.endswith("waits for a node: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu")

    def test_a_right_that_is_missing_is_told_at_once(self, monkeypatch) -> None:
        trigger = ScriptedTrigger(ApiException(status=403, reason="Forbidden"))
        assert fired(trigger, monkeypatch) == [{"pod": None, "refused": "403 Forbidden"}]

    def test_a_credential_that_is_over_is_read_anew_once_and_then_told(self, monkeypatch) -> None:
        over = ApiException(status=401, reason="Unauthorized")
        renewed = ScriptedTrigger(recorded("running"), over, recorded("running"), over, recorded("oom"))
        assert fired(renewed, monkeypatch) == [{"pod": recorded("oom"), "refused": ""}]
        not_renewed = ScriptedTrigger(recorded("running"), over, over)
        assert fired(not_renewed, monkeypatch) == [{"pod": recorded("running"), "refused": "401 Unauthorized"}]

    def test_a_name_that_is_to_become_free_is_watched_until_nothing_is_left(self, monkeypatch) -> None:
        trigger = ScriptedTrigger(recorded("deleted_leaving"), recorded("deleted_last"), None, gone=True)
        assert len(fired(trigger, monkeypatch)) == 1
        assert trigger.seen == []

    def test_a_task_that_a_person_ends_stops_its_own_pod_and_no_other(self) -> None:
        own, others = ScriptedTrigger(), ScriptedTrigger(gone=True)
        for trigger in (own, others):
            asyncio.run(trigger.on_kill())
        assert (own.deleted, others.deleted) == ([(own._job.name, "ml")], [])

    def test_a_committed_result_ends_the_task_from_the_triggerer(self, monkeypatch) -> None:
        world, trigger = World(monkeypatch), ScriptedTrigger(recorded("evicted_leaving"), None, ends=True)
        monkeypatch.setattr(pod_trigger, "_ports", lambda: world)
        order = trigger._job.order
        world.outbox.results[order.key] = {"rows": 1, "long": "x" * 2000}
        (event,) = events(trigger, monkeypatch)
        assert (type(event), trigger.pushed) == (TaskSuccessEvent, [{"key": order.key, "rows": 1}])
        assert world.pods.removed == ["evicted_leaving"]
        assert trigger.logged[-1].endswith("did not come to its end, but its result is in the store and counts")

    @pytest.mark.parametrize("store", [None, UnavailableError("the store is away")])
    def test_without_a_result_or_a_store_the_task_itself_looks(self, monkeypatch, store: Exception | None) -> None:
        world, trigger = World(monkeypatch), ScriptedTrigger(recorded("oom"), ends=True)
        monkeypatch.setattr(pod_trigger, "_ports", lambda: world)
        if store is not None:
            monkeypatch.setattr(world.outbox, "result", lambda _: (_ for _ in ()).throw(store))
        assert fired(trigger, monkeypatch) == [{"pod": recorded("oom"), "refused": ""}]
        assert world.pods.removed == []

    def test_it_survives_the_database_of_the_triggerer(self) -> None:
        _, facts = ScriptedTrigger().serialize()
        assert PodTrigger(**json.loads(json.dumps(facts))).serialize() == (f"{PodTrigger.__module__}.PodTrigger", facts)
