"""Gates, segments and presets of a spec: what they expand to, and what is refused with one sentence."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluicegate.domain.presets import PRESETS
from sluicegate.domain.spec import Gate, Gates, Release, parse_spec
from sluicegate.errors import SpecError

STAGES = [{"mirror": 50}, {"weight": 5}, {"weight": 100}]
SPEC: dict[str, Any] = {
    "model": "toy",
    "data": {
        "user_id": "user",
        "inputs": {"x": {"type": "number"}, "country": {"type": "string"}},
        "label": {"field": "y", "above": 0},
    },
    "training": {"holdout": {"length": "7d"}},
}


def release(**parts: Any) -> Release:
    """The release of a spec with these keys."""
    return parse_spec({**deepcopy(SPEC), "release": parts}, "toy/spec.yaml").release


def refused(**parts: Any) -> str:
    with pytest.raises(SpecError) as caught:
        release(**parts)
    return str(caught.value)


class TestGates:
    def test_every_gate_takes_its_margin_in_the_users_units(self) -> None:
        gates = release(
            stages=STAGES,
            gates={
                "p95_ms": 80,
                "score": {"within": "5%", "mass": "1pp"},
                "decision_rate": {"margin": "1pp", "any_harm": True},
                "throughput": {"margin": "20%"},
                "cpu_ms": {"margin": "20%"},
                "memory_mb": 512,
                "value": {"absolute": 0.5},
                "labels": {"margin": "1pp", "loss": "wrong", "within": "10m"},
                "raw_score_mean": {"within": "5%"},
            },
        ).gates
        assert gates.score is not None
        assert (gates.score.within, gates.score.mass) == (0.05, 0.01)
        assert gates.labels is not None
        assert (gates.labels.margin, gates.labels.within) == (0.01, 600)

    def test_a_plain_margin_is_a_score_gate_and_a_decision_gate(self) -> None:
        gates = Gates.model_validate({"score": Gate(margin=0.03), "decision_rate": Gate(margin=0.05)})
        assert gates == Gates.model_validate({"score": {"margin": 0.03}, "decision_rate": {"margin": 0.05}})

    @pytest.mark.parametrize("gate", [{}, {"margin": 0.03, "within": "5%"}])
    def test_a_score_gate_has_exactly_one_tolerance(self, gate: dict[str, Any]) -> None:
        assert "either {margin: 0.03}" in refused(stages=STAGES, gates={"score": gate})

    @pytest.mark.parametrize("gate", [{}, {"margin": "2%", "absolute": 1}])
    def test_a_value_gate_has_exactly_one_tolerance(self, gate: dict[str, Any]) -> None:
        assert "either {margin: 2%}" in refused(stages=STAGES, gates={"value": gate})

    def test_outcomes_that_come_after_the_last_deadline_are_refused(self) -> None:
        message = refused(stages=STAGES, gates={"labels": {"margin": 0.01, "within": "7d"}})
        assert "604800 s" in message
        assert "1200 s" in message


class TestSegments:
    def test_a_segment_that_is_no_input_of_few_values_is_refused_with_those_that_are(self) -> None:
        message = refused(stages=STAGES, gates={"error_rate": {}}, segments=["x"])
        assert "release.segments names 'x'" in message
        assert "country" in message

    def test_segments_that_no_gate_judges_are_refused(self) -> None:
        message = refused(stages=STAGES, gates={"score": {"margin": 0.03}}, segments=["country"])
        assert "p95_ms, error_rate and decision_rate" in message


class TestPresets:
    @pytest.mark.parametrize("name", sorted(PRESETS))
    def test_a_preset_alone_is_a_whole_release(self, name: str) -> None:
        assert release(preset=name).stages[-1].weight == 100

    def test_the_bank_goes_five_percent_then_ten_more_an_hour_and_leaves_the_undecided_to_a_person(self) -> None:
        bank = release(preset="bank")
        assert [s.weight for s in bank.stages] == [None, 5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 100]
        assert {s.bake for s in bank.stages} == {3600}
        assert (bank.undecided, bank.retention) == ("hold", 86400)

    def test_what_is_said_beside_a_preset_replaces_its_part_gate_by_gate(self) -> None:
        bank = release(preset="bank", gates={"p95_ms": 60, "score": {"margin": 0.01}}, undecided="revert")
        assert (bank.gates.p95_ms, bank.undecided) == (60, "revert")
        assert bank.gates.score is not None
        assert (bank.gates.score.margin, bank.gates.score.within) == (0.01, None)
        assert bank.gates.decision_rate == release(preset="bank").gates.decision_rate

    def test_null_removes_a_gate_of_a_preset(self) -> None:
        assert release(preset="bank", gates={"score": None}).gates.score is None

    def test_an_expanded_preset_survives_the_journal(self) -> None:
        bank = release(preset="bank", gates={"score": None, "p95_ms": 60})
        assert Release.model_validate(bank.model_dump(mode="json")) == bank

    @pytest.mark.parametrize("name", sorted(PRESETS))
    def test_a_preset_is_what_the_documentation_says(self, name: str) -> None:
        page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
        block = page.split(f"# preset: {name}.")[1].split("\n\n")[0].split("\n", 1)[1]
        told = yaml.safe_load(block)
        if name == "bank":
            told["stages"] += [{**told["stages"][1], "weight": weight} for weight in (15, 25, 35, 45, 55, 65, 75, 85, 95, 100)]
        assert release(**told) == release(preset=name).model_copy(update={"preset": None})

    def test_an_unknown_preset_is_refused_with_the_known_ones(self) -> None:
        message = refused(preset="bnak")
        assert "no preset 'bnak': the known ones are bank, fast, web" in message
        assert "\n" not in message
