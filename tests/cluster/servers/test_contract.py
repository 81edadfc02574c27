"""The Runtime contract over Deployments, with the rights of the role `release` and nothing more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.servers.place import Place

from sluicegate import kube
from sluicegate.adapters.deployment_runtime import DeploymentRuntime
from sluicegate.ports.runtime import Runtime
from sluicegate.testing.runtime_contract import RuntimeContract
from sluicegate.testing.waiting import wait_until


class TestDeploymentRuntime(RuntimeContract):
    PATIENCE = 120.0

    @pytest.fixture(autouse=True)
    def _place(self, place: Place, runtime: DeploymentRuntime, model: str) -> Iterator[None]:
        self.place = place
        yield
        for status in runtime.status(model):
            runtime.stop(model, status.target.version)

    def kill(self, runtime: Runtime, model: str, version: str) -> None:
        old = self.place.pods(model, version)
        self.place.kubectl("delete", "pod", *old, "--grace-period=0", "--force")
        wait_until(lambda: bool(set(self.place.pods(model, version)) - set(old)), self.PATIENCE)

    def test_everything_that_was_made_for_a_version_goes_with_it(self, runtime: Runtime, model: str, package: Path) -> None:
        runtime.start(model, "1", package)
        kinds = "deployments,services,horizontalpodautoscalers,poddisruptionbudgets,networkpolicies"
        mine = f"sluicegate/model={kube.label(model)}"
        found = self.place.kubectl("get", kinds, "-l", mine, "-o", "name").split()
        assert sorted(name.partition("/")[0] for name in found) == [
            "deployment.apps",
            "horizontalpodautoscaler.autoscaling",
            "networkpolicy.networking.k8s.io",
            "poddisruptionbudget.policy",
            "service",
        ]
        runtime.stop(model, "1")
        wait_until(lambda: not self.place.kubectl("get", kinds, "-l", mine, "-o", "name"), self.PATIENCE)
