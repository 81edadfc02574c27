"""summary.json: what the demo did, from the journal, the dataset and the clients' own counts."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sluicegate.actions.release import rollout
from sluicegate.domain.rollout import Kind, Rollout
from sluicegate.ports import Ports
from sluicegate_demo.breach import breach
from sluicegate_demo.pod_log import counts


def summary(
    ports: Ports, model: str, traffic: Iterable[Path], started_at: float, finished_at: float, pod_log: Path | None = None
) -> dict[str, Any]:
    """All that the demo promises to tell; rollouts of a first version, which has nothing to replace, stand apart."""
    opened = ports.journal.events(model, kinds=(Kind.OPENED,))
    states = [rollout(ports, model, e.rollout) for e in opened]
    tallies = [json.loads(path.read_text()) for path in traffic]
    return {
        "rollouts": [_rollout(ports, s) for s in states if s.champion is not None],
        "first_version": [_rollout(ports, s) for s in states if s.champion is None],
        "requests_total": sum(t["sent"] for t in tallies),
        "requests_failed": sum(t["sent"] - t["answered"] for t in tallies),
        "failures": [t["failures"] for t in tallies if t["failures"]],
        "rows": _rows(ports, model),
        **({} if pod_log is None else {"pods": counts(pod_log.read_text())}),
        "started_at": _iso(started_at),
        "finished_at": _iso(finished_at),
    }


def _rollout(ports: Ports, state: Rollout) -> dict[str, Any]:
    found = breach(ports, state.model, state.rollout_id)
    return {
        "model": state.model,
        "rollout_id": state.rollout_id,
        "candidate_version": state.candidate,
        "champion_version": state.champion,
        "outcome": state.outcome,
        "reason": state.reason,
        "message": state.message,
        "stages": [
            {
                "kind": r.kind,
                "weight": r.weight,
                "entered_at": _iso(r.entered_at),
                "left_at": _iso(r.left_at),
                "verdict": r.verdict,
                "gate": r.gate,
            }
            for r in state.records
        ],
        "breach_to_zero_ms": found.to_zero_ms if found else None,
        "breach": None
        if found is None
        else {
            "began_at": found.began_at,
            "judged_at": found.judged_at,
            "last_at": found.last_candidate_request_at,
            "sensor_ms": found.sensor_ms,
            "cut_ms": found.cut_ms,
        },
        "opened_at": _iso(state.opened_at),
        "ended_at": _iso(state.ended_at),
    }


def _rows(ports: Ports, model: str) -> dict[str, int]:
    reports = ports.dataset.batches(model)
    return {name: sum(int(r["rows"][name]) for r in reports) for name in ("in", "accepted", "quarantined", "duplicate")}


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
