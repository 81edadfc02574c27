"""Orders in pods of a real cluster: carried out once whatever happens to the pod, and told in one sentence when they are not."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from tests.cluster.pods.rig import MODEL, WORK, Task, World

from sluicegate import kube
from sluicegate.domain.order import Order
from sluicegate.domain.pod import Job, manifest
from sluicegate.domain.resources import Resources
from sluicegate.errors import UnavailableError
from sluicegate.settings import PROJECT
from sluicegate.testing.hostile.strings import NAMES
from sluicegate_airflow.orders import order_task

HOSTILE = [*NAMES, "kube-system/x"]
WORKER = """
import sys
sys.path[:0] = sys.argv[1].split(":")
import airflow.sdk, airflow.triggers.base
from tests.cluster.pods.rig import Task
from sluicegate_airflow.orders import order_task
Task(order_task("flights", "snapshot", {"as_of": sys.argv[2]}), run="killed").run()
"""


def snapshot(as_of: str) -> Task:
    """A task whose order is another one for each `as_of`."""
    return Task(order_task(MODEL, "snapshot", {"as_of": as_of}))


def named(world: World, as_of: str) -> str:
    """Name of the pod of that task."""
    return Job(Order("snapshot", MODEL, {"as_of": as_of or None, "batches": ["b1"]}), "", Resources(), "").name


def uids(world: World, name: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in world.pods(name)}


def started(task: Task) -> TaskDeferred | None:
    """The task asked again whether there is room; None while there is none."""
    try:
        task.task.again(task.context, None)
    except TaskDeferred as deferred:
        return None if deferred.method_name == "again" else deferred
    return None


def with_resources(folder: Path, monkeypatch: pytest.MonkeyPatch, **resources: object) -> None:
    """Give the model's pods other resources, as its spec would."""
    model = folder / "models" / MODEL
    model.mkdir(parents=True)
    spec = yaml.safe_load((PROJECT / "include" / "models" / MODEL / "spec.yaml").read_text())
    (model / "spec.yaml").write_text(yaml.safe_dump(spec | {"resources": resources}))
    (model / "features.py").write_bytes((PROJECT / "include" / "models" / MODEL / "features.py").read_bytes())
    monkeypatch.setenv("SLUICEGATE_MODELS", str(folder / "models"))


class TestOnce:
    def test_an_order_that_is_asked_for_twice_is_carried_out_by_one_pod_whose_result_both_return(self, world: World) -> None:
        first, second = snapshot("2013-06-01T00:00"), snapshot("2013-06-01T00:00")
        begun = [first.begin(), second.begin()]
        seen = uids(world, named(world, "2013-06-01T00:00"))
        came = [task.follow(deferred) for task, deferred in zip((first, second), begun, strict=True)]
        assert len(seen) == 1
        assert came[0] == came[1]
        assert came[0]["rows"] == 50
        world.wait(lambda: not world.pods(named(world, "2013-06-01T00:00")), "end of the pod")

    def test_an_order_whose_result_is_committed_starts_no_pod(self, world: World) -> None:
        task = snapshot("2013-06-01T00:00")
        assert task.begin() is None
        assert task.pushed["return_value"]["rows"] == 50
        assert world.pods(named(world, "2013-06-01T00:00")) == []

    def test_a_task_that_was_killed_finds_its_pod_again(self, world: World) -> None:
        at, name = "2013-06-02T00:00", named(world, "2013-06-02T00:00")
        path = f"{PROJECT}:{PROJECT / 'plugins'}"
        with subprocess.Popen([sys.executable, "-W", "ignore", "-c", WORKER, path, at], start_new_session=True) as worker:
            world.hold(name)
            os.killpg(worker.pid, signal.SIGKILL)
        before = uids(world, name)
        again = snapshot(at)
        deferred = again.begin()
        world.inside(name, f"kill -CONT {WORK}")
        assert again.follow(deferred)["rows"] == 50
        assert len(before) == 1
        assert again.resumed == 1


class TestAccidents:
    def test_work_that_was_killed_is_tried_again_and_commits_one_result(self, world: World) -> None:
        at, name = "2013-06-03T00:00", named(world, "2013-06-03T00:00")
        task = snapshot(at)
        deferred = task.begin()
        world.inside(name, f"kill -KILL {WORK}")
        with pytest.raises(UnavailableError, match="was killed by signal 9: another pod starts again"):
            task.follow(deferred)
        killed = uids(world, name)
        assert snapshot(at).run()["rows"] == 50
        assert not killed & uids(world, name)

    @pytest.mark.parametrize("how", ["deleted", "evicted"])
    def test_a_pod_that_is_taken_away_is_told_and_tried_again(self, world: World, how: str) -> None:
        at = f"2013-06-04T00:0{len(how) - 7}"
        name, task = named(world, at), snapshot(at)
        deferred = task.begin()
        world.hold(name)
        if how == "deleted":
            world.kubectl("delete", "pod", name, "--grace-period=1", "--wait=false")
        else:
            body = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": name},
                "deleteOptions": {"gracePeriodSeconds": 1},
            }
            kube.request(kube.client(world.settings), "POST", f"/api/v1/namespaces/{world.namespace}/pods/{name}/eviction", body)
        with pytest.raises(UnavailableError, match=f"it was {how}.*another pod starts again"):
            task.follow(deferred)

    def test_a_pod_without_enough_memory_fails_for_good_and_says_which_key_to_raise(self, world, tmp_path, monkeypatch) -> None:
        with_resources(tmp_path, monkeypatch, memory="64Mi", disk="64Mi", cpu="0.1")
        with pytest.raises(AirflowFailException, match=r"killed at its memory limit of 64Mi: raise resources\.memory"):
            snapshot("2013-06-05T00:00").run()

    def test_an_image_that_cannot_be_fails_for_good_and_leaves_no_pod(self, world: World, monkeypatch) -> None:
        monkeypatch.setenv("SLUICEGATE_IMAGE_WORK", "not an image:1")
        with pytest.raises(AirflowFailException, match=r"image cannot be pulled \(InvalidImageName.*SLUICEGATE_IMAGE_WORK"):
            snapshot("2013-06-06T00:00").run()
        world.wait(lambda: not world.pods(named(world, "2013-06-06T00:00")), "end of the pod")


class TestRoom:
    def test_a_full_quota_is_waited_for_and_a_node_too(self, world: World, tmp_path, monkeypatch) -> None:
        at, name, label = "2013-06-07T00:00", named(world, "2013-06-07T00:00"), f"test-{world.namespace}"
        with_resources(tmp_path, monkeypatch, node_selector={label: "yes"})
        world.kubectl("create", "quota", "full", "--hard=pods=0")
        task = snapshot(at)
        deferred = task.begin()
        assert isinstance(deferred, TaskDeferred)
        assert (deferred.method_name, world.pods(name)) == ("again", [])
        world.kubectl("delete", "quota", "full")
        begun = world.wait(lambda: started(task), "room")
        pending = world.wait(lambda: [p for p in world.pods(name) if p["status"].get("conditions")], "look of the scheduler")
        assert pending[0]["status"]["phase"] == "Pending"
        (node,) = world.cluster.kubectl("get", "nodes", "-o", "name").stdout.split()[:1]
        world.cluster.kubectl("label", node, f"{label}=yes")
        try:
            assert task.follow(begun)["rows"] == 50
        finally:
            world.cluster.kubectl("label", node, f"{label}-")

    def test_a_namespace_without_our_accounts_is_told_with_the_remedy(self, world: World, namespace: str, monkeypatch) -> None:
        monkeypatch.setenv("SLUICEGATE_NAMESPACE", namespace)
        with pytest.raises(AirflowFailException, match="create the service account 'sluicegate-work'"):
            snapshot("2013-06-08T00:00").run()

    def test_a_namespace_that_is_not_there_is_told_with_the_remedy(self, world: World, monkeypatch) -> None:
        monkeypatch.setenv("SLUICEGATE_NAMESPACE", "sg-nowhere")
        with pytest.raises(AirflowFailException, match="create the namespace 'sg-nowhere'"):
            snapshot("2013-06-08T00:00").run()


class TestHostile:
    @pytest.fixture
    def restricted(self, world: World, namespace: str) -> str:
        """A namespace that takes nothing but pods of the strictest standard of Kubernetes."""
        world.cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        world.cluster.kubectl("create", "serviceaccount", "sluicegate-work", "--namespace", namespace)
        return namespace

    def test_no_name_leads_out_of_the_namespace_or_into_a_shell(self, world: World, restricted: str) -> None:
        settings = replace(world.settings, namespace=restricted)
        api, path = kube.client(settings), f"/api/v1/namespaces/{restricted}/pods"
        for evil in HOSTILE:
            job = Job(Order(evil, evil, {"batch_id": evil}), f"s3://bucket/{evil}", Resources(), "resources")
            made = kube.request(api, "POST", path, manifest(job, settings), {"dryRun": "All"})
            assert (made["metadata"]["namespace"], made["metadata"]["name"]) == (restricted, job.name)
            assert made["spec"]["containers"][0]["command"] == ["python", "-m", "sluicegate", "work", "--order-url", job.url]
