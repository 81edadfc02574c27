"""What every part of a spec is made of: frozen, unknown keys refused, durations and shares written with their units."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NAME = re.compile(r"^[a-z][a-z0-9_]{0,47}$")
"""Of a model."""
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: Any) -> float:
    """A duration: a number of seconds, or text such as 500ms, 10s, 5m, 24h, 7d."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", str(value).strip())
    if not match:
        raise ValueError("a duration is a number of seconds or text such as 500ms, 10s, 5m, 24h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def share(value: Any) -> float:
    """A share of one: 0.01, or text such as 1pp or 1% (both mean 0.01)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(pp|%)", str(value).strip())
    if not match:
        raise ValueError("a share is a number such as 0.01 or text such as 1pp or 1%")
    return float(match[1]) / 100.0


Duration = Annotated[float, BeforeValidator(seconds)]
Share = Annotated[float, BeforeValidator(share), Field(gt=0, lt=1)]


class Part(BaseModel):
    """Base of every part of a spec: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
