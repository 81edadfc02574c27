"""What became of a pod, read from pods of a real cluster (tests/domain/pods, recorded from Kubernetes 1.34) that were really so."""

import json
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sluicegate.domain.order import Order
from sluicegate.domain.pod import RELEASE, RELEASE_AT, UNTIL_SCHEDULED_S, UNTIL_STARTED_S, Job
from sluicegate.domain.pod_fate import End, ended, fate, hopeless, leaving, running, waits_for
from sluicegate.domain.resources import Resources

PODS = Path(__file__).parent / "pods"
ASKED = Resources(cpu="4", memory="2Gi", disk="8Gi", gpu=2, deadline=7200.0, node_selector={"pool": "gpu"})
TRAIN = Job(Order("train", "toy", {}), "s3://b/orders/k/order.json", ASKED, "training.resources")
VERB = Job(Order("release", "toy", {"verb": "promote", "rollout_id": "r1"}), "s3://b/o/k/order.json", RELEASE, RELEASE_AT)


def recorded(name: str) -> dict[str, Any]:
    pod: dict[str, Any] = json.loads((PODS / f"{name}.json").read_text())
    return pod


def created(pod: dict[str, Any]) -> float:
    return datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()


def saying(message: str, code: int = 1) -> dict[str, Any]:
    pod = deepcopy(recorded("crashed"))
    pod["status"]["containerStatuses"][0]["state"]["terminated"] |= {"message": message, "exitCode": code}
    return pod


class TestEnded:
    @pytest.mark.parametrize(
        ("name", "kind", "again", "words"),
        [
            ("oom", End.MEMORY, False, "was killed at its memory limit of 2Gi: raise training.resources.memory"),
            (
                "disk",
                End.DISK,
                False,
                'evicted at its disk limit of 8Gi (Usage of EmptyDir volume "scratch" exceeds the limit "64Mi".)',
            ),
            ("deadline", End.DEADLINE, False, "stopped at its deadline of 7200 s: raise training.resources.deadline"),
            ("exit_99", End.SKIPPED, False, "it has nothing to do (exit code 99): no new rows"),
            (
                "crashed",
                End.CRASHED,
                False,
                "exit code 1 and gave no reason (last words: ValueError: a bug of ours): see its log",
            ),
            ("own_signal", End.KILLED, True, "killed by signal 11: another pod starts again"),
            ("killed", End.KILLED, True, "killed by signal 9: another pod starts again"),
            (
                "uncommitted",
                End.UNCOMMITTED,
                False,
                "is not in the store: give the pod and Airflow the same SLUICEGATE_STORE_URL",
            ),
            ("no_program", End.IMAGE, False, "see that SLUICEGATE_IMAGE_WORK names our image for work"),
            ("evicted_last", End.EVICTED, True, "it was evicted, as when a node is drained (Eviction API: evicting)"),
            ("preempted_last", End.PREEMPTED, True, "it made way for a pod of higher priority (default-scheduler: preempting"),
            ("deleted_last", End.DELETED, True, "it was deleted before it committed a result: another pod starts again"),
        ],
    )
    def test_a_pod_without_a_result_is_told_in_one_sentence_with_the_remedy(self, name, kind, again, words) -> None:
        pod = recorded(name)
        assert ended(pod)
        end = fate(pod, TRAIN)
        assert (end.kind, end.again) == (kind, again)
        assert words in end.message
        assert end.message.startswith(f"pod toy-train-{TRAIN.order.key} ('train' of model 'toy') has no result: ")
        assert "\n" not in end.message

    @pytest.mark.parametrize(
        ("last", "kind"),
        [("evicted_leaving", End.EVICTED), ("preempted_leaving", End.PREEMPTED), ("deleted_leaving", End.DELETED)],
    )
    def test_a_pod_that_is_gone_is_told_by_how_it_was_seen_last(self, last: str, kind: End) -> None:
        assert leaving(recorded(last))
        assert (fate(None, TRAIN, recorded(last)).kind, fate(None, TRAIN, recorded(last)).again) == (kind, True)

    @pytest.mark.parametrize("last", [None, "running"])
    def test_a_pod_that_vanished_unseen_was_deleted(self, last: str | None) -> None:
        assert fate(None, TRAIN, last and recorded(last)).kind is End.DELETED

    @pytest.mark.parametrize(
        ("kind", "again"),
        [
            ("SpecError", False),
            ("PausedError", False),
            ("KeyError", False),
            ("UnavailableError", True),
            ("UnfinishedError", True),
        ],
    )
    def test_work_that_says_why_is_quoted_and_tried_again_only_after_an_outage(self, kind: str, again: bool) -> None:
        end = fate(saying(json.dumps({"kind": kind, "message": "the key 'x' is missing"}), 3), TRAIN)
        assert (end.kind, end.error, end.again) == (End.FAILED, kind, again)
        assert end.message.endswith("failed: the key 'x' is missing")

    @pytest.mark.parametrize("message", ["", "[1]", '{"kind": 1}', "null", '{"kind": "SpecErr'])
    def test_words_that_make_no_sense_are_last_words(self, message: str) -> None:
        assert fate(saying(message), TRAIN).kind is End.CRASHED

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            ({"reason": "Evicted", "message": "The node was low on resource: memory."}, End.EVICTED),
            (
                {"reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds the total limit of containers 8Gi."},
                End.DISK,
            ),
            ({"reason": "NodeShutdown", "message": "Pod was terminated in response to imminent node shutdown."}, End.NODE),
            ({"reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"}, End.NODE),
            ({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}, End.NODE),
        ],
    )
    def test_what_a_node_does_to_a_pod_is_told_apart(self, status: dict[str, Any], kind: End) -> None:
        pod = {"metadata": {"name": "p"}, "status": {"phase": "Failed", **status}}
        assert fate(pod, TRAIN).kind is kind

    @pytest.mark.parametrize(
        ("name", "todo"),
        [
            ("oom", "memory limit of 1Gi: raise memory of RELEASE in sluicegate/domain/pod.py"),
            ("disk", "raise disk of RELEASE in sluicegate/domain/pod.py"),
            ("deadline", "raise serving.ready_within"),
        ],
    )
    def test_of_a_verb_that_is_told_to_be_raised_which_is_read(self, name: str, todo: str) -> None:
        assert todo in fate(recorded(name), VERB).message

    def test_a_verb_that_no_node_takes_asks_for_other_nodes_where_they_are_read(self) -> None:
        pod = recorded("no_gpu")
        pod["status"]["conditions"][0]["message"] = "0/1 nodes are available: 1 node(s) had untolerated taint {a: b}."
        end = hopeless(pod, VERB, created(pod) + UNTIL_SCHEDULED_S)
        assert end is not None
        assert end.message.endswith("tolerate it in resources.tolerations")

    def test_a_verb_of_a_release_is_called_by_its_name(self) -> None:
        assert "('promote' of model 'toy')" in fate(None, VERB).message


class TestNotStarted:
    @pytest.mark.parametrize(
        ("name", "todo"),
        [
            (
                "no_gpu",
                "(0/1 nodes are available: 1 Insufficient nvidia.com/gpu): free or add a GPU, or lower training.resources.gpu (2)",
            ),
            ("no_memory", "free or add memory, or lower training.resources.memory (2Gi)"),
            ("no_cpu", "free or add cores, or lower training.resources.cpu (4)"),
            ("no_such_node", "label a node, or change training.resources.node_selector ({'pool': 'gpu'})"),
            ("cordoned", "(0/1 nodes are available: 1 node(s) were unschedulable): uncordon a node, or add one"),
        ],
    )
    def test_a_pod_that_no_node_takes_waits_half_an_hour_and_then_says_what_is_short(self, name: str, todo: str) -> None:
        pod = recorded(name)
        assert hopeless(pod, TRAIN, created(pod) + UNTIL_SCHEDULED_S - 1) is None
        end = hopeless(pod, TRAIN, created(pod) + UNTIL_SCHEDULED_S)
        assert end is not None
        assert (end.kind, end.again) == (End.UNSCHEDULABLE, False)
        assert end.message.endswith(todo)
        assert "has no result: no node took it in 30 minutes (0/1 nodes are available: 1 " in end.message

    @pytest.mark.parametrize(
        ("name", "kind", "words"),
        [
            ("image_never", End.IMAGE, "(ErrImageNeverPull: Container image"),
            ("image_invalid", End.IMAGE, "(InvalidImageName: Failed to apply default image tag"),
            ("secret_missing", End.CONFIG, "create the Secret 'sluicegate' with SLUICEGATE_JOURNAL_URL"),
        ],
    )
    def test_what_no_waiting_will_mend_is_told_at_once(self, name: str, kind: End, words: str) -> None:
        pod = recorded(name)
        end = hopeless(pod, TRAIN, created(pod) + 1)
        assert end is not None
        assert (end.kind, end.again) == (kind, False)
        assert words in end.message

    @pytest.mark.parametrize("name", ["image_missing", "image_backoff"])
    def test_a_registry_that_does_not_answer_gets_time(self, name: str) -> None:
        pod = recorded(name)
        assert hopeless(pod, TRAIN, created(pod) + UNTIL_STARTED_S - 5) is None
        end = hopeless(pod, TRAIN, created(pod) + UNTIL_STARTED_S + 5)
        assert end is not None
        assert (end.kind, "its image cannot be pulled" in end.message) == (End.IMAGE, True)

    def test_an_image_that_the_registry_does_not_have_gets_none(self) -> None:
        pod = deepcopy(recorded("image_missing"))
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = "docker.io/library/nope:1: not found"
        assert hopeless(pod, TRAIN, created(pod) + 1) is not None

    def test_a_container_that_does_not_start_for_another_reason_is_worth_another_pod(self) -> None:
        pod = deepcopy(recorded("image_missing"))
        pod["status"]["containerStatuses"][0]["state"]["waiting"] = {"reason": "ContainerCreating"}
        end = hopeless(pod, TRAIN, created(pod) + UNTIL_STARTED_S + 5)
        assert end is not None
        assert (end.kind, end.again, "(ContainerCreating)" in end.message) == (End.NOT_STARTED, True, True)

    @pytest.mark.parametrize("name", ["running", "oom", "evicted_leaving"])
    def test_a_pod_that_has_started_is_not_given_up(self, name: str) -> None:
        pod = recorded(name)
        assert hopeless(pod, TRAIN, created(pod) + 1e6) is None

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("no_gpu", "a node: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu"),
            ("image_never", 'ErrImageNeverPull: Container image "localhost/nope:1" is not present with pull policy of Never'),
        ],
    )
    def test_people_who_wait_are_told_for_what(self, name: str, words: str) -> None:
        assert waits_for(recorded(name)) == words

    def test_a_pod_that_nobody_has_looked_at_waits_for_that(self) -> None:
        assert waits_for({"metadata": {}, "status": {"phase": "Pending"}}) == "a node: nobody has looked for one yet"


def test_every_recorded_pod_is_running_waiting_or_ended_and_nothing_besides() -> None:
    states = {path.stem: (running(pod := recorded(path.stem)), ended(pod)) for path in sorted(PODS.glob("*.json"))}
    assert {name for name, state in states.items() if state == (True, True)} == set()
    assert {name for name, (runs, _) in states.items() if runs} == {
        *("running", "deleted_leaving", "evicted_leaving", "preempted_leaving"),
    }
    assert len(states) == 26
