"""Registering: one version a training, traceable both ways, and released only by verdict."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate.actions.register import released, run_register
from sluicegate.adapters.estimators import DottedEstimators
from sluicegate.domain.order import Order
from sluicegate.domain.rollout import Kind
from sluicegate.domain.spec import parse_spec
from sluicegate.domain.verdict import OfflineVerdict
from sluicegate.errors import RefusedError
from sluicegate.testing.learning import BLIND, MODEL, SIGHTED, SPEC, LearningWorld, toy_rows


@pytest.fixture
def world(tmp_path: Path) -> LearningWorld:
    return LearningWorld(tmp_path, DottedEstimators())


class TestAVersion:
    def test_it_is_traced_to_rows_code_training_and_decision(self, world: LearningWorld) -> None:
        name = world.keep_rows("s", toy_rows())
        trained = world.train(name)
        compared = world.compare(trained, name, None)
        answer = world.register(trained, compared)
        assert (answer["version"], answer["verdict"], answer["release"]) == ("1", "first", True)
        (version,) = world.registry.versions(MODEL)
        expected = {n: trained[n] for n in ("model_hash", "snapshot_id", "code_digest", "train_key")}
        assert version.tags == expected | {"compare_key": compared["compare_key"], "verdict": "first", "reason": "first"}
        record = world.registry.records[MODEL, "1"]
        assert record.params["estimator"] == "xgboost.XGBClassifier"
        assert record.metrics["auc"] == trained["metrics"]["auc"]
        assert {"report.html", "report.json", "plots/roc.svg"} <= set(record.files)
        assert world.registry.resolve(MODEL, "candidate") == version

    def test_it_is_traced_to_the_image_that_trained_it(self, world: LearningWorld) -> None:
        world.settings = replace(world.settings, code_version="0123abc", lock_digest="sha256:5")
        name = world.keep_rows("s", toy_rows())
        trained = world.train(name)
        world.settings = replace(world.settings, code_version="later", lock_digest="sha256:6")
        world.register(trained, world.compare(trained, name, None))
        (version,) = world.registry.versions(MODEL)
        assert (version.tags["code_version"], version.tags["lock_digest"]) == ("0123abc", "sha256:5")

    def test_the_journal_learns_of_it_once_with_the_prediction(self, world: LearningWorld, tmp_path: Path) -> None:
        name = world.keep_rows("s", toy_rows())
        trained = world.train(name)
        compared = world.compare(trained, name, None)
        order = Order("register", MODEL, {"train_key": trained["train_key"], "compare_key": compared["compare_key"]})
        assert run_register(order, world, tmp_path) == run_register(order, world, tmp_path)
        (event,) = world.journal.events(MODEL, kinds=(Kind.REGISTERED,))
        assert (event.data["version"], event.data["release"], event.data["verdict"]) == ("1", True, "first")
        assert event.data["predicted"]["rows"] == trained["split"]["rows_holdout"]
        assert len(world.registry.versions(MODEL)) == 1

    def test_a_rejected_candidate_is_kept_but_not_released(self, world: LearningWorld) -> None:
        name = world.keep_rows("s", toy_rows())
        champion = world.champion(name, SIGHTED)
        world.registry.alias(MODEL, "candidate", None)
        world.write(features=BLIND)
        trained = world.train(name)
        answer = world.register(trained, world.compare(trained, name, champion))
        assert (answer["verdict"], answer["release"]) == ("reject", False)
        assert world.registry.resolve(MODEL, "candidate") is None
        assert [v.tags["verdict"] for v in world.registry.versions(MODEL)] == ["first", "reject"]

    def test_a_comparison_without_result_is_refused(self, world: LearningWorld) -> None:
        trained = world.train(world.keep_rows("s", toy_rows()))
        with pytest.raises(RefusedError, match="compare_key 'absent' has no committed result"):
            world.register(trained, {"compare_key": "absent"})


@pytest.mark.parametrize(
    ("verdict", "neutral", "expected"),
    [
        ("promote", "keep", True),
        ("first", "keep", True),
        ("neutral", "keep", False),
        ("neutral", "release", True),
        ("reject", "release", False),
        ("inconclusive", "release", False),
    ],
)
def test_only_these_verdicts_release(verdict: str, neutral: str, expected: bool) -> None:
    raw = deepcopy(SPEC)
    raw["comparison"]["neutral"] = neutral
    assert released(OfflineVerdict(verdict), parse_spec(raw, "spec.yaml")) is expected
