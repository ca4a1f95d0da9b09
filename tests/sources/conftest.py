"""Push databases of both kinds, to be filled with chosen rows."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from tests.sources.push_database import PushDatabase

_numbers = itertools.count()


@pytest.fixture
def fresh_postgres(postgres_url: str) -> str:
    """Return the URL of a database of this test's own."""
    name = f"test_{next(_numbers)}"
    with closing(psycopg2.connect(postgres_url.replace("+psycopg2", ""))) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"{postgres_url.removesuffix('/postgres')}/{name}"


@pytest.fixture
def fresh_sqlite(tmp_path: Path) -> str:
    """Return the URL of a file of this test's own, not there yet."""
    return f"sqlite:///{tmp_path / 'pushes.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> PushDatabase:
    """Return an empty push database, once of each kind."""
    kind = "fresh_sqlite" if request.param == "sqlite" else "fresh_postgres"
    return PushDatabase(request.getfixturevalue(kind))


@pytest.fixture
def postgres(fresh_postgres: str) -> PushDatabase:
    """Return an empty push database in PostgreSQL."""
    return PushDatabase(fresh_postgres)


@pytest.fixture
def sqlite(fresh_sqlite: str) -> PushDatabase:
    """Return an empty push database in SQLite."""
    return PushDatabase(fresh_sqlite)
