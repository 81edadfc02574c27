"""Talks to a Kubernetes API server: objects as plain mappings, written by server-side apply, errors in our own words.

The official client costs two seconds to import, so it is imported when it is first used: names and labels need none of it.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import quote

from sluicegate.errors import InputError, RefusedError, SluicegateError, UnavailableError
from sluicegate.settings import Settings

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

FIELD_MANAGER = "sluicegate"
TIMEOUT_S = (3.0, 10.0)
"""To connect, and then to answer. An API server that needs longer is treated as one that is away."""
RENEW = "renew the credential in the kubeconfig of this process (docs/kubernetes.md, Two ways of running Airflow)"
"""What to do when the cluster does not know any more who asks."""
Thing: TypeAlias = Mapping[str, Any]
"""One object of the cluster as its manifest says it: apiVersion, kind, metadata, spec ..."""
Role = Literal["work", "release", "server", "gateway", "keeper"]

_PLAIN = re.compile(r"^[a-z0-9]+$")
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
_LABEL = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
_API = re.compile(r"^([a-z0-9.-]+/)?v[a-z0-9]+$")
_KIND = re.compile(r"^[A-Z][A-Za-z0-9]*$")
_MOST = 63
"""Characters of a label, and of a Service's name."""
_MARK = 10
"""Hex digits that keep two names apart which look the same once they are made safe."""


class ConflictError(RefusedError):
    """The object is not what its writer saw: somebody else was faster, or it is there already."""


# Names


def named(*parts: str) -> str:
    """The parts joined to a name that every kind of object may have: at most 63 lower-case letters, digits and '-'.

    Two different lists of parts never have the same name: whatever had to be changed carries a digest of what it was.
    """
    if not parts or not all(parts):
        raise InputError(f"a name is made of parts that are not empty, not of {list(parts)!r}: give each of them a text")
    plain = "-".join(parts)
    if all(map(_PLAIN.fullmatch, parts)) and plain[0].isalpha() and len(plain) <= _MOST:
        return plain
    safe = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    safe = safe if safe[:1].isalpha() else f"x-{safe}"
    return f"{safe[: _MOST - _MARK - 1].rstrip('-')}-{_mark(json.dumps(parts))}"


def label(value: str) -> str:
    """The value of a label: as it is when that is allowed, else made safe, with a digest of what it was."""
    if _LABEL.fullmatch(value):
        return value
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", value).strip("-_.")
    return f"{safe[: _MOST - _MARK - 1]}-{_mark(value)}".lstrip("-")


def labels(role: Role, *, model: str = "", version: str = "", order: str = "") -> dict[str, str]:
    """The labels that each of our objects carries."""
    named_by = {"sluicegate/model": model, "sluicegate/version": version, "sluicegate/order": order}
    known = {key: label(value) for key, value in named_by.items() if value}
    return {"app.kubernetes.io/part-of": "sluicegate", "sluicegate/role": role, **known}


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK]


# Objects


def client(settings: Settings) -> "ApiClient":
    """A client for the cluster that KUBECONFIG points at, or, without one, for the cluster that this process runs in."""
    from kubernetes import config
    from kubernetes.client import ApiClient, Configuration

    made = Configuration()
    made.retries = 0  # who asks knows better whether to ask again: a cut does at once, a lease is over meanwhile
    file = os.environ.get("KUBECONFIG", str(Path.home() / ".kube" / "config"))
    try:
        if "KUBECONFIG" in os.environ or Path(file).is_file():
            _load(made, file)
        else:
            config.load_incluster_config(client_configuration=made)
    except (config.ConfigException, OSError) as e:
        raise UnavailableError(
            f"no cluster is known to profile '{settings.profile}' ({e}): set KUBECONFIG, or run this in a pod with a service account"
        ) from e
    return ApiClient(made)


def _load(made: "Configuration", file: str) -> None:
    """Read the kubeconfig now, and again whenever it was replaced: who renews its token need not restart those who have read it."""
    from kubernetes import config
    from yaml import YAMLError

    read = _written(file)
    config.load_kube_config(file, client_configuration=made)
    plugin = made.refresh_api_key_hook

    def renew(made: "Configuration") -> None:
        if _written(file) != read:
            with suppress(config.ConfigException, OSError, YAMLError):  # half written: the old one until it is whole
                _load(made, file)
        elif plugin is not None:
            plugin(made)
            made.refresh_api_key_hook = renew  # the client has put its own there

    made.refresh_api_key_hook = renew


def _written(files: str) -> list[int]:
    """When each file was last written; KUBECONFIG may name several."""
    return [Path(file).stat().st_mtime_ns for file in files.split(os.pathsep) if Path(file).exists()]


def apply(api: "ApiClient", thing: Thing) -> dict[str, Any]:
    """Make the object what `thing` says of it, and return it; what `thing` leaves out is left to others.

    Raises
    ------
    ConflictError
        `metadata.resourceVersion` is given and the object has another one by now.
    """
    meta = thing["metadata"]
    path = _path(thing["apiVersion"], thing["kind"], meta["namespace"], meta["name"])
    return request(api, "PATCH", path, thing, {"fieldManager": FIELD_MANAGER, "force": "true"}, "application/apply-patch+yaml")


def read(api: "ApiClient", api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
    """The object, or None when there is none."""
    try:
        return request(api, "GET", _path(api_version, kind, namespace, name))
    except _AbsentError:
        return None


def listed(api: "ApiClient", api_version: str, kind: str, namespace: str, selector: Mapping[str, str]) -> list[dict[str, Any]]:
    """All objects of a kind that carry these labels, by name."""
    if not selector:
        raise InputError(f"all objects of kind {kind} in '{namespace}' are not ours to list: name the labels of those that are")
    wanted = ",".join(f"{key}={label(value)}" for key, value in selector.items())
    found = request(api, "GET", _path(api_version, kind, namespace), query={"labelSelector": wanted})
    return sorted(found["items"], key=lambda thing: str(thing["metadata"]["name"]))


def remove(api: "ApiClient", api_version: str, kind: str, namespace: str, name: str, uid: str = "") -> None:
    """Delete the object and, in the background, what belongs to it; deleting again changes nothing.

    With a uid only the very object that bears it: what has come after it under the same name is left alone.
    """
    body = {"preconditions": {"uid": uid}} if uid else None
    try:
        request(api, "DELETE", _path(api_version, kind, namespace, name), body, {"propagationPolicy": "Background"})
    except _AbsentError:
        return
    except ConflictError:
        if not uid:
            raise


def log(api: "ApiClient", namespace: str, pod: str, container: str, lines: int) -> str:
    """The end of what a container wrote."""
    path = f"{_path('v1', 'Pod', namespace, pod)}/log"
    return _ask(api, "GET", path, query={"container": container, "tailLines": str(lines)}).decode(errors="replace")


def request(
    api: "ApiClient",
    method: str,
    path: str,
    body: Thing | Sequence[Any] | None = None,
    query: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> dict[str, Any]:
    """One request for JSON, for what the verbs above do not cover; `path` begins with /api or /apis."""
    found: dict[str, Any] = json.loads(_ask(api, method, path, body, query, content_type))
    return found


def _ask(
    api: "ApiClient",
    method: str,
    path: str,
    body: Thing | Sequence[Any] | None = None,
    query: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> bytes:
    headers = {**api.default_headers, "Accept": "application/json, */*", "Content-Type": content_type}
    api.update_params_for_auth(headers, [], ["BearerToken"])
    with translated(f"{method} {path}"):
        answer = api.request(
            method, api.configuration.host + path, list((query or {}).items()), headers, body=body, _request_timeout=TIMEOUT_S
        )
    content: bytes = answer.data
    return content


def _path(api_version: str, kind: str, namespace: str, name: str | None = None) -> str:
    """Where the API server keeps it. Nothing that comes from a spec, a batch or an order can lead out of the namespace."""
    if not (_API.fullmatch(api_version) and _KIND.fullmatch(kind)):
        raise InputError(f"'{api_version}' '{kind}' is no kind of object: write it as in a manifest, such as apps/v1 Deployment")
    for word in (namespace,) if name is None else (namespace, name):
        if not _NAME.fullmatch(word):
            raise RefusedError(f"'{word[:80]}' is no name of an object: lower-case letters, digits, '-' and '.', at most 253")
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    place = f"{root}/namespaces/{namespace}/{_plural(kind)}"
    return place if name is None else f"{place}/{quote(name, safe='')}"


def _plural(kind: str) -> str:
    """As Kubernetes forms it: gateways, networkpolicies, ingresses, deployments."""
    word = kind.lower()
    if word.endswith("s"):
        return f"{word}es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}s"


# Errors


class _AbsentError(RefusedError):
    """There is no such object, or no such kind."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Errors of the client and of the network as UnavailableError (ask again) or RefusedError (asking again changes nothing)."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as e:
        raise _translation(what, e.status or 0, _message(e.body) or str(e.reason)) from e
    except (HTTPError, OSError) as e:
        raise UnavailableError(f"the cluster does not answer {what} ({e}): see that its API server runs and is reachable") from e


def _translation(what: str, status: int, message: str) -> SluicegateError:
    if status == 404:
        return _AbsentError(f"the cluster has nothing at {what} ({message}): create it, or install what defines it")
    if status == 409:
        return ConflictError(f"the cluster refuses {what}: {message}")
    if status == 401:
        return UnavailableError(f"the cluster does not accept the credential of who asks {what} ({message}): {RENEW}")
    if status == 403:
        return RefusedError(f"the cluster forbids {what} ({message}): grant the role this right, or lift the quota it names")
    if 400 <= status < 500 and status != 429:
        return RefusedError(f"the cluster refuses {what} ({status}): {message}")
    return UnavailableError(f"the cluster cannot do {what} now ({status}): {message}")


def _message(body: bytes | str | None) -> str:
    """What the API server says, from its Status object; the beginning of anything else."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    try:
        return str(json.loads(text)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return text[:200]
