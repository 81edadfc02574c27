"""csv text → raw rows: a header, then one row a line; every line that is not blank becomes a row or a reject.

Line breaks inside quotes are refused: with them one stray quote would swallow all rows up to the next one.
"""

import csv
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from sluicegate.actions.ingest.encoding import REMEDY, is_utf8, visible
from sluicegate.actions.ingest.raw import Code, Mask, RawFile, Reject, Rows, UnreadableFileError, named_once


def read_csv(data: bytes, warnings: tuple[str, ...] = ()) -> RawFile:
    """Read csv bytes with a header; all columns as text, null where nothing is written.

    Raises
    ------
    UnreadableFileError
        The header is missing or is no UTF-8.
    """
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = _Lines(data)
    if not len(lines.places):
        raise UnreadableFileError(Code.EMPTY_FILE, f"the file has {len(data)} bytes and no line: land it again with its rows")
    header = lines.text(0)
    if not is_utf8(header):
        raise UnreadableFileError(Code.ENCODING, f"the header {visible(header)[:120]!r} is no UTF-8: {REMEDY}")
    names, repeated = named_once([name.strip() for name in next(csv.reader([header.decode()]), [""])])
    good, rejects = _sorted_out(lines, len(names))
    columns = _parse(lines.joined(good), names)
    if any(r.code is Code.ENCODING for r in rejects):
        warnings = (*warnings, f"the file is no UTF-8: lines with other characters than ASCII wait in quarantine, {REMEDY}")
    return RawFile(columns, lines.places[good], "line", rejects, warnings, repeated)


class _Lines:
    """Lines of a text that are not blank, by their byte ranges and their number of fields."""

    def __init__(self, data: bytes) -> None:
        whole = data if data.endswith(b"\n") or not data else data + b"\n"
        codes = np.frombuffer(whole, dtype=np.uint8)
        marks = np.flatnonzero((codes == ord("\n")) | (codes == ord(",")))
        breaks = np.flatnonzero(codes[marks] == ord("\n"))
        ends = marks[breaks]
        starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
        filled = _filled(whole, codes, starts, ends)
        self.data = whole
        self.starts, self.ends = starts[filled], ends[filled]
        self.fields: Rows = np.diff(breaks, prepend=-1)[filled]
        """Commas and one more: the number of fields where no quotes are."""
        self.places: Rows = np.flatnonzero(filled) + 1
        """Line numbers from 1."""

    def text(self, number: int) -> bytes:
        return self.data[self.starts[number] : self.ends[number]]

    def with_quotes(self) -> Mask:
        """Which lines have a quote."""
        found = np.zeros(len(self.places), dtype=bool)
        if b'"' in self.data:
            quotes = np.flatnonzero(np.frombuffer(self.data, dtype=np.uint8) == ord('"'))
            found[np.searchsorted(self.starts, quotes, side="right") - 1] = True
        return found

    def joined(self, chosen: Rows) -> bytes:
        """The text of these lines; everything from the first to the last of them when none is missing in between."""
        if len(chosen) == len(self.places) - 1 and len(chosen) and self.places[-1] - self.places[0] == len(chosen):
            return self.data[self.starts[1] : self.ends[-1] + 1]
        return b"\n".join(self.text(i) for i in chosen.tolist())


def _filled(data: bytes, codes: Any, starts: Rows, ends: Rows) -> Mask:
    """Lines with something besides white space."""
    filled: Mask = ends > starts
    for i in np.flatnonzero(filled & (codes[np.minimum(starts, len(codes) - 1)] <= ord(" "))).tolist():
        filled[i] = bool(data[starts[i] : ends[i]].strip())
    return filled


def _sorted_out(lines: _Lines, width: int) -> tuple[Rows, tuple[Reject, ...]]:
    """Which lines can be parsed, and the others with their reason."""
    bad: dict[int, tuple[Code, str]] = {}
    quoted = lines.with_quotes()
    for i in np.flatnonzero(~quoted & (lines.fields != width)).tolist():
        bad[i] = _wrong_width(int(lines.fields[i]), width)
    if not is_utf8(lines.data):
        bad |= {i: (Code.ENCODING, f"is no UTF-8: {REMEDY}") for i in range(1, len(lines.places)) if not is_utf8(lines.text(i))}
    for i in np.flatnonzero(quoted).tolist():
        if i not in bad and (trouble := _trouble_with_quotes(lines.text(i), width)):
            bad[i] = trouble
    bad.pop(0, None)
    rejects = [_reject(lines, i, *bad[i]) for i in sorted(bad)]
    keep = np.ones(len(lines.places), dtype=bool)
    keep[[0, *bad]] = False
    return np.flatnonzero(keep), tuple(rejects)


def _wrong_width(fields: int, width: int) -> tuple[Code, str]:
    return Code.MALFORMED_ROW, f"has {fields} fields and the header {width}: write one value a column"


def _trouble_with_quotes(line: bytes, width: int) -> tuple[Code, str] | None:
    try:
        fields = next(csv.reader([line.decode()], strict=True))
    except (csv.Error, StopIteration):
        return Code.MALFORMED_ROW, "has a quote that does not end in the line: a row is one line, double a quote inside quotes"
    return None if len(fields) == width else _wrong_width(len(fields), width)


def _reject(lines: _Lines, number: int, code: Code, why: str) -> Reject:
    place, text = int(lines.places[number]), visible(lines.text(number))
    shown = text if len(text) <= 80 else text[:77] + "..."
    return Reject(place, text, code, f"line {place} ({shown!r}) {why}")


def _parse(body: bytes, names: list[str]) -> dict[str, pa.ChunkedArray]:
    if not body:
        return {name: pa.chunked_array([[]], pa.string()) for name in names}
    table = pacsv.read_csv(
        pa.BufferReader(body),
        read_options=pacsv.ReadOptions(column_names=names),
        parse_options=pacsv.ParseOptions(quote_char='"' if b'"' in body else False, ignore_empty_lines=False),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
            quoted_strings_can_be_null=True,
        ),
    )
    return dict(zip(names, table.columns, strict=True))
