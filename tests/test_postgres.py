"""The same world out of a real PostgreSQL gives the same bytes as out of SQLite."""

import psycopg2
import pytest
from psycopg2 import sql

from tests.test_parity import FILES, analyze
from tests.worlds import SCHEMA, random_world


@pytest.fixture(scope="module")
def world():
    return random_world(6)


@pytest.fixture(scope="module")
def database(world, postgres_url):
    address = postgres_url.replace("+psycopg2", "")
    connection = psycopg2.connect(address)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA whole; SET search_path TO whole")
        cursor.execute(SCHEMA.format(instant="TIMESTAMPTZ"))
        for table, columns, rows in world.tables():
            marks = sql.SQL(", ").join([sql.Placeholder()] * len(columns))
            insert = sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), marks)
            cursor.executemany(insert, [[row.get(c) for c in columns] for row in rows])
    yield postgres_url
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA whole CASCADE")
    connection.close()


@pytest.fixture(scope="module")
def root(world, database, tmp_path_factory):
    root = tmp_path_factory.mktemp("postgres")
    analyze(world.write(root), root / "sqlite")
    settings = world.write(root, database_url=database)
    renamed = 'push_notifications = "whole.push_notifications"\nusers = "whole.users"\n'
    settings.write_text(f"{settings.read_text()}[database.tables]\n{renamed}")
    analyze(settings, root / "postgres")
    return root


@pytest.mark.parametrize("name", FILES)
def test_postgres_and_sqlite_give_the_same_bytes(root, name):
    assert (root / "sqlite" / name).read_bytes() == (root / "postgres" / name).read_bytes()
