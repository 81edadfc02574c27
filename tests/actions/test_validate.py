"""Bad input, clause by clause: no row is lost, each that is set aside has a code and a sentence, and ingest goes on."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.domain.order import Order
from sluicegate.errors import RefusedError, SpecError
from sluicegate.testing.ingest_world import HEADER, SPEC, Outcome, World, asked, csv, told


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def parquet(rows: list[dict[str, Any]] | pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows), file)
    return file.getvalue()


def one_bad(world: World, **changes: Any) -> Outcome:
    """Three rows of which the middle one is changed."""
    return world.land(csv([told(1), told(2, **changes), told(3)]))


def counts(outcome: Outcome) -> tuple[int, int, int, int]:
    r = outcome.rows
    return r["in"], r["accepted"], r["quarantined"], r["duplicate"]


class TestGoodBatch:
    def test_labels_are_joined_with_what_was_asked(self, world: World) -> None:
        outcome = world.land(csv([told(1), told(2, loss=-3)]))
        assert counts(outcome) == (2, 2, 0, 0)
        row = outcome.table("accepted")[1]
        assert {n: row[n] for n in ("request_id", "user", "amount", "items", "kind", "label", "score", "version")} == {
            "request_id": "r2",
            "user": "c2",
            "amount": 5.0,
            "items": 2,
            "kind": "web",
            "label": -3.0,
            "score": None,
            "version": None,
        }
        assert row["event_time"].isoformat() == "2023-03-01T00:02:00+00:00"

    @pytest.mark.parametrize("kind", ["csv", "crlf", "quoted", "parquet", "typed parquet", "jsonl"])
    def test_every_format_gives_the_same_rows(self, world: World, kind: str) -> None:
        rows = [told(1), told(2)]
        text = csv(rows)
        content = {
            "csv": text,
            "crlf": text.replace(b"\n", b"\r\n"),
            "quoted": text.replace(b"r1,", b'"r1",'),
            "parquet": parquet([{k: str(v) for k, v in r.items()} for r in rows]),
            "typed parquet": parquet(rows),
            "jsonl": b"\n".join(json.dumps({**row, "known_at": "2023-06-01"}).encode() for row in rows),
        }[kind]
        outcome = world.land(content, "whatever.dat")
        assert [(r["request_id"], r["label"], r["known_at"].isoformat()) for r in outcome.table("accepted")] == [
            ("r1", 1.5, "2023-06-01T00:00:00+00:00"),
            ("r2", 1.5, "2023-06-01T00:00:00+00:00"),
        ]

    def test_the_report_says_what_the_batch_spans(self, world: World) -> None:
        report = world.land(csv([told(1), told(61, known_at="2023-06-02T00:00:00Z")])).report
        assert (report["first_event"], report["last_event"]) == ("2023-03-01T00:01:00Z", "2023-03-01T01:01:00Z")
        assert report["known_until"] == "2023-06-02T00:00:00Z"

    def test_blank_lines_are_no_rows(self, world: World) -> None:
        assert counts(world.land(csv([told(1)]) + b"\n  \n\n" + csv([told(2)]).split(b"\n", 1)[1])) == (2, 2, 0, 0)

    def test_the_same_order_gives_the_same_result(self, world: World) -> None:
        outcome = world.land(csv([told(1), told(2, loss="x")]))
        again = world.home / "again"
        again.mkdir()
        fresh = World(world.home / "fresh")
        fresh.ports.landing.now = 1_700_000_000.0
        second = fresh.land(csv([told(1), told(2, loss="x")]))
        assert second.result == outcome.result
        for name in ("accepted", "duplicates", "quarantined"):
            assert (second.folder / f"{name}.parquet").read_bytes() == (outcome.folder / f"{name}.parquet").read_bytes()

    def test_a_batch_that_nobody_took_is_refused_by_its_id(self, world: World, tmp_path: Path) -> None:
        from sluicegate.actions.validate import run_validate

        with pytest.raises(RefusedError, match="b404"):
            run_validate(Order("validate", "toy", {"batch_id": "b404", "name": "x"}), world.ports, tmp_path)


class TestColumns:
    @pytest.mark.parametrize("column", HEADER.split(","))
    def test_a_missing_column_refuses_every_row_and_names_it(self, world: World, column: str) -> None:
        left = ",".join(n for n in HEADER.split(",") if n != column)
        outcome = world.land(csv([told(1), told(2)], left))
        assert counts(outcome) == (2, 0, 2, 0)
        assert set(outcome.reasons.values()) == {"missing_column"}
        assert all(f"'{column}'" in m and "land it again" in m for m in outcome.messages)
        assert outcome.result["blocked"]

    def test_an_extra_column_is_reported_and_the_rows_go_on(self, world: World) -> None:
        outcome = world.land(csv([told(1, note="x"), told(2, note="y")], HEADER + ",note"))
        assert counts(outcome) == (2, 2, 0, 0)
        (warning,) = outcome.report["warnings"]
        assert (warning["code"], warning["columns"]) == ("extra_column", ["note"])

    def test_a_column_that_is_there_twice_refuses_every_row(self, world: World) -> None:
        outcome = world.land(csv([told(1)], HEADER + ",loss"))
        assert outcome.reasons == {"r1": "repeated_column"}

    def test_columns_called_like_ours_survive_in_quarantine(self, world: World) -> None:
        outcome = world.land(csv([told(1, loss="x", reason="mine", row="7")], HEADER + ",reason,row"))
        (row,) = outcome.table("quarantined")
        assert (row["reason"], row["reason~raw"], row["row"], row["row~raw"]) == ("wrong_type", "mine", 2, "7")


class TestValues:
    @pytest.mark.parametrize("value", ["twelve", "12 min", "1,5", "0x1f", "1_000", "--3", "true", "{}"])
    def test_text_in_a_number_is_refused_with_the_value_and_the_place(self, world: World, value: str) -> None:
        outcome = world.land(
            csv([told(1), told(2), told(3)]).replace(
                b"r2,2023-03-01T00:02:00Z,1.5", f'r2,2023-03-01T00:02:00Z,"{value}"'.encode()
            )
        )
        assert counts(outcome) == (3, 2, 1, 0)
        assert outcome.reasons == {"r2": "wrong_type"}
        assert value in outcome.messages[0]
        assert "line 3" in outcome.messages[0]
        assert "write a number" in outcome.messages[0]

    @pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-Infinity", "1e999"])
    def test_nan_and_infinity_are_refused(self, world: World, value: str) -> None:
        outcome = one_bad(world, loss=value)
        assert outcome.reasons == {"r2": "not_finite"}
        assert value in outcome.messages[0]

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_nan_and_infinity_in_parquet_are_refused(self, world: World, value: float) -> None:
        assert world.land(parquet([told(1), told(2, loss=value)])).reasons == {"r2": "not_finite"}

    @pytest.mark.parametrize("value", [-101, 5001, 1e300])
    def test_an_absurd_label_is_refused_with_the_range(self, world: World, value: float) -> None:
        outcome = one_bad(world, loss=value)
        assert outcome.reasons == {"r2": "out_of_range"}
        assert "-100.0 to 5000.0" in outcome.messages[0]

    @pytest.mark.parametrize("column", HEADER.split(","))
    def test_a_missing_value_is_refused_by_its_column(self, world: World, column: str) -> None:
        outcome = one_bad(world, **{column: None})
        assert list(outcome.reasons.values()) == ["missing_value"]
        assert f"'{column}'" in outcome.messages[0]

    @pytest.mark.parametrize("value", ["2023-13-01", "2023-02-30T00:00:00Z", "yesterday", "1677628800", "01.03.2023"])
    def test_a_time_that_is_none_is_refused(self, world: World, value: str) -> None:
        outcome = one_bad(world, known_at=value)
        assert outcome.reasons == {"r2": "wrong_type"}
        assert "ISO 8601" in outcome.messages[0]

    @pytest.mark.parametrize(
        "value", ["2023-06-01T02:00:00+02:00", "2023-06-01 00:00:00", "2023-06-01", "2023-06-01T00:00:00.000000Z"]
    )
    def test_times_are_read_in_utc_whatever_their_zone(self, world: World, value: str) -> None:
        assert {r["known_at"].isoformat() for r in one_bad(world, known_at=value).table("accepted")} == {
            "2023-06-01T00:00:00+00:00"
        }

    @pytest.mark.parametrize(
        "column", [pa.array([[1.0], [2.0]]), pa.array([{"a": 1}, {"a": 2}]), pa.array([b"1", b"2"]), pa.array([True, False])]
    )
    def test_a_column_of_another_type_is_refused_row_by_row(self, world: World, column: pa.Array) -> None:
        good = pa.Table.from_pylist([told(1), told(2)])
        outcome = world.land(parquet(good.set_column(2, "loss", column)))
        assert outcome.reasons == {"r1": "wrong_type", "r2": "wrong_type"}

    def test_the_raw_values_of_a_refused_row_are_kept_as_text(self, world: World) -> None:
        (row,) = one_bad(world, loss="twelve").table("quarantined")
        assert {n: row[n] for n in HEADER.split(",")} == {k: str(v) for k, v in told(2, loss="twelve").items()}


class TestTimes:
    @pytest.mark.parametrize("column", ["known_at", "event_time"])
    def test_a_label_from_the_future_is_refused(self, world: World, column: str) -> None:
        outcome = one_bad(world, **{"known_at": "2033-01-01T00:00:00Z", column: "2032-01-01T00:00:00Z"})
        assert outcome.reasons == {"r2": "future"}
        assert "2032-01-01" in outcome.messages[0] or "2033-01-01" in outcome.messages[0]

    def test_a_label_known_before_its_event_is_refused(self, world: World) -> None:
        assert one_bad(world, known_at="2023-02-28T00:00:00Z").reasons == {"r2": "before_event"}

    def test_a_label_of_another_moment_than_the_request_is_refused(self, world: World) -> None:
        outcome = one_bad(world, event_time="2023-03-01T00:02:05Z")
        assert outcome.reasons == {"r2": "other_event_time"}
        assert "2023-03-01" in outcome.messages[0]


class TestRequests:
    def test_a_label_without_a_prediction_is_refused(self, world: World) -> None:
        outcome = one_bad(world, request_id="nobody")
        assert outcome.reasons == {"nobody": "no_prediction"}
        assert "'nobody'" in outcome.messages[0]

    def test_readmitted_after_the_log_came_the_row_is_accepted(self, world: World) -> None:
        from sluicegate.actions.land import land, readmit

        outcome = world.land(csv([told(1), told(700)]))
        assert outcome.reasons == {"r700": "no_prediction"}
        world.log("late.parquet", [asked(700)])
        assert readmit("toy", outcome.batch_id, world.ports) is not None
        (batch,) = land("toy", world.ports)
        assert counts(world.validate(batch)) == (1, 1, 0, 0)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"amount": None}, "missing_value"),
            ({"amount": "much"}, "wrong_type"),
            ({"amount": -1}, "out_of_range"),
            ({"amount": 1001}, "out_of_range"),
            ({"items": 1.5}, "wrong_type"),
            ({"kind": "phone"}, "not_allowed"),
            ({"card": None}, "missing_value"),
        ],
    )
    def test_a_request_with_an_impossible_value_refuses_its_label(self, world: World, changes: dict[str, Any], code: str) -> None:
        world.log("more.jsonl", [asked(500, **changes)])
        outcome = world.land(csv([told(1), told(500)]))
        assert outcome.reasons == {"r500": code}
        assert f"'{next(iter(changes))}'" in outcome.messages[0]

    def test_an_input_that_is_not_required_may_be_absent(self, world: World) -> None:
        row = asked(500)
        del row["items"]
        world.log("more.jsonl", [row])
        assert world.land(csv([told(500)])).table("accepted")[0]["items"] is None

    def test_infinity_in_a_request_log_is_refused_and_nan_is_missing(self, world: World) -> None:
        world.log("more.parquet", [asked(500, amount=float("inf")), asked(501, amount=float("nan"))])
        assert world.land(csv([told(500), told(501)])).reasons == {"r500": "not_finite", "r501": "missing_value"}


def logged(number: int, role: str = "answer", version: str = "1", **changes: Any) -> dict[str, Any]:
    """A line of a server's prediction log."""
    row = asked(number, **changes)
    return {
        "request_id": row["request_id"],
        "event_time": row["event_time"],
        "received_at": 1.0 + number,
        "model": "toy",
        "version": version,
        "role": role,
        "user": row["card"],
        "score": 0.25,
        "decision": False,
        "latency_us": 100,
        "inputs": {k: row[k] for k in ("card", "amount", "items", "kind")},
    }


class TestPredictionLogs:
    def test_a_served_request_brings_its_score_and_version(self, world: World) -> None:
        world.served([logged(900), logged(901)])
        assert [(r["score"], r["version"], r["amount"]) for r in world.land(csv([told(900), told(901)])).table("accepted")] == [
            (0.25, "1", 5.0),
            (0.25, "1", 5.0),
        ]

    def test_an_answer_counts_before_a_mirrored_request_and_both_before_history(self, world: World) -> None:
        world.served([logged(3, "mirror", "2", amount=8.0), logged(4, "mirror", "2", amount=8.0)], "2")
        world.served([logged(3, "answer", "1", amount=7.0)], "1")
        rows = world.land(csv([told(3), told(4), told(5)])).table("accepted")
        assert [(r["version"], r["score"], r["amount"]) for r in rows] == [("1", 0.25, 7.0), (None, None, 8.0), (None, None, 5.0)]

    def test_a_line_torn_by_kill_9_is_no_line(self, world: World) -> None:
        world.served([logged(900)], tail='{"request_id": "r901", "event_t')
        assert world.land(csv([told(900), told(901)])).reasons == {"r901": "no_prediction"}

    def test_a_log_with_a_broken_line_loses_that_line_only(self, world: World) -> None:
        world.served([logged(900), {**logged(901), "inputs": 7}], tail="no json\n")
        world.served([logged(902, amount="much")], "2")
        outcome = world.land(csv([told(900), told(901), told(902)]))
        assert outcome.reasons == {"r901": "missing_value", "r902": "wrong_type"}
        assert [r["request_id"] for r in outcome.table("accepted")] == ["r900"]


class TestDuplicates:
    def test_an_id_twice_in_a_batch_is_accepted_once(self, world: World) -> None:
        assert counts(world.land(csv([told(1), told(1), told(2), told(1)]))) == (4, 2, 0, 2)

    def test_an_id_of_a_committed_batch_is_a_duplicate(self, world: World) -> None:
        world.land(csv([told(1), told(2)]), "a.csv")
        assert counts(world.land(csv([told(2), told(3)]), "b.csv")) == (2, 1, 0, 1)

    def test_another_label_for_the_same_request_is_a_duplicate_whose_content_is_kept(self, world: World) -> None:
        world.land(csv([told(1)]), "a.csv")
        outcome = world.land(csv([told(1, loss=9, known_at="2023-06-02T00:00:00Z")]), "b.csv")
        assert counts(outcome) == (1, 0, 0, 1)
        assert [r["label"] for r in outcome.table("duplicates")] == [9.0]

    def test_a_row_that_was_quarantined_is_no_duplicate_when_it_comes_again_mended(self, world: World) -> None:
        world.land(csv([told(1, loss="x")]), "a.csv")
        assert counts(world.land(csv([told(1)]), "b.csv")) == (1, 1, 0, 0)


class TestFiles:
    @pytest.mark.parametrize("content", [b"", b"\n\n", b"   ", b"\xef\xbb\xbf", b"\xff\xfe"])
    def test_a_file_without_content_is_kept_whole_with_its_reason(self, world: World, content: bytes) -> None:
        outcome = world.land(content)
        assert counts(outcome) == (0, 0, 0, 0)
        assert outcome.report["critical"][0]["code"] == "empty_file"
        self._kept(world, outcome, content)

    def test_a_header_without_rows_is_a_batch_of_nothing(self, world: World) -> None:
        assert counts(world.land((HEADER + "\n").encode())) == (0, 0, 0, 0)

    @pytest.mark.parametrize("cut", [4, 100, -8, -1])
    def test_a_truncated_parquet_is_kept_whole_with_its_reason(self, world: World, cut: int) -> None:
        content = parquet([told(n) for n in range(50)])[:cut]
        outcome = world.land(content, "labels.parquet")
        assert outcome.report["critical"][0]["code"] == "unreadable_file"
        assert "land it again" in outcome.result["message"]
        self._kept(world, outcome, content)

    def test_a_parquet_with_broken_pages_is_kept_whole(self, world: World) -> None:
        content = bytearray(parquet([told(n) for n in range(50)]))
        content[20:200] = b"\xaa" * 180
        outcome = world.land(bytes(content))
        assert outcome.report["critical"][0]["code"] == "unreadable_file"

    @pytest.mark.parametrize(
        "content", [b"PK\x03\x04rest", b"\x1f\x8b\x08rest", b"%PDF-1.7", b"\x00\x01\x02\x03", bytes(range(256))]
    )
    def test_a_file_that_is_no_table_is_kept_whole(self, world: World, content: bytes) -> None:
        outcome = world.land(content)
        assert outcome.result["blocked"]
        assert counts(outcome) == (0, 0, 0, 0)
        self._kept(world, outcome, content)

    def test_a_file_altered_after_it_was_taken_is_kept_and_not_believed(self, world: World) -> None:
        from sluicegate.actions.land import land

        world.drop("labels.csv", csv([told(1)]))
        (batch,) = land("toy", world.ports)
        (arrival,) = world.ports.landing.taken("toy")
        world.ports.landing.take(arrival).write_bytes(csv([told(1, loss=4000)]))
        outcome = world.validate(batch)
        assert outcome.report["critical"][0]["code"] == "changed_file"
        assert outcome.table("accepted") == []

    @pytest.mark.parametrize("name", ["-rf.csv", "a;b&c.csv", "$(x).csv", "x" * 250, "ž.csv", "..csv.parquet"])
    def test_the_name_of_a_file_means_nothing(self, world: World, name: str) -> None:
        if name.startswith("."):
            name = "x" + name
        assert counts(world.land(csv([told(1)]), name)) == (1, 1, 0, 0)

    def test_ingest_goes_on_after_any_bad_file(self, world: World) -> None:
        for number, content in enumerate((b"", b"PAR1", b"\xff\xff\xff", b"a,b\n1\n", b'"')):
            world.land(content, f"{number}.csv")
        assert counts(world.land(csv([told(1)]), "good.csv")) == (1, 1, 0, 0)

    @staticmethod
    def _kept(world: World, outcome: Outcome, content: bytes) -> None:
        (arrival,) = world.ports.landing.taken("toy")
        assert outcome.report["kept"] == f"landed/{arrival.batch_id}"
        assert world.ports.landing.take(arrival).read_bytes() == content


class TestEncoding:
    def test_a_cp1252_file_loses_no_row_and_guesses_none(self, world: World) -> None:
        rows = (
            csv([told(1, note="plain"), told(2, note="caf\u00e9"), told(3, note="x")], HEADER + ",note").decode().encode("cp1252")
        )
        outcome = world.land(rows)
        assert counts(outcome) == (3, 2, 1, 0)
        (row,) = outcome.table("quarantined")
        assert (row["reason"], row["row"]) == ("encoding", 3)
        assert "caf\\xe9" in row["line"]
        assert "UTF-8" in row["message"]

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
    def test_a_file_that_says_its_encoding_is_read_as_that(self, world: World, encoding: str) -> None:
        outcome = world.land(csv([told(1), told(2)]).decode().encode(encoding))
        assert counts(outcome) == (2, 2, 0, 0)

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_utf_16_without_its_mark_is_kept_whole(self, world: World, encoding: str) -> None:
        assert world.land(csv([told(1)]).decode().encode(encoding)).report["critical"][0]["code"] == "encoding"

    def test_half_a_character_of_utf_16_is_kept_whole(self, world: World) -> None:
        assert world.land(csv([told(1)]).decode().encode("utf-16")[:-1]).report["critical"][0]["code"] == "encoding"

    def test_a_header_in_another_encoding_is_kept_whole(self, world: World) -> None:
        assert world.land("request_id,événement\n1,2\n".encode("cp1252")).report["critical"][0]["code"] == "encoding"

    def test_utf_8_ids_survive(self, world: World) -> None:
        world.log("more.jsonl", [asked(500, request_id="žluť/😀")])
        rows = csv([told(500, request_id="žluť/😀")])
        assert [r["request_id"] for r in world.land(rows).table("accepted")] == ["žluť/😀"]


class TestLines:
    @pytest.mark.parametrize("line", ["r2", "r2,2023-03-01T00:02:00Z,1.5,2023-06-01,more", "r2;2023;1;2"])
    def test_a_line_with_another_number_of_fields_is_kept_as_it_is(self, world: World, line: str) -> None:
        outcome = world.land(csv([told(1)]) + f"{line}\n".encode() + csv([told(3)]).split(b"\n", 1)[1])
        assert counts(outcome) == (3, 2, 1, 0)
        assert outcome.reasons == {line: "malformed_row"}

    def test_a_quote_that_never_ends_costs_its_own_line_only(self, world: World) -> None:
        outcome = world.land(csv([told(1), told(2), told(3)]).replace(b"r2,", b'"r2,'))
        assert counts(outcome) == (3, 2, 1, 0)
        assert list(outcome.reasons.values()) == ["malformed_row"]

    def test_a_last_line_without_an_end_is_a_row(self, world: World) -> None:
        assert counts(world.land(csv([told(1), told(2)])[:-1])) == (2, 2, 0, 0)

    def test_json_lines_that_are_no_objects_are_kept(self, world: World) -> None:
        outcome = world.land(
            b'{"request_id": "r1", "event_time": "2023-03-01T00:01:00Z", "loss": 1, "known_at": "2023-06-01"}\n[1]\n{"x": \n'
        )
        assert counts(outcome) == (3, 1, 2, 0)
        assert set(outcome.reasons.values()) == {"malformed_row"}


class TestNames:
    @pytest.mark.parametrize("name", ["loss", "score", "user", "known_at"])
    def test_an_input_called_like_another_column_is_refused_with_the_spec(self, tmp_path: Path, name: str) -> None:
        data = {**SPEC["data"], "inputs": {name: {"type": "number"}}}
        with pytest.raises(SpecError, match=f"input '{name}'.*rename"):
            World(tmp_path, data=data)
