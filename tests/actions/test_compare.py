"""The offline verdict: better, no worse, harmful or not known, on rows that neither model has seen; and what it foretells."""

import json
import re
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from sluicegate.actions.comparison.looks import look_at, look_number
from sluicegate.adapters.estimators import DottedEstimators
from sluicegate.domain.comparison import Comparison
from sluicegate.domain.evidence import SCORE_BINS, Predicted
from sluicegate.errors import RefusedError
from sluicegate.stats import closed_test
from sluicegate.testing.learning import BLIND, DAY, SIGHTED, SPEC, START, LearningWorld, toy_rows

NOISE = "import random\nrandom.seed(1)\ndef features(row):\n    return {'x': float(int(row['request_id'][1:]) * 7919 % 1000)}\n"
"""A features.py that carries no signal."""


@pytest.fixture
def world(tmp_path: Path) -> LearningWorld:
    return LearningWorld(tmp_path, DottedEstimators())


def contest(world: LearningWorld, champion: str, candidate: str, rows=None):
    """Verdict on `candidate` against `champion`, two features.py trained on the same rows."""
    name = world.keep_rows("s", rows or toy_rows())
    version = world.champion(name, champion)
    world.write(features=candidate)
    return world.compare(world.train(name), name, version)


def told(world: LearningWorld, result):
    """The report's numbers."""
    return json.loads((world.settings.results / result["compare_key"] / "report.json").read_text())


def served(request_id: str, at: float, score: float) -> str:
    """A line of a server's prediction log."""
    when = datetime.fromtimestamp(at, UTC).isoformat()
    return json.dumps({"request_id": request_id, "event_time": when, "role": "answer", "score": score, "inputs": {}}) + "\n"


def changed(**comparison):
    spec = deepcopy(SPEC)
    spec["comparison"] |= comparison
    return spec


class TestVerdict:
    def test_a_better_candidate_is_promoted(self, world: LearningWorld) -> None:
        result = contest(world, BLIND, SIGHTED)
        assert (result["verdict"], result["reason"]) == ("promote", "better")
        numbers = result["numbers"]
        assert numbers["lower"] > 0
        assert numbers["candidate"] - numbers["champion"] == pytest.approx(numbers["difference"])

    def test_the_same_model_again_is_neutral(self, world: LearningWorld) -> None:
        result = contest(world, SIGHTED, SIGHTED + "# the same, written again\n")
        assert (result["verdict"], result["reason"]) == ("neutral", "no_worse")
        assert result["numbers"]["difference"] == 0
        assert result["predicted"]["flips_on"] == result["predicted"]["flips_off"] == 0

    def test_a_worse_candidate_is_rejected(self, world: LearningWorld) -> None:
        result = contest(world, SIGHTED, BLIND)
        assert (result["verdict"], result["reason"]) == ("reject", "worse")

    def test_too_few_rows_are_inconclusive_and_say_how_many_would_decide(self, world: LearningWorld) -> None:
        spec = changed(margin=0.002, slices=[])
        spec["training"]["params"] |= {"subsample": 0.5}
        world.write(spec)
        name = world.keep_rows("s", toy_rows(1200))
        version = world.champion(name)
        result = world.compare(world.train(name, seed=2), name, version)
        assert (result["verdict"], result["reason"]) == ("inconclusive", "not_enough_data")
        numbers = result["numbers"]
        assert numbers["detectable"] > numbers["margin"]
        assert numbers["rows_to_decide"] > numbers["rows"]
        assert f"{numbers['rows_to_decide']:,}" in result["message"]

    def test_few_users_are_inconclusive_however_many_rows_they_have(self, world: LearningWorld) -> None:
        result = contest(world, BLIND, SIGHTED, toy_rows(customers=12))
        assert (result["verdict"], result["reason"]) == ("inconclusive", "too_few_units")

    def test_rows_of_one_user_count_less_than_rows_of_many(self, world: LearningWorld, tmp_path: Path) -> None:
        rows = toy_rows()
        alone = contest(world, BLIND, SIGHTED, rows)
        other = LearningWorld(tmp_path / "other", DottedEstimators())
        copied = {name: np.repeat(np.asarray(values, dtype=object), 4).tolist() for name, values in rows.items()}
        copied["request_id"] = [f"{r}-{i % 4}" for i, r in enumerate(copied["request_id"])]
        together = contest(other, BLIND, SIGHTED, copied)
        assert together["numbers"]["rows"] == 4 * alone["numbers"]["rows"]
        assert together["numbers"]["standard_error"] == pytest.approx(alone["numbers"]["standard_error"], rel=0.15)

    def test_harm_in_one_small_slice_is_rejected_though_the_whole_is_better(self, world: LearningWorld) -> None:
        planted = SIGHTED.replace("'x': float(row['x'])", "'x': 0.0 if row['region'] == 'west' else float(row['x'])")
        planted = planted.replace("return {", "z = None if row['region'] == 'west' else z\n    return {")
        result = contest(world, BLIND, planted, toy_rows(6000))
        assert (result["verdict"], result["reason"]) == ("reject", "slice_worse")
        assert "region = west" in result["message"]
        assert result["numbers"]["difference"] > 0

    def test_probabilities_that_are_further_off_are_rejected_though_the_ranking_is_equal(self, world: LearningWorld) -> None:
        spec = changed(slices=[])
        world.write(spec)
        rows = toy_rows()
        name = world.keep_rows("s", rows)
        version = world.champion(name, SIGHTED)
        spec["training"]["params"] |= {"scale_pos_weight": 12}
        world.write(spec)
        result = world.compare(world.train(name), name, version)
        assert result["verdict"] == "reject"
        assert result["reason"] in ("calibration_worse", "worse")

    def test_an_undefined_metric_is_inconclusive(self, world: LearningWorld) -> None:
        rows = toy_rows()
        label = np.asarray(rows["label"]).copy()
        label[np.asarray(rows["event_time"]) > START + 85 * DAY] = 5.0
        result = contest(world, BLIND, SIGHTED, rows | {"label": label})
        assert (result["verdict"], result["reason"]) == ("inconclusive", "metric_undefined")


class TestProtectedSlices:
    def test_harm_in_a_protected_slice_is_rejected_at_the_full_level(self, world: LearningWorld) -> None:
        world.write(changed(slices=[], protected=["region=west"]))
        planted = SIGHTED.replace("return {", "z = None if row['region'] == 'west' else z\n    return {")
        result = contest(world, SIGHTED, planted, toy_rows(9000))
        assert (result["verdict"], result["reason"]) == ("reject", "protected_worse")

    def test_a_protected_slice_that_is_absent_is_inconclusive_however_good_the_candidate(self, world: LearningWorld) -> None:
        world.write(changed(slices=[], protected=["region=east"]))
        result = contest(world, BLIND, SIGHTED)
        assert (result["verdict"], result["reason"]) == ("inconclusive", "protected_absent")
        assert "region = east has no row" in result["message"]

    def test_a_protected_slice_with_too_few_rows_is_inconclusive_and_says_how_many_there_are(self, world: LearningWorld) -> None:
        world.write(changed(slices=[], protected=["region=west"]))
        result = contest(world, BLIND, SIGHTED)
        assert (result["verdict"], result["reason"]) == ("inconclusive", "protected_absent")
        assert re.search(r"region = west has \d+ rows", result["message"])

    def test_a_protected_slice_without_power_is_inconclusive_and_says_how_many_of_its_rows_would_decide(
        self, world: LearningWorld
    ) -> None:
        spec = changed(slices=[], protected=["region=west"], margin=0.006)
        world.write(spec)
        name = world.keep_rows("s", toy_rows(9000))
        version = world.champion(name, SIGHTED)
        spec["training"]["params"] |= {"subsample": 0.2}
        world.write(spec)
        result = world.compare(world.train(name), name, version)
        assert (result["verdict"], result["reason"]) == ("inconclusive", "protected_undecided")
        assert re.search(r"where region = west: .* about [\d,]+ rows of this kind would decide instead of \d+", result["message"])

    def test_a_protected_slice_that_is_proven_no_worse_lets_the_better_candidate_pass(self, world: LearningWorld) -> None:
        world.write(changed(slices=[], protected=["region=west", "region=north"]))
        assert contest(world, BLIND, SIGHTED, toy_rows(9000))["verdict"] == "promote"


class TestGates:
    @pytest.mark.parametrize(
        ("gates", "expected"),
        [
            ({"flips": "1%"}, ("reject", "flips_exceeded")),
            ({"negative_flips": "0.1%"}, ("reject", "negative_flips_exceeded")),
            ({"size_mb": 0.001}, ("reject", "size_mb_exceeded")),
            ({"p95_ms": 1e-6}, ("reject", "p95_ms_exceeded")),
            ({"growth": 1}, ("reject", "growth_exceeded")),
            ({"flips": "90%", "negative_flips": "50%", "size_mb": 50, "growth": 9, "brier": 0.01}, ("promote", "better")),
        ],
    )
    def test_a_gate_that_is_named_must_be_kept(self, world: LearningWorld, gates, expected) -> None:
        world.write(changed(slices=[], gates=gates))
        result = contest(world, BLIND, SIGHTED)
        assert (result["verdict"], result["reason"]) == expected

    def test_a_gate_that_the_rows_cannot_decide_is_inconclusive(self, world: LearningWorld) -> None:
        world.write(changed(slices=[], gates={"flips": 0.23}))
        result = contest(world, BLIND, SIGHTED)
        assert (result["verdict"], result["reason"]) == ("inconclusive", "flips_undecided")
        assert "the gate allows 23 %" in result["message"]

    def test_the_first_model_must_keep_its_size_too(self, world: LearningWorld) -> None:
        world.write(changed(gates={"size_mb": 0.001}))
        name = world.keep_rows("s", toy_rows())
        assert world.compare(world.train(name), name, None)["reason"] == "size_mb_exceeded"


class TestLooks:
    def test_a_later_comparison_with_the_same_champion_asks_for_more(self, world: LearningWorld) -> None:
        name = world.keep_rows("s", toy_rows())
        version = world.champion(name, BLIND)
        world.write(features=SIGHTED)
        trained = world.train(name)
        inputs = {"train_key": trained["train_key"], "snapshot_id": name, "champion_version": version}
        first, late = (world.carry("compare", {**inputs, "look": look})["numbers"] for look in (1, 52))
        assert late["alpha"] < first["alpha"] < 0.05
        assert late["lower"] < first["lower"]
        assert late["difference"] == first["difference"]

    def test_the_look_is_the_place_among_trainings_compared_with_this_champion(self) -> None:
        seen = [("a", "1"), ("b", "1"), ("a", "1"), ("c", "2"), ("d", None)]
        registered = [{"train_key": key, "champion": champion} for key, champion in seen]
        assert [look_number(registered, "1", key) for key in ("a", "b", "c", "new")] == [1, 2, 3, 3]
        assert look_number(registered, "2", "new") == 2
        assert look_number([], "1", "new") == 1

    def test_no_look_is_laxer_than_a_single_claim(self) -> None:
        assert look_at(Comparison(false_promotions=0.9, looks=2), 1).level == 0.05


class TestTheHoldout:
    def test_rows_that_repeat_what_was_learned_and_another_mean_label_are_told(self, world: LearningWorld) -> None:
        rows = toy_rows()
        for name in ("user", "x", "z", "region", "label"):
            column = list(rows[name])
            column[-5:] = column[:5]
            rows[name] = column
        report = told(world, contest(world, BLIND, SIGHTED, rows))
        assert report["holdout"]["repeats_of_training_rows"] == 5
        assert report["holdout"]["mean_label"] == pytest.approx(report["holdout"]["mean_label_training"], abs=0.1)

    def test_requests_without_a_label_are_counted_with_their_decisions(self, world: LearningWorld) -> None:
        rows = toy_rows()
        asked = [(r, t, 0.9) for r, t in zip(rows["request_id"], rows["event_time"], strict=True)]
        asked += [(f"lost{i}", START + 119 * DAY, 0.9 if i < 70 else 0.1) for i in range(100)]
        log = world.settings.predictions / "toy" / "1" / "log.jsonl"
        log.parent.mkdir(parents=True)
        log.write_text("".join(served(*one) for one in asked) + served("lost1", START + 119 * DAY, 0.9))
        found = told(world, contest(world, BLIND, SIGHTED, rows))["holdout"]["censored"]
        assert (found["unlabelled"], found["unlabelled_positive"]) == (100, 70)
        assert found["share"] == pytest.approx(100 / found["asked"])

    def test_a_weighted_row_counts_for_those_that_never_get_a_label(self, world: LearningWorld) -> None:
        rows = toy_rows()
        plain = contest(world, BLIND, SIGHTED, rows)["numbers"]
        world.write(changed(weight="x"))
        with pytest.raises(RefusedError, match=r"comparison\.weight names 'x'"):
            world.compare(world.train("s"), "s", "1")
        spec = changed(weight="w")
        spec["data"]["inputs"]["w"] = {"type": "number"}
        other = LearningWorld(world.settings.home.parent / "weighted", DottedEstimators(), spec)
        heavy = [3.0 if r == "west" else 1.0 for r in rows["region"]]
        weighted = contest(other, BLIND, SIGHTED, rows | {"w": heavy})["numbers"]
        assert weighted["method"] == "paired_bootstrap"
        assert weighted["champion"] != plain["champion"]

    def test_a_champion_that_saw_the_holdout_is_not_compared(self, world: LearningWorld) -> None:
        rows = toy_rows()
        version = world.champion(world.keep_rows("newer", rows), BLIND)
        older = {name: np.asarray(values, dtype=object)[:2000].tolist() for name, values in rows.items()}
        world.write(features=SIGHTED)
        name = world.keep_rows("older", older)
        result = world.compare(world.train(name), name, version)
        assert (result["verdict"], result["reason"]) == ("inconclusive", "holdout_seen")
        assert "the champion was trained on rows until" in result["message"]

    def test_a_package_that_does_not_say_what_it_saw_is_not_compared(self, world: LearningWorld) -> None:
        name = world.keep_rows("s", toy_rows())
        version = world.champion(name, BLIND)
        (world.registry.package("toy", version) / "training.json").unlink()
        manifest = world.registry.package("toy", version) / "manifest.json"
        listed = json.loads(manifest.read_text())
        del listed["files"]["training.json"]
        manifest.write_text(json.dumps(listed))
        world.write(features=SIGHTED)
        result = world.compare(world.train(name), name, version)
        assert (result["verdict"], result["reason"]) == ("inconclusive", "holdout_seen")
        assert "does not say" in result["message"]

    def test_a_champion_of_an_earlier_month_is_scored_on_the_new_holdout(self, world: LearningWorld) -> None:
        rows = toy_rows()
        earlier = {name: np.asarray(values, dtype=object)[:2000].tolist() for name, values in rows.items()}
        version = world.champion(world.keep_rows("earlier", earlier), BLIND)
        world.write(features=SIGHTED)
        name = world.keep_rows("later", rows)
        assert world.compare(world.train(name), name, version)["verdict"] == "promote"

    def test_a_training_without_result_is_refused(self, world: LearningWorld) -> None:
        name = world.keep_rows("s", toy_rows())
        with pytest.raises(RefusedError, match="no committed result"):
            world.compare({"train_key": "absent"}, name, None)


class TestTheFirstModel:
    def test_a_first_model_with_signal_is_first(self, world: LearningWorld) -> None:
        name = world.keep_rows("s", toy_rows())
        result = world.compare(world.train(name), name, None)
        assert (result["verdict"], result["reason"]) == ("first", "first")
        assert result["predicted"]["champion_mean_score"] is None

    def test_a_first_model_without_signal_is_inconclusive(self, world: LearningWorld) -> None:
        world.write(features=NOISE)
        name = world.keep_rows("s", toy_rows())
        result = world.compare(world.train(name), name, None)
        assert (result["verdict"], result["reason"]) == ("inconclusive", "no_signal")


class TestRegression:
    @pytest.fixture
    def world(self, tmp_path: Path) -> LearningWorld:
        spec = changed(primary="mae", margin=0.05)
        spec |= {"task": "regression", "score_range": [-6, 6]}
        spec["training"]["estimator"] = "xgboost.XGBRegressor"
        del spec["data"]["label"]["above"]
        return LearningWorld(tmp_path, DottedEstimators(), spec)

    def test_the_same_words_fit_a_regression(self, world: LearningWorld) -> None:
        better = contest(world, BLIND, SIGHTED)
        assert (better["verdict"], better["numbers"]["metric"]) == ("promote", "mae")
        report = json.loads((world.settings.results / better["compare_key"] / "report.json").read_text())
        assert report["diebold_mariano"]["absolute"]["statistic"] > 3

    def test_a_worse_regression_is_rejected_and_a_first_one_must_beat_the_median(
        self, world: LearningWorld, tmp_path: Path
    ) -> None:
        assert contest(world, SIGHTED, BLIND)["verdict"] == "reject"
        world.write(features=NOISE)
        assert world.compare(world.train("s"), "s", None)["reason"] == "no_signal"

    def test_a_quantile_loss_decides_at_its_quantile_and_every_number_names_its_call(self, world: LearningWorld) -> None:
        spec = world.spec("toy").model_dump(mode="json")
        spec["comparison"] |= {"primary": "quantile_loss", "quantile": 0.9}
        world.write(spec)
        result = contest(world, BLIND, SIGHTED)
        assert (result["verdict"], result["numbers"]["metric"]) == ("promote", "quantile_loss")
        calls = told(world, result)["trace"]["calls"]
        assert "paired_bootstrap('quantile_loss'" in calls["effects.quantile_loss"]
        assert "quantile=0.9" in calls["effects.quantile_loss"]

    def test_the_call_that_is_named_gives_the_number_that_is_printed(self, world: LearningWorld) -> None:
        result = contest(world, BLIND, SIGHTED)
        found = result["numbers"]
        again = closed_test(
            found["difference"],
            found["standard_error"],
            found["margin"],
            found["alpha"],
            degrees_of_freedom=found["units"] - 1,
        )
        assert (again.lower_bound, again.upper_bound) == (found["lower"], found["upper"])


class TestWhatItForetells:
    def test_the_prediction_describes_the_candidates_scores_on_the_holdout(self, world: LearningWorld) -> None:
        result = contest(world, BLIND, SIGHTED)
        told = Predicted(**result["predicted"])
        assert len(told.histogram) == len(told.champion_histogram) == len(told.difference_by_champion_bin) == SCORE_BINS
        assert sum(told.histogram) == pytest.approx(1)
        joint = np.asarray(told.joint_histogram).reshape(SCORE_BINS, SCORE_BINS)
        np.testing.assert_allclose(joint.sum(axis=1), told.champion_histogram, atol=1e-12)
        np.testing.assert_allclose(joint.sum(axis=0), told.histogram, atol=1e-12)
        assert told.mean_difference == pytest.approx(told.mean_score - told.champion_mean_score)
        assert told.decision_rate - told.champion_decision_rate == pytest.approx(told.flips_on - told.flips_off)
        weighted = np.dot(told.difference_by_champion_bin, told.champion_histogram)
        assert weighted == pytest.approx(told.mean_difference)
        assert 0 < told.extra["mean_score_se"] < 0.05

    def test_each_model_decides_by_the_threshold_it_was_packaged_with(self, world: LearningWorld) -> None:
        spec = changed(slices=[])
        name = world.keep_rows("s", toy_rows())
        world.write(spec | {"threshold": 0.9})
        version = world.champion(name, SIGHTED)
        world.write(spec | {"threshold": 0.1})
        told = Predicted(**world.compare(world.train(name), name, version)["predicted"])
        assert told.mean_difference == 0
        assert told.decision_rate > told.champion_decision_rate + 0.3
        assert told.flips_on == pytest.approx(told.decision_rate - told.champion_decision_rate)

    def test_the_same_order_gives_the_same_result(self, world: LearningWorld, tmp_path: Path) -> None:
        other = LearningWorld(tmp_path / "other", DottedEstimators())
        assert contest(world, BLIND, SIGHTED) == contest(other, BLIND, SIGHTED)


class TestTheReport:
    def test_it_opens_offline_and_holds_the_verdict_and_every_picture(self, world: LearningWorld) -> None:
        result = contest(world, BLIND, SIGHTED)
        page = (world.settings.results / result["compare_key"] / "report.html").read_text()
        assert len(page) < 2_000_000
        assert not re.search(r"(src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)
        assert "PROMOTE" in page
        assert page.count("<svg") == 5
        for words in ("ROC", "Precision and recall", "Calibration", "Score shift", "Gain by slice", "region = west"):
            assert words in page

    def test_the_first_models_report_holds_no_champion(self, world: LearningWorld) -> None:
        name = world.keep_rows("s", toy_rows())
        result = world.compare(world.train(name), name, None)
        page = (world.settings.results / result["compare_key"] / "report.html").read_text()
        assert "FIRST" in page
        assert page.count("<svg") == 4

    def test_what_data_says_is_escaped(self, world: LearningWorld) -> None:
        rows = toy_rows()
        rows["region"] = ["<script>alert(1)</script>" if r == "south" else r for r in rows["region"]]
        result = contest(world, BLIND, SIGHTED, rows)
        page = (world.settings.results / result["compare_key"] / "report.html").read_text()
        assert "<script" not in page
        assert "&lt;script&gt;" in page
