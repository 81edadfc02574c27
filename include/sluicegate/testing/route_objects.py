"""An API server and a proxy in memory, as far as routes need them: versions, conflicts, and which rule a request meets."""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sluicegate.domain.route import ANSWERS
from sluicegate.domain.route_table import HEADER, bucket_header
from sluicegate.kube import ConflictError

Thing = dict[str, Any]


class MemoryObjects:
    """Objects of one kind, with the versions of a real API server: a write at an old one is refused."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}
        self.before_put: Callable[[], None] = lambda: None
        """Called once before the next write: a place for another writer to be faster."""
        self._version = 0

    def get(self, name: str) -> Thing | None:
        return copy.deepcopy(self.things.get(name))

    def put(self, thing: Thing) -> None:
        hook, self.before_put = self.before_put, lambda: None
        hook()
        name, version = thing["metadata"]["name"], thing["metadata"].get("resourceVersion")
        present = self.things.get(name)
        if (None if present is None else present["metadata"]["resourceVersion"]) != version:
            raise ConflictError(f"object '{name}' is not at version {version} any more")
        self._version += 1
        merged = _merged(present or {}, copy.deepcopy(thing))
        merged["metadata"]["resourceVersion"] = str(self._version)
        self.things[name] = merged

    def listed(self) -> list[Thing]:
        return [copy.deepcopy(self.things[name]) for name in sorted(self.things)]

    def delete(self, name: str) -> None:
        self.things.pop(name, None)


@dataclass(frozen=True)
class Rule:
    """One rule of a route, whatever kind of object it stands in."""

    path: str
    pattern: str | None
    """Regular expression of the bucket header."""
    arm: str
    backend: str
    """Name of the Service; empty for an answer of the proxy itself."""
    copies: int
    """Percent that is mirrored."""
    answer_headers: Mapping[str, str]
    answers: str = ""
    """Version that a request is told to be answered by."""


def http_route_rules(thing: Thing) -> list[Rule]:
    """The rules of an HTTPRoute in the order in which a gateway tries them: those that match a header first."""
    rules = [_http_rule(rule) for rule in thing["spec"]["rules"]] if thing["spec"]["parentRefs"] else []
    return sorted(rules, key=lambda rule: rule.pattern is None)


def virtual_service_rules(thing: Thing) -> list[Rule]:
    """The rules of a VirtualService in the order in which a gateway tries them: as they stand."""
    return [_virtual_rule(rule) for rule in thing["spec"]["http"] if "match" in rule]


def meets(rules: Iterable[Rule], path: str, bucket: str | None) -> Rule | None:
    """The first rule that a request matches."""
    return next((rule for rule in rules if rule.path == path and _matches(rule.pattern, bucket)), None)


def http_route_salt(thing: Thing) -> str:
    """What an EnvoyExtensionPolicy tells the edge."""
    salt: str = thing["spec"]["lua"][0]["filterContext"]["salt"]
    return salt


def virtual_service_salt(thing: Thing) -> str:
    """What an EnvoyFilter tells the edge, the same on every route."""
    contexts = [patch["patch"]["value"]["typed_per_filter_config"] for patch in thing["spec"]["configPatches"]]
    (salt,) = {context["filter_context"]["salt"] for each in contexts for context in each.values()}
    return str(salt)


def bucket_of(salt: str | None, user: str) -> str | None:
    """What the edge writes when it was told this salt, or none."""
    return None if salt is None else bucket_header(salt, user)


def _http_rule(rule: Thing) -> Rule:
    (match,) = rule["matches"]
    patterns = [header["value"] for header in match.get("headers", []) if header["name"] == HEADER]
    mirrors = [f["requestMirror"] for f in rule["filters"] if f["type"] == "RequestMirror"]
    answers = [f["responseHeaderModifier"]["set"] for f in rule["filters"] if f["type"] == "ResponseHeaderModifier"]
    asked = [f["requestHeaderModifier"]["set"] for f in rule["filters"] if f["type"] == "RequestHeaderModifier"]
    backends = rule.get("backendRefs", [])
    return Rule(
        match["path"]["value"],
        patterns[0] if patterns else None,
        rule["name"],
        backends[0]["name"] if backends else "",
        mirrors[0]["percent"] if mirrors else 0,
        {header["name"]: header["value"] for header in answers[0]},
        {header["name"]: header["value"] for header in asked[0]}[ANSWERS] if asked else "",
    )


def _virtual_rule(rule: Thing) -> Rule:
    (match,) = rule["match"]
    routes, mirrors = rule.get("route", []), rule.get("mirrors", [])
    return Rule(
        match["uri"]["exact"],
        match.get("headers", {}).get(HEADER, {}).get("regex"),
        rule["name"].split(".")[1],
        routes[0]["destination"]["host"].split(".")[0] if routes else "",
        int(mirrors[0]["percentage"]["value"]) if mirrors else 0,
        rule["headers"]["response"]["set"],
        rule["headers"].get("request", {}).get("set", {}).get(ANSWERS, ""),
    )


def _matches(pattern: str | None, bucket: str | None) -> bool:
    return pattern is None or (bucket is not None and re.fullmatch(pattern, bucket) is not None)


def _merged(present: Thing, change: Thing) -> Thing:
    """A JSON merge patch: maps are merged, everything else is replaced."""
    result = dict(present)
    for key, value in change.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result
