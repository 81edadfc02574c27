"""Holds the demo's summary to what the README promises; exit status 1 with one sentence a broken promise."""

import json
import sys
from pathlib import Path

PODS = {
    "work": {"validate": 3, "snapshot": 2, "train": 4, "compare": 4, "register": 4},
    "release": {"open": 4, "deploy": 4, "enter_stage": 7, "promote": 2, "revert": 2},
}
"""How many of each must have ended well where every step is a pod, at the least."""
BREACH_MS, SENSOR_MS = 1000, 10_000
"""The breach, or where Prometheus stands between, what follows the look that saw it; and how late that look may be."""


def main(path: Path) -> int:
    """Read the summary and name every promise that it breaks."""
    facts = json.loads(path.read_text())
    broken = list(broken_promises(facts))
    for sentence in broken:
        print(f"BROKEN: {sentence}", file=sys.stderr)
    if not broken:
        times = [r["breach_to_zero_ms"] for r in facts["rollouts"] if r["breach_to_zero_ms"] is not None]
        print(f"demo kept its promises: {facts['requests_total']} requests, 0 failed, breach to zero {times} ms")
    return 1 if broken else 0


def broken_promises(facts):
    """Yield a sentence for each."""
    rollouts = facts["rollouts"]
    outcomes = [r["outcome"] for r in rollouts]
    if outcomes != ["PROMOTED", "REVERTED", "REVERTED"]:
        yield f"the outcomes are {outcomes}"
        return
    if [s["weight"] for s in rollouts[0]["stages"]] != [0, 5, 25, 50, 100]:
        yield f"the promoted rollout went through {[s['weight'] for s in rollouts[0]['stages']]}"
    if any(s["weight"] > 0 for s in rollouts[1]["stages"]):
        yield "the second candidate met a user before it was stopped"
    last = rollouts[2]["stages"][-1]
    if last["kind"] != "split" or last["verdict"] != "FAIL":
        yield f"the third candidate was not failed at a traffic stage but ended at {last}"
    yield from broken_breach(rollouts[2], scraped="pods" in facts)
    if facts["requests_failed"] != 0 or facts["requests_total"] < 20_000:
        yield f"{facts['requests_failed']} of {facts['requests_total']} requests failed: {facts['failures']}"
    rows = facts["rows"]
    if rows["in"] == 0 or rows["in"] != rows["accepted"] + rows["quarantined"] + rows["duplicate"]:
        yield f"rows were lost: {rows}"
    yield from broken_pods(facts.get("pods"))


def broken_breach(rollout, *, scraped):
    """Of the third candidate."""
    breach = rollout["breach"] or {"sensor_ms": 1e9, "cut_ms": 1e9}
    if scraped and breach["sensor_ms"] >= SENSOR_MS:
        yield f"a breach was seen after {breach['sensor_ms']} ms"
    took = breach["cut_ms"] if scraped else (rollout["breach_to_zero_ms"] or 1e9)
    if took >= BREACH_MS:
        yield f"breach to zero took {took} ms"


def broken_pods(pods):
    """Where there are pods: every step was one, and none failed."""
    for role, actions in PODS.items() if pods is not None else ():
        for action, least in actions.items():
            ended = pods[role].get(action, {})
            if ended.get("Succeeded", 0) < least or set(ended) != {"Succeeded"}:
                yield f"of {least} pods or more for {action}, these ended: {ended}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
