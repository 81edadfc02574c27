"""What keeps the journal honest: verify, replay, export."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.commands import DONE, REFUSED
from sluicegate.errors import InputError

if TYPE_CHECKING:
    from sluicegate.commands import Verbs
    from sluicegate.domain.chain import Head
    from sluicegate.ports import Archive


def add_commands(verbs: "Verbs") -> None:
    """Add journal verify, journal replay and journal export."""
    family = verbs.add_parser("journal", help="verify, replay or export the journal")
    actions = family.add_subparsers(required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="find and locate altered, lost, inserted or reordered events")
    verify.add_argument("--expect", metavar="NUMBER:DIGEST", help="a head that an earlier verify printed: it must still be there")
    verify.set_defaults(run=_verify)
    replay = actions.add_parser("replay", help="judge every journaled look again and compare the verdicts bit for bit")
    replay.add_argument("model", nargs="?")
    replay.add_argument("rollout", nargs="?")
    replay.set_defaults(run=_replay)
    for one in (verify, replay):
        one.add_argument("--file", type=Path, help="an exported journal, instead of the database")
        one.add_argument("--json", action="store_true")
    export = actions.add_parser("export", help="write the whole journal to FILE, a line an event")
    export.add_argument("file", type=Path)
    export.set_defaults(run=_export)


def _archive(file: Path | None) -> "Archive":
    from sluicegate.wiring import journal_file, wire

    return wire().archive if file is None else journal_file(file)


def _verify(args: argparse.Namespace) -> int:
    from sluicegate.actions.journal import verify

    seen = verify(_archive(args.file), _head(args.expect))
    head = f"{seen.head.number}:{seen.head.digest}" if seen.head else ""
    if args.json:
        found = [{"number": f.number, "message": f.message} for f in seen.found]
        print(json.dumps({"sound": seen.sound, "events": seen.events, "models": seen.models, "head": head, "found": found}))
    else:
        print(f"{seen.events} events of {len(seen.models)} models, {'all sound' if seen.sound else 'DAMAGED'}")
        print(*(f"  {f.message}" for f in seen.found), f"head {head or 'none'}", sep="\n")
    return DONE if seen.sound else REFUSED


def _head(text: str | None) -> "Head | None":
    from sluicegate.domain.chain import Head

    if text is None:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or len(digest) != 64:
        raise InputError(f"--expect is '{text}': write NUMBER:DIGEST as verify prints it behind 'head'")
    return Head(int(number), digest)


def _replay(args: argparse.Namespace) -> int:
    from sluicegate.actions.journal import judge_code, replay

    rollouts = replay(_archive(args.file), args.model, args.rollout)
    if not rollouts and (args.model or args.rollout):
        raise InputError(f"the journal has no judged look of {' '.join(filter(None, (args.model, args.rollout)))}")
    for one in rollouts:
        if args.json:
            different = [vars(d) for d in one.differences]
            facts = {"model": one.model, "rollout": one.rollout_id, "looks": one.looks, "exact": one.exact}
            print(json.dumps({**facts, "differences": different}))
            continue
        said = "every verdict comes out again" if one.same else f"{len(one.differences)} verdicts differ"
        print(f"{one.model} {one.rollout_id}: {one.looks} looks ({one.exact} compared bit for bit), {said}")
        for d in one.differences:
            other = (
                f", by the judge {d.judge or 'of an older version'}, this is {judge_code()}" if d.judge != judge_code() else ""
            )
            print(f"  event {d.number}: journaled {d.journaled}{other}, replayed {d.replayed}")
    return DONE if all(one.same for one in rollouts) else REFUSED


def _export(args: argparse.Namespace) -> None:
    from sluicegate.wiring import journal_file, wire

    with wire().archive.read() as book:
        count = journal_file(args.file).write(book)
    print(f"{count} events written to {args.file}")
