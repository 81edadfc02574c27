"""Who acts. An actor is stopped before every call of a port, so that it can be killed there or others can act in between."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from greenlet import greenlet

from sluicegate.errors import SluicegateError

PORTS = ("journal", "router", "runtime", "registry", "meter", "incidents")


class KilledError(BaseException):
    """The process is gone: nothing that it would still have done happens."""


class Outside(Protocol):
    """What carries out the calls of actors."""

    model_spec: Any
    settings: Any
    reached: Counter[str]

    def call(self, actor: "Actor", port: str, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...
    def now(self) -> float: ...
    def pass_time(self, seconds: float) -> None: ...


class Actor:
    """One process that carries out `work(ports)`, some calls at a time."""

    def __init__(self, name: str, outside: Outside, work: Callable[[Any], None]) -> None:
        self.name, self.work = name, work
        self.error: SluicegateError | None = None
        """Why it gave up; None when it did not."""
        self.memory: dict[str, Any] = {}
        """What the witness remembers about this actor's last calls."""
        self._killed = False
        self._outside = outside
        self._greenlet = greenlet(self._run)

    @property
    def alive(self) -> bool:
        return not self._killed and not self._greenlet.dead

    def step(self, calls: int) -> None:
        """Let it make at most so many calls of ports."""
        for _ in range(calls):
            if not self.alive:
                return
            self._greenlet.switch()

    def kill(self) -> None:
        """kill -9: it ends where it stands."""
        self._killed = True
        if self._greenlet:  # begun and not at its end
            self._greenlet.throw(KilledError)

    def pause(self) -> None:
        """Called before every call of a port: others go on here."""
        if self._killed:
            raise KilledError
        parent = self._greenlet.parent
        assert parent is not None
        parent.switch()

    def _run(self) -> None:
        try:
            self.work(ActorPorts(self, self._outside))
        except SluicegateError as e:
            self.error = e
            self._outside.reached[type(e).__name__] += 1
        except KilledError:
            pass


class ActorPorts:
    """The bundle of ports as one actor sees it."""

    def __init__(self, actor: Actor, outside: Outside) -> None:
        self.clock = _Clock(actor, outside)
        self.settings = outside.settings
        self._outside = outside
        for name in PORTS:
            setattr(self, name, _Port(actor, outside, name))

    def spec(self, model: str) -> Any:
        return self._outside.model_spec


class _Port:
    def __init__(self, actor: Actor, outside: Outside, name: str) -> None:
        self._actor, self._outside, self._name = actor, outside, name

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._actor.pause()
            return self._outside.call(self._actor, self._name, verb, args, kwargs)

        return call


class _Clock:
    def __init__(self, actor: Actor, outside: Outside) -> None:
        self._actor, self._outside = actor, outside

    def now(self) -> float:
        return self._outside.now()

    def sleep(self, seconds: float) -> None:
        self._actor.pause()
        self._outside.pass_time(seconds)
