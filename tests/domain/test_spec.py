"""A wrong spec.yaml is refused in one sentence that names file, key, value and what would be valid."""

from copy import deepcopy
from typing import Any

import pytest

from sluicegate.domain.parts import seconds, share
from sluicegate.domain.spec import parse_spec
from sluicegate.errors import SpecError

GOOD: dict[str, Any] = {
    "model": "toy",
    "data": {"user_id": "user", "inputs": {"x": {"type": "number", "min": 0}}, "label": {"field": "y", "above": 0}},
    "training": {"holdout": {"length": "7d", "embargo": "1d"}},
    "release": {"stages": [{"mirror": 50}, {"weight": 5, "bake": "1m"}, {"weight": 100}], "gates": {"p95_ms": 80}},
}


def refused(path: str, value: Any, *, remove: bool = False) -> str:
    """The message for the good spec with one place changed; '/' separates keys, numbers are list places."""
    spec = deepcopy(GOOD)
    *way, last = [int(k) if k.isdecimal() else k for k in path.split("/")]
    place: Any = spec
    for key in way:
        place = place[key]
    if remove:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(SpecError) as caught:
        parse_spec(spec, "toy/spec.yaml")
    return str(caught.value)


class TestGoodSpec:
    def test_durations_become_seconds_and_shares_become_fractions(self) -> None:
        spec = parse_spec(GOOD, "toy/spec.yaml")
        assert (spec.training.holdout.length, spec.training.holdout.embargo) == (7 * 86400.0, 86400.0)
        assert [s.name for s in spec.release.stages] == ["mirror", "weight_005", "weight_100"]

    def test_a_deadline_that_is_not_given_is_ten_bakes(self) -> None:
        assert parse_spec(GOOD, "toy/spec.yaml").release.stages[1].deadline_s == 600

    def test_a_spec_survives_the_journal(self) -> None:
        release = parse_spec(GOOD, "toy/spec.yaml").release
        assert type(release).model_validate(release.model_dump(mode="json")) == release

    @pytest.mark.parametrize(
        ("text", "value"), [("500ms", 0.5), ("10s", 10), ("5m", 300), ("24h", 86400), ("7d", 604800), (3, 3)]
    )
    def test_a_duration_is_written_with_its_unit(self, text: Any, value: float) -> None:
        assert seconds(text) == value

    @pytest.mark.parametrize(("text", "value"), [("1pp", 0.01), ("2.5%", 0.025), (0.3, 0.3)])
    def test_a_share_is_written_as_points_or_as_a_fraction(self, text: Any, value: float) -> None:
        assert share(text) == pytest.approx(value)


class TestRefusedSpec:
    def test_an_unknown_key_is_named_with_its_value_and_the_valid_ones(self) -> None:
        message = refused("release/stagess", [1])
        assert "toy/spec.yaml" in message
        assert "'release.stagess'" in message
        assert "[1]" in message
        assert "stages" in message.split("valid keys here are")[1]

    def test_an_unknown_gate_is_named_with_the_known_ones(self) -> None:
        message = refused("release/gates/p59_ms", 80)
        assert "'release.gates.p59_ms'" in message
        assert "80" in message
        assert all(gate in message for gate in ("cpu_ms", "decision_rate", "error_rate", "labels", "p95_ms", "score", "value"))

    def test_an_unknown_key_of_a_stage_is_told_what_a_stage_may_hold(self) -> None:
        assert "bake, deadline, min_requests, mirror, weight" in refused("release/stages/1/hold", "1m")

    @pytest.mark.parametrize(
        ("weights", "words"),
        [([25, 5, 100], "do not grow"), ([5, 5, 100], "do not grow"), ([5, 50], "must end at weight 100")],
    )
    def test_weights_that_shrink_repeat_or_stop_short_are_refused(self, weights: list[int], words: str) -> None:
        message = refused("release/stages", [{"weight": w} for w in weights])
        assert words in message
        assert str(weights[-1]) in message

    def test_an_impossible_weight_is_named_with_its_limits(self) -> None:
        message = refused("release/stages/1/weight", 101)
        assert "release.stages.1.weight" in message
        assert "101" in message
        assert "100" in message

    def test_a_stage_of_both_kinds_is_refused(self) -> None:
        assert "{mirror: percent} or {weight: percent}" in refused("release/stages/1/mirror", 10)

    def test_a_mirror_stage_after_a_weight_is_refused(self) -> None:
        stages = [{"weight": 5}, {"mirror": 50}, {"weight": 100}]
        assert "must be the first stage" in refused("release/stages", stages)

    def test_a_rollout_without_gates_is_refused(self) -> None:
        assert "would never be judged" in refused("release/gates", {})

    def test_a_wrong_type_is_named_with_its_value(self) -> None:
        message = refused("release/gates/p95_ms", "fast")
        assert "release.gates.p95_ms" in message
        assert "'fast'" in message

    def test_a_wrong_duration_says_how_one_is_written(self) -> None:
        assert "500ms, 10s, 5m, 24h or 7d" in refused("training/holdout/length", "a week")

    def test_a_missing_key_is_named(self) -> None:
        assert "'data.label' is missing" in refused("data/label", None, remove=True)

    @pytest.mark.parametrize("name", ["../etc", "Toy", "a b", "", "x" * 60, "toy;drop"])
    def test_a_hostile_model_name_is_refused(self, name: str) -> None:
        assert "lower-case" in refused("model", name)

    def test_a_cluster_that_is_no_input_is_refused_with_the_inputs(self) -> None:
        message = refused("comparison", {"cluster": "colour"})
        assert "comparison.cluster names 'colour'" in message
        assert "user, x" in message

    def test_a_slice_that_is_no_input_is_refused_with_the_inputs(self) -> None:
        message = refused("comparison", {"slices": ["colour"]})
        assert "'colour'" in message
        assert "user, x" in message

    def test_a_protected_slice_is_written_as_field_and_value_of_an_input(self) -> None:
        assert "write field=value" in refused("comparison", {"protected": ["west"]})
        assert "comparison.protected names 'colour'" in refused("comparison", {"protected": ["colour = red"]})
        spec = parse_spec({**GOOD, "comparison": {"protected": ["x = 1=1"]}}, "toy/spec.yaml")
        assert spec.comparison.guarded == (("x", "1=1"),)

    def test_a_metric_of_the_other_task_is_refused_with_the_ones_that_fit(self) -> None:
        assert "no metric of a classification: choose auc" in refused("comparison", {"primary": "rmse"})

    def test_an_offline_gate_is_refused_where_it_could_never_hold(self) -> None:
        assert "comparison.gates.slowdown" in refused("comparison", {"gates": {"slowdown": 0.5}})
        assert "brier, flips, growth" in refused("comparison", {"gates": {"colour": 1}})

    def test_every_mistake_has_a_sentence_of_its_own(self) -> None:
        spec = deepcopy(GOOD)
        spec["release"]["gates"] = {"p95_ms": -1}
        spec["data"]["user_id"] = 7
        with pytest.raises(SpecError) as caught:
            parse_spec(spec, "toy/spec.yaml")
        assert len(str(caught.value).splitlines()) == 2

    @pytest.mark.parametrize("raw", [None, [], "text", 3])
    def test_what_is_no_mapping_is_refused(self, raw: Any) -> None:
        with pytest.raises(SpecError, match="mapping of keys"):
            parse_spec(raw, "toy/spec.yaml")
