"""Secrets of one installation: generated on the first start, in files that only their owner can read, never in the repository."""

import base64
import json
import os
import secrets
from pathlib import Path

PASSWORDS = "airflow_passwords.json"
"""Passwords of Airflow's simple login: user -> password."""

USER = "admin"


def secret_file(home: Path, name: str) -> Path:
    """Where the secret of this name is kept."""
    return home / "secrets" / name


def create_secrets(home: Path) -> None:
    """Generate what does not exist yet."""
    (home / "secrets").mkdir(parents=True, exist_ok=True, mode=0o700)
    _create(secret_file(home, "fernet"), base64.urlsafe_b64encode(os.urandom(32)).decode())
    for name in ("api", "jwt"):
        _create(secret_file(home, name), secrets.token_hex(32))
    _create(secret_file(home, PASSWORDS), json.dumps({USER: secrets.token_urlsafe(12)}))


def airflow_password(home: Path) -> str:
    """The password of Airflow's user admin; "(not yet generated)" before the first start."""
    path = secret_file(home, PASSWORDS)
    return str(json.loads(path.read_text())[USER]) if path.exists() else "(not yet generated)"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(path.suffix + ".new")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as out:
        out.write(text)
    fresh.replace(path)


def _create(path: Path, value: str) -> None:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w") as out:
        out.write(value)
