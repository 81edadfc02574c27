"""Malformed inputs, a small draw of them: `python -m tests.hostile --count 10000` sends many."""

from pathlib import Path

import pytest
from tests.hostile import siege

from sluicegate.domain.spec_text import MOST, parse_yaml
from sluicegate.errors import SpecError
from sluicegate.testing.ingest_world import World, csv, told

SEED = 20261121
LAUGHS = b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.slow
def test_a_model_server_answers_no_malformed_request_with_5xx_and_goes_on(tmp_path: Path) -> None:
    counted = siege.server(SEED, 160, tmp_path)
    assert counted["smuggled 400"] == counted["too_large 413"] == 10


@pytest.mark.gateway
def test_a_gateway_answers_no_malformed_request_with_5xx_and_goes_on(tmp_path: Path) -> None:
    counted = siege.gateway(SEED, 160, tmp_path)
    assert counted["long_head 431"] == 10
    assert not [what for what in counted if what.startswith("smuggled") and what.endswith("200")]


@pytest.mark.slow
def test_every_row_of_a_malformed_file_is_accepted_quarantined_or_a_duplicate(tmp_path: Path) -> None:
    counted = siege.files(SEED, 48, tmp_path)
    parts = ("rows accepted", "rows quarantined", "rows duplicate")
    assert counted["rows in"] == sum(counted[part] for part in parts) > 0
    assert min(counted[part] for part in parts) > 0


def test_a_malformed_spec_is_refused_with_a_sentence_that_says_where(tmp_path: Path) -> None:
    counted = siege.models(SEED, 60)
    assert counted["bomb refused"] == counted["deep refused"] == counted["object refused"] == 6


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (LAUGHS, "alias '\\*a'"),
        (b"[" * 5000, "deeper than 20 levels"),
        (b"#" * (MOST + 1), "262145 bytes"),
        (b"x: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        (b"x: 2023-13-45", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
    ],
)
def test_a_spec_that_would_cost_or_do_something_is_refused_before_it_does(content: bytes, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        parse_yaml(content, "toy/spec.yaml")


@pytest.mark.parametrize("ending", [b"\n", b"\n\n", b" \n", b"\r\n\r\n"])
def test_a_csv_file_may_end_in_empty_lines(tmp_path: Path, ending: bytes) -> None:
    outcome = World(tmp_path).land(csv([told(1), told(2)]) + ending)
    assert outcome.rows == {"in": 2, "accepted": 2, "quarantined": 0, "duplicate": 0}
