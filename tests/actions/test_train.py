"""Training: nothing from the future, the same twice, one code path with serving, mistakes named."""

import json
from copy import deepcopy
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from sluicegate.adapters.estimators import DottedEstimators
from sluicegate.errors import OrderError, PackageError, RefusedError, SpecError
from sluicegate.serving.package import load_package
from sluicegate.testing.learning import DAY, SIGHTED, SPEC, START, LearningWorld, toy_rows


@pytest.fixture
def world(tmp_path: Path) -> LearningWorld:
    return LearningWorld(tmp_path, DottedEstimators())


def package(world: LearningWorld, trained) -> Path:
    return world.settings.results / trained["train_key"] / trained["package"]


class TestTheSplit:
    def test_the_newest_rows_are_the_holdout_and_the_embargo_is_used_by_nobody(self, world: LearningWorld) -> None:
        rows = toy_rows()
        split = world.train(world.keep_rows("s", rows))["split"]
        at = np.asarray(rows["event_time"])
        start = at.max() - 30 * DAY
        assert split["rows_holdout"] == int((at > start).sum())
        assert split["rows_embargo"] == int(((at >= start - DAY) & (at <= start)).sum()) > 0
        assert split["train_until"] < start - DAY
        assert split["rows_train"] + split["rows_embargo"] + split["rows_holdout"] == at.size

    def test_a_label_that_came_after_the_holdout_began_is_not_learned(self, world: LearningWorld) -> None:
        rows = toy_rows()
        rows["known_at"] = np.asarray(rows["known_at"]).copy()
        rows["known_at"][:40] = START + 119 * DAY
        split = world.train(world.keep_rows("s", rows))["split"]
        assert split["rows_unknown_at_cut"] == 40
        assert split["train_known_until"] <= split["holdout_from"]

    def test_a_label_that_was_known_before_its_event_is_used_by_nobody(self, world: LearningWorld) -> None:
        rows = toy_rows()
        rows["known_at"] = np.asarray(rows["known_at"]).copy()
        rows["known_at"][[3, -3]] = START - 1
        split = world.train(world.keep_rows("s", rows))["split"]
        assert split["rows_label_before_event"] == 2

    def test_a_window_leaves_older_rows_out(self, world: LearningWorld) -> None:
        spec = deepcopy(SPEC)
        spec["training"]["window"] = "20d"
        world.write(spec)
        split = world.train(world.keep_rows("s", toy_rows()))["split"]
        assert split["train_from"] >= split["cut"] - 20 * DAY
        assert split["rows_outside_window"] > 0

    @pytest.mark.parametrize("column", ["event_time", "known_at"])
    def test_a_planted_future_row_is_refused_by_its_id(self, world: LearningWorld, column: str) -> None:
        rows = toy_rows()
        as_of = float(np.asarray(rows["known_at"]).max())
        rows[column] = np.asarray(rows[column]).copy()
        rows[column][5] = as_of + 60
        with pytest.raises(RefusedError, match=r"'r000005'.*from the future"):
            world.train(world.keep_rows("s", rows, as_of))

    def test_a_request_that_occurs_twice_is_refused(self, world: LearningWorld) -> None:
        rows = toy_rows()
        rows["request_id"][7] = rows["request_id"][2000]
        with pytest.raises(RefusedError, match=f"'{rows['request_id'][7]}' occurs twice"):
            world.train(world.keep_rows("s", rows))

    def test_too_little_data_is_refused_with_the_numbers(self, world: LearningWorld) -> None:
        with pytest.raises(RefusedError, match="rows are left to train on"):
            world.train(world.keep_rows("s", toy_rows(60, days=32)))


class TestTheResult:
    def test_training_twice_gives_the_same_hash_and_the_same_package(self, world: LearningWorld, tmp_path: Path) -> None:
        other = LearningWorld(tmp_path / "other", DottedEstimators())
        both = [w.train(w.keep_rows("s", toy_rows())) for w in (world, other)]
        assert both[0] == both[1]
        first, second = (package(w, t) for w, t in zip((world, other), both, strict=True))
        for path in first.iterdir():
            assert path.read_bytes() == (second / path.name).read_bytes(), path.name

    def test_the_order_of_rows_in_the_file_does_not_matter(self, world: LearningWorld) -> None:
        rows = toy_rows()
        turned = {name: list(reversed(list(values))) for name, values in rows.items()}
        hashes = {world.train(world.keep_rows(name, r))["model_hash"] for name, r in (("a", rows), ("b", turned))}
        assert len(hashes) == 1

    def test_another_seed_is_another_training(self, world: LearningWorld) -> None:
        name = world.keep_rows("s", toy_rows())
        assert world.train(name, seed=1)["train_key"] != world.train(name, seed=2)["train_key"]

    def test_the_package_opens_scores_its_golden_rows_and_says_what_it_was_trained_on(self, world: LearningWorld) -> None:
        trained = world.train(world.keep_rows("s", toy_rows()))
        model = load_package(package(world, trained))
        model.check_golden()
        assert len(model.golden) >= 20
        assert model.manifest.features == ("x", "z")
        assert model.manifest.model_hash == trained["model_hash"]
        stated = json.loads((package(world, trained) / "training.json").read_text())
        assert stated == trained["split"]
        newest = max(datetime.fromisoformat(g["row"]["event_time"]).timestamp() for g in model.golden)
        assert newest == pytest.approx(stated["train_until"], abs=0.001)
        assert (package(world, trained) / "native.ubj").is_file()

    def test_the_metrics_are_those_of_the_packaged_model_on_the_holdout(self, world: LearningWorld) -> None:
        rows = toy_rows()
        trained = world.train(world.keep_rows("s", rows))
        assert trained["metrics"]["auc"] > 0.85
        assert trained["metrics"]["rows"] == trained["split"]["rows_holdout"]
        assert trained["agreement"]["largest"] < 1e-5
        assert trained["device"] == {"asked": "cpu", "used": "cpu", "message": ""}
        assert sorted(p.name for p in (package(world, trained).parent / "plots").iterdir()) == [
            "calibration.svg",
            "precision_recall.svg",
            "roc.svg",
        ]

    def test_a_regression_learns_the_measured_number(self, world: LearningWorld) -> None:
        spec = deepcopy(SPEC)
        spec |= {"task": "regression", "score_range": [-6, 6]}
        spec["training"]["estimator"] = "sklearn.ensemble.HistGradientBoostingRegressor"
        spec["training"]["params"] = {"max_iter": 20}
        spec["comparison"] = {"primary": "mae", "margin": 0.05}
        del spec["data"]["label"]["above"]
        world.write(spec)
        trained = world.train(world.keep_rows("s", toy_rows()))
        assert trained["metrics"]["mae"] < 0.9
        assert not (package(world, trained) / "native.ubj").exists()

    def test_a_feature_never_sees_anything_but_the_request(self, world: LearningWorld) -> None:
        world.write(
            features="def features(row):\n    assert set(row) == KEYS, set(row)\n    return {'x': row['x']}\n"
            "KEYS = {'request_id', 'event_time', 'customer', 'x', 'z', 'region'}\n"
        )
        world.train(world.keep_rows("s", toy_rows()))


class TestMistakes:
    def test_files_that_changed_since_the_order_are_refused(self, world: LearningWorld) -> None:
        inputs = {"snapshot_id": world.keep_rows("s", toy_rows()), "seed": 1, "spec_digest": "0", "features_digest": "0"}
        with pytest.raises(OrderError, match=r"spec\.yaml of 'toy' has digest"):
            world.carry("train", inputs)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ("return {'x': row['speed']}", "KeyError.*speed"),
            ("return {'x': 'fast'}", "'fast'.*'x'"),
            ("return {'x': float('inf')}", "inf"),
            ("return {}", "at least one number"),
            ("return [1.0]", "at least one number"),
            ("return {'x': 1.0} if row['region'] == 'north' else {'y': 1.0}", "other features"),
        ],
    )
    def test_a_wrong_features_file_is_refused_with_the_fault(self, world: LearningWorld, body: str, words: str) -> None:
        world.write(features=f"def features(row):\n    {body}\n")
        with pytest.raises(SpecError, match=words):
            world.train(world.keep_rows("s", toy_rows()))
        assert not any(world.settings.results.iterdir())

    def test_features_that_depend_on_what_was_seen_before_are_refused(self, world: LearningWorld) -> None:
        world.write(features="seen = []\ndef features(row):\n    seen.append(1)\n    return {'x': row['x'] + len(seen)}\n")
        with pytest.raises(PackageError, match="keeps state"):
            world.train(world.keep_rows("s", toy_rows()))

    def test_one_class_only_is_refused(self, world: LearningWorld) -> None:
        rows = toy_rows()
        rows["label"] = np.full(len(rows["label"]), 5.0)
        with pytest.raises(RefusedError, match="one class only"):
            world.train(world.keep_rows("s", rows))

    def test_a_misspelt_parameter_is_refused(self, world: LearningWorld) -> None:
        spec = deepcopy(SPEC)
        spec["training"]["params"]["max_dept"] = 3
        world.write(spec, SIGHTED)
        with pytest.raises(SpecError, match="max_dept"):
            world.train(world.keep_rows("s", toy_rows()))
