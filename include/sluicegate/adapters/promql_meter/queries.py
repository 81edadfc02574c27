"""What is asked of Prometheus. The jobs are in docker/kubernetes/watching/scrape.yml.

A question for one source is one query, so that its rows and the facts about the processes behind them are of the same scrapes. One
Prometheus may watch several installations, with models of the same names: a namespace tells them apart in every question.
"""

from sluicegate.serving.evidence_page import FACTS, ROWS, escaped

SERVERS, PAIRS, GATEWAY = "sluicegate-evidence", "sluicegate-pairs", "sluicegate-gateway"
"""Jobs of the scrape configuration. Their targets have the label namespace, those of the first also model and version."""
REMEMBERED = "1h"
"""A process that ended within this time is known to have ended."""
LOOKBACK_S = 300.0
"""A process that was silent for longer at the start of a span is not known to have been there."""
STARTING = "1m"
"""A pod may take this long from its appearance until it can be scraped for the first time."""


def selector(**labels: str) -> str:
    """Matchers for exactly these labels; no name of a model can end them."""
    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())


def servers(namespace: str) -> str:
    """All targets of model servers."""
    return targets(selector(job=SERVERS, namespace=namespace))


def evidence(namespace: str, model: str, version: str) -> str:
    """Rows of one version, summed over its pods; facts of its processes; its targets."""
    target = selector(job=SERVERS, namespace=namespace, model=model, version=version)
    rows = f"sum by (role, row, bound, segment, bucket) ({ROWS}{{{target}}})"
    return f"{told(target)} or {processes(target)} or {targets(target)} or {rows}"  # the many last: each `or` walks its left side


def pairs(namespace: str, model: str, champion: str, candidate: str) -> str:
    """Rows of the pairs of two versions; facts and target of the joiner."""
    rows = selector(job=PAIRS, namespace=namespace, model=model, champion=champion, candidate=candidate)
    target = selector(job=PAIRS, namespace=namespace)
    facts = [processes(selector(job=PAIRS, namespace=namespace, model=""))]
    for role, version in (("champion", champion), ("candidate", candidate)):
        of_version = selector(job=PAIRS, namespace=namespace, model=model, version=version, fact="unread")
        facts.append(renamed(f"{FACTS}{{{of_version}}}", "fact", f"unread_{role}"))
    return " or ".join((*facts, targets(target), f"sum by (role, row, bucket) ({ROWS}{{{rows}}})"))


def gateway(namespace: str, clusters: str) -> str:
    """Envoy's counters of the clusters whose name matches, by cluster; its targets.

    Parameters
    ----------
    namespace : where our own gateway is, or the Gateway whose proxies these are.
    """
    target = selector(job=GATEWAY, namespace=namespace)
    match = f'{target},envoy_cluster_name=~"{escaped(clusters)}"'
    sums = [f"sum by (envoy_cluster_name, envoy_response_code_class) (envoy_cluster_upstream_rq_xx{{{match}}})"]
    for row in ("total", "retry", "retry_success"):
        sums.append(renamed(f"sum by (envoy_cluster_name) (envoy_cluster_upstream_rq_{row}{{{match}}})", "row", row))
    alive = f"envoy_server_live{{{target}}}"
    facts = (renamed(f"timestamp({alive})", "fact", "sampled_at"), renamed(alive, "fact", "taken_at"))
    return " or ".join((*sums, *facts, targets(target)))


def answered(namespace: str, model: str, version: str, since: float, until: float) -> str:
    """What all processes of a version answered to users between two times, seconds since the epoch.

    Each process counts in a series of its own, which is never reset; one that ended still stands with its last number.
    """
    told = selector(job=SERVERS, namespace=namespace, model=model, version=version, fact="answers")
    total = f"{FACTS}{{{told}}}"
    span = f"[{until - since + LOOKBACK_S:.0f}s]"
    now, then = (f"(sum(last_over_time({total}{span} @ {at:.3f})) or vector(0))" for at in (until, since))
    return renamed(f"{now} - {then}", "fact", "answered")


def told(target: str) -> str:
    """How many processes tell each row."""
    counted = f'count by (role, row, bound) ({ROWS}{{{target},bucket="0",segment=""}})'
    return renamed(counted, "fact", "told")


def processes(target: str) -> str:
    """Facts of the processes that are there, when Prometheus last saw each, and those that were there not long ago."""
    taken = f'{FACTS}{{{target},fact="taken_at"}}'
    sampled = renamed(f"timestamp({taken})", "fact", "sampled_at")
    seen = renamed(f"last_over_time({taken}[{REMEMBERED}])", "fact", "last_seen")
    ended = renamed(f'last_over_time({FACTS}{{{target},fact="ending"}}[{REMEMBERED}])', "fact", "ended")
    return f"{FACTS}{{{target}}} or {sampled} or {seen} or {ended}"


def targets(target: str) -> str:
    """Whether each target could be scraped, and which of them were there a while ago."""
    return f"{renamed(f'up{{{target}}}', 'fact', 'up')} or {renamed(f'up{{{target}}} offset {STARTING}', 'fact', 'up_before')}"


def renamed(vector: str, label: str, value: str) -> str:
    return f'label_replace({vector}, "{label}", "{value}", "", "")'
