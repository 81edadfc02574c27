"""The objects of one version's servers, as Kubernetes is told of them. Decides nothing at run time: same input, same objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluicegate import kube
from sluicegate.domain.pod import fixed
from sluicegate.domain.servers import Serving
from sluicegate.settings import Settings

PORT, PULSE_PORT = 8080, 8081
USER = 10001
SERVER, FETCH, SHIP = "server", "fetch", "ship"
"""Containers: one answers, one brings the package before it starts, one takes its prediction log to the store while it runs."""
PACKAGE_MARK = "sluicegate/package"
"""Annotation: digest of the package that is served."""
VERSION_MARK = "sluicegate/version"
TMP = "/tmp"  # noqa: S108 - a volume of the pod alone
PRE_STOP_S = 3
"""Seconds in which everybody hears that a pod ends, before the server itself does."""
LINGER_S = 3
"""Then seconds in which whoever has not heard of it is still served, on connections that close behind each answer."""
GRACE_S = 45
"""From the request to stop to the kill, seconds: the two above, 5 s to drain, and 20 s to ship the last lines of the log."""
STORE_KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
)
"""What of the Secret opens the store. Containers that run a model's code get none of it."""
SECRET = "sluicegate"  # noqa: S105


@dataclass(frozen=True)
class Version:
    """One version whose servers run, or are to run."""

    model: str
    version: str
    package: str
    """Digest of its package."""

    @property
    def name(self) -> str:
        """Of all its objects."""
        return kube.named(self.model, f"v{self.version}")

    @property
    def labels(self) -> dict[str, str]:
        return kube.labels("server", model=self.model, version=self.version)


def deployment(what: Version, serving: Serving, settings: Settings) -> dict[str, Any]:
    """The Deployment. It says nothing of the number of replicas: that is the autoscaler's."""
    meta = _meta(what, settings)
    meta["annotations"] = {PACKAGE_MARK: what.package, VERSION_MARK: what.version}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "selector": {"matchLabels": what.labels},
            "revisionHistoryLimit": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": what.labels}, "spec": _pod(what, serving, settings)},
        },
    }


def companions(what: Version, settings: Settings) -> list[dict[str, Any]]:
    """What stands around a Deployment, but for its autoscaler."""
    return [service(what, settings), budget(what, settings), policy(what, settings)]


def owned(thing: dict[str, Any], deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The thing, which goes when the Deployment is deleted, whoever deletes it and whenever."""
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "controller": True, "blockOwnerDeletion": False}
    meta = deployment["metadata"]
    references = [{**owner, "name": meta["name"], "uid": meta["uid"]}]
    return {**thing, "metadata": {**thing["metadata"], "ownerReferences": references}}


def service(what: Version, settings: Settings) -> dict[str, Any]:
    """Where the version's servers are reached."""
    ports = [{"name": "http", "port": PORT, "targetPort": "http", "appProtocol": "http"}]
    return _thing("v1", "Service", what, settings, {"type": "ClusterIP", "selector": what.labels, "ports": ports})


def budget(what: Version, settings: Settings) -> dict[str, Any]:
    """Whoever empties a node may take half of the servers at a time, and never the only one; broken ones count for nothing."""
    spec = {"minAvailable": "50%", "selector": {"matchLabels": what.labels}, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    return _thing("policy/v1", "PodDisruptionBudget", what, settings, spec)


def policy(what: Version, settings: Settings) -> dict[str, Any]:
    """Who may ask: pods of ours, and namespaces that a person has marked. Whom it may ask: anybody but who hands out a node's
    credentials, since the store may be anywhere."""
    ours = {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "sluicegate"}}}
    marked = {mark: {"namespaceSelector": {"matchLabels": {f"sluicegate/{mark}": "true"}}} for mark in ("clients", "watching")}
    anybody = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::254/128"]}},
        {"namespaceSelector": {}},  # to some network plugins a pod has no address
    ]
    spec = {
        "podSelector": {"matchLabels": what.labels},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [ours, *marked.values()], "ports": [{"port": PORT, "protocol": "TCP"}]},
            {"from": [ours, marked["watching"]], "ports": [{"port": PULSE_PORT, "protocol": "TCP"}]},
        ],
        "egress": [{"to": anybody}],
    }
    return _thing("networking.k8s.io/v1", "NetworkPolicy", what, settings, spec)


def autoscaler(what: Version, serving: Serving, settings: Settings, least: int) -> dict[str, Any]:
    """Follows the load between `least` and the spec's most; the servers' processor time alone counts, not that of their helpers."""
    busy = {"type": "Utilization", "averageUtilization": serving.busy}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": what.name},
        "minReplicas": least,
        "maxReplicas": max(least, serving.most),
        "metrics": [{"type": "ContainerResource", "containerResource": {"name": "cpu", "container": SERVER, "target": busy}}],
    }
    return _thing("autoscaling/v2", "HorizontalPodAutoscaler", what, settings, spec)


def _thing(api_version: str, kind: str, what: Version, settings: Settings, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": _meta(what, settings), "spec": dict(spec)}


def _meta(what: Version, settings: Settings) -> dict[str, Any]:
    return {"name": what.name, "namespace": settings.namespace, "labels": what.labels}


def _pod(what: Version, serving: Serving, settings: Settings) -> dict[str, Any]:
    same = {"labelSelector": {"matchLabels": what.labels}, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    return {
        "serviceAccountName": "sluicegate-server",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "nodeSelector": dict(serving.node_selector),
        "tolerations": [t.model_dump(exclude_defaults=True, exclude_none=True) for t in serving.tolerations],
        "topologySpreadConstraints": [
            {**same, "topologyKey": "topology.kubernetes.io/zone"},
            {**same, "topologyKey": "kubernetes.io/hostname"},
        ],
        "securityContext": {
            "runAsNonRoot": True,
            **{"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_fetch(what, settings), _ship(what, settings)],
        "containers": [_server(what, serving, settings)],
        "volumes": [
            {"name": "package", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "log", "emptyDir": {"sizeLimit": serving.disk}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }


def _fetch(what: Version, settings: Settings) -> dict[str, Any]:
    """Brings the package, held against its digest, and executes nothing of it."""
    words = ["fetch", "--digest", what.package, "--to", "/package/model"]
    return _container(FETCH, settings, words) | _with_the_store(settings, {"name": "package", "mountPath": "/package"})


def _ship(what: Version, settings: Settings) -> dict[str, Any]:
    """Outlives the server, so that its last lines arrive too; one that fails starts again and holds up nobody."""
    words = ["ship", "--log-dir", "/log", "--model", what.model, "--version", what.version]
    helper = _container(SHIP, settings, words) | _with_the_store(settings, {"name": "log", "mountPath": "/log"})
    return helper | {"restartPolicy": "Always"}


def _with_the_store(settings: Settings, mount: Mapping[str, Any]) -> dict[str, Any]:
    """What a helper gets that talks to the store."""
    ours = {"SLUICEGATE_STORE_URL": settings.store_url, "SLUICEGATE_HOME": f"{TMP}/sluicegate"}
    kept = {"memory": "256Mi", "ephemeral-storage": "64Mi"}
    return {
        "env": [*({"name": name, "value": value} for name, value in ours.items()), *_store_keys()],
        "resources": {"requests": {"cpu": "20m", **kept}, "limits": kept},
        "volumeMounts": [mount, {"name": "tmp", "mountPath": TMP}],
    }


def _server(what: Version, serving: Serving, settings: Settings) -> dict[str, Any]:
    words = ["serve", "--package", "/package/model", "--model", what.model, "--version", what.version, "--host", "0.0.0.0"]  # noqa: S104
    words += ["--port", str(PORT), "--pulse-port", str(PULSE_PORT), "--linger", str(LINGER_S), "--log-dir", "/log"]
    kept = {"memory": serving.memory, "ephemeral-storage": serving.disk}
    return _container(SERVER, settings, words) | {
        "ports": [{"name": "http", "containerPort": PORT}, {"name": "pulse", "containerPort": PULSE_PORT}],
        "resources": {"requests": {"cpu": serving.cpu, **kept}, "limits": kept},
        "startupProbe": _probe("/health/live", every=1, timeout=2, failures=120),
        "readinessProbe": _probe("/health/ready", every=1, timeout=2, failures=2),
        "livenessProbe": _probe("/health/live", every=10, timeout=5, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "volumeMounts": [
            {"name": "package", "mountPath": "/package", "readOnly": True},
            {"name": "log", "mountPath": "/log"},
            {"name": "tmp", "mountPath": TMP},
        ],
    }


def _container(name: str, settings: Settings, words: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": fixed(settings.image("serve"), "serve"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "sluicegate", *words],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _probe(path: str, *, every: int, timeout: int, failures: int) -> dict[str, Any]:
    asked = {"path": path, "port": "pulse"}
    return {"httpGet": asked, "periodSeconds": every, "timeoutSeconds": timeout, "failureThreshold": failures}


def _store_keys() -> list[dict[str, Any]]:
    return [{"name": k, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": k, "optional": True}}} for k in STORE_KEYS]
