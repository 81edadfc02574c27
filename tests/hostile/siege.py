"""The real things under hostile inputs: a model server, a gateway before it, ingest, the reader of specs."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluicegate.adapters.envoy_router import EnvoyRouter, envoy_command, prepare
from sluicegate.domain.route import Route
from sluicegate.domain.spec import parse_spec
from sluicegate.domain.spec_text import parse_yaml
from sluicegate.errors import SpecError
from sluicegate.settings import Settings
from sluicegate.testing.gateway import free_port, running_gateway
from sluicegate.testing.hostile.batches import batches
from sluicegate.testing.hostile.requests import requests, valid
from sluicegate.testing.hostile.specs import specs
from sluicegate.testing.hostile.wire import besiege, exchange, statuses
from sluicegate.testing.ingest_world import World
from sluicegate.testing.model_server import ModelServer, running_model_server
from sluicegate.testing.package import SPEC, toy_package
from sluicegate.testing.waiting import wait_until

AT_ONCE = 50
"""Files that land in one world, so that duplicates come about."""


def server(seed: int, count: int, folder: Path) -> Counter[str]:
    """Malformed requests straight to a model server's port; it must answer none with 5xx and go on."""
    with running_model_server(toy_package(folder).folder, "1", folder / "server") as running:
        return _survived(running, besiege(running.port, requests(seed, count)))


def gateway(seed: int, count: int, folder: Path) -> Counter[str]:
    """The same through a real gateway."""
    with (
        running_model_server(toy_package(folder).folder, "1", folder / "server") as running,
        gateway_before(running, folder) as port,
    ):
        return _survived(running, besiege(port, requests(seed, count)))


@contextmanager
def gateway_before(running: ModelServer, folder: Path) -> Iterator[int]:
    """A gateway that sends the toy model's requests to this server; its port."""
    settings = Settings(home=folder / "gateway", gateway_port=free_port(), gateway_admin_port=free_port())
    prepare(settings)
    with running_gateway(envoy_command(settings), settings.gateway_admin_port, folder / "envoy.log"):
        EnvoyRouter(settings).apply(Route("toy", running.target, token=1))
        wait_until(lambda: statuses(exchange(settings.gateway_port, valid())) == [200])
        yield settings.gateway_port


def files(seed: int, count: int, folder: Path) -> Counter[str]:
    """Files through ingest, all the way to the commit: every row is accepted, quarantined or a duplicate."""
    counted: Counter[str] = Counter()
    seen: set[bytes] = set()
    for number, (kind, content) in enumerate(batches(seed, count)):
        if number % AT_ONCE == 0:
            world = World(Path(tempfile.mkdtemp(dir=folder)))
            seen.clear()
        if content in seen:
            counted[f"{kind} again"] += 1
            continue
        seen.add(content)
        outcome = world.land(content, f"{number}.csv")  # raises when the rows do not add up
        written = {name: len(outcome.table(name)) for name in ("accepted", "quarantined")}
        if any(written[name] != outcome.rows[name] for name in written):
            raise AssertionError(f"{kind} number {number}: {outcome.rows} reported, {written} written")
        counted[f"{kind} {'kept whole' if outcome.result['blocked'] else 'read'}"] += 1
        counted.update({f"rows {name}": amount for name, amount in outcome.rows.items()})
    return counted


def models(seed: int, count: int) -> Counter[str]:
    """spec.yaml files: each is accepted or refused with sentences, and costs nothing."""
    counted: Counter[str] = Counter()
    for kind, content in specs(seed, count, SPEC):
        try:
            parse_spec(parse_yaml(content, "toy/spec.yaml"), "toy/spec.yaml")
        except SpecError as e:
            counted[f"{kind} refused"] += 1
            if not str(e).startswith("toy/spec.yaml: "):
                raise AssertionError(f"{kind}: the refusal does not say where: {str(e)[:200]}") from e
        else:
            counted[f"{kind} accepted"] += 1
    return counted


def _survived(running: ModelServer, counted: Counter[str]) -> Counter[str]:
    if running.process.poll() is not None:
        raise AssertionError(f"the server ended {running.process.returncode}: {running.log.read_text()[-500:]}")
    for line in running.log.read_text().rstrip("\n").split("\n"):
        json.loads(line)  # a forged line would be none of ours
    for line in running.lines():
        json.loads(line)
    return counted
