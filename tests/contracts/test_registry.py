"""One contract, every registry."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sluicegate.adapters.mlflow_registry import MlflowRegistry
from sluicegate.adapters.mlflow_registry.rest import Rest
from sluicegate.errors import UnavailableError
from sluicegate.ports.registry import Record
from sluicegate.settings import Settings
from sluicegate.testing.mlflow_server import mlflow_server
from sluicegate.testing.registry import MemoryRegistry
from sluicegate.testing.registry_contract import RegistryContract, small_package


class TestMemoryRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> MemoryRegistry:
        return MemoryRegistry(tmp_path / "registry")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.mark.stack
class TestMlflowRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, server: str, tmp_path: Path) -> MlflowRegistry:
        return MlflowRegistry(Settings(home=tmp_path / "home", mlflow_url=server))

    def test_another_process_sees_the_same(self, registry: MlflowRegistry, server: str, tmp_path: Path, model: str) -> None:
        registry.register(model, small_package(tmp_path / "p"), {"train_key": "k"})
        registry.alias(model, "champion", "1")
        other = MlflowRegistry(Settings(home=tmp_path / "elsewhere", mlflow_url=server))
        assert other.resolve(model, "champion") == registry.resolve(model, "champion")
        assert (other.package(model, "1") / "model.onnx").read_bytes() == (tmp_path / "p" / "model.onnx").read_bytes()

    def test_eight_registrations_of_one_training_at_once_leave_one_version(self, server: str, tmp_path: Path, model: str) -> None:
        package = small_package(tmp_path / "p")
        settings = Settings(home=tmp_path / "home", mlflow_url=server)
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: MlflowRegistry(settings).register(model, package, {"train_key": "k"}), range(8)))
        assert len({v.version for v in made}) == 1
        assert [v.version for v in MlflowRegistry(settings).versions(model)] == [made[0].version]

    def test_the_run_holds_params_metrics_files_and_leads_to_the_version(
        self, registry: MlflowRegistry, server: str, tmp_path: Path, model: str
    ) -> None:
        (tmp_path / "roc.svg").write_text("<svg/>")
        record = Record({"max_depth": "6"}, {"auc": 0.75}, {"plots/roc.svg": tmp_path / "roc.svg"})
        registry.register(model, small_package(tmp_path / "p"), {"train_key": "k", "snapshot_id": "s"}, record)
        rest = Rest(server)
        run_id = rest.get("model-versions/get", name=model, version="1")["model_version"]["run_id"]
        run = rest.get("runs/get", run_id=run_id)["run"]
        tags = {t["key"]: t["value"] for t in run["data"]["tags"]}
        assert (tags["snapshot_id"], tags["model_version"], run["info"]["status"]) == ("s", "1", "FINISHED")
        assert [(m["key"], m["value"]) for m in run["data"]["metrics"]] == [("auc", 0.75)]
        assert run["data"]["params"] == [{"key": "max_depth", "value": "6"}]
        names = rest.files(f"{run['info']['experiment_id']}/{run_id}/artifacts")
        assert {"plots/roc.svg", "model/MLmodel", "model/input_example.json", "model/package/model.onnx"} <= set(names)


def test_a_server_that_is_away_is_said_to_be_unavailable(tmp_path: Path) -> None:
    registry = MlflowRegistry(Settings(home=tmp_path, mlflow_url="http://127.0.0.1:9"))
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
        registry.versions("flights")
