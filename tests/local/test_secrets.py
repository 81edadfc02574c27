"""Secrets of an installation: made once, and nobody else's to read."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluicegate.local.secrets import PASSWORDS, airflow_password, create_secrets, secret_file, write_private

NAMES = ("fernet", "api", "jwt", PASSWORDS)


@pytest.fixture(autouse=True)
def _careless_umask() -> Iterator[None]:
    """As careless as a user's shell may be: new files are open to all."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_each_secret_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    create_secrets(tmp_path)
    assert {name: mode(secret_file(tmp_path, name)) for name in NAMES} == dict.fromkeys(NAMES, 0o600)
    assert mode(tmp_path / "secrets") == 0o700


def test_a_second_start_keeps_what_the_first_generated(tmp_path: Path) -> None:
    create_secrets(tmp_path)
    before = [secret_file(tmp_path, name).read_text() for name in NAMES]
    create_secrets(tmp_path)
    assert [secret_file(tmp_path, name).read_text() for name in NAMES] == before


def test_two_installations_share_no_secret(tmp_path: Path) -> None:
    create_secrets(tmp_path / "a")
    create_secrets(tmp_path / "b")
    assert not [n for n in NAMES if secret_file(tmp_path / "a", n).read_text() == secret_file(tmp_path / "b", n).read_text()]


def test_airflows_password_is_the_one_in_the_file_and_long_enough(tmp_path: Path) -> None:
    create_secrets(tmp_path)
    password = airflow_password(tmp_path)
    assert json.loads(secret_file(tmp_path, PASSWORDS).read_text()) == {"admin": password}
    assert len(password) >= 16


def test_the_fernet_key_is_one_that_airflow_accepts(tmp_path: Path) -> None:
    from cryptography.fernet import Fernet

    create_secrets(tmp_path)
    key = Fernet(secret_file(tmp_path, "fernet").read_text())
    assert key.decrypt(key.encrypt(b"connection")) == b"connection"


def test_before_the_first_start_there_is_no_password(tmp_path: Path) -> None:
    assert airflow_password(tmp_path) == "(not yet generated)"


def test_a_private_file_is_replaced_whole_and_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.conf"
    write_private(path, "a long first text")
    write_private(path, "short")
    assert path.read_text() == "short"
    assert mode(path) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["file.conf"]
