"""The one memory: append-only events, and a lock a model whose fencing token only grows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Event:
    """One entry. `digest` chains it to the entry before it."""

    number: int
    at: float
    model: str
    rollout: str
    kind: str
    author: str
    reason: str
    data: Mapping[str, Any]
    digest: str


@dataclass(frozen=True)
class Lock:
    """Who holds a model. The token is larger than any that was ever handed out for it."""

    model: str
    holder: str
    token: int


class Journal(Protocol):
    def append(
        self,
        model: str,
        rollout: str,
        kind: str,
        data: Mapping[str, Any],
        *,
        author: str,
        reason: str = "",
        token: int | None = None,
        unless: Sequence[str] = (),
    ) -> Event:
        """Add an event, unless the rollout has one of these kinds already (RefusedError): checked and written in one transaction.

        With a token, StaleTokenError when a newer one was handed out, or the lock was given back since.
        """
        ...

    def events(
        self, model: str, rollout: str | None = None, *, after: int = 0, kinds: Sequence[str] | None = None
    ) -> list[Event]:
        """Events with number > after, of these kinds (None: all), oldest first."""
        ...

    def acquire(self, model: str, holder: str) -> Lock:
        """Take the model's lock: a new, larger token; the present holder asking again gets its own token back.

        Raises LockedError, naming the holder, when another one has it.
        """
        ...

    def release(self, model: str, token: int, *, unless: Sequence[str] = ()) -> None:
        """Give the lock back and outdate its token, so that whoever still writes with it is refused; a stale token changes nothing.

        Its holder keeps it when it has an event of one of the kinds `unless`: looked up and given back in one transaction.
        """
        ...

    def locks(self) -> dict[str, Lock]:
        """Who holds which model now: model → lock, by name."""
        ...
