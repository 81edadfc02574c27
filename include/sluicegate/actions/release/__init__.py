"""Release: put a candidate in service by stages, or take it back.

    open → deploy → (enter_stage → watch) per stage → promote → retire
                                   └────────────────→ revert    └──→ reinstate
                     people: pause, resume, approve, abort

begin.py      open, deploy; stage.py enter a stage; capacity.py servers before traffic
watch.py      look at a stage; withdraw.py when nothing can be seen
people.py     pause, resume, approve; asked.py a verb by its name, as Airflow asks for it
cut.py        the cut alone; end.py promote, revert, abort, retire; reinstate.py the way back after a promotion
follow.py     what comes after an end and may fail; read.py, evidence.py what the journal knows; why.py explains a verdict

Every verb is idempotent and journaled; the journal alone says where a rollout stands. Traffic is cut before anything else is done.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sluicegate.actions.release.begin import deploy, open_rollout
from sluicegate.actions.release.cut import cut_now
from sluicegate.actions.release.end import abort, cut_by_hand, promote, retire, revert
from sluicegate.actions.release.read import champion_version, newer_candidate, rollout, status
from sluicegate.actions.release.reinstate import reinstate, take_back
from sluicegate.actions.release.stage import enter_stage

if TYPE_CHECKING:
    from sluicegate.actions.release.people import approve, pause, resume
    from sluicegate.actions.release.watch import Look, Watch, open_watch
    from sluicegate.actions.release.why import explain

__all__ = [
    "Look",
    "Watch",
    "abort",
    "approve",
    "champion_version",
    "cut_by_hand",
    "cut_now",
    "deploy",
    "enter_stage",
    "explain",
    "newer_candidate",
    "open_rollout",
    "open_watch",
    "pause",
    "promote",
    "reinstate",
    "resume",
    "retire",
    "revert",
    "rollout",
    "status",
    "take_back",
]

_WITH_THE_JUDGE = {
    "Look": "watch",
    "Watch": "watch",
    "open_watch": "watch",
    "explain": "why",
    "approve": "people",
    "pause": "people",
    "resume": "people",
}


def __getattr__(name: str) -> Any:
    """Watching brings the judge's libraries, half a second of imports that the other verbs do without."""
    if name in _WITH_THE_JUDGE:
        return getattr(import_module(f"sluicegate.actions.release.{_WITH_THE_JUDGE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
