"""The fake journal: the same rules as the real one, in memory."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sluicegate.domain.chain import chain, refuse_unkeepable
from sluicegate.errors import LockedError, RefusedError, StaleTokenError
from sluicegate.ports.clock import Clock
from sluicegate.ports.journal import Event, Lock


class MemoryJournal:
    """Implements the Journal port."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: list[Event] = []
        self._locks: dict[str, Lock | None] = {}
        self._tokens: dict[str, int] = {}

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
        refuse_unkeepable(model=model, rollout=rollout, kind=kind, author=author, reason=reason)
        newest = self._tokens.get(model, 0)
        if token is not None and token < newest:
            raise StaleTokenError(f"token {token} for model '{model}' is older than {newest}: a newer rollout has taken over")
        if unless and (found := self.events(model, rollout, kinds=unless)):
            raise RefusedError(f"rollout '{rollout}' of model '{model}' is {found[0].kind} already: somebody else was faster")
        body = json.dumps(data, sort_keys=True, allow_nan=False)
        before = self._events[-1].digest if self._events else ""
        number = len(self._events) + 1
        texts = (model, rollout, str(kind), author, reason)
        at = self._clock.now()
        digest = chain(before, number, at, *texts, body)
        self._events.append(Event(number, at, *texts, json.loads(body), digest))
        return self._events[-1]

    def events(
        self, model: str, rollout: str | None = None, *, after: int = 0, kinds: Sequence[str] | None = None
    ) -> list[Event]:
        wanted = None if kinds is None else {str(k) for k in kinds}
        return [
            e
            for e in self._events
            if e.model == model
            and e.number > after
            and (rollout is None or e.rollout == rollout)
            and (wanted is None or e.kind in wanted)
        ]

    def acquire(self, model: str, holder: str) -> Lock:
        refuse_unkeepable(model=model, rollout=holder)
        held = self._locks.get(model)
        if held is not None and held.holder == holder:
            return held
        if held is not None:
            raise LockedError(f"model '{model}' is held by rollout '{held.holder}': wait for its end, or revert it first")
        self._tokens[model] = self._tokens.get(model, 0) + 1
        lock = Lock(model, holder, self._tokens[model])
        self._locks[model] = lock
        return lock

    def release(self, model: str, token: int, *, unless: Sequence[str] = ()) -> None:
        held = self._locks.get(model)
        if held is not None and held.token == token and not (unless and self.events(model, held.holder, kinds=unless)):
            self._locks[model] = None
            self._tokens[model] = token + 1

    def locks(self) -> dict[str, Lock]:
        return {model: lock for model, lock in sorted(self._locks.items()) if lock is not None}
