"""The pod that carries out an order, as Kubernetes is told of it: the same order, spec and settings give the same pod.

What may differ between two orders is what they ask of a node and who they may ask for what; the rest is equal for all and here alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluicegate import kube
from sluicegate.domain.order import Order
from sluicegate.domain.resources import GPU, Resources
from sluicegate.domain.spec import ModelSpec
from sluicegate.errors import InputError
from sluicegate.settings import Settings

CONTAINER = "base"
SCRATCH = "/tmp"  # noqa: S108
SECRET = "sluicegate"  # noqa: S105
"""Secret of the namespace whose keys become environment variables: where the journal and MLflow are, what opens the store."""
USER = 10001
GRACE_S = 30
"""Between the request to stop and the end, seconds: long enough to say why and to send the log."""
LAST_WORDS = "FallbackToLogsOnError"
"""Work that could not say why it ended is quoted by the end of its log."""
UNTIL_STARTED_S = 300
"""Image pulled and container started, seconds after a node was found."""
UNTIL_SCHEDULED_S = 1800
"""Until a node was found, seconds: GPU nodes are started on demand and that takes many minutes."""
RELEASE = Resources(cpu="0.2", memory="1Gi", disk="2Gi")
"""Of a pod that carries out a verb of a release: it asks others and computes nothing. Nodes and deadline come from the spec."""
RELEASE_AT = "RELEASE in sluicegate/domain/pod.py"
WAITS, BESIDES_S = 2, 300.0
"""How many versions a verb may have to wait for, one after the other, and what it takes besides, seconds."""
_HANDED_ON = ("profile", "store_url", "router", "namespace", "cluster_gateway", "prometheus_url", "image_work", "image_serve")
"""Settings that a pod shares with who starts it; addresses that may hold a password come from the Secret."""


@dataclass(frozen=True)
class Job:
    """An order and what its pod gets."""

    order: Order
    url: str
    """Of the order's order.json in the store."""
    resources: Resources
    where: str
    """What says so, such as `training.resources`, for sentences about it."""
    source: str = ""
    """Digest of the model's two files, which the pod fetches before it works; empty means whatever its image has."""

    @property
    def name(self) -> str:
        """Name of the pod. The cluster has one pod of a name at most, so no order is carried out twice at the same time.

        A verb of a release is another order at each try; its name is the same one, so two tries of it never overlap either.
        """
        order = self.order
        if order.action != "release":
            return kube.named(order.model, order.action, order.key)
        whose = str(order.inputs.get("rollout_id") or order.inputs.get("run_id") or order.key)
        stage = order.inputs.get("index")
        return kube.named(order.model, str(order.need("verb")), whose, *(() if stage is None else (str(stage),)))

    def key(self, what: str) -> str:
        """What a person changes so that the pod gets another memory, deadline, node_selector ..."""
        if self.role != "release":
            return f"{self.where}.{what}"
        of_verbs = {
            "deadline": "serving.ready_within",
            "node_selector": "resources.node_selector",
            "tolerations": "resources.tolerations",
        }
        return of_verbs.get(what, f"{what} of {self.where}")

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "order": self.order.to_json(),
            "url": self.url,
            "resources": self.resources.model_dump(mode="json"),
            "where": self.where,
            "source": self.source,
        }

    @staticmethod
    def of(plain: Mapping[str, Any]) -> "Job":
        """What `plain` gave."""
        resources = Resources.model_validate(plain["resources"])
        return Job(Order.from_json(plain["order"]), plain["url"], resources, plain["where"], plain["source"])

    @property
    def role(self) -> kube.Role:
        return "release" if self.order.action == "release" else "work"

    @property
    def labels(self) -> dict[str, str]:
        """The action, and of a release its verb, is for people: `kubectl get pods -L sluicegate/action`."""
        action = str(self.order.need("verb")) if self.order.action == "release" else self.order.action
        return {**kube.labels(self.role, model=self.order.model, order=self.order.key), "sluicegate/action": kube.label(action)}


def job(order: Order, url: str, spec: ModelSpec, source: str = "") -> Job:
    """The order with the resources that the model's spec gives it."""
    if order.action == "release":
        return Job(order, url, _of_a_verb(spec), RELEASE_AT, source)
    if order.action == "train":
        return Job(order, url, spec.training.resources or spec.resources, "training.resources", source)
    return Job(order, url, spec.resources, "resources", source)


def _of_a_verb(spec: ModelSpec) -> Resources:
    deadline = WAITS * spec.serving.patience("kubernetes") + BESIDES_S
    nodes = {"node_selector": spec.resources.node_selector, "tolerations": spec.resources.tolerations}
    return RELEASE.model_copy(update={"deadline": deadline, **nodes})


def manifest(what: Job, settings: Settings) -> dict[str, Any]:
    """The pod, as mappings.

    Raises
    ------
    InputError
        The image has no fixed content: a tag that moves would let two tries of one order run different code.
    """
    role = what.role
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": what.name, "namespace": settings.namespace, "labels": what.labels},
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": f"sluicegate-{role}",
            "automountServiceAccountToken": role == "release",  # orders have nothing to ask of the cluster
            "enableServiceLinks": False,
            "activeDeadlineSeconds": int(what.resources.deadline),
            "terminationGracePeriodSeconds": GRACE_S,
            "nodeSelector": dict(what.resources.node_selector),
            "tolerations": _tolerations(what.resources),
            "securityContext": {
                "runAsNonRoot": True,
                **{"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(what, settings)],
            "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": what.resources.disk}}],
        },
    }


def _container(what: Job, settings: Settings) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": fixed(settings.image("work")),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "sluicegate", "work", "--order-url", what.url, *_source(what)],
        "env": [{"name": name, "value": value} for name, value in sorted(_environment(settings).items())],
        "envFrom": [{"secretRef": {"name": SECRET}}],
        "resources": _amounts(what.resources),
        "terminationMessagePolicy": LAST_WORDS,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
    }


def _source(what: Job) -> tuple[str, ...]:
    return ("--source", what.source) if what.source else ()


def _environment(settings: Settings) -> dict[str, str]:
    ours = settings.to_environment()
    shared = {name: ours[name] for name in (f"SLUICEGATE_{setting.upper()}" for setting in _HANDED_ON)}
    return {**shared, "SLUICEGATE_HOME": f"{SCRATCH}/sluicegate", "HOME": SCRATCH, "TMPDIR": SCRATCH, "PYTHONUNBUFFERED": "1"}


def _amounts(asked: Resources) -> dict[str, Any]:
    gpus = {asked.gpu_name: str(asked.gpu)} if asked.gpu else {}
    kept = {"memory": asked.memory, "ephemeral-storage": asked.disk, **gpus}
    return {"requests": {"cpu": asked.cpu, **kept}, "limits": kept}


def _tolerations(asked: Resources) -> list[dict[str, Any]]:
    """As the spec says; nodes with GPUs are usually tainted so that only pods that want one go there."""
    wanted = [toleration.model_dump(exclude_defaults=True, exclude_none=True) for toleration in asked.tolerations]
    usual = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}
    return [*wanted, usual] if asked.gpu and asked.gpu_name == GPU and usual not in wanted else wanted


def fixed(image: str, role: str = "work") -> str:
    """The image, if its name says which one it is: by digest, or by a tag that is not `latest`."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    if "@sha256:" in image or tag not in ("", "latest"):
        return image
    raise InputError(
        f"SLUICEGATE_IMAGE_{role.upper()} is '{image}', which may be another image tomorrow: name it by its digest (…@sha256:…)"
    )
