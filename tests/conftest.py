"""A private PostgreSQL for the journal's tests: one server a session, a database a test."""

import os
import uuid
from collections.abc import Iterator

import pytest

from sluicegate.testing.postgres import PostgresServer, account_exists, binaries


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    if binaries() is None or not account_exists():
        said = "PostgreSQL is not installed, so the journal is not tested on it: apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    return postgres.database(f"journal_{uuid.uuid4().hex[:12]}")
