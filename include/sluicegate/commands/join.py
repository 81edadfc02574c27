"""What runs beside the model servers of a cluster and pairs what two versions said to the same request."""

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from sluicegate.commands import DONE
from sluicegate.commands.stop import stopped
from sluicegate.errors import UnavailableError

if TYPE_CHECKING:
    from sluicegate.adapters.promql_meter import Joiner
    from sluicegate.commands import Verbs
    from sluicegate.serving.http import Response

LOOK_EVERY_S = 0.25


def add_commands(verbs: "Verbs") -> None:
    """Add join."""
    join = verbs.add_parser("join", help="pair the answers of champions and candidates, for Prometheus; runs until stopped")
    join.add_argument("--host", default="127.0.0.1")
    join.add_argument("--port", type=int, required=True, help="where Prometheus finds the pairs (GET /metrics/evidence)")
    join.set_defaults(run=_join)


def _join(args: argparse.Namespace) -> int:
    from sluicegate.serving.pulse import Pulse
    from sluicegate.settings import Settings
    from sluicegate.wiring import joiner

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    made, stop = joiner(Settings.from_environment()), stopped()
    pulse = Pulse(args.host, args.port, lambda path: _page(made, path))
    logging.info("pairing at port %s", args.port)
    trouble = ""
    while not stop(LOOK_EVERY_S):
        before, trouble = trouble, _look(made)
        if trouble != before:
            logging.info(trouble or "Prometheus answers again")
        pulse.beat()
    pulse.close()
    return DONE


def _look(joiner: "Joiner") -> str:
    """Why the pods could not be found, or empty."""
    try:
        joiner.look()
    except UnavailableError as e:
        return str(e)
    return ""


def _page(joiner: "Joiner", path: str) -> "Response | None":
    from sluicegate.serving.evidence_page import CONTENT_TYPE
    from sluicegate.serving.http import JSON
    from sluicegate.serving.watched import EVIDENCE

    if path == EVIDENCE:
        return 200, CONTENT_TYPE, joiner.page()
    return (200, JSON, b'{"status": "live"}') if path == "/health/live" else None
