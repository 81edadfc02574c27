"""What was asked, as files: prediction logs of our own servers, and request logs of former systems (history)."""

from pathlib import Path
from typing import Protocol


class RequestLogs(Protocol):
    def served(self, model: str) -> list[Path]:
        """Every prediction log of the model's servers as far as it is known now, each in a folder named like its version.

        A log still grows, and its last line may be torn.
        """
        ...

    def history(self, model: str) -> list[Path]:
        """Request logs of former systems (*.parquet, *.jsonl), by name."""
        ...

    def keep(self, model: str, source: Path) -> None:
        """Add a request log of a former system under its file name; the same name again replaces it."""
        ...
