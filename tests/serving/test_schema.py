"""A wrong request is refused with its field, the value and what would be valid; a right one has the types that training saw."""

from pathlib import Path
from typing import Any

import pytest

from sluicegate.errors import RequestError
from sluicegate.serving.schema import Schema, parse
from sluicegate.testing.package import toy_package, toy_row


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    return Schema(toy_package(tmp_path_factory.mktemp("toy")).manifest)


def refused(schema: Schema, **change: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        schema.check(toy_row(1) | change)
    return caught.value


def checked(schema: Schema, **change: Any) -> dict[str, Any]:
    row = toy_row(1) | change
    schema.check(row)
    return schema.visible(row)


class TestBody:
    @pytest.mark.parametrize(
        "body", [b"", b"{", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1e999}', b"\xff\xfe", b"{}{}"]
    )
    def test_what_is_not_json_is_refused(self, body: bytes) -> None:
        with pytest.raises(RequestError, match="not JSON"):
            parse(body)

    @pytest.mark.parametrize(
        ("body", "kind"), [(b"[]", "list"), (b"3", "number"), (b'"x"', "string"), (b"null", "null"), (b"true", "truth value")]
    )
    def test_what_is_no_object_is_refused_by_its_kind(self, body: bytes, kind: str) -> None:
        with pytest.raises(RequestError, match=f"JSON {kind}:"):
            parse(body)


class TestRefused:
    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("distance", None, "the field 'distance' is missing: send a number from 0 to 6000"),
            ("distance", "12", "the field 'distance' is '12': send a number from 0 to 6000"),
            ("distance", -1, "the field 'distance' is -1: send a number from 0 to 6000"),
            ("distance", 6000.5, "the field 'distance' is 6000.5: send a number from 0 to 6000"),
            ("distance", True, "the field 'distance' is True: send a number from 0 to 6000"),
            ("distance", [1], r"the field 'distance' is [1]: send a number from 0 to 6000"),
            ("wind", "strong", "the field 'wind' is 'strong': send a number or null"),
            ("wind", 1e39, "the field 'wind' is 1e+39: send a number or null"),
            ("carrier", "ZZ", "the field 'carrier' is 'ZZ': send one of 'AA', 'UA' or null"),
            ("carrier", 7, "the field 'carrier' is 7: send one of 'AA', 'UA' or null"),
            ("stops", 1.5, "the field 'stops' is 1.5: send a whole number or null"),
            ("stops", False, "the field 'stops' is False: send a whole number or null"),
            ("cargo", 1, "the field 'cargo' is 1: send true or false or null"),
            ("cargo", "yes", "the field 'cargo' is 'yes': send true or false or null"),
        ],
    )
    def test_a_wrong_value_is_named_with_its_field_and_what_is_valid(
        self, schema: Schema, field: str, value: Any, sentence: str
    ) -> None:
        error = refused(schema, **{field: value})
        assert (error.field, str(error)) == (field, sentence)

    @pytest.mark.parametrize("field", ["event_time", "scheduled"])
    @pytest.mark.parametrize(
        "value",
        ["yesterday", "", "2013-07-01", "2013-07-01T12:30:00", "2013-13-01T00:00:00Z", 1372681800, "0001-01-01T00:00:00+14:00"],
    )
    def test_a_time_without_zone_or_sense_is_refused(self, schema: Schema, field: str, value: Any) -> None:
        error = refused(schema, **{field: value})
        assert error.field == field
        assert "such as 2013-07-01T12:30:00Z" in str(error)

    def test_an_absent_event_time_is_refused(self, schema: Schema) -> None:
        assert "'event_time' is missing" in str(refused(schema, event_time=None))

    def test_a_long_value_is_shortened_in_the_message(self, schema: Schema) -> None:
        assert len(str(refused(schema, carrier="x" * 5000))) < 200


class TestAccepted:
    def test_integers_become_floats_where_the_spec_says_number(self, schema: Schema) -> None:
        assert repr(checked(schema, distance=1400)["distance"]) == "1400.0"

    def test_a_whole_float_becomes_the_integer_that_the_spec_asks_for(self, schema: Schema) -> None:
        assert repr(checked(schema, stops=2.0)["stops"]) == "2"

    def test_the_bounds_themselves_are_valid(self, schema: Schema) -> None:
        assert [checked(schema, distance=d)["distance"] for d in (0, 6000)] == [0.0, 6000.0]

    def test_features_see_every_named_field_absent_ones_as_none_and_no_unknown_one(self, schema: Schema) -> None:
        row = checked(schema, colour="red", nested={"a": 1})
        assert set(row) == {*toy_row(1), "carrier", "stops", "cargo", "scheduled"}
        assert [row[name] for name in ("carrier", "stops", "cargo", "scheduled")] == [None] * 4

    @pytest.mark.parametrize(
        ("sent", "seen"),
        [
            ("2013-07-01T12:30:00Z", "2013-07-01T12:30:00Z"),
            ("2013-07-01T14:30:00+02:00", "2013-07-01T12:30:00Z"),
            ("2013-07-01 12:30:00Z", "2013-07-01T12:30:00Z"),
            ("2013-W27-1T12:30:00Z", "2013-07-01T12:30:00Z"),
            ("2013-07-01T12:30:00.250Z", "2013-07-01T12:30:00.250Z"),
        ],
    )
    def test_times_are_brought_to_the_text_that_training_saw(self, schema: Schema, sent: str, seen: str) -> None:
        assert checked(schema, event_time=sent)["event_time"] == seen


def test_a_required_field_without_bounds_may_be_any_float32(tmp_path: Path) -> None:
    schema = Schema(toy_package(tmp_path).manifest)
    assert checked(schema, wind=-3.4e38)["wind"] == -3.4e38
