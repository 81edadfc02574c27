"""The fault matrix for pods: what is done to a training, and what of it a person sees."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tests.cluster.pods.gate import Place
from tests.cluster.pods.life import act, live, work
from tests.cluster.pods.play import Play, Row
from tests.cluster.pods.rig import WORK

OTHER_POD = "another pod starts again"
STARTED = "pod .* was started in namespace"
FOLLOWED = "carries out this order already: following it"
SKIPPING = "import os\n\n\ndef features(row):\n    print('no new rows', flush=True)\n    os._exit(99)\n"


def worker_killed(play: Play) -> None:
    play.gate.hold(Place.READING)
    worker = play.life.start(work, 1)
    play.life.until(lambda: play.life.deferred, "pod")
    worker.kill()
    play.life.tries = 1
    play.life.begin()
    play.life.hears(FOLLOWED)
    play.gate.let_go()
    play.life.end()


def triggerer_killed(play: Play) -> None:
    play.gate.hold(Place.READING)
    play.life.start(work, 1)
    (deferral,) = play.life.until(lambda: play.life.deferred, "pod")
    first = play.life.start(live, 1, deferral)
    play.gate.wait()
    first.kill()
    play.life.start(live, 1, deferral)
    play.gate.let_go()
    play.life.end()


def dispatched_twice(play: Play) -> None:
    play.gate.hold(Place.READING)
    play.life.begin()
    play.life.begin()
    play.life.until(lambda: len(play.life.deferred) == 2, "second dispatch")
    play.gate.let_go()
    assert play.life.end(0) == play.life.end(1)


def stopped_by_a_person(play: Play, *, cleared: bool) -> None:
    play.gate.hold(Place.WRITING)
    triggerer = play.life.begin()
    play.gate.wait()
    triggerer.kill()
    play.life.start(act, play.life.deferred[0]).join()
    if not cleared:  # marked as failed, and cleared some time later
        play.life.until(lambda: not play.world.pods(play.pod), "end of the pod")
    play.life.begin()
    play.life.end()


def work_killed(play: Play) -> None:
    play.hold(Place.READING)
    play.world.inside(play.pod, f"kill -KILL {WORK}")
    play.life.end()


def deleted(play: Play, *, grace: int, place: Place) -> None:
    play.hold(place)
    play.ask("DELETE", f"{play.namespace}/pods/{play.pod}", {"gracePeriodSeconds": grace})
    play.life.end()


def evicted(play: Play) -> None:
    play.hold(Place.WRITING)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": play.pod}}
    play.ask("POST", f"{play.namespace}/pods/{play.pod}/eviction", body)
    play.life.end()


def cordoned(play: Play) -> None:
    play.cordon(True)
    try:
        play.life.begin()
        play.life.hears("waits for a node: .*were unschedulable")
    finally:
        play.cordon(False)
    play.life.end()


def preempted(play: Play) -> None:
    play.advertise(1)
    play.hold(Place.READING)
    name = f"{play.world.namespace}-first"
    meta, classes = {"metadata": {"name": name}}, "/apis/scheduling.k8s.io/v1/priorityclasses"
    play.ask("POST", classes, {"value": 1000, **meta})
    play.stack.callback(play.ask, "DELETE", f"{classes}/{name}")
    wanted = {play.thing: "1"}
    container = {"name": "c", "image": "localhost/none:1", "imagePullPolicy": "Never", "resources": {"limits": wanted}}
    play.ask("POST", f"{play.namespace}/pods", {**meta, "spec": {"priorityClassName": name, "containers": [container]}})
    play.life.hears("waits for a node")
    play.ask("DELETE", f"{play.namespace}/pods/{name}", {"gracePeriodSeconds": 0})
    play.life.end()


def untouched(_: Play) -> None:
    return


def mended(play: Play, *, repair: Callable[[Play], None], hit: Callable[[Play], None] = untouched) -> None:
    """Fails for good; then a person does what the sentence says, and clears the task."""
    play.life.begin()
    hit(play)
    assert play.life.end()[0] == "failed"
    repair(play)
    play.life.setup = replace(play.life.setup, patience={})
    play.life.begin()
    play.life.end(1)


def asking(play: Play, **resources: object) -> None:
    play.write(**{**play.row.resources, **resources})


def out_of_time(play: Play) -> None:
    """The deadline is over at once, for the pod that is in the middle; it was ten minutes."""
    play.gate.hold(Place.READING)
    play.gate.wait()
    body = {"spec": {"activeDeadlineSeconds": 1}}
    play.ask("PATCH", f"{play.namespace}/pods/{play.pod}", body, "application/merge-patch+json")


def image_missing(play: Play) -> None:
    play.knows(SLUICEGATE_IMAGE_WORK="sluicegate.invalid/work:1")
    mended(play, repair=lambda play: play.knows(SLUICEGATE_IMAGE_WORK=play.world.settings.image_work))


def nothing_to_do(play: Play) -> None:
    play.life.begin()
    play.life.end()


def quota_full(play: Play) -> None:
    play.advertise(1)
    quotas = f"{play.namespace}/resourcequotas"
    play.ask("POST", quotas, {"metadata": {"name": "full"}, "spec": {"hard": {f"requests.{play.thing}": "0"}}})
    play.life.until(lambda: play.ask("GET", f"{quotas}/full").get("status", {}).get("hard"), "quota")
    play.life.begin()
    play.life.hears("exceeded quota")
    play.ask("DELETE", f"{quotas}/full")
    play.life.end()


def cluster_away(play: Play) -> None:
    relay = play.away()
    relay.cut()
    play.gate.hold(Place.READING)
    play.life.begin()
    play.life.hears("UnavailableError: the cluster does not answer GET")
    relay.mend()
    play.gate.wait()
    relay.cut()
    play.life.hears("the cluster does not answer .*: the pod goes on, asking again")
    play.gate.let_go()
    play.life.until(lambda: play.gate.committed, "result")
    relay.mend()
    play.life.end()


def store_away(play: Play, *, place: Place) -> None:
    play.hold(place)
    play.gate.cut()
    play.gate.let_go()
    play.life.hears("UnavailableError: the store")
    play.gate.mend()
    play.life.end()


def killed_after_the_commit(play: Play) -> None:
    play.hold(Place.COMMITTING)
    play.ask("DELETE", f"{play.namespace}/pods/{play.pod}", {"gracePeriodSeconds": 0})
    play.life.end()


def things(number: int) -> dict[str, object]:
    """Of a kind that nobody else asks for, so that nobody else goes without."""
    return {"gpu": 1, "gpu_name": f"sluicegate.test/thing-{number}"}


ROWS = (
    Row("worker_killed", worker_killed, FOLLOWED),
    Row("triggerer_killed", triggerer_killed, "measure took"),  # the whole log of the work, by the second triggerer
    Row("dispatched_twice", dispatched_twice, FOLLOWED),
    Row("cleared", partial(stopped_by_a_person, cleared=True), "is being deleted: waiting until it is gone", pods=2, began=2),
    Row("marked_failed", partial(stopped_by_a_person, cleared=False), STARTED, said=2, pods=2, began=2),
    Row("work_killed", work_killed, f"was killed by signal 9: {OTHER_POD}", pods=2, began=2),
    Row(
        "pod_deleted",
        partial(deleted, grace=5, place=Place.READING),
        f"it was deleted before it committed a result: {OTHER_POD}",
        pods=2,
        began=2,
    ),
    Row(
        "pod_deleted_by_force",
        partial(deleted, grace=0, place=Place.WRITING),
        f"it was deleted before it committed a result: {OTHER_POD}",
        pods=2,
        began=2,
    ),
    Row("evicted", evicted, f"it was evicted, as when a node is drained .*: {OTHER_POD}", pods=2, began=2),
    Row("cordoned", cordoned, "waits for a node: .*were unschedulable"),
    Row(
        "preempted",
        preempted,
        f"it made way for a pod of higher priority .*: {OTHER_POD}",
        pods=2,
        began=2,
        resources=things(1),
    ),
    Row(
        "out_of_memory",
        partial(mended, repair=partial(asking, memory="768Mi")),
        r"killed at its memory limit of 64Mi: raise training\.resources\.memory",
        pods=2,
        resources={"memory": "64Mi"},
    ),
    Row(
        "out_of_time",
        partial(mended, hit=out_of_time, repair=partial(asking, deadline="20m")),
        r"stopped at its deadline of 600 s: raise training\.resources\.deadline",
        pods=2,
        began=2,
        resources={"deadline": "10m"},
    ),
    Row("nothing_to_do", nothing_to_do, r"it has nothing to do \(exit code 99\): no new rows", complete=0, features=SKIPPING),
    Row(
        "image_missing",
        image_missing,
        r"image cannot be pulled .*SLUICEGATE_IMAGE_WORK",
        pods=2,
        patience={"UNTIL_STARTED_S": 15.0},
    ),
    Row(
        "no_gpu",
        partial(mended, repair=lambda play: play.advertise(1)),
        r"no node took it in .*Insufficient sluicegate.test/thing-2\): free or add a GPU",
        pods=2,
        resources=things(2),
        patience={"UNTIL_SCHEDULED_S": 5.0},
    ),
    Row("quota_full", quota_full, r"exceeded quota.*lower training\.resources, or raise the quota", resources=things(3)),
    Row("cluster_away", cluster_away, "the cluster does not answer .*: the pod goes on, asking again"),
    Row("store_away", partial(store_away, place=Place.READING), "the store s3://.* could not .*: try again", pods=2, began=2),
    Row("store_away_at_the_commit", partial(store_away, place=Place.COMMITTING), "the store s3://.* could not .*: try again"),
    Row("killed_after_the_commit", killed_after_the_commit, "did not come to its end, but its result is in the store and counts"),
)
