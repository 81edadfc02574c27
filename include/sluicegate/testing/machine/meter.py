"""The synthetic meter with whole numbers and few buckets: the codec of the journal packs them in no time, and nothing here needs more."""

from dataclasses import fields, replace
from typing import Any

from sluicegate.domain.evidence import Reading
from sluicegate.domain.route import Route
from sluicegate.testing.meter import SyntheticMeter


class WholeMeter(SyntheticMeter):
    """Implements the Meter port."""

    def read(self, route: Route, **how: Any) -> Reading:
        reading = super().read(route, **how)
        arms = {name: _whole(getattr(reading, name)) for name in ("champion", "candidate", "mirror", "pairs")}
        return replace(reading, **arms)


def _whole(counters: Any) -> Any:
    if counters is None:
        return None
    values = {field.name: getattr(counters, field.name) for field in fields(counters)}
    return replace(counters, **{name: _rounded(v) for name, v in values.items() if _broken(v)})


def _broken(values: Any) -> bool:
    return isinstance(values, tuple) and bool(values) and isinstance(values[0], float)


def _rounded(values: tuple[float, ...]) -> tuple[int, ...]:
    """Mostly all the same: rounding one of them is enough then."""
    first = values[0]
    return (round(first),) * len(values) if values[-1] == first else tuple(map(round, values))
