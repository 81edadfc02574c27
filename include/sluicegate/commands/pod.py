"""What a pod starts: `work` carries out an order that lies in the store, `fetch` brings a server's package from there."""

import argparse
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate import errors
from sluicegate.commands import DONE, REFUSED, UNAVAILABLE, UNFINISHED
from sluicegate.commands.stop import stopped
from sluicegate.errors import SluicegateError

if TYPE_CHECKING:
    from sluicegate.commands import Verbs
    from sluicegate.ports import Failure
    from sluicegate.wiring import Wiring

LAST_WORDS = Path("/dev/termination-log")
"""What a container writes there its pod's status tells, even when its log is gone."""
KILLED = 128
"""Added to the number of the signal that ended the work, as shells do."""


def add_commands(verbs: "Verbs") -> None:
    """Add work and fetch."""
    work = verbs.add_parser("work", help="carry out the order at a URL of the store and commit its result there")
    work.add_argument("--order-url", required=True, metavar="URL")
    work.add_argument("--source", default="", metavar="DIGEST", help="of the model's files in the store; else those here")
    work.set_defaults(run=_work)
    ship = verbs.add_parser("ship", help="bring the prediction logs of a model server to the store; runs until stopped")
    ship.add_argument("--log-dir", required=True, type=Path, help="where the server writes them")
    ship.add_argument("--model", required=True)
    ship.add_argument("--version", required=True)
    ship.add_argument("--server", default=os.uname().nodename, help="name of the server; by default that of this machine or pod")
    ship.add_argument(
        "--every", type=float, default=5.0, metavar="SECONDS", help="between two looks: what a lost disk may take with it"
    )
    ship.set_defaults(run=_ship)
    fetch = verbs.add_parser("fetch", help="bring the model package of this digest from the store to a folder")
    fetch.add_argument("--digest", required=True, help="SHA-256 of its manifest")
    fetch.add_argument("--to", required=True, type=Path)
    fetch.set_defaults(run=_fetch)


def _fetch(args: argparse.Namespace) -> None:
    from sluicegate.serving import depot
    from sluicegate.settings import Settings

    depot.fetch(Settings.from_environment().store_url, args.digest, args.to)


def _work(args: argparse.Namespace) -> int:
    """The work is a process of its own, so that what it printed and how it died is known whatever it died of."""
    from sluicegate.wiring import wire

    ports = wire()
    ports.settings.orders.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".work-", dir=ports.settings.orders) as name:
        folder = Path(name)
        code = _watched(args.order_url, args.source, folder)
        failure = _failure(folder, code)
        if failure is not None and (failure.kind or code < 0):  # who ended itself has had the last word
            _say(failure)
        _tell(ports, folder, failure)
    return DONE if failure is None else _exit_code(failure, code)


def _watched(url: str, source: str, folder: Path) -> int:
    """Let the work run, show and keep what it prints; hand a request to stop on to it."""
    command = [sys.executable, "-m", "sluicegate", "order", str(folder / "order.json"), "--fetch", url, "--source", source]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as work:
        signal.signal(signal.SIGTERM, lambda *_: work.terminate())
        for line in work.stdout or ():
            log.write(line)
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
    return work.returncode


def _failure(folder: Path, code: int) -> "Failure | None":
    from sluicegate.ports import Failure

    if code == 0:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError):
        told = json.loads((folder / "error.json").read_text())
        return Failure(str(told["message"]), str(told["kind"]))
    how = f"was killed by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
    return Failure(f"the work {how} before it could say why: see its log", "")


def _say(failure: "Failure") -> None:
    """The reason where the cluster looks for it; work that was killed has none, and its exit code says so."""
    print(f"{failure.kind or 'Killed'}: {failure.message}", file=sys.stderr, flush=True)
    if failure.kind and LAST_WORDS.exists():
        LAST_WORDS.write_text(json.dumps({"kind": failure.kind, "message": failure.message[:3000]}))


def _tell(ports: "Wiring", folder: Path, failure: "Failure | None") -> None:
    """Keep the log beside the order, where people look for it; a store that is away now changes nothing about the work."""
    from sluicegate.domain.order import Order

    with contextlib.suppress(OSError):  # no order was fetched: there is nothing to lie beside
        order = Order.from_json((folder / "order.json").read_text())
        try:
            ports.outbox.tell(order.key, folder / "log", failure)
        except SluicegateError as e:
            print(f"the log of the order was not kept: {e}", file=sys.stderr)


def _exit_code(failure: "Failure", code: int) -> int:
    if code < 0:
        return KILLED - code
    if not failure.kind:
        return code  # it ended itself and means something by that: 99 is nothing to do
    kind = getattr(errors, failure.kind, Exception)
    if issubclass(kind, errors.UnfinishedError):
        return UNFINISHED
    return UNAVAILABLE if issubclass(kind, errors.UnavailableError) else REFUSED


def _ship(args: argparse.Namespace) -> None:
    from sluicegate.wiring import wire

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    wire().store.shipper(args.log_dir, args.model, args.version, args.server).run(stopped(), args.every)
