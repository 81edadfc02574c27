"""What the gateway counted: Envoy's own counters where the gateway is ours, else what the servers say they answered."""

from sluicegate.adapters.promql_meter.arms import Arms
from sluicegate.adapters.promql_meter.prometheus import Vector
from sluicegate.adapters.promql_meter.table import Table, check_targets, table
from sluicegate.domain.evidence import GatewayCounters
from sluicegate.errors import UnavailableError

ROW, CLUSTER = "row", "envoy_cluster_name"


def from_envoy(vector: Vector, model: str) -> GatewayCounters:
    """Sums over all replicas of our gateway.

    Whatever the candidate fails or refuses is asked again of the champion, so the retries of its cluster are its errors, and are
    no requests of its own; where the champion refuses too the request was wrong and nobody's error: those are the final 4xx.
    """
    check_targets(_facts(vector))
    counted = {(s.labels[CLUSTER], s.labels[ROW]): s.value for s in vector.samples if CLUSTER in s.labels and ROW in s.labels}
    champion, candidate = f"{model}/champion", f"{model}/candidate"
    if (champion, "requests") not in counted:
        raise UnavailableError(f"no replica has the cluster '{champion}': they do not follow this route yet")
    retries = counted.get((candidate, "retries"), 0.0)
    # no replica tells its start: one that starts anew counts less than before, which is a reset as well
    return GatewayCounters(
        started_at=0.0,
        champion_requests=int(counted[champion, "requests"]),
        champion_errors=int(counted.get((champion, "5xx"), 0.0)),
        candidate_requests=int(counted.get((candidate, "requests"), 0.0) - retries),
        candidate_errors=int(max(0.0, retries - counted.get((candidate, "4xx"), 0.0))),
    )


def _facts(vector: Vector) -> Table:
    return table(Vector(vector.at, tuple(sample for sample in vector.samples if "fact" in sample.labels)))


def from_servers(champion: Arms, candidate: Arms | None) -> GatewayCounters:
    """The requests that reached the servers: what never reached one, and what a gateway retried, is not in it."""
    old, new = champion.answer, None if candidate is None else candidate.answer
    started = [old.started_at] + ([] if new is None else [new.started_at])
    return GatewayCounters(
        started_at=max(started),
        champion_requests=sum(old.requests),
        champion_errors=sum(old.errors),
        candidate_requests=0 if new is None else sum(new.requests),
        candidate_errors=0 if new is None else sum(new.errors),
    )
