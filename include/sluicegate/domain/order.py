"""An order: one unit of work with an identity computed from what it is made of.

The same order has the same content key on every machine, so a finished result is found instead of made twice.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluicegate.errors import OrderError


@dataclass(frozen=True)
class Order:
    """One unit of work: what to do, for which model, on which inputs."""

    action: str
    model: str
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Content key: 32 hex digits of the SHA-256 of the canonical JSON."""
        return content_key({"action": self.action, "model": self.model, "inputs": dict(self.inputs)})

    def to_json(self) -> str:
        return json.dumps({"action": self.action, "model": self.model, "inputs": dict(self.inputs)}, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "Order":
        """Read an order; OrderError names what is missing."""
        try:
            raw = json.loads(text)
            return Order(action=str(raw["action"]), model=str(raw["model"]), inputs=dict(raw.get("inputs", {})))
        except (ValueError, TypeError, KeyError) as e:
            raise OrderError(f"the order {text[:80]!r} is not JSON with 'action', 'model' and 'inputs': {e!r}") from e

    def need(self, name: str) -> Any:
        """The input `name`; OrderError when it is absent."""
        if name not in self.inputs:
            raise OrderError(f"the order '{self.action}' of model '{self.model}' lacks the input '{name}'")
        return self.inputs[name]


def content_key(value: Any) -> str:
    """32 hex digits that depend on `value` (JSON types) alone, not on key order or white space."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
