"""Secrets of one installation: generated on the first start, kept in files that only their owner can read, never in the repository."""

import json
import os
import secrets
from pathlib import Path


def secret(home: Path, name: str) -> str:
    """The secret of this name; generated when it does not exist yet."""
    path = home / "secrets" / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text()
    value = secrets.token_urlsafe(32)
    with os.fdopen(handle, "w") as out:
        out.write(value)
    return value


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(path.suffix + ".new")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as out:
        out.write(text)
    fresh.replace(path)


def airflow_passwords(home: Path, user: str = "admin") -> str:
    """Write the password file of Airflow's simple login once; returns the user's password."""
    path = home / "secrets" / "airflow_passwords.json"
    if path.exists():
        return str(json.loads(path.read_text())[user])
    password = secrets.token_urlsafe(12)
    write_private(path, json.dumps({user: password}))
    return password
