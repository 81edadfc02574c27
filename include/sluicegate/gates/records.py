"""Changed copies of the judge's frozen records, which a look makes by the dozen."""

from typing import Any, TypeVar

Record = TypeVar("Record")


def changed(record: Record, **changes: Any) -> Record:
    """`dataclasses.replace` at a tenth of its price: for records of which no field is made from another."""
    copy = object.__new__(type(record))
    copy.__dict__.update(record.__dict__ | changes)
    return copy
