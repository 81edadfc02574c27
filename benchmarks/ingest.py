"""Ingest, validate and commit one million labelled requests of which 1 % are bad: where the time goes.

    python benchmarks/ingest.py [rows]

The bar is 5 s beyond process start, which is Python and the libraries. Rows are flights of 2013 repeated under new ids, as a csv
of labels on one side and a parquet request log on the other.
"""

import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

BAR = 5.0


@contextmanager
def phase(table, name):
    begun, worked = time.perf_counter(), time.process_time()
    yield
    table.append((name, time.perf_counter() - begun, time.process_time() - worked))


def prepare(home, rows):
    """A history of `rows` requests and their labels, 1 % of them broken in ten ways."""
    import numpy as np
    import pandas as pd

    from sluicegate_demo import flights_data as flights

    asked = flights.requests(1)
    told = flights.labels(1)
    turns = -(-rows // len(told))
    asked = pd.concat([asked.assign(request_id=asked["request_id"] + f"#{t}") for t in range(turns)], ignore_index=True)
    told = pd.concat([told.assign(request_id=told["request_id"] + f"#{t}") for t in range(turns)], ignore_index=True).iloc[:rows]
    told = told.astype({"arr_delay": "object"}).reset_index(drop=True)
    bad = np.random.default_rng(7).choice(rows, rows // 100, replace=False)
    kinds = np.array_split(bad, 10)
    for broken, value in zip(kinds[:5], ["twelve", "nan", "inf", "", 1e9], strict=True):
        told.loc[broken, "arr_delay"] = value
    told.loc[kinds[5], "known_at"] = "2093-01-01T00:00:00Z"
    told.loc[kinds[6], "known_at"] = "2012-12-31T00:00:00Z"
    told.loc[kinds[7], "event_time"] = "2013-13-45"
    told.loc[kinds[8], "request_id"] = "nobody/" + told.loc[kinds[8], "request_id"]
    told.loc[kinds[9], "request_id"] = told["request_id"].iloc[0]
    history = home / "data" / "flights" / "history"
    history.mkdir(parents=True)
    asked.to_parquet(history / "requests.parquet", index=False)
    told.to_csv(home / "labels.csv", index=False)


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    table = []
    with phase(table, "process start: libraries, Great Expectations among them"):
        from sluicegate.actions import land as ends
        from sluicegate.actions import validate
        from sluicegate.actions.ingest import check, expectations
        from sluicegate.actions.ingest.write import write
        from sluicegate.domain.order import Order
        from sluicegate.settings import Settings
        from sluicegate.wiring import wire

        expectations.library()
    home = Path(tempfile.mkdtemp(prefix="sluicegate-bench-"))
    try:
        prepare(home, rows)
        ports = wire(Settings(home=home))
        ports.landing.drop("flights", "labels.csv", home / "labels.csv")
        watched(check, table)
        begun, worked = time.perf_counter(), time.process_time()
        with phase(table, "land: hash and take"):
            (batch,) = ends.land("flights", ports)
        folder = home / "result"
        folder.mkdir()
        validate.write = timed(write, table, "write accepted, duplicates, quarantined, report")
        result = validate.run_validate(Order("validate", "flights", batch), ports, folder)
        with phase(table, "commit: count, link, sync, rename"):
            ends.commit("flights", batch["batch_id"], folder, ports)
        whole, processor = time.perf_counter() - begun, time.process_time() - worked
    finally:
        shutil.rmtree(home)
    show(table, whole, processor, result)
    return 0 if whole <= BAR * max(1, rows / 1_000_000) else 1


def timed(work, table, name):
    def measured(*args, **kwargs):
        with phase(table, name):
            return work(*args, **kwargs)

    return measured


def watched(check, table):
    """Measure the steps of `check` from outside."""
    for name, title in (
        ("read_file", "read csv, tell lines apart"),
        ("check_labels", "type and check labels"),
        ("join", "find and join requests"),
        ("check_inputs", "check inputs"),
        ("_table", "table of good rows"),
        ("request_codes", "number the requests"),
        ("repeated_rows", "repeated rows"),
        ("labelled_before", "duplicates across batches"),
        ("quarantined", "quarantine: sentences"),
    ):
        setattr(check, name, timed(getattr(check, name), table, title))
    kind = check.Expectations
    kind.about_rows = timed(kind.about_rows, table, "expectations about rows")
    kind.about_table = timed(kind.about_table, table, "expectations about the table and warnings")


def show(table, whole, processor, result):
    for name, seconds, used in table:
        print(f"{seconds:8.2f} s  {used:8.2f} s of processor  {name}")
    print(f"{whole:8.2f} s  {processor:8.2f} s of processor  land to commit (bar {BAR} s a million)")
    print(f"rows {result['rows']}\nreasons {result['reasons']}")


if __name__ == "__main__":
    sys.exit(main())
