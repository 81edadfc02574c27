"""Why the cluster took no pod at all, from its own words: what to change, and whether to wait for it."""

import re

from sluicegate.domain.pod import Job

_TOO_MUCH = re.compile(r"maximum (\S+) usage per (?:Container|Pod) is ([^,]+)")


def waits(message: str) -> bool:
    """Whether room may be made by others: a quota that is used up is not a mistake."""
    return "exceeded quota" in message


def refusal(message: str, job: Job, namespace: str) -> str:
    """One sentence with the remedy."""
    too_much = _TOO_MUCH.search(message)
    if waits(message):
        todo = f"wait for other pods to end, lower {job.where}, or raise the quota of namespace '{namespace}'"
    elif "error looking up service account" in message:
        todo = f"create the service account 'sluicegate-{job.role}': kubectl apply -k docker/kubernetes/base"
    elif re.search(r'namespaces "[^"]*" not found', message):
        todo = f"create the namespace '{namespace}', or set SLUICEGATE_NAMESPACE: kubectl apply -k docker/kubernetes/base"
    elif too_much:
        todo = f"lower {job.key(too_much[1])} to {too_much[2]}, or widen the limit range of namespace '{namespace}'"
    elif "cannot create resource" in message:
        todo = "give Airflow's account the role 'sluicegate-airflow': kubectl apply -k docker/kubernetes/base"
    else:
        todo = f"see that namespace '{namespace}' allows pods like those of docs/kubernetes.md"
    return f"the cluster takes no pod {job.name}: {message}: {todo}"
