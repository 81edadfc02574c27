"""What became of every pod, as it happened: `kubectl get pods -w`, a line a change, each with its time.

python -m sluicegate_demo.pod_log --kubectl /usr/bin/kubectl --namespace sluicegate-demo --to pods.log
"""

import argparse
import signal
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

COLUMNS = {
    "EVENT": ".type",
    "NAME": ".object.metadata.name",
    "UID": ".object.metadata.uid",
    "ROLE": ".object.metadata.labels.sluicegate/role",
    "ACTION": ".object.metadata.labels.sluicegate/action",
    "PHASE": ".object.status.phase",
    "EXIT": ".object.status.containerStatuses[0].state.terminated.exitCode",
    "REASON": ".object.status.containerStatuses[0].state.terminated.reason",
}
AGAIN_S = 1.0
"""Until an API server that ended the watch is asked for the next one."""


def command(kubectl: str, namespace: str) -> list[str]:
    """The watch, one line an event."""
    columns = ",".join(f"{name}:{place}" for name, place in COLUMNS.items())
    options = ("--watch", "--output-watch-events", "--no-headers", f"--output=custom-columns={columns}")
    return [kubectl, "get", "pods", "--namespace", namespace, *options]


def keep(kubectl: str, namespace: str, to: Path) -> None:
    """Write until stopped; an API server ends a watch from time to time, and then another is begun."""
    with to.open("a", buffering=1) as log:
        log.write(f"{'TIME':24} {' '.join(COLUMNS)}\n")
        while True:
            with subprocess.Popen(command(kubectl, namespace), stdout=subprocess.PIPE, text=True) as watch:
                for line in watch.stdout or ():
                    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                    log.write(f"{at} {line}")
            time.sleep(AGAIN_S)


def counts(log: str) -> dict[str, dict[str, dict[str, int]]]:
    """How many pods of orders (role work) and of verbs (role release) ended how: role → action → last phase → pods."""
    last: dict[str, tuple[str, str, str]] = {}
    for line in log.splitlines():
        words = dict(zip(("TIME", *COLUMNS), line.split(), strict=False))
        if words.get("ROLE") in ("work", "release") and "PHASE" in words:
            last[words["UID"]] = (words["ROLE"], words["ACTION"], words["PHASE"])
    found: dict[str, dict[str, dict[str, int]]] = {"work": {}, "release": {}}
    for (role, action, phase), number in sorted(Counter(last.values()).items()):
        found[role].setdefault(action, {})[phase] = number
    return found


def pods_told(found: dict[str, dict[str, dict[str, int]]]) -> str:
    """The counts in a line."""
    kinds = sum((Counter(phases) for actions in found.values() for phases in actions.values()), Counter[str]())
    return f"{kinds.total()} pods: " + ", ".join(f"{number} {phase}" for phase, number in sorted(kinds.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubectl", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--to", type=Path, required=True)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: exit(0))
    keep(args.kubectl, args.namespace, args.to)


if __name__ == "__main__":
    main()
