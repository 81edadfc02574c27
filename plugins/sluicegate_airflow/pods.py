"""A unit of work as a pod: built here and nowhere else, followed without a worker, judged by the committed result alone.

The pod's name comes from its order, and a cluster has one pod of a name: a task that was killed, cleared or started twice finds the
pod that is there. Whatever becomes of the pod, the task says it in one sentence and is tried again only where that may help.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sluicegate.domain import pod as pods
from sluicegate.domain.order import Order
from sluicegate.domain.pod import Job
from sluicegate.domain.pod_fate import SKIP, End, Fate, ended, fate, hopeless
from sluicegate.domain.rollout import Outcome
from sluicegate.errors import RefusedError, SluicegateError, UnavailableError
from sluicegate.kube import RENEW
from sluicegate.ports import Ports
from sluicegate.wiring import Wiring, wire
from sluicegate_airflow.errors import told
from sluicegate_airflow.inputs import INPUTS
from sluicegate_airflow.links import ReportLink
from sluicegate_airflow.operate import BLUE, CUTS, JOURNAL_ALONE, act, wished
from sluicegate_airflow.orders import LONGEST, POOL
from sluicegate_airflow.pauses import PauseTrigger
from sluicegate_airflow.pod_trigger import UNKNOWN, PodTrigger, returned
from sluicegate_airflow.rollout import GREEN, ROLLOUT, said, wanted

ROOM_EVERY = timedelta(seconds=15)
"""Between two looks whether a full quota has room."""
SLACK_S = 900.0
"""By how much a task outlasts everything that its pod may take, seconds."""


class PodOperator(KubernetesPodOperator):
    """Starts the pod of an order, or finds it, and waits for its committed result without a worker."""

    ends_early = True
    """Whether a committed result ends the task without waking a worker."""
    template_fields: Sequence[str] = ()
    template_fields_renderers: Mapping[str, str] = {}

    def __init__(self, *, model: str, **kwargs: Any) -> None:
        settled: dict[str, Any] = {
            "deferrable": True,
            "durable": True,
            "do_xcom_push": False,  # no sidecar: the result is in the store
            "random_name_suffix": False,  # the name is the lock
            "on_finish_action": "delete_succeeded_pod",
            "skip_on_exit_code": [SKIP],
            "schedule_timeout_seconds": pods.UNTIL_SCHEDULED_S,
            "startup_timeout_seconds": pods.UNTIL_STARTED_S,
            "termination_grace_period": pods.GRACE_S,
            "termination_message_policy": pods.LAST_WORDS,  # the provider's default takes the place of the manifest's
        }
        super().__init__(**{**settled, **kwargs})
        self.model = model

    def ordered(self, ports: Ports, context: Context) -> Order:
        """The order that this task stands for."""
        raise NotImplementedError

    def came(self, order: Order, result: Mapping[str, Any]) -> dict[str, Any]:
        """What the task returns for the committed result."""
        return returned(order, result)

    def execute(self, context: Context) -> None:
        with told():
            ports = wire()
            order = self.ordered(ports, context)
            self.log.info("order %s of %s, content key %s", order.action, order.model, order.key)
            found = ports.outbox.result(order)
            if found is not None:
                self._clear(ports, order)
                self._done(context, order, found)
                return
            job = pods.job(order, ports.outbox.send(order), ports.spec(self.model), ports.sources.send(self.model))
            claim = ports.pods.claim(job, self._body(ports, job, context))
        self.log.info("%s", claim.message or f"pod {job.name} was started in namespace {ports.settings.namespace}")
        if claim.state == "full":
            self._wait_for_room(context, claim.message)
        self._follow(job, ports.settings.namespace, gone=claim.state == "taken")

    def trigger_reentry(self, context: Context, event: dict[str, Any], job: dict[str, Any]) -> None:
        """Called when the pod has ended, or is gone, or will never start."""
        with told():
            ports, mine, pod = wire(), Job.of(job), event["pod"]
            found = ports.outbox.result(mine.order)
            if found is not None:
                if pod is not None:
                    ports.pods.remove(pod)
                self._done(context, mine.order, found)
                return
            if event["refused"]:
                raise _unseen(mine, event["refused"])
            stuck = pod and hopeless(pod, mine, time.time())
            if stuck:
                ports.pods.remove(pod)  # else it might begin when nobody waits for it any more
            gone = pod is None or not ended(pod)
            self.failed(mine, stuck or fate(None if gone else pod, mine, pod))

    def again(self, context: Context, event: Any) -> None:
        """Called when what was in the way is gone: the pod of an earlier try, a full quota, a pause."""
        self.execute(context)

    def failed(self, job: Job, end: Fate) -> NoReturn:
        """Raise what the task ends with."""
        if end.kind is End.SKIPPED:
            raise AirflowSkipException(end.message)
        if end.again:
            raise UnavailableError(end.message)
        raise AirflowFailException(end.message)

    def _clear(self, ports: Wiring, order: Order) -> None:
        """What a try before this one has left, when it was killed after its pod was done. The result counts all the same."""
        try:
            ports.pods.clear(pods.job(order, "", ports.spec(self.model)))
        except SluicegateError as e:
            self.log.warning("the pod of this order may be left: %s", e)

    def _done(self, context: Context, order: Order, result: Mapping[str, Any]) -> None:
        context["ti"].xcom_push(key="return_value", value=self.came(order, result))

    def _body(self, ports: Wiring, job: Job, context: Context) -> dict[str, Any]:
        """The pod with what Airflow adds to it: labels of the task, and the pod_mutation_hook of the installation."""
        self.pod_template_dict = pods.manifest(job, ports.settings)
        self.namespace = ports.settings.namespace
        self.pod = self.build_pod_request_obj(context)  # also what on_kill deletes
        return ports.pods.plain(self.pod)

    def _follow(self, job: Job, namespace: str, *, gone: bool) -> None:
        trigger = PodTrigger(namespace, job.plain(), gone, self.ends_early)
        longest = timedelta(seconds=pods.UNTIL_SCHEDULED_S + pods.UNTIL_STARTED_S + job.resources.deadline + SLACK_S)
        if gone:
            self.defer(trigger=trigger, method_name="again", timeout=longest)
        self.defer(trigger=trigger, method_name="trigger_reentry", kwargs={"job": job.plain()}, timeout=longest)

    def _wait_for_room(self, context: Context, message: str) -> None:
        began = context["ti"].start_date
        if began is not None and (datetime.now(UTC) - began).total_seconds() > pods.UNTIL_SCHEDULED_S:
            raise AirflowFailException(message)
        self.defer(trigger=TimeDeltaTrigger(ROOM_EVERY), method_name="again")


class PodOrderOperator(PodOperator):
    """An order of ingest or retrain in a pod; returns `{"key": content key, **small parts of its result}`."""

    template_fields = ("given",)
    ui_color = "#cfe3f7"

    def __init__(self, *, model: str, action: str, given: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(model=model, **{"pool": POOL, "execution_timeout": LONGEST, **kwargs})
        self.action, self.given = action, given

    def ordered(self, ports: Ports, context: Context) -> Order:
        return Order(self.action, self.model, INPUTS[self.action](ports, self.model, self.given))


class ReportedPodOrderOperator(PodOrderOperator):
    """An order whose result holds a report, with a button that opens it."""

    operator_extra_links = (ReportLink(),)
    ends_early = False  # the button is made in a worker
    reported = ""

    def came(self, order: Order, result: Mapping[str, Any]) -> dict[str, Any]:
        self.reported = order.key
        return super().came(order, result)


class PodReleaseOperator(PodOperator):
    """A verb of a release in a pod. Every try is an order of its own, for the world may have changed; no two of them at a time."""

    template_fields = ("rollout_id",)
    ui_color = GREEN

    def __init__(self, *, model: str, verb: str, index: int | None = None, rollout_id: str = ROLLOUT, **kwargs: Any) -> None:
        super().__init__(model=model, **kwargs)
        self.verb, self.index = verb, index
        self.rollout_id = "" if verb == "open" else rollout_id
        self.ends_early = verb != "revert"  # which may end as skipped

    def ordered(self, ports: Ports, context: Context) -> Order:
        return asked_now(self.model, wanted(ports, self, context), context)

    def came(self, order: Order, result: Mapping[str, Any]) -> dict[str, Any]:
        return said(self, result)

    def failed(self, job: Job, end: Fate) -> NoReturn:
        if end.error == "PausedError":
            self.log.info("%s", end.message)
            self.defer(trigger=PauseTrigger(self.model, self.rollout_id), method_name="again")
        super().failed(job, end)


class PodOperateOperator(PodOperator):
    """What a person chose: what touches the journal alone here, all else in a pod. Traffic is cut before there is one."""

    ui_color = BLUE

    def execute(self, context: Context) -> None:
        action = context["params"]["action"]
        if action in JOURNAL_ALONE:
            context["ti"].xcom_push(key="return_value", value=act(self, self.model, context))
            return
        if action in CUTS:
            self._cut(context, CUTS[action])
        super().execute(context)

    def ordered(self, ports: Ports, context: Context) -> Order:
        return asked_now(self.model, wished(ports, self.model, context), context)

    def came(self, order: Order, result: Mapping[str, Any]) -> dict[str, Any]:
        return said(self, result)

    def _cut(self, context: Context, outcome: Outcome) -> None:
        """Whatever hinders it here, the pod begins with the same."""
        from sluicegate.actions.release import cut_by_hand

        with told():
            ports = wire()
            wish = wished(ports, self.model, context)
        del wish["verb"]
        try:
            cut_by_hand(ports, self.model, **wish, outcome=outcome)
        except SluicegateError as e:
            self.log.warning("the traffic is not cut yet (%s): the pod does it", e)


def _unseen(job: Job, refused: str) -> SluicegateError:
    """Of a pod that goes on, and that the cluster does not let us see."""
    if refused.startswith(str(UNKNOWN)):
        return UnavailableError(f"the cluster does not accept the credential of who follows pod {job.name} ({refused}): {RENEW}")
    return RefusedError(f"the cluster shows Airflow no pod {job.name} ({refused}): give it the role of docs/kubernetes.md")


def asked_now(model: str, wish: Mapping[str, Any], context: Context) -> Order:
    """A verb as this try's own order."""
    attempt = f"{context['run_id']} {context['ti'].try_number}"
    return Order("release", model, {**wish, "attempt": attempt})
