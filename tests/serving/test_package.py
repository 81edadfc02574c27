"""A package comes back as it was written or not at all, and scores through one path."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sluicegate.errors import PackageError, SpecError
from sluicegate.serving.package import Model, load_package
from sluicegate.testing.package import FEATURES, logistic_onnx, toy_package, toy_row


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return toy_package(tmp_path_factory.mktemp("toy"))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


class TestScores:
    def test_a_row_scores_what_the_formula_says(self, model: Model) -> None:
        row = {**toy_row(0), "distance": 2000.0, "wind": 3.0}
        assert model.score_row(row) == pytest.approx(sigmoid(0.5 * 2 - 0.25 * 3 - 0.5), abs=1e-6)

    def test_a_missing_value_reaches_the_model_as_nan(self, model: Model) -> None:
        row = {**toy_row(0), "distance": 2000.0, "wind": None}
        assert model.score_row(row) == pytest.approx(sigmoid(0.5), abs=1e-6)

    def test_many_rows_score_as_one_by_one(self, model: Model) -> None:
        rows = [toy_row(n) for n in range(300)]
        scores = model.score_rows(iter(rows))
        assert scores.dtype == np.float64
        np.testing.assert_allclose(scores, [model.score_row(row) for row in rows], rtol=0, atol=1e-6)

    def test_more_rows_than_a_chunk_keep_their_order(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [toy_row(n) for n in range(100)]
        whole = model.score_rows(rows)
        monkeypatch.setattr("sluicegate.serving.package._CHUNK", 7)
        np.testing.assert_allclose(model.score_rows(rows), whole, rtol=0, atol=1e-6)

    def test_no_rows_have_no_scores(self, model: Model) -> None:
        assert model.score_rows([]).shape == (0,)

    def test_a_score_at_the_threshold_is_decided_positive(self, model: Model) -> None:
        assert model.decide(0.5) is True
        assert model.decide(0.499999) is False

    def test_a_model_that_gives_nan_is_not_served(self, tmp_path: Path) -> None:
        with pytest.raises(PackageError, match=r"gives nan for row 'r0'"):
            toy_package(tmp_path, onnx_bytes=logistic_onnx((0.5, 0.5), math.nan))


class TestFeatures:
    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            ("return {'distance': row['nowhere']}", r"fails on row 'r0': KeyError: 'nowhere'"),
            ("return {'distance': 1.0}", r"missing \['wind'\], unknown \[\]"),
            ("return {'distance': 1.0, 'wind': 1.0, 'rain': 1.0}", r"missing \[\], unknown \['rain'\]"),
            ("return {'distance': '1.5', 'wind': 1.0}", r"'1\.5' as feature 'distance' for row 'r0'"),
            ("return {'distance': 1.0, 'wind': None}", r"None as feature 'wind' for row 'r0'"),
            ("return {'distance': 1.0, 'wind': float('inf')}", r"inf as feature 'wind' for row 'r0'"),
            ("return {'distance': 1.0, 'wind': float('-inf')}", r"-inf as feature 'wind' for row 'r0'"),
            ("return {'distance': 1e300, 'wind': 1.0}", r"1e\+300 as feature 'distance' for row 'r0'"),
            ("return [1.0, 2.0]", r"returns list for row 'r0'"),
            ("return None", r"returns NoneType for row 'r0'"),
        ],
    )
    def test_a_wrong_answer_of_features_names_row_and_feature(self, tmp_path: Path, body: str, sentence: str) -> None:
        with pytest.raises(PackageError, match=sentence):
            toy_package(tmp_path, features=f"def features(row):\n    {body}\n")

    def test_a_late_failure_names_the_row_that_failed(self, tmp_path: Path) -> None:
        features = "def features(row):\n    return {'distance': 1 / (row['distance'] - 7), 'wind': 0.0}\n"
        model = toy_package(tmp_path, features=features)
        with pytest.raises(SpecError, match=r"row 'r5': ZeroDivisionError"):
            model.score_rows([toy_row(4), {**toy_row(5), "distance": 7}])

    def test_features_in_another_order_are_taken_by_name(self, tmp_path: Path, model: Model) -> None:
        swapped = toy_package(tmp_path, features="def features(row):\n    return {'wind': 2.0, 'distance': 1.0}\n")
        assert swapped.score_row(toy_row(0)) == pytest.approx(sigmoid(0.5 - 0.5 - 0.5), abs=1e-6)

    def test_numpy_numbers_truth_values_and_integers_are_numbers(self, tmp_path: Path) -> None:
        features = "import numpy as np\ndef features(row):\n    return {'distance': np.float64(1), 'wind': True}\n"
        assert toy_package(tmp_path, features=features).score_row(toy_row(0)) == pytest.approx(sigmoid(-0.25), abs=1e-6)

    def test_each_opened_package_has_module_state_of_its_own(self, tmp_path: Path) -> None:
        features = "seen = []\ndef features(row):\n    seen.append(row)\n    return {'distance': len(seen), 'wind': 0.0}\n"
        first = toy_package(tmp_path, features=features)
        second = load_package(first.folder)
        assert first.score_row(toy_row(1)) == second.score_row(toy_row(1))
        first.check_golden()
        assert first.score_row(toy_row(1)) > second.score_rows([])[:0].sum()
        assert first.score_row(toy_row(1)) > second.score_row(toy_row(1))

    def test_a_module_with_dataclasses_loads_and_leaves_no_cache_in_the_folder(self, tmp_path: Path) -> None:
        features = (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: float\n"
            "def features(row):\n    return {'distance': A(1.0).x, 'wind': 0.0}\n"
        )
        model = toy_package(tmp_path, features=features)
        assert sorted(p.name for p in model.folder.iterdir()) == sorted(["manifest.json", *model.manifest.files])

    @pytest.mark.parametrize(
        ("source", "sentence"), [("x = 1 / 0", "ZeroDivisionError"), ("def f(", "SyntaxError"), ("", "no function")]
    )
    def test_a_features_file_that_cannot_be_loaded_is_refused(self, tmp_path: Path, source: str, sentence: str) -> None:
        with pytest.raises(SpecError, match=sentence):
            toy_package(tmp_path, features=source)


VALUE = FEATURES + "\n\ndef value(row, decision):\n    "


class TestValue:
    def test_a_features_file_without_value_tells_none(self, model: Model) -> None:
        assert model.value is None

    def test_the_value_of_an_answer_follows_row_and_decision(self, tmp_path: Path) -> None:
        features = VALUE + "return row['distance'] if decision else -1"
        value = toy_package(tmp_path, features=features).value
        assert value is not None
        assert (value(toy_row(0), True), value(toy_row(0), False)) == (100.0, -1.0)

    def test_what_value_does_to_the_row_stays_with_it(self, tmp_path: Path) -> None:
        model, row = toy_package(tmp_path, features=VALUE + "return row.pop('distance')"), toy_row(0)
        assert model.value is not None
        model.value(row, True)
        assert row == toy_row(0)

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            ("return row['nowhere']", r"the golden rows have no value: .* for row 'r0': KeyError: 'nowhere'"),
            ("return None", r"for row 'r0': TypeError"),
            ("return float('nan')", r"returns nan as the value of row 'r0': return a finite number"),
            ("return 1 / 0 if decision else 1", r"for row 'r0': ZeroDivisionError"),
        ],
    )
    def test_a_value_that_some_decision_on_a_golden_row_lacks_is_not_packaged(
        self, tmp_path: Path, body: str, sentence: str
    ) -> None:
        with pytest.raises(PackageError, match=sentence):
            toy_package(tmp_path, features=VALUE + body)

    def test_a_value_that_is_no_function_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="'value' is no function: write value"):
            toy_package(tmp_path, features=FEATURES + "value = 3\n")


class TestFolder:
    def test_the_manifest_says_what_the_spec_and_the_training_said(self, model: Model) -> None:
        manifest = load_package(model.folder).manifest
        assert (manifest.model, manifest.task, manifest.threshold) == ("toy", "classification", 0.5)
        assert (manifest.features, manifest.slow_bounds_ms) == (("distance", "wind"), (25.0,))
        assert (manifest.request_id, manifest.event_time, manifest.user_id) == ("request_id", "event_time", "tailnum")
        assert (manifest.snapshot_id, manifest.code_digest, manifest.model_hash) == ("snapshot", "code", "hash")
        assert manifest.inputs["distance"] == {"type": "number", "required": True, "min": 0.0, "max": 6000.0, "values": None}

    def test_written_twice_the_bytes_are_the_same(self, tmp_path: Path) -> None:
        folders = [toy_package(tmp_path / name).folder for name in ("a", "b")]
        one, other = ({p.name: p.read_bytes() for p in folder.iterdir()} for folder in folders)
        assert one == other

    @pytest.mark.parametrize("name", ["model.onnx", "features.py", "spec.yaml", "golden.json"])
    def test_an_altered_or_absent_file_is_named(self, tmp_path: Path, name: str) -> None:
        folder = toy_package(tmp_path).folder
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        with pytest.raises(PackageError, match=f"{name} was altered"):
            load_package(folder)
        (folder / name).unlink()
        with pytest.raises(PackageError, match=f"{name} is listed"):
            load_package(folder)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"format": 2}, "format 2"),
            ({"threshold": None}, r"lacks \['threshold'\]"),
            ({"colour": "red"}, r"unknown \['colour'\]"),
            ({"files": {}}, r"lists no model\.onnx"),
        ],
    )
    def test_a_manifest_of_another_shape_is_refused(self, tmp_path: Path, change: dict, sentence: str) -> None:
        path = toy_package(tmp_path).folder / "manifest.json"
        raw = json.loads(path.read_text()) | change
        path.write_text(json.dumps({k: v for k, v in raw.items() if v is not None}))
        with pytest.raises(PackageError, match=sentence):
            load_package(path.parent)

    def test_a_package_of_before_segments_has_none(self, tmp_path: Path) -> None:
        folder = toy_package(tmp_path).folder
        manifest = json.loads((folder / "manifest.json").read_text())
        del manifest["segments"]
        (folder / "manifest.json").write_text(json.dumps(manifest))
        assert load_package(folder).manifest.segments == ()

    def test_a_file_outside_the_folder_is_never_read(self, tmp_path: Path) -> None:
        path = toy_package(tmp_path).folder / "manifest.json"
        raw = json.loads(path.read_text())
        raw["files"]["../sources/spec.yaml"] = raw["files"]["spec.yaml"]
        path.write_text(json.dumps(raw))
        with pytest.raises(PackageError, match="outside the package"):
            load_package(path.parent)

    def test_a_folder_without_manifest_and_one_with_half_of_it_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PackageError, match="cannot be read"):
            load_package(tmp_path)
        (tmp_path / "manifest.json").write_text('{"format": 1')
        with pytest.raises(PackageError, match="cannot be read"):
            load_package(tmp_path)

    def test_an_onnx_model_of_another_width_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PackageError, match=r"one float32 \[rows, 2\]"):
            toy_package(tmp_path, onnx_bytes=logistic_onnx((1.0, 2.0, 3.0), 0.0))

    def test_bytes_that_are_no_model_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PackageError, match="no model that onnxruntime opens"):
            toy_package(tmp_path, onnx_bytes=b"not onnx")

    def test_too_few_golden_rows_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PackageError, match="19 golden rows"):
            toy_package(tmp_path, golden=19)


class TestGolden:
    def test_a_sound_package_passes(self, model: Model) -> None:
        model.check_golden()

    def test_another_score_is_named_with_its_row(self, tmp_path: Path) -> None:
        folder = toy_package(tmp_path).folder
        golden = json.loads((folder / "golden.json").read_text())
        golden[3]["score"] += 0.01
        _rewrite(folder, json.dumps(golden))
        with pytest.raises(PackageError, match="golden row 3"):
            load_package(folder).check_golden()

    def test_another_decision_is_named_with_its_row(self, tmp_path: Path) -> None:
        folder = toy_package(tmp_path).folder
        golden = json.loads((folder / "golden.json").read_text())
        golden[2]["decision"] = not golden[2]["decision"]
        _rewrite(folder, json.dumps(golden))
        with pytest.raises(PackageError, match=r"golden row 2 .* is decided"):
            load_package(folder).check_golden()


def _rewrite(folder: Path, golden: str) -> None:
    from sluicegate.serving.manifest import digest

    (folder / "golden.json").write_text(golden)
    raw = json.loads((folder / "manifest.json").read_text())
    raw["files"]["golden.json"] = digest(golden.encode())
    (folder / "manifest.json").write_text(json.dumps(raw))
