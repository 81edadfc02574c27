"""The spec's expectations, carried out by Great Expectations on the joined rows.

Critical and about rows: the rows that break it go to quarantine; where it names a `mostly` that is missed, the whole batch does.
Critical and about the table: the whole batch goes to quarantine. A warning is reported and changes nothing.
"""

import difflib
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sluicegate.actions.ingest.raw import Rows
from sluicegate.domain.spec import Expectation
from sluicegate.errors import SpecError


@dataclass(frozen=True)
class Finding:
    """An expectation that was not met."""

    name: str
    severity: str
    sentence: str
    """What was expected and what was seen."""
    rows: Rows
    """Positions of the rows that break it; empty when it is about the table."""
    column: str
    arguments: str
    blocks: bool
    """Whether the batch as a whole is refused for it."""
    strict: bool
    """Whether each row that breaks it is refused; with a `mostly` below 1 the spec tolerates some."""

    def to_dict(self) -> dict[str, Any]:
        return {"expectation": self.name, "message": self.sentence, "rows": len(self.rows), "column": self.column}


class Expectations:
    """The expectations of a model, ready to be asked.

    Raises
    ------
    SpecError
        An expectation or one of its arguments is unknown.
    """

    def __init__(self, wanted: Sequence[Expectation], where: str) -> None:
        self._gx = library()
        self._where = where
        self._known = {
            (_snake(n)): getattr(self._gx.expectations, n) for n in dir(self._gx.expectations) if n.startswith("Expect")
        }
        self._all = [(self._made(e), e.severity) for e in wanted]

    def about_rows(self, table: pa.Table) -> list[Finding]:
        """Ask the critical expectations that judge row by row."""
        return self._ask(table, [(e, s) for e, s in self._all if s == "critical" and self._by_row(e)])

    def about_table(self, table: pa.Table) -> list[Finding]:
        """Ask all the others."""
        return self._ask(table, [(e, s) for e, s in self._all if s != "critical" or not self._by_row(e)])

    def _made(self, wanted: Expectation) -> Any:
        name = _snake(wanted.expect)
        if name not in self._known or name == "expectation":
            near = difflib.get_close_matches(name, self._known, 3)
            raise SpecError(
                f"{self._where}: '{wanted.expect}' is no expectation of Great Expectations; near are {', '.join(near) or 'none'}"
            )
        try:
            return self._known[name](**wanted.kwargs)
        except (TypeError, ValueError) as e:
            why = " ".join(str(e).split())[:300]
            raise SpecError(f"{self._where}: the expectation '{wanted.expect}' does not take {wanted.kwargs!r}: {why}") from e

    def _by_row(self, expectation: Any) -> bool:
        kinds = self._gx.expectations.expectation
        return isinstance(
            expectation, (kinds.ColumnMapExpectation, kinds.ColumnPairMapExpectation, kinds.MulticolumnMapExpectation)
        )

    def _ask(self, table: pa.Table, asked: Iterable[tuple[Any, str]]) -> list[Finding]:
        asked = list(asked)
        if not asked or not table.num_rows:
            return []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = [(e, s, _batch(self._gx, _narrow(table, e)).validate(e, result_format=_FORMAT)) for e, s in asked]
        return [self._finding(e, s, r) for e, s, r in results if not r.success or (s == "critical" and _broken(r))]

    def _finding(self, expectation: Any, severity: str, result: Any) -> Finding:
        name, given = _snake(type(expectation).__name__), _arguments(expectation)
        self._refuse_error(name, result)
        seen = result.result or {}
        rows = np.array(seen.get("unexpected_index_list") or [], dtype=np.int64)
        about_rows = self._by_row(expectation)
        strict = about_rows and given.get("mostly", 1.0) >= 1.0
        column = str(given.get("column") or given.get("column_A") or given.get("column_list") or "")
        counted = f"{len(rows)} rows break it, such as {_examples(seen)}" if about_rows else f"seen {_observed(seen)}"
        blocks = severity == "critical" and not result.success and not strict
        told = _told(given)
        return Finding(name, severity, f"{name} ({told}): {counted}", rows, column, told, blocks, strict)

    def _refuse_error(self, name: str, result: Any) -> None:
        trouble = result.exception_info or {}
        nested = [v for v in trouble.values() if isinstance(v, dict)] or [trouble]
        for one in nested:
            if one.get("raised_exception"):
                why = " ".join(str(one.get("exception_message")).split())[:300]
                raise SpecError(f"{self._where}: the expectation '{name}' cannot be carried out on the joined rows: {why}")


_FORMAT = {"result_format": "COMPLETE", "return_unexpected_index_query": False}


def library() -> Any:
    """Great Expectations, silent: no telemetry, no progress bars. Imported here because it takes seconds."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations
        import great_expectations.expectations
        import great_expectations.expectations.expectation
    return great_expectations


def _batch(gx: Any, frame: pd.DataFrame) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("joined").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})


def _narrow(table: pa.Table, expectation: Any) -> pd.DataFrame:
    """The columns that the expectation is about: the engine copies whatever it is given. All, when it is about the table."""
    given = _arguments(expectation)
    named = [given[key] for key in ("column", "column_A", "column_B") if key in given] + list(given.get("column_list", ()))
    known = named and set(named) <= set(table.column_names)
    frame: pd.DataFrame = (table.select(list(dict.fromkeys(named))) if known else table).to_pandas()
    return frame


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _arguments(expectation: Any) -> dict[str, Any]:
    """What the spec said, without the defaults."""
    given: dict[str, Any] = expectation.dict(exclude_unset=True)
    return given


def _told(given: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in given.items())[:300]


def _broken(result: Any) -> bool:
    return bool((result.result or {}).get("unexpected_index_list"))


def _examples(seen: dict[str, Any]) -> str:
    return ", ".join(repr(v) for v in (seen.get("partial_unexpected_list") or [])[:3])[:200] or "null"


def _observed(seen: dict[str, Any]) -> str:
    return str(seen.get("observed_value", seen))[:200]
