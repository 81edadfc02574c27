"""How long users meet the candidate after a cut, through a real cluster: `python benchmarks/cluster_breach.py [breaches] [router ...]`.

In each round the candidate has 25 % of the users of one model under load; then its weight is written back to 0. By the clock of this
machine, which the cluster's node shares:

    patch      from the call of the router until its write has returned, the data plane seen to follow
    to 0 %     from the call until the last answer of the candidate reached a client

and once a round for every tenth: the lease of a weight is left to end, from its end until the candidate's last answer. The sensor's
own time, evidence until verdict, is in benchmarks/breach.py: it is the same code in both profiles.
"""

import statistics
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sluicegate.domain.route import Route
from sluicegate.ports.router import Router
from sluicegate.testing.cluster import Images, bring_up, bring_up_gateway
from sluicegate.testing.cluster_gateway import PATIENCE_S, ClusterGateway, gateway_api, our_envoys, ready
from sluicegate.testing.traffic import Answer
from sluicegate.testing.waiting import wait_until
from sluicegate.wiring import wire

USERS = [f"N{i}" for i in range(400)]
RATE = 100.0
WELL_S = 0.7
KINDS = {"envoy": our_envoys, "gateway-api": gateway_api}


@dataclass
class Figures:
    """Seconds, a round each."""

    patch: list[float] = field(default_factory=list)
    to_zero: list[float] = field(default_factory=list)
    lease: list[float] = field(default_factory=list)
    sent: int = 0
    failed: int = 0


def main(argv: Sequence[str]) -> None:
    rounds = int(argv[0]) if argv else 30
    print(f"{rounds} breaches a router, {RATE:g} requests a second, candidate at 25 %; milliseconds\n")
    print(
        "| router | rounds | patch p50 | patch p99 | to 0 % p50 | to 0 % p99 | to 0 % max | after lease max | requests | failed |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in argv[1:] or KINDS:
        with running(name) as gateway:
            _print(name, measured(gateway, wire(gateway.settings).router, rounds))


@contextmanager
def running(name: str) -> Iterator[ClusterGateway]:
    """A gateway of this kind in a namespace of its own."""
    cluster = bring_up()
    if name == "gateway-api":
        bring_up_gateway(cluster)
    with cluster.namespace() as namespace, KINDS[name](cluster, namespace, Images(cluster)) as gateway:
        ready(gateway)
        yield gateway


def measured(gateway: ClusterGateway, router: Router, rounds: int) -> Figures:
    figures, model = Figures(), f"m{uuid.uuid4().hex[:12]}"
    for number in range(rounds):
        _breach(gateway, router, figures, _route(gateway, f"{model}{number % 10}", number, 600.0))
        if number % 10 == 0:
            _abandoned(gateway, router, figures, _route(gateway, f"{model}l", number, 3.0))
    return figures


def _breach(gateway: ClusterGateway, router: Router, figures: Figures, route: Route) -> None:
    router.apply(route)
    with gateway.load(route.model, USERS, RATE) as load:
        time.sleep(WELL_S)
        began = time.time()
        router.apply(route.cut())
        figures.patch.append(time.time() - began)
        time.sleep(WELL_S)
    figures.to_zero.append(max(0.0, _last(load.answers) - began))
    _count(figures, load.answers)


def _abandoned(gateway: ClusterGateway, router: Router, figures: Figures, route: Route) -> None:
    assert route.expires_at is not None
    router.apply(route)
    with gateway.load(route.model, USERS, RATE) as load:
        wait_until(lambda: router.read(route.model) == route.cut(), PATIENCE_S)
        time.sleep(WELL_S)
    figures.lease.append(_last(load.answers) - route.expires_at)
    _count(figures, load.answers)


def _route(gateway: ClusterGateway, model: str, number: int, lease: float) -> Route:
    return Route(model, gateway.champion, gateway.candidate, 25, 0, f"r{number}", number + 1, time.time() + lease)


def _last(answers: Sequence[Answer]) -> float:
    return max(answer.answered_at for answer in answers if answer.version == "2")


def _count(figures: Figures, answers: Sequence[Answer]) -> None:
    figures.sent += len(answers)
    figures.failed += sum(answer.failed for answer in answers)


def _print(name: str, figures: Figures) -> None:
    def ms(seconds: float) -> str:
        return f"{1000 * seconds:.0f}"

    def p99(values: list[float]) -> str:
        return ms(statistics.quantiles(values, n=100, method="inclusive")[98])

    cells = [name, str(len(figures.to_zero)), ms(statistics.median(figures.patch)), p99(figures.patch)]
    cells += [ms(statistics.median(figures.to_zero)), p99(figures.to_zero), ms(max(figures.to_zero)), ms(max(figures.lease))]
    print(f"| {' | '.join([*cells, str(figures.sent), str(figures.failed)])} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
