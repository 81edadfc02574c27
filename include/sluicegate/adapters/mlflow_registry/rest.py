"""MLflow's REST interface. Its Python client takes seconds to import and tasks are short, so it stays out."""

import base64
import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sluicegate.errors import RefusedError, UnavailableError

API = "/api/2.0/mlflow/"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
TIMEOUT_S = 30.0
ABSENT = "RESOURCE_DOES_NOT_EXIST"
PRESENT = "RESOURCE_ALREADY_EXISTS"


class AbsentError(RefusedError):
    """The server knows no such thing."""


class PresentError(RefusedError):
    """The server already has a thing of that name."""


class Rest:
    """Calls to one MLflow server; `http://user:password@host:port/prefix` is understood."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._shown = f"{parts.scheme}://{parts.hostname}:{parts.port}"
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._prefix = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._headers = {}
        if parts.username:
            secret = base64.b64encode(f"{parts.username}:{parts.password or ''}".encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"

    def get(self, path: str, **query: str) -> Any:
        return self._json("GET", f"{API}{path}?{urlencode(query)}", None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._json("POST", f"{API}{path}", body)

    def delete(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._json("DELETE", f"{API}{path}", body)

    def upload(self, path: str, content: bytes) -> None:
        """Write one artifact; `path` is <experiment>/<run>/artifacts/<name>."""
        self._call("PUT", f"{ARTIFACTS}/{quote(path)}", content, "application/octet-stream")

    def files(self, path: str) -> list[str]:
        """Names of all artifacts below `path`, relative to it, folders searched."""
        found = []
        for entry in self._json("GET", f"{ARTIFACTS}?{urlencode({'path': path})}", None).get("files", []):
            name = str(entry["path"])
            if entry.get("is_dir"):
                found += [f"{name}/{below}" for below in self.files(f"{path}/{name}")]
            else:
                found.append(name)
        return found

    def download(self, path: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._call("GET", f"{ARTIFACTS}/{quote(path)}", None, ""))

    def _json(self, verb: str, path: str, body: Mapping[str, Any] | None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        return json.loads(self._call(verb, path, content, "application/json") or b"{}")

    def _call(self, verb: str, path: str, content: bytes | None, kind: str) -> bytes:
        headers = {**self._headers, **({"Content-Type": kind} if content is not None else {})}
        status, answer = self._exchange(verb, self._prefix + path, content, headers)
        if status >= 400:
            raise self._error(status, answer, f"{verb} {path}")
        return answer

    def _exchange(self, verb: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        connection = self._kind(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(verb, path, content, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as e:
            raise UnavailableError(f"MLflow at {self._shown} does not answer ({e!r}): start it or wait") from e
        finally:
            connection.close()

    def _error(self, status: int, answer: bytes, what: str) -> Exception:
        try:
            raw = json.loads(answer)
            code, message = str(raw.get("error_code", "")), str(raw.get("message", ""))
        except (ValueError, AttributeError):
            code, message = "", answer[:200].decode(errors="replace")
        sentence = f"MLflow at {self._shown} answers {status} to {what}: {message.splitlines()[0] if message else code}"
        if status >= 500 or status == 429:
            return UnavailableError(sentence)
        return {ABSENT: AbsentError, PRESENT: PresentError}.get(code, AbsentError if status == 404 else RefusedError)(sentence)
