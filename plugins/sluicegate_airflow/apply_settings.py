"""airflow_settings.yaml → a running Airflow, over its public REST API.

    python -m sluicegate_airflow.apply_settings FILE --url URL --passwords FILE

Imports no Airflow, so that it costs nothing at start. Applying again changes nothing; what is not in the file is left alone.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

NAMES = {
    "connections": {
        "conn_id": "connection_id",
        "conn_type": "conn_type",
        "conn_host": "host",
        "conn_schema": "schema",
        "conn_login": "login",
        "conn_password": "password",
        "conn_port": "port",
        "conn_extra": "extra",
    },
    "pools": {
        "pool_name": "name",
        "pool_slot": "slots",
        "pool_description": "description",
        "pool_include_deferred": "include_deferred",
    },
    "variables": {"variable_name": "key", "variable_value": "value", "variable_description": "description"},
}
"""Kind → (name in the file → name in the API); the first one is the identity."""


BUSY_TRIES = 10
"""How often a request is asked again after a 5xx: on SQLite a writer may have to wait for another."""


class Api:
    """A session of Airflow's REST API."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url, self._token = url.rstrip("/"), ""
        self._token = self.call("POST", "/auth/token", {"username": user, "password": password})["access_token"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request, asked again while Airflow's database is busy; urllib.error.HTTPError when it is refused."""
        for _ in range(BUSY_TRIES):
            try:
                return self._once(method, path, body)
            except urllib.error.HTTPError as e:
                if e.code < 500:
                    raise
                time.sleep(1)
        return self._once(method, path, body)

    def _once(self, method: str, path: str, body: Any) -> Any:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, headers=headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")


def entries(settings: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The file's entries of a kind in the API's words; ValueError names an unknown key, empty ones are left out."""
    found = []
    for entry in (settings.get("airflow") or {}).get(kind) or []:
        if unknown := sorted(set(entry) - set(NAMES[kind])):
            raise ValueError(f"airflow.{kind}: unknown key '{unknown[0]}'; valid keys are {', '.join(NAMES[kind])}")
        renamed = {NAMES[kind][key]: value for key, value in entry.items() if value is not None}
        if renamed.get(next(iter(NAMES[kind].values()))):
            found.append(_as_text(renamed))
    return found


def apply(api: Api, kind: str, entry: Mapping[str, Any]) -> None:
    """Create the entry, or change it when it is there."""
    try:
        api.call("POST", f"/api/v2/{kind}", entry)
    except urllib.error.HTTPError as e:
        if e.code != 409:
            raise
        name = str(entry[next(iter(NAMES[kind].values()))])
        api.call("PATCH", f"/api/v2/{kind}/{urllib.parse.quote(name, safe='')}", entry)


def main(argv: list[str]) -> int:
    """Apply the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--passwords", type=Path, required=True, help="JSON file: user -> password")
    args = parser.parse_args(argv)
    settings = yaml.safe_load(args.file.read_text()) or {}
    user, password = next(iter(json.loads(args.passwords.read_text()).items()))
    wanted = [(kind, entry) for kind in NAMES for entry in entries(settings, kind)]
    api = Api(args.url, user, password)
    for kind, entry in wanted:
        apply(api, kind, entry)
    print(f"applied {len(wanted)} settings of {args.file.name}")
    return 0


def _as_text(entry: dict[str, Any]) -> dict[str, Any]:
    """Extras and values may be written as mappings; the API takes text."""
    return {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in entry.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
