"""The command line: one file a family of commands, each with `add_commands(verbs)`. Libraries are imported when a command runs.

work.py     serve, order, guard: what a supervisor or a worker starts
pod.py      work, ship: what a pod starts
stop.py     how what runs until it is stopped learns that it is
join.py     join: what pairs the answers of two versions in a cluster
look.py     status, history, explain: what a person reads
journal.py  journal verify, journal replay, journal export: what keeps the memory honest
people.py   pause, resume, approve, abort, revert, reinstate, retire: what a person does
"""

from argparse import ArgumentParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Verbs = _SubParsersAction[ArgumentParser]

DONE = 0
REFUSED = 1
"""Refused, or something a person wrote is wrong: the sentence says what to do."""
UNAVAILABLE = 3
"""Something outside does not answer, and nothing was changed: try again. (2 is a wrong command line.)"""
UNFINISHED = 4
"""The traffic is where it was asked to be, but something after it remains: ask for the same again."""
