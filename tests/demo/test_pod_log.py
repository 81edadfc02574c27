"""The log of the cluster's demo: what `kubectl get pods -w` tells, counted by what each pod did and how it ended."""

from sluicegate_demo.pod_log import command, counts, pods_told

LOG = """\
TIME                     EVENT NAME UID ROLE ACTION PHASE EXIT REASON
2026-01-01T00:00:00.000Z ADDED      sluicegate-gateway-1   u0   gateway  <none>       Running     <none>   <none>
2026-01-01T00:00:01.000Z ADDED      flights-train-1        u1   work     train        Pending     <none>   <none>
2026-01-01T00:00:02.000Z MODIFIED   flights-train-1        u1   work     train        Running     <none>   <none>
2026-01-01T00:00:09.000Z MODIFIED   flights-train-1        u1   work     train        Succeeded   0        Completed
2026-01-01T00:00:09.100Z DELETED    flights-train-1        u1   work     train        Succeeded   0        Completed
2026-01-01T00:00:10.000Z ADDED      flights-enter-stage-1  u2   release  enter_stage  Running     <none>   <none>
2026-01-01T00:00:11.000Z MODIFIED   flights-enter-stage-1  u2   release  enter_stage  Failed      3        Error
2026-01-01T00:00:12.000Z ADDED      flights-enter-stage-1  u3   release  enter_stage  Running     <none>   <none>
2026-01-01T00:00:13.000Z MODIFIED   flights-enter-stage-1  u3   release  enter_stage  Succeeded   0        Completed
TIME                     EVENT NAME UID ROLE ACTION PHASE EXIT REASON
2026-01-01T00:00:14.000Z ADDED      flights-enter-stage-1  u3   release  enter_stage  Succeeded   0        Completed
2026-01-01T00:00:15.000Z ADDED      flights-v1-x           u4   server   <none>       Running     <none>   <none>
2026-01-01T00:00:16.000Z ADDED      flights-wo"""


def test_each_pod_counts_once_by_what_it_did_and_how_it_was_last_seen() -> None:
    assert counts(LOG) == {
        "work": {"train": {"Succeeded": 1}},
        "release": {"enter_stage": {"Failed": 1, "Succeeded": 1}},
    }


def test_no_pods_are_two_empty_lists() -> None:
    assert counts("") == {"work": {}, "release": {}}


def test_the_counts_are_told_in_a_line() -> None:
    assert pods_told(counts(LOG)) == "3 pods: 1 Failed, 2 Succeeded"


def test_the_watch_is_of_one_namespace_and_tells_deletions_too() -> None:
    asked = command("/usr/bin/kubectl", "demo")
    assert asked[:5] == ["/usr/bin/kubectl", "get", "pods", "--namespace", "demo"]
    assert {"--watch", "--output-watch-events"} <= set(asked)
