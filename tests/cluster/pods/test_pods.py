"""What a real cluster takes and what it refuses: told in one sentence, and nothing is left of it. See test_fates for the rest."""

from dataclasses import replace
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.cluster.pods.rig import MODEL, Task, World

from sluicegate import kube
from sluicegate.domain.order import Order
from sluicegate.domain.pod import Job, manifest
from sluicegate.domain.resources import Resources
from sluicegate.errors import UnavailableError
from sluicegate.testing.hostile.strings import NAMES
from sluicegate_airflow.tasks import order_task

HOSTILE = [*NAMES, "kube-system/x"]


def snapshot(as_of: str) -> Task:
    """A task whose order is another one for each `as_of`."""
    return Task(order_task(MODEL, "snapshot", {"as_of": as_of}))


def named(world: World, as_of: str) -> str:
    """Name of the pod of that task."""
    return Job(Order("snapshot", MODEL, {"as_of": as_of or None, "batches": ["b1"]}), "", Resources(), "").name


class TestRefused:
    def test_an_image_that_cannot_be_fails_for_good_and_leaves_no_pod(self, world: World, monkeypatch) -> None:
        monkeypatch.setenv("SLUICEGATE_IMAGE_WORK", "not an image:1")
        with pytest.raises(AirflowFailException, match=r"image cannot be pulled \(InvalidImageName.*SLUICEGATE_IMAGE_WORK"):
            snapshot("2013-06-06T00:00").run()
        world.wait(lambda: not world.pods(named(world, "2013-06-06T00:00")), "end of the pod")

    def test_a_namespace_without_our_accounts_is_told_with_the_remedy(self, world: World, namespace: str, monkeypatch) -> None:
        monkeypatch.setenv("SLUICEGATE_NAMESPACE", namespace)
        with pytest.raises(AirflowFailException, match="create the service account 'sluicegate-work'"):
            snapshot("2013-06-08T00:00").run()

    def test_a_namespace_that_is_not_there_is_told_with_the_remedy(self, world: World, monkeypatch) -> None:
        monkeypatch.setenv("SLUICEGATE_NAMESPACE", "sg-nowhere")
        with pytest.raises(AirflowFailException, match="create the namespace 'sg-nowhere'"):
            snapshot("2013-06-08T00:00").run()


class TestCredential:
    @pytest.fixture
    def kubeconfig(self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Of Airflow's account, for everything in this process."""
        path = world.cluster.acting_as("sluicegate-airflow", world.namespace, tmp_path).environment["KUBECONFIG"]
        monkeypatch.setenv("KUBECONFIG", path)
        monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", path)
        return Path(path)

    def test_one_that_is_over_is_an_outage_that_ends_when_it_is_renewed(self, world: World, kubeconfig: Path) -> None:
        good = kubeconfig.read_text()
        over = good.replace('"token": "', '"token": "over')
        pause = snapshot("2013-06-07T00:00").begin()
        kubeconfig.write_text(over)
        with pytest.raises(UnavailableError, match=r"401 Unauthorized\): renew the credential in the kubeconfig"):
            snapshot("2013-06-07T00:00").follow(pause)
        with pytest.raises(UnavailableError, match="renew the credential in the kubeconfig"):
            snapshot("2013-06-07T00:00").begin()
        kubeconfig.write_text(good)
        assert snapshot("2013-06-07T00:00").run()["key"]
        world.wait(lambda: not world.pods(named(world, "2013-06-07T00:00")), "end of the pod")


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
