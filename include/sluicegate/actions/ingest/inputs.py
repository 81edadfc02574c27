"""The request rows by themselves: would the server have understood them, and are their values possible?"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluicegate.actions.ingest.faults import Faults
from sluicegate.actions.ingest.fields import Typed
from sluicegate.actions.ingest.join import Joined
from sluicegate.actions.ingest.raw import Code, Column, Rows
from sluicegate.domain.spec import Data, InputField

LOG = "the request of"


def check_inputs(joined: Joined, data: Data, faults: Faults) -> None:
    """Mark the label rows whose request has a missing, mistyped or impossible value."""
    fields = {data.user_id: InputField(type="string"), **data.inputs}
    for name, field in fields.items():
        column = joined.columns[name]
        _check_presence(name, field, column, joined, faults)
        if field.type in ("number", "integer"):
            _check_number(name, field, column, joined.rows, faults)
        elif field.values is not None:
            _check_set(name, field.values, column, joined.rows, faults)


def _check_presence(name: str, field: InputField, column: Typed, joined: Joined, faults: Faults) -> None:
    if field.required:
        absent = column.missing | _not_a_number(column)
        faults.mark(
            absent,
            Code.MISSING_VALUE,
            lambda _, p: f"{LOG} {p} has no '{name}': mend the request log, or write 'required: false' in spec.yaml",
            rows=joined.rows,
        )
    faults.mark(
        column.wrong,
        Code.WRONG_TYPE,
        lambda v, p: f"'{name}' in {LOG} {p} is {v} and no {field.type}: mend the request log",
        joined.wrong.get(name),
        joined.rows,
    )


def _check_number(name: str, field: InputField, column: Typed, rows: Rows, faults: Faults) -> None:
    numbers, shown = _floats(column), pa.chunked_array([column.values])
    low = -np.inf if field.min is None else field.min
    high = np.inf if field.max is None else field.max
    faults.mark(
        np.isinf(numbers), Code.NOT_FINITE, lambda v, p: f"'{name}' in {LOG} {p} is {v}: mend the request log", shown, rows
    )
    faults.mark(
        (numbers < low) | (numbers > high),
        Code.OUT_OF_RANGE,
        lambda v, p: f"'{name}' in {LOG} {p} is {v}, outside {low} to {high}: mend the log, or the range in spec.yaml",
        shown,
        rows,
    )
    if field.type == "integer":
        broken = np.isfinite(numbers) & (numbers != np.floor(numbers))
        faults.mark(
            broken,
            Code.WRONG_TYPE,
            lambda v, p: f"'{name}' in {LOG} {p} is {v} and no integer: mend the request log",
            shown,
            rows,
        )


def _check_set(name: str, allowed: tuple[str, ...], column: Typed, rows: Rows, faults: Faults) -> None:
    known = pc.is_in(column.values, value_set=pa.array(allowed)).to_numpy(zero_copy_only=False)
    faults.mark(
        ~known & ~column.missing,
        Code.NOT_ALLOWED,
        lambda v, p: (
            f"'{name}' in {LOG} {p} is {v}: allowed are {', '.join(allowed)[:200]}; mend the log, or the set in spec.yaml"
        ),
        pa.chunked_array([column.values]),
        rows,
    )


def _floats(column: Typed) -> NDArray[np.float64]:
    return np.asarray(column.values.to_numpy(zero_copy_only=False), dtype=np.float64)


def _not_a_number(column: Typed) -> NDArray[np.bool_]:
    """Tables made by pandas write NaN for a missing number."""
    if not pa.types.is_floating(column.values.type):
        return np.zeros(len(column.values), dtype=bool)
    return np.isnan(_floats(column)) & ~column.wrong


def accepted_columns(joined: Joined, data: Data, keep: Column) -> dict[str, pa.Array]:
    """User and inputs of the kept request rows as they go into accepted.parquet; integers whole, NaN as null."""
    found = {"user": joined.columns[data.user_id].values.filter(keep)}
    for name, field in data.inputs.items():
        values = joined.columns[name].values.filter(keep)
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
        found[name] = values.cast(pa.int64()) if field.type == "integer" else values
    return found
