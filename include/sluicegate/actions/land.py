"""The light ends of ingest: take what landed, publish what was checked."""

import fnmatch
import json
import logging
import tempfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluicegate.actions.ingest.write import OURS
from sluicegate.errors import RefusedError
from sluicegate.ports import Arrival, Ports

log = logging.getLogger(__name__)
FILES = {"accepted": "accepted.parquet", "quarantined": "quarantined.parquet"}


def land(model: str, ports: Ports, only: str = "*") -> list[dict[str, str]]:
    """Take every waiting file to its immutable place and name all batches that are not committed yet, oldest first.

    `only` is a pattern for file names such as labels-2013-*.csv: what does not match is left where it is.

    A file that was taken and never committed, because somebody was killed in between, is named again. Two runs at once name the
    same batches; the order `validate` and the commit are carried out once a batch.

    Returns
    -------
    list of {"batch_id": ..., "name": ...}
    """
    for arrival in _matching(ports.landing.waiting(model), only):
        try:
            ports.landing.take(arrival)
        except RefusedError as e:
            log.warning("%s", e)  # it changed or was taken by another run: the next look sees it as it is then
    committed = {str(report["batch_id"]) for report in ports.dataset.batches(model)}
    open_ones = [a for a in _matching(ports.landing.taken(model), only) if a.batch_id not in committed]
    return [{"batch_id": a.batch_id, "name": a.name} for a in open_ones]


def _matching(arrivals: list[Arrival], only: str) -> list[Arrival]:
    return [a for a in arrivals if fnmatch.fnmatchcase(a.name, only)]


def commit(model: str, batch_id: str, result: Path, ports: Ports) -> bool:
    """Publish a checked batch.

    Parameters
    ----------
    result : Path
        Folder of the committed result of the order `validate`.

    Returns
    -------
    False when the batch was published before, by whichever run.

    Raises
    ------
    RefusedError
        The folder is not that of this batch, or its rows do not add up.
    """
    report = json.loads((result / "report.json").read_text())
    if report["batch_id"] != batch_id:
        raise RefusedError(f"the result holds batch {report['batch_id']} and not {batch_id}: commit the result of its own order")
    rows = report["rows"]
    counted = {name: pq.read_metadata(result / file).num_rows for name, file in FILES.items()}
    if rows["in"] != rows["accepted"] + rows["quarantined"] + rows["duplicate"] or any(counted[n] != rows[n] for n in counted):
        raise RefusedError(
            f"the rows of batch {batch_id} do not add up: {rows} reported, {counted} written; nothing was committed"
        )
    return ports.dataset.commit(model, batch_id, result)


def readmit(model: str, batch_id: str, ports: Ports) -> str | None:
    """Let the quarantined rows of a batch land again, after what refused them was mended: a request log, a range, an expectation.

    Lines that were no rows stay out. The rows land as a new file, so that they become a batch of their own.

    Returns
    -------
    The name under which they wait; None when the batch has no quarantined rows.
    """
    aside = pq.read_table(ports.dataset.batch(model, batch_id) / "quarantined.parquet")
    rows = aside.filter(pc.is_null(aside["line"])).drop_columns([*OURS])
    if not rows.num_rows or not rows.num_columns:
        return None
    marked = rows.replace_schema_metadata({"readmitted_from": batch_id})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(marked, path)
        return ports.landing.drop(model, f"readmitted-{batch_id}.parquet", path)
