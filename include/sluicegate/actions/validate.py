"""The order `validate`: a taken file becomes a checked batch, whatever is in it."""

import logging
from pathlib import Path
from typing import Any

from sluicegate.actions.ingest.check import check
from sluicegate.actions.ingest.write import write
from sluicegate.domain.order import Order
from sluicegate.errors import RefusedError
from sluicegate.ports import Arrival, Ports

log = logging.getLogger(__name__)


def run_validate(order: Order, ports: Ports, folder: Path) -> dict[str, Any]:
    """Check the file of the batch `batch_id`, write accepted, duplicate and quarantined rows and the report into `folder`.

    Returns
    -------
    dict
        batch_id, name, rows {in, accepted, quarantined, duplicate}, reasons {code: rows}, blocked, message.

    Raises
    ------
    RefusedError
        No file with this batch id was taken.
    SpecError
        The spec's expectations cannot be carried out.
    """
    arrival = _arrival(ports, order.model, str(order.need("batch_id")))
    checked = check(ports.landing.take(arrival), arrival, ports.spec(order.model), ports)
    write(checked, folder)
    log.info("batch %s (%s): %s", arrival.batch_id, arrival.name, checked.rows)
    for code, rows in checked.reasons.items():
        log.info("  quarantined %d rows: %s", rows, code)
    return {
        "batch_id": arrival.batch_id,
        "name": arrival.name,
        "rows": checked.rows,
        "reasons": checked.reasons,
        "blocked": checked.blocked,
        "message": checked.message,
    }


def _arrival(ports: Ports, model: str, batch_id: str) -> Arrival:
    for arrival in ports.landing.taken(model):
        if arrival.batch_id == batch_id:
            return arrival
    raise RefusedError(f"no file with the batch id '{batch_id}' was taken for model '{model}': land it and take it first")
