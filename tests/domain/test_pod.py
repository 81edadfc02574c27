"""The pod of an order: what it may, what it gets, and a name that nothing hostile leads out of."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from sluicegate.domain.order import Order
from sluicegate.domain.pod import Job, fixed, job, manifest
from sluicegate.domain.resources import Resources
from sluicegate.domain.spec import ModelSpec, parse_spec
from sluicegate.errors import InputError
from sluicegate.settings import Settings
from sluicegate.testing.hostile.strings import NAMES

IMAGE = "registry.example/sluicegate/work@sha256:" + "a" * 64
SETTINGS = Settings(
    profile="kubernetes",
    store_url="s3://bucket/prod",
    namespace="ml",
    image_work=IMAGE,
    image_serve="serve:1",
    journal_url="postgresql://user:secret@host/db",
    notify_url="https://receiver/token",
)
HOSTILE = [*NAMES, "\x00", "😀" * 90]
NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def spec(**more: Any) -> ModelSpec:
    training = {"holdout": {"length": "7d"}, "resources": {"cpu": 4, "memory": "16Gi", "gpu": 1, "deadline": "2h"}}
    plain = {
        "model": "toy",
        "data": {"user_id": "user", "inputs": {"x": {"type": "number"}}, "label": {"field": "y", "above": 0}},
        "training": training,
        "release": {"stages": [{"weight": 100}], "gates": {"p95_ms": 80}},
    }
    return parse_spec(plain | more, "toy/spec.yaml")


def made(order: Order, settings: Settings = SETTINGS, **more: Any) -> dict[str, Any]:
    return manifest(job(order, f"s3://bucket/prod/orders/{order.key}/order.json", spec(**more)), settings)


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["spec"]["containers"]
    return only


TRAIN = Order("train", "toy", {"snapshot_id": "s1"})
VERB = Order("release", "toy", {"verb": "enter_stage", "rollout_id": "r1", "index": 2, "author": "a", "attempt": "run 1"})


class TestWhatItGets:
    def test_training_gets_what_training_asks_for_and_other_orders_what_the_model_asks_for(self) -> None:
        train, compare = made(TRAIN), made(Order("compare", "toy", {}), resources={"memory": "3Gi"})
        assert container(train)["resources"]["limits"] == {"memory": "16Gi", "ephemeral-storage": "4Gi", "nvidia.com/gpu": "1"}
        assert container(train)["resources"]["requests"]["cpu"] == "4"
        assert container(compare)["resources"]["limits"] == {"memory": "3Gi", "ephemeral-storage": "4Gi"}
        assert (train["spec"]["activeDeadlineSeconds"], compare["spec"]["activeDeadlineSeconds"]) == (7200, 43200)

    def test_a_verb_gets_little_and_a_deadline_that_outlasts_its_wait_for_two_slow_versions(self) -> None:
        quick, slow = made(VERB), made(VERB, serving={"ready_within": "20m"}, resources={"memory": "64Gi", "gpu": 1})
        assert (quick["spec"]["activeDeadlineSeconds"], slow["spec"]["activeDeadlineSeconds"]) == (900, 2700)
        assert container(slow)["resources"]["limits"] == {"memory": "1Gi", "ephemeral-storage": "2Gi"}

    def test_a_verb_goes_to_the_nodes_of_other_orders(self) -> None:
        tolerated = {"key": "dedicated", "operator": "Exists"}
        pod = made(VERB, resources={"node_selector": {"pool": "batch"}, "tolerations": [tolerated]})["spec"]
        assert (pod["nodeSelector"], pod["tolerations"]) == ({"pool": "batch"}, [tolerated])

    def test_a_pod_with_a_gpu_goes_to_nodes_that_are_kept_for_such_pods(self) -> None:
        assert made(TRAIN)["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        assert made(Order("compare", "toy", {}))["spec"]["tolerations"] == []

    def test_node_selector_and_tolerations_come_from_the_spec(self) -> None:
        asked = {
            "node_selector": {"pool": "batch"},
            "tolerations": [{"key": "dedicated", "value": "batch", "effect": "NoExecute"}],
        }
        pod = made(Order("compare", "toy", {}), resources=asked)["spec"]
        assert pod["nodeSelector"] == {"pool": "batch"}
        assert pod["tolerations"] == [{"key": "dedicated", "value": "batch", "effect": "NoExecute"}]

    def test_the_work_is_told_which_files_of_the_model_it_works_with(self) -> None:
        known = Job(TRAIN, "s3://bucket/o", Resources(), "resources", "d1")
        assert container(manifest(known, SETTINGS))["command"][-2:] == ["--source", "d1"]
        assert Job.of(known.plain()) == known

    def test_people_can_tell_pods_by_what_they_do(self) -> None:
        seen = [made(order)["metadata"]["labels"]["sluicegate/action"] for order in (TRAIN, VERB)]
        assert seen == ["train", "enter_stage"]

    def test_the_work_is_told_where_its_order_is_by_a_list_of_arguments(self) -> None:
        assert container(made(TRAIN))["command"] == [
            *["python", "-m", "sluicegate", "work", "--order-url"],
            f"s3://bucket/prod/orders/{TRAIN.key}/order.json",
        ]

    def test_addresses_that_may_hold_a_password_come_from_the_secret_alone(self) -> None:
        base = container(made(TRAIN))
        assert base["envFrom"] == [{"secretRef": {"name": "sluicegate"}}]
        assert not re.search("secret@|receiver", json.dumps(base))
        env = {one["name"]: one["value"] for one in base["env"]}
        assert (env["SLUICEGATE_STORE_URL"], env["SLUICEGATE_PROFILE"]) == ("s3://bucket/prod", "kubernetes")
        assert env["TMPDIR"] == base["volumeMounts"][0]["mountPath"]
        assert env["SLUICEGATE_HOME"].startswith(env["TMPDIR"])

    def test_a_job_survives_the_database_of_the_triggerer(self) -> None:
        asked = job(TRAIN, "s3://b/order.json", spec())
        assert Job.of(json.loads(json.dumps(asked.plain()))) == asked


class TestWhatItMay:
    @pytest.mark.parametrize("order", [TRAIN, VERB], ids=["order", "verb"])
    def test_nothing_that_it_has_no_need_of(self, order: Order) -> None:
        pod = made(order)["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(made(order))["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert [list(volume) for volume in pod["volumes"]] == [["name", "emptyDir"]]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)

    def test_only_a_verb_of_a_release_may_ask_the_cluster_for_anything(self) -> None:
        order, verb = made(TRAIN), made(VERB)
        assert (order["spec"]["serviceAccountName"], order["spec"]["automountServiceAccountToken"]) == ("sluicegate-work", False)
        assert (verb["spec"]["serviceAccountName"], verb["spec"]["automountServiceAccountToken"]) == ("sluicegate-release", True)

    @pytest.mark.parametrize("image", ["work", "work:latest", "registry:5000/work", "registry:5000/work:latest"])
    def test_an_image_that_may_be_another_tomorrow_is_refused(self, image: str) -> None:
        with pytest.raises(InputError, match=r"SLUICEGATE_IMAGE_WORK is '.*', which may be another image tomorrow"):
            made(TRAIN, replace(SETTINGS, image_work=image))

    @pytest.mark.parametrize("image", [IMAGE, "work:3f2a", "registry:5000/work:1.2"])
    def test_an_image_with_a_digest_or_a_tag_that_stays_is_taken(self, image: str) -> None:
        assert fixed(image) == image

    def test_no_image_at_all_is_told_by_its_variable(self) -> None:
        with pytest.raises(InputError, match="SLUICEGATE_IMAGE_WORK is not set"):
            made(TRAIN, replace(SETTINGS, image_work=""))


class TestNames:
    def test_the_same_order_has_the_same_pod_and_another_order_another_one(self) -> None:
        first, same, other = (made(Order("train", "toy", {"snapshot_id": s}))["metadata"]["name"] for s in ("s1", "s1", "s2"))
        assert first == same != other
        assert first == f"toy-train-{TRAIN.key}"

    def test_two_tries_of_a_verb_share_a_name_but_are_told_apart_by_their_order(self) -> None:
        again = Order("release", "toy", {**VERB.inputs, "attempt": "run 2"})
        assert made(VERB)["metadata"]["name"] == made(again)["metadata"]["name"]
        assert made(VERB)["metadata"]["labels"] != made(again)["metadata"]["labels"]

    def test_two_stages_of_a_rollout_and_two_rollouts_have_pods_of_their_own(self) -> None:
        others = [Order("release", "toy", {**VERB.inputs, **change}) for change in ({}, {"index": 1}, {"rollout_id": "r2"})]
        assert len({made(order)["metadata"]["name"] for order in others}) == 3

    def test_labels_say_whose_pod_it_is(self) -> None:
        assert made(TRAIN)["metadata"]["labels"] == {
            "app.kubernetes.io/part-of": "sluicegate",
            "sluicegate/role": "work",
            "sluicegate/model": "toy",
            "sluicegate/order": TRAIN.key,
            "sluicegate/action": "train",
        }

    @pytest.mark.parametrize("evil", HOSTILE)
    def test_hostile_names_stay_inside_a_name_a_label_and_the_namespace(self, evil: str) -> None:
        orders = [
            Order("train", evil, {"snapshot_id": evil}),
            Order(evil, "toy", {"batch_id": evil, "name": evil}),
            Order("release", "toy", {"verb": "open", "run_id": evil, "version": "1", "author": evil}),
            Order("release", evil, {"verb": evil, "rollout_id": evil, "index": 1}),
        ]
        for order in orders:
            pod = manifest(Job(order, "s3://b/order.json", Resources(), "resources"), SETTINGS)
            assert NAME.fullmatch(pod["metadata"]["name"])
            assert all(
                re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", v) for v in pod["metadata"]["labels"].values()
            )
            assert pod["metadata"]["namespace"] == "ml"
            assert evil not in json.dumps(pod["spec"], ensure_ascii=False)

    def test_hostile_names_that_look_alike_are_not_taken_for_each_other(self) -> None:
        names = {Job(Order("train", evil, {}), "u", Resources(), "resources").name for evil in HOSTILE}
        assert len(names) == len(HOSTILE)
