"""What the database's user may do: reading is all Pushlift needs, and all it should be given."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.sections import Database
from core.sources.checks import Check
from core.sources.tables import SourceTable, quoted

_OF_TABLE = sa.text("SELECT has_table_privilege(:name, 'INSERT, UPDATE, DELETE, TRUNCATE')")
_IS_FILTERED = sa.text("SELECT row_security_active(to_regclass(:name))")
_OF_ROLE = sa.text(
    """
    WITH own AS (
        SELECT oid FROM pg_catalog.pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    )
    SELECT
        (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS is_superuser,
        has_database_privilege(current_database(), 'CREATE') AS makes_schemas,
        (SELECT count(*) FROM own WHERE has_schema_privilege(oid, 'CREATE')) AS n_schemas,
        (SELECT count(*) FROM pg_catalog.pg_class c JOIN own ON own.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p')
           AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) AS n_tables
    """
)
_SCHEMA_OF = sa.text(
    """
    SELECT n.nspname FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(:name)
    """
)
_READER = (
    "CREATE ROLE pushlift_reader LOGIN PASSWORD '...'; "
    "GRANT USAGE ON SCHEMA {schemas} TO pushlift_reader; "
    "GRANT SELECT ON {tables} TO pushlift_reader; "
    "ALTER ROLE pushlift_reader SET default_transaction_read_only = on;"
)


def check_table_rights(connection: Connection, table: SourceTable) -> list[Check]:
    """Return whether the user may only read a table, and sees all of its rows."""
    what = f"permission on {table.name}"
    if connection.dialect.name == "sqlite":
        return [Check(what, ok=True, words="The file is opened for reading only.")]
    if connection.dialect.name != "postgresql":
        return []
    name = quoted(connection, table.clause)
    if connection.execute(_OF_TABLE, {"name": name}).scalar_one():
        words = "This user may also write. Pushlift never does: better give it SELECT only."
        checks = [Check(what, ok=None, words=words)]
    else:
        checks = [Check(what, ok=True, words="This user may read, not write.")]
    if hides_rows(connection, table):
        words = (
            "Row-level security limits which rows this user sees: what it hides is not measured. "
            "Give it a policy that shows all rows."
        )
        checks.append(Check(f"rows of {table.name}", ok=None, words=words))
    return checks


def hides_rows(connection: Connection, table: SourceTable) -> bool:
    """Return whether the database may keep rows of a table from the user without saying so."""
    if connection.dialect.name != "postgresql":
        return False
    name = quoted(connection, table.clause)
    return bool(connection.execute(_IS_FILTERED, {"name": name}).scalar_one())


def check_role(connection: Connection, settings: Database) -> list[Check]:
    """Return whether the user may do more than read, and the SQL of one that may not."""
    if connection.dialect.name != "postgresql":
        return []
    found = connection.execute(_OF_ROLE).one()
    rights = {
        "do anything, as a superuser": found.is_superuser,
        "make schemas": found.makes_schemas,
        f"make tables in {found.n_schemas} schemas": found.n_schemas,
        f"write to {found.n_tables} tables": found.n_tables,
    }
    held = [words for words, is_held in rights.items() if is_held]
    if not held:
        return [Check("role", ok=True, words="This user may write nowhere.")]
    some = held[:1] if found.is_superuser else held
    words = (
        f"This user may {', '.join(some)}. Pushlift only reads; give it a user that can do nothing "
        f"else: {_reader(connection, settings)}"
    )
    return [Check("role", ok=None, words=words)]


def _reader(connection: Connection, settings: Database) -> str:
    """Return the statements that make a user who may read the two tables."""
    prepared = connection.dialect.identifier_preparer
    tables, schemas = [], []
    for name in (settings.tables.push_notifications, settings.tables.users):
        tables.append(".".join(prepared.quote(part) for part in name.rsplit(".", 1)))
        schema = connection.execute(_SCHEMA_OF, {"name": tables[-1]}).scalar_one_or_none()
        schemas.append(prepared.quote(schema or "public"))
    return _READER.format(
        schemas=", ".join(dict.fromkeys(schemas)), tables=", ".join(dict.fromkeys(tables))
    )
