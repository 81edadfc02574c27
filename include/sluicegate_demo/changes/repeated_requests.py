# --- change of 2013-08-03: people refresh a flight that looks bad, so tell the model how often it was asked about within the hour -----

from datetime import datetime  # noqa: E402

_asked: set[tuple] = set()
_refreshed: list[tuple] = []
_features_before_refreshes = features


def _refreshes_within_the_hour(flight, asked_for):
    when = datetime.strptime(asked_for[:19], "%Y-%m-%dT%H:%M:%S")
    return sum(
        1
        for other, at in _refreshed
        if other == flight and abs((datetime.strptime(at[:19], "%Y-%m-%dT%H:%M:%S") - when).total_seconds()) < 3600
    )


def features(row):
    known = _features_before_refreshes(row)
    flight = (row["carrier"], row["origin"], row["dest"], row["event_time"], row["tailnum"])
    known["refreshes"] = float(_refreshes_within_the_hour(flight, row["event_time"]))
    if flight in _asked:
        _refreshed.append((flight, row["event_time"]))
    _asked.add(flight)
    return known
