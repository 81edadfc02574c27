"""Everything that Sluicegate refuses or cannot do, one small tree.

    SluicegateError
    ├── InputError            something a person wrote is wrong: they can mend it
    │   ├── SpecError         a spec.yaml or features.py
    │   ├── OrderError        an order (JSON) that no action can carry out
    │   └── RequestError      a prediction request (becomes a 4xx, never counts as the model's error)
    ├── RefusedError          makes no sense now: the state of the world forbids it
    │   ├── LockedError       another rollout holds this model
    │   ├── PausedError       a person holds the rollout: it goes on after a resume
    │   └── StaleTokenError   the writer was fenced off by a newer holder
    ├── PackageError          a model package that is broken or not what it says it is
    ├── DamagedError          the journal is not what was written
    └── UnavailableError      an outside thing does not answer: try again later
        └── UnfinishedError   what was asked for is done, but something that follows it is not: ask for the same again

Messages are one sentence: the offending value, where it stands, what to do.
"""


class SluicegateError(Exception):
    """Root of the tree."""


class InputError(SluicegateError):
    """Something a person wrote is wrong."""


class SpecError(InputError):
    """A model's spec.yaml or features.py is wrong."""


class OrderError(InputError):
    """An order names an unknown action or lacks an input."""


class RequestError(InputError):
    """A prediction request is wrong; `field` names the offending key, or is None."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class RefusedError(SluicegateError):
    """The action makes no sense in the present state."""


class LockedError(RefusedError):
    """Another rollout holds this model."""


class PausedError(RefusedError):
    """A person holds the rollout."""


class StaleTokenError(RefusedError):
    """The fencing token is older than the newest one."""


class PackageError(SluicegateError):
    """A model package is broken, altered, or not what its manifest says."""


class DamagedError(SluicegateError):
    """What the journal keeps is not what was written."""


class UnavailableError(SluicegateError):
    """An outside thing does not answer."""


class UnfinishedError(UnavailableError):
    """The traffic and the journal are as asked; something after that remains."""
