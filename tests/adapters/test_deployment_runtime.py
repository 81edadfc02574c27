"""What the cluster is told of a version's servers, and what it is understood to say about them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sluicegate.adapters.deployment_runtime import DeploymentRuntime, manifests
from sluicegate.adapters.deployment_runtime.troubles import spoken, unready, why
from sluicegate.adapters.supervisor_runtime import SupervisorRuntime
from sluicegate.domain.servers import Serving
from sluicegate.errors import InputError
from sluicegate.settings import Settings
from sluicegate.wiring import wire

SETTINGS = Settings(profile="kubernetes", namespace="models", store_url="s3://bucket/prod", image_serve="registry/serve@sha256:1")
VERSION = manifests.Version("night_flights", "3", "d" * 64)
OWNER = {"metadata": {"name": "x", "uid": "u-1"}}


@pytest.fixture
def pod() -> dict[str, Any]:
    made: dict[str, Any] = manifests.deployment(VERSION, Serving(), SETTINGS)["spec"]["template"]["spec"]
    return made


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["name"]: c for c in (*pod["initContainers"], *pod["containers"])}


def every() -> Iterator[dict[str, Any]]:
    yield manifests.deployment(VERSION, Serving(), SETTINGS)
    yield from manifests.companions(VERSION, SETTINGS)
    yield manifests.autoscaler(VERSION, Serving(), SETTINGS, 1)


def test_all_objects_of_a_version_have_its_name_its_labels_and_the_namespace() -> None:
    metas = [thing["metadata"] for thing in every()]
    assert {(meta["name"], meta["namespace"]) for meta in metas} == {(VERSION.name, "models")}
    assert all(meta["labels"] == VERSION.labels for meta in metas)


def test_same_version_spec_and_settings_give_the_same_objects() -> None:
    assert list(every()) == list(every())


def test_nothing_in_a_pod_may_be_more_than_it_needs(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(pod).values():
        allowed = container["securityContext"]
        assert allowed == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert "cpu" not in container["resources"]["limits"]


def test_container_that_runs_the_models_code_holds_no_secret_and_cannot_change_its_package(pod: dict[str, Any]) -> None:
    server = containers(pod)["server"]
    assert "env" not in server
    assert "envFrom" not in server
    assert {m["mountPath"]: m.get("readOnly", False) for m in server["volumeMounts"]}["/package"] is True


def test_helpers_get_of_the_secret_what_opens_the_store_and_nothing_else(pod: dict[str, Any]) -> None:
    for name in ("fetch", "ship"):
        keys = {e["valueFrom"]["secretKeyRef"]["key"] for e in containers(pod)[name]["env"] if "valueFrom" in e}
        assert keys == set(manifests.STORE_KEYS)


def test_probes_ask_beside_the_loop_that_answers_requests(pod: dict[str, Any]) -> None:
    server = containers(pod)["server"]
    probes = {name: server[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {probe["port"] for probe in probes.values()} == {"pulse"}
    assert [probe["path"] for probe in probes.values()] == ["/health/live", "/health/ready", "/health/live"]


def test_logs_that_wait_for_the_store_stay_below_what_a_pod_is_evicted_at() -> None:
    pod = manifests.deployment(VERSION, Serving(disk="2Gi"), SETTINGS)["spec"]["template"]["spec"]
    command = containers(pod)["server"]["command"]
    room = int(command[command.index("--log-room") + 1])
    (volume,) = (volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if volume["name"] == "log")
    assert (room, volume) == (3 * 2**29, "2Gi")
    assert containers(pod)["server"]["resources"]["limits"]["ephemeral-storage"] == "2Gi"


def test_there_is_time_to_end_before_the_kill(pod: dict[str, Any]) -> None:
    from sluicegate.serving.main import DRAIN_S

    needed = manifests.PRE_STOP_S + manifests.LINGER_S + DRAIN_S + 20
    assert pod["terminationGracePeriodSeconds"] > needed


def test_deployment_leaves_the_number_of_servers_to_the_autoscaler() -> None:
    assert "replicas" not in manifests.deployment(VERSION, Serving(), SETTINGS)["spec"]


@pytest.mark.parametrize(("least", "most"), [(1, 10), (4, 10), (12, 12)])
def test_autoscaler_stays_between_what_is_asked_for_and_the_specs_most(least: int, most: int) -> None:
    spec = manifests.autoscaler(VERSION, Serving(), SETTINGS, least)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (least, most)


def test_what_belongs_to_a_deployment_goes_with_it() -> None:
    for thing in manifests.companions(VERSION, SETTINGS):
        (owner,) = manifests.owned(thing, OWNER)["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Deployment", "u-1")


@pytest.mark.parametrize("image", ["", "registry/serve", "registry/serve:latest"])
def test_image_that_is_none_or_another_one_tomorrow_is_refused_by_the_settings_name(image: str) -> None:
    with pytest.raises(InputError, match="SLUICEGATE_IMAGE_SERVE"):
        manifests.deployment(VERSION, Serving(), Settings(profile="kubernetes", image_serve=image))


def test_profile_decides_where_servers_run_and_nobody_is_asked_before_the_first_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert isinstance(wire(SETTINGS).runtime, DeploymentRuntime)
    assert isinstance(wire(Settings()).runtime, SupervisorRuntime)


def status(name: str = "server", *, ready: bool = False, **more: Any) -> dict[str, Any]:
    return {"name": name, "ready": ready, "restartCount": 0, **more}


def of(*states: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **more: Any) -> dict[str, Any]:
    return {"status": {"containerStatuses": list(states), "initContainerStatuses": list(init), **more}}


ENDED = "{'at': 1}\nPackageError: s3://bucket was altered: send it again\n"
TOLD = [
    ([], "the server is starting"),
    ([of()], "is starting"),
    (
        [of(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient memory"}])],
        "no node takes the server: 0/1 nodes: Insufficient memory",
    ),
    (
        [of(status(state={"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}))],
        "the container 'server' waits (ImagePullBackOff): not found",
    ),
    (
        [of(status(lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}}))],
        "the container 'server' was killed at its memory limit: raise serving.memory",
    ),
    (
        [of(init=(status("fetch", state={"terminated": {"exitCode": 1, "message": ENDED}}),))],
        "the container 'fetch' ended with 1: PackageError: s3://bucket was altered: send it again",
    ),
    (
        [of(status(state={"waiting": {"reason": "PodInitializing"}}), init=(status("fetch", state={"running": {}}),))],
        "is starting",
    ),
]


@pytest.mark.parametrize(("pods", "sentence"), TOLD, ids=range(len(TOLD)))
def test_pod_that_is_not_ready_is_told_in_one_sentence(pods: list[dict[str, Any]], sentence: str) -> None:
    assert sentence in why({}, pods, "")


def test_cluster_that_makes_no_pod_is_quoted() -> None:
    message = 'pods "x" is forbidden: exceeded quota: sluicegate, requested: requests.cpu=1'
    conditions = [{"type": "Progressing", "status": "True"}, {"type": "ReplicaFailure", "status": "True", "message": message}]
    assert why({"status": {"conditions": conditions}}, [], "") == f"the cluster makes no pod: {message}"


def lines(*events: tuple[str, str]) -> str:
    return "\n".join(["no json", *(json.dumps({"event": event, "message": message}) for event, message in events)])


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("", ""),
        (lines(("start", "opening"), ("unready", "golden row 4 scores 0.3")), "golden row 4 scores 0.3"),
        (lines(("start", "opening"), ("stop", "cannot start: no manifest")), "cannot start: no manifest"),
        (lines(("unready", "golden row 4"), ("ready", "the golden rows score")), ""),
        (lines(("ready", ""), ("stop", "told to stop")), ""),
        ("[1]\n3\n" + lines(("error", "x")), ""),
    ],
)
def test_last_word_of_the_server_itself_counts(log: str, said: str) -> None:
    assert spoken(log) == said


def test_server_that_runs_and_says_no_is_the_one_to_be_asked() -> None:
    well, starting = of(status(ready=True, started=True)), of(status(started=False))
    says_no, crashed = of(status(started=True)), of(status(started=False) | {"restartCount": 2})
    assert unready([well, starting]) is None
    assert unready([well, starting, says_no]) is says_no
    assert unready([crashed]) is crashed
