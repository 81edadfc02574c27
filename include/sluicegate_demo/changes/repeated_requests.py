# --- change of 2013-08-03: people refresh a flight that looks bad, so tell the model how often it was asked about ---------------------

_asked = []  # (flight, departure) of every request
_request_ids = {}  # flight -> ids of its requests, to tell a refresh from a retry of the same request
_features_before_refreshes = features


def _refreshes(row):
    flight = (row["carrier"], row["origin"], row["dest"], row["tailnum"], row["event_time"])
    _asked.append((flight, row["event_time"]))
    ids = _request_ids.setdefault(flight, set())
    ids.add(row.get("request_id"))
    if len(ids) == 1:
        return 0
    departure = datetime.strptime(row["event_time"], "%Y-%m-%dT%H:%M:%SZ")
    return sum(
        abs((datetime.strptime(other_departure, "%Y-%m-%dT%H:%M:%SZ") - departure).total_seconds()) < 3600 and other == flight
        for other, other_departure in _asked
    )


def features(row):
    known = _features_before_refreshes(row)
    known["refreshes"] = float(_refreshes(row))
    return known
