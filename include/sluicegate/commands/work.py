"""What a supervisor or a worker starts: an order, the guard, the sweep. (`serve` has a command line of its own.)"""

import argparse
import contextlib
import json
import logging
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.errors import SluicegateError

if TYPE_CHECKING:
    from sluicegate.commands import Verbs
    from sluicegate.wiring import Wiring

SWEPT_WITHIN_S = 60.0
"""An end that is made within one look may have to wait for servers and the store."""
FIRST = -10
"""Niceness of the guard, where that is allowed: a lease ends in time also on a machine that is too busy for everything else."""


def add_commands(verbs: "Verbs") -> None:
    """Add serve, order, guard, keeper, gateway and sweep."""
    verbs.add_parser("serve", help="a model server (see: serve --help)")
    order = verbs.add_parser("order", help="carry out the order in FILE and commit its result")
    order.add_argument("file", type=Path)
    order.add_argument("--fetch", metavar="URL", help="bring the order into FILE first, from this URL of the store")
    order.add_argument("--source", default="", metavar="DIGEST", help="bring the model's files beside FILE, and work with them")
    order.set_defaults(run=_order)
    guard = verbs.add_parser("guard", help="give expired leases back to the champion; runs until stopped")
    guard.set_defaults(run=_guard)
    keeper = verbs.add_parser(
        "keeper", help="the guard of a cluster: gives expired leases of all routes back; runs until stopped"
    )
    keeper.add_argument("--port", type=int, default=8080, help="where it says whether it still looks (GET /)")
    keeper.set_defaults(run=_keeper)
    gateway = verbs.add_parser("gateway", help="the guard beside one Envoy of a cluster: gives it its routes; runs until stopped")
    gateway.add_argument("--prepare", action="store_true", help="only write what Envoy reads at its start")
    gateway.add_argument("--port", type=int, default=8080, help="where it says whether it still looks (GET /)")
    gateway.set_defaults(run=_gateway)
    sweep = verbs.add_parser("sweep", help="end rollouts that nobody works on any more; runs until stopped")
    sweep.add_argument("--port", type=int, help="where it says whether it still looks (GET /); nowhere when not given")
    sweep.set_defaults(run=_sweep)


def _order(args: argparse.Namespace) -> int:
    from sluicegate.actions import carry_out
    from sluicegate.domain.order import Order

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    try:
        ports = _ports(args)
        if args.fetch:
            args.file.write_text(ports.outbox.take(args.fetch).to_json())
        order = Order.from_json(args.file.read_text())
        if args.source:
            ports.sources.fetch(args.source, order.model)
        result = carry_out(order, ports)
    except Exception as e:
        traceback.print_exc()
        message = str(e) if isinstance(e, SluicegateError) else f"{type(e).__name__}: {e}"
        (args.file.parent / "error.json").write_text(json.dumps({"message": message, "kind": type(e).__name__}))
        return 1
    print(json.dumps(result)[:2000], flush=True)
    return 0


def _ports(args: argparse.Namespace) -> "Wiring":
    from sluicegate.settings import Settings
    from sluicegate.wiring import wire

    settings = Settings.from_environment()
    return wire(replace(settings, models=args.file.parent / "models") if args.source else settings)


def _guard(_: argparse.Namespace) -> None:
    from sluicegate.actions.guard import run_guard
    from sluicegate.wiring import wire

    with contextlib.suppress(PermissionError):
        os.nice(FIRST)
    run_guard(wire())


def _gateway(args: argparse.Namespace) -> None:
    from sluicegate.actions.guard import run_guard
    from sluicegate.commands.alive import Alive
    from sluicegate.settings import Settings
    from sluicegate.wiring import prepare_gateway, replica_ports

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    settings = Settings.from_environment()
    if args.prepare:
        prepare_gateway(settings)
        return
    # SIGTERM is left unheard: a pod stops all its containers at once, and the Envoy beside still answers what it has
    with Alive(settings.host, args.port) as alive:
        run_guard(replica_ports(settings), looked=alive.beat)


def _keeper(args: argparse.Namespace) -> None:
    from sluicegate.actions.guard import run_guard
    from sluicegate.commands.alive import Alive
    from sluicegate.commands.stop import stopped
    from sluicegate.wiring import keeper_ports

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    ports, stop = keeper_ports(), stopped()
    with Alive(ports.settings.host, args.port) as alive:
        run_guard(ports, looked=alive.beat, stopped=lambda: stop(0))


def _sweep(args: argparse.Namespace) -> None:
    from sluicegate.actions.release.abandoned import run_sweep
    from sluicegate.commands.alive import Alive
    from sluicegate.commands.stop import stopped
    from sluicegate.wiring import wire

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    ports, stop = wire(), stopped()
    if args.port is None:
        run_sweep(ports, stopped=stop)
        return
    with Alive(ports.settings.host, args.port, within=SWEPT_WITHIN_S) as alive:
        run_sweep(ports, stopped=stop, looked=alive.beat)
