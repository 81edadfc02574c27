"""Put first on PYTHONPATH of a real Airflow: real verbs and a real journal, but gateway, servers, registry and judge are files.

`SLUICEGATE_HOME/script.json` says what judge and servers do: {"verdicts": {"<stage index>": "PASS" | "FAIL" | "INCONCLUSIVE"},
"broken": "deploy"}; the gateway's state is `route.json`.
"""

import json
import time
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from sluicegate import wiring
from sluicegate.domain.evidence import Reading
from sluicegate.domain.route import Route, Target
from sluicegate.domain.verdict import StageVerdict, Verdict
from sluicegate.errors import PackageError, RefusedError
from sluicegate.ports.runtime import ServerStatus


class FileRouter:
    def __init__(self, path):
        self.path = path

    def apply(self, route):
        self.path.write_text(json.dumps(asdict(route)))

    def read(self, model):
        if not self.path.exists():
            return None
        raw = json.loads(self.path.read_text())
        targets = {name: raw[name] and Target(**raw[name]) for name in ("champion", "candidate")}
        return Route(**{**raw, **targets})

    def renew(self, model, token, expires_at):
        route = self.read(model)
        if not route.weight:
            raise RefusedError("no weight to hold")
        self.path.write_text(json.dumps({**asdict(route), "expires_at": expires_at}))

    def remove(self, model, token):
        self.path.unlink(missing_ok=True)


class FileRuntime:
    def __init__(self, path):
        self.path = path

    def start(self, model, version, package):
        if script().get("broken") == "deploy":
            raise PackageError(f"version {version} does not reproduce its golden outputs")
        self._write({*self._versions(), version})
        return Target(version, "127.0.0.1", 1)

    def status(self, model):
        return [ServerStatus(model, Target(v, "127.0.0.1", 1), True, True) for v in sorted(self._versions())]

    def scale(self, model, version, servers):
        return 1

    def stop(self, model, version):
        self._write(self._versions() - {version})

    def _versions(self):
        return set(json.loads(self.path.read_text())) if self.path.exists() else set()

    def _write(self, versions):
        self.path.write_text(json.dumps(sorted(versions)))


class NoRegistry:
    def package(self, model, version):
        return Path()

    def alias(self, model, name, version, *, fence=None):
        pass

    def resolve(self, model, name):
        return None


class NoMeter:
    def read(self, route, *, since, labels=None):
        return Reading(taken_at=time.time())


class StandIn(wiring.Wiring):
    @cached_property
    def router(self):
        return FileRouter(self.settings.home / "route.json")

    @cached_property
    def runtime(self):
        return FileRuntime(self.settings.home / "servers.json")

    registry = NoRegistry()
    meter = NoMeter()


def script():
    path = wiring.Settings.from_environment().home / "script.json"
    return json.loads(path.read_text()) if path.exists() else {}


def judge_by_script(index):
    verdict = Verdict(script().get("verdicts", {}).get(str(index), "PASS"))
    return StageVerdict(verdict, verdict.lower(), f"the script says {verdict}")


def wire(settings=None):
    from sluicegate.actions.release import watch

    class ScriptedWatch(watch.Watch):
        def look(self):
            watch.judge = lambda case: judge_by_script(self._index)
            return super().look()

    if watch.Watch.__name__ != "ScriptedWatch":
        watch.Watch = ScriptedWatch
    return StandIn(settings or wiring.Settings.from_environment())


wiring.wire = wire
