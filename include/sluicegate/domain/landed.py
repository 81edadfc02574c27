"""Names of files that land: which are taken, and how they are shown."""

import os

from sluicegate.errors import InputError

MOST_OF_A_NAME = 10_000
"""Files of one name that may wait at once; more means that nobody takes them."""


def check_landing(name: str) -> None:
    """InputError for a name that leads elsewhere, or that is hidden and therefore nobody's."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise InputError(f"a file cannot land as {name!r}: give a name without slash and without a leading dot")


def numbered(name: str, number: int) -> str:
    """The name for the n-th file that wants it: a.csv, a~2.csv, a~3.csv ..."""
    stem, dot, ending = name.partition(".")
    return name if number == 1 else f"{stem}~{number}{dot}{ending}"


def shown(name: str) -> str:
    """The file name as text that any log and any database can hold: what cannot be printed is escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
