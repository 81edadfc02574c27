"""How the prediction logs of servers lie in the store, which cannot append: piece by piece, and in the end as a whole.

    predictions/<model>/<version>/<log>/<first byte, 20 digits>     bytes of the log from there on, made on condition
    predictions/<model>/<version>/<log>/all                         the log, once nothing is added to it any more

A piece's name is where it begins, so that none can be there twice, whoever brings it and however often.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluicegate.adapters.object_store.objects import Entry
from sluicegate.folders import child

ROOT = "predictions"
ALL = "all"


@dataclass(frozen=True)
class Stored:
    """A log in the store."""

    pieces: tuple[Entry, ...]
    """From the first byte on and without a gap; none when the whole is there."""
    whole: Entry | None
    leftover: tuple[Entry, ...]
    """Pieces of a log that is there as a whole."""

    @property
    def size(self) -> int:
        """Bytes that can be read."""
        return self.whole.size if self.whole else sum(piece.size for piece in self.pieces)


def of_model(model: str) -> str:
    """Folder of all logs of the model; RefusedError for a name that could lead elsewhere."""
    return f"{ROOT}/{child(Path(), model)}"


def of_log(model: str, version: str, log: str) -> str:
    """Folder of one log."""
    return f"{of_model(model)}/{child(Path(), version)}/{child(Path(), log)}"


def stored(entries: list[Entry]) -> Mapping[str, Stored]:
    """The logs that these objects make, by folder; one of which nothing can be read yet is none."""
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        folders.setdefault(entry.name.rpartition("/")[0], []).append(entry)
    logs = {folder: _stored(inside) for folder, inside in folders.items()}
    return {folder: log for folder, log in logs.items() if log.size}


def begins(entry: Entry) -> int:
    """Where in its log a piece begins, bytes."""
    return int(entry.name.rpartition("/")[2])


def _stored(inside: list[Entry]) -> Stored:
    whole = next((entry for entry in inside if entry.name.endswith(f"/{ALL}")), None)
    pieces = sorted((entry for entry in inside if entry.name.rpartition("/")[2].isdecimal()), key=begins)
    if whole is not None:
        return Stored((), whole, tuple(pieces))
    gapless: list[Entry] = []
    end = 0
    for piece in pieces:
        if begins(piece) != end:
            break
        gapless.append(piece)
        end += piece.size
    return Stored(tuple(gapless), None, ())
