"""What every registry keeps. Run over each adapter and over the fake: subclass, and give a `registry` fixture."""

import json
import uuid
from pathlib import Path

import pytest

from sluicegate.errors import RefusedError, StaleTokenError
from sluicegate.ports.registry import Record, Registry


def small_package(folder: Path, text: str = "one") -> Path:
    """A folder that looks like a model package; nothing in it can be scored."""
    (folder / "deep").mkdir(parents=True)
    manifest = {"format": 1, "model": "flights", "features": ["a"], "inputs": {"a": {"type": "number"}}, "model_hash": text}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "golden.json").write_text(json.dumps([{"row": {"request_id": "r", "a": 1.5}, "score": 0.5, "decision": True}]))
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 40 + text.encode())
    (folder / "deep" / "note with space.txt").write_text(text)
    return folder


class RegistryContract:
    """Tests that every implementation of the Registry port passes."""

    @pytest.fixture
    def registry(self) -> Registry:
        raise NotImplementedError

    @pytest.fixture
    def model(self) -> str:
        """A name that no other test used: all tests may share one server."""
        return f"model_{uuid.uuid4().hex[:12]}"

    def test_versions_count_from_one_and_come_back_oldest_first(self, registry: Registry, model: str, tmp_path: Path) -> None:
        for number in range(11):
            registry.register(model, small_package(tmp_path / f"p{number}"), {"train_key": f"k{number}"})
        assert [v.version for v in registry.versions(model)] == [str(n) for n in range(1, 12)]

    def test_an_unknown_model_has_no_versions_and_no_alias(self, registry: Registry, model: str) -> None:
        assert registry.versions(model) == []
        assert registry.resolve(model, "champion") is None
        registry.alias(model, "champion", None)
        registry.alias(model, "champion", None, fence=3)

    def test_the_same_training_twice_is_one_version_with_the_newest_tags(
        self, registry: Registry, model: str, tmp_path: Path
    ) -> None:
        package = small_package(tmp_path / "p")
        first = registry.register(model, package, {"train_key": "k", "verdict": "neutral"}, Record({"depth": "3"}, {"auc": 0.7}))
        again = registry.register(model, package, {"train_key": "k", "verdict": "promote"})
        assert again.version == first.version == "1"
        assert [dict(v.tags) for v in registry.versions(model)] == [{"train_key": "k", "verdict": "promote"}]

    def test_a_version_without_a_train_key_is_refused(self, registry: Registry, model: str, tmp_path: Path) -> None:
        with pytest.raises(RefusedError, match="train_key"):
            registry.register(model, small_package(tmp_path / "p"), {"model_hash": "x"})
        assert registry.versions(model) == []

    def test_the_package_comes_back_byte_for_byte(self, registry: Registry, model: str, tmp_path: Path) -> None:
        package = small_package(tmp_path / "p")
        version = registry.register(model, package, {"train_key": "k"}).version
        for _ in range(2):
            assert _bytes(registry.package(model, version)) == _bytes(package)

    def test_each_version_has_its_own_package(self, registry: Registry, model: str, tmp_path: Path) -> None:
        for name in ("one", "two"):
            registry.register(model, small_package(tmp_path / name, name), {"train_key": name})
        notes = [(registry.package(model, v) / "deep" / "note with space.txt").read_text() for v in ("1", "2")]
        assert notes == ["one", "two"]

    def test_the_package_of_an_unknown_version_is_refused(self, registry: Registry, model: str, tmp_path: Path) -> None:
        registry.register(model, small_package(tmp_path / "p"), {"train_key": "k"})
        with pytest.raises(RefusedError, match="7"):
            registry.package(model, "7")

    def test_an_alias_moves_and_can_be_removed_twice(self, registry: Registry, model: str, tmp_path: Path) -> None:
        for name in ("one", "two"):
            registry.register(model, small_package(tmp_path / name, name), {"train_key": name})
        assert registry.resolve(model, "champion") is None
        for version in ("1", "2", "2"):
            registry.alias(model, "champion", version)
            found = registry.resolve(model, "champion")
            assert found is not None
            assert (found.version, found.tags["train_key"]) == (version, ("one", "two")[int(version) - 1])
        for _ in range(2):
            registry.alias(model, "champion", None)
            assert registry.resolve(model, "champion") is None

    def test_a_late_writer_cannot_turn_an_alias_back(self, registry: Registry, model: str, tmp_path: Path) -> None:
        for name in ("one", "two"):
            registry.register(model, small_package(tmp_path / name, name), {"train_key": name})
        registry.alias(model, "champion", "1", fence=17)
        for fence in (90, 90, 101):
            registry.alias(model, "champion", "2", fence=fence)
        for late in ("1", None):
            with pytest.raises(StaleTokenError, match="event 101, after event 90"):
                registry.alias(model, "champion", late, fence=90)
        found = registry.resolve(model, "champion")
        assert found is not None
        assert found.version == "2"
        registry.alias(model, "candidate", "1", fence=5)
        registry.alias(model, "champion", "1", fence=102)

    def test_a_refused_write_fences_nobody_off(self, registry: Registry, model: str, tmp_path: Path) -> None:
        registry.register(model, small_package(tmp_path / "one"), {"train_key": "one"})
        with pytest.raises(RefusedError, match="9"):
            registry.alias(model, "champion", "9", fence=90)
        registry.alias(model, "champion", "1", fence=80)

    def test_an_alias_to_an_unknown_version_is_refused(self, registry: Registry, model: str, tmp_path: Path) -> None:
        registry.register(model, small_package(tmp_path / "p"), {"train_key": "k"})
        with pytest.raises(RefusedError, match="9"):
            registry.alias(model, "champion", "9")
        assert registry.resolve(model, "champion") is None


def _bytes(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
