"""Holds the demo's summary to what the README promises; exit status 1 with one sentence a broken promise."""

import json
import sys
from pathlib import Path


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
    if not (rollouts[2]["breach_to_zero_ms"] or 1e9) < 1000:
        yield f"breach to zero took {rollouts[2]['breach_to_zero_ms']} ms"
    if facts["requests_failed"] != 0 or facts["requests_total"] < 20_000:
        yield f"{facts['requests_failed']} of {facts['requests_total']} requests failed: {facts['failures']}"
    rows = facts["rows"]
    if rows["in"] == 0 or rows["in"] != rows["accepted"] + rows["quarantined"] + rows["duplicate"]:
        yield f"rows were lost: {rows}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
