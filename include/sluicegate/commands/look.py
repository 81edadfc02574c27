"""What a person reads: status, history, explain. Without a model: all of them. With --json: one JSON object a line."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from sluicegate.commands import DONE, UNAVAILABLE
from sluicegate.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.actions.release.why import Explanation
    from sluicegate.commands import Verbs
    from sluicegate.ports import Event, Ports


def add_commands(verbs: "Verbs") -> None:
    """Add status, history and explain."""
    for verb, run, text in (
        ("status", _status, "where the newest rollout stands"),
        ("history", _history, "all events but the readings, oldest first"),
        ("explain", _explain, "why the last verdict is what it is, gate by gate, and what comes next"),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("model", nargs="?", help="all models when none is named")
        if verb == "explain":
            one.add_argument("--rollout", help="this one instead of the newest")
        one.add_argument("--json", action="store_true", help="one JSON object a line")
        one.set_defaults(run=run)


def _status(args: argparse.Namespace) -> int:
    from sluicegate.wiring import wire

    ports, code = wire(), DONE
    for model in _models(args.model):
        facts = _facts(ports, model)
        code = UNAVAILABLE if "journal" in facts["unavailable"] else code
        print(json.dumps(facts) if args.json else _table(facts))
    return code


def _facts(ports: "Ports", model: str) -> dict[str, Any]:
    """Everything that answers; what does not is told in `unavailable`, and its facts are null."""
    facts: dict[str, Any] = {"model": model, "champion": None, "rollout": None, "candidate": None, "phase": None, "outcome": None}
    facts |= {
        "weight": None,
        "mirror": None,
        "stage": None,
        "stages": None,
        "paused": False,
        "withdrawn": False,
        "approval": None,
    }
    facts |= {"reason": "", "message": "", "unavailable": {}}
    for source, ask in (("journal", _of_journal), ("gateway", _of_gateway)):
        try:
            facts |= ask(ports, model)
        except UnavailableError as e:
            facts["unavailable"] |= {source: str(e)}
    return facts


def _of_journal(ports: "Ports", model: str) -> dict[str, Any]:
    from sluicegate.actions.release import champion_version, status

    state, facts = status(ports, model), {"champion": champion_version(ports, model)}
    if state is None:
        return facts
    stage = state.records[-1] if state.records else None
    return facts | {
        "rollout": state.rollout_id,
        "candidate": state.candidate,
        "phase": str(state.phase),
        "outcome": None if state.outcome is None else str(state.outcome),
        "stage": None if stage is None else stage.index,
        "stages": len(state.stages),
        "paused": state.paused_at is not None,
        "withdrawn": state.withdrawn_at is not None,
        "approval": None if stage is None or not stage.asked else "given" if stage.approved else "asked",
        "reason": state.reason,
        "message": state.message,
    }


def _of_gateway(ports: "Ports", model: str) -> dict[str, Any]:
    route = ports.router.read(model)
    return {} if route is None else {"weight": route.weight, "mirror": route.mirror}


def _table(facts: dict[str, Any]) -> str:
    """One line a fact; what is as usual is left out."""
    shown = {key: value for key, value in facts.items() if value not in (None, False, "", {})}
    shown |= {f"({source})": f"does not answer: {why}" for source, why in facts["unavailable"].items()}
    return "\n".join(f"{key:10} {value}" for key, value in shown.items() if key != "unavailable") + "\n"


def _history(args: argparse.Namespace) -> int:
    from sluicegate.domain.rollout import Kind
    from sluicegate.wiring import wire

    journal = wire().journal
    for model in _models(args.model):
        for event in journal.events(model, kinds=[k for k in Kind if k is not Kind.EVIDENCE]):
            print(_line_json(event) if args.json else _line(event))
    return DONE


def _line_json(event: "Event") -> str:
    names = ("number", "at", "model", "rollout", "kind", "author", "reason", "data")
    return json.dumps({name: getattr(event, name) for name in names})


def _line(event: "Event") -> str:
    from datetime import UTC, datetime

    reason = event.reason or event.data.get("reason") or event.data.get("what", "")
    text = (
        f"{datetime.fromtimestamp(event.at, UTC):%F %T} {event.model} {event.kind:14} {event.rollout:12} {event.author}  {reason}"
    )
    return "".join(c if c.isprintable() else "?" for c in text)


def _explain(args: argparse.Namespace) -> int:
    from sluicegate.actions.release import explain, status
    from sluicegate.wiring import wire

    ports = wire()
    for model in _models(args.model):
        state = status(ports, model)
        if state is None:
            if args.model is None:
                continue
            raise RefusedError(f"model '{model}' has no rollout yet: there is no verdict to explain")
        said = explain(ports, model, args.rollout or state.rollout_id)
        print(json.dumps(said.to_dict()) if args.json else _paragraph(said))
    return DONE


def _paragraph(said: "Explanation") -> str:
    lines = [f"{said.model}, rollout {said.rollout}", said.standing, f"verdict: {said.verdict or 'none yet'}, {said.because}"]
    for gate in said.gates:
        lines.append(f"  {gate['gate']:14} {gate['verdict']:13} {gate['reason']}: {gate['message']}")
        lines += [" " * 17 + words for words in [_words(gate["numbers"])] if words]
    lines += [f"missing: {what}" for what in said.missing]
    lines += [*said.people, f"next: {said.next}", ""]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)


def _words(numbers: "Mapping[str, float]") -> str:
    """The numbers that every gate has, in words; --json has all of them."""
    parts = []
    if {"harm", "harm_low", "harm_high"} <= set(numbers):
        parts.append(f"harm {numbers['harm']:.4g}, bounds {numbers['harm_low']:.4g} to {numbers['harm_high']:.4g}")
    for name, text in (("margin", "tolerated {:.4g}"), ("requests", "{:.0f} requests seen"), ("alpha", "error budget {:.3g}")):
        if name in numbers:
            parts.append(text.format(numbers[name]))
    return ", ".join(parts)


def _models(model: str | None) -> list[str]:
    """The named model, or every model that has a folder."""
    from sluicegate.settings import Settings
    from sluicegate.wiring import models

    if model is not None:
        return [model]
    found = list(models(Settings.from_environment()))
    if not found:
        print("there is no model yet: add a folder with spec.yaml and features.py", file=sys.stderr)
    return found
