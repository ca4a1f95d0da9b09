"""A batch export in chdb's tables, as PostHog keeps it: events as ingested, persons, overrides.

`person_distinct_id_overrides` holds the distinct ids whose person is another one now than when
their events came in, which is what PostHog writes on a merge. Duplicates of an event stay.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from .literals import print_name, print_value

Run: TypeAlias = Callable[[str], object]

_NIL_UUID: Final = "00000000-0000-0000-0000-000000000000"
_LONG_AGO: Final = "toDateTime64('2020-01-01 00:00:00', 6, 'UTC')"
_FILES_AT_ONCE: Final = 64

_TABLES: Final = (
    """CREATE TABLE events_raw (
        team_id Int64, uuid UUID, event String, properties String,
        timestamp DateTime64(6, 'UTC'), distinct_id String, elements_chain String,
        created_at DateTime64(6, 'UTC'), person_id UUID, person_properties String,
        inserted_at DateTime64(6, 'UTC')
    ) ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp)
    ORDER BY (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))""",
    """CREATE TABLE person_raw (
        team_id Int64, id UUID, created_at DateTime64(3, 'UTC'), properties String,
        is_identified Int8, is_deleted Int8, version UInt64
    ) ENGINE = MergeTree ORDER BY (team_id, id)""",
    """CREATE TABLE person_distinct_id_raw (
        team_id Int64, distinct_id String, person_id UUID, is_deleted Int8, version Int64,
        inserted_at DateTime64(6, 'UTC')
    ) ENGINE = MergeTree ORDER BY (team_id, distinct_id)""",
    """CREATE TABLE override_raw (
        team_id Int64, distinct_id String, person_id UUID, is_deleted Int8, version Int64
    ) ENGINE = MergeTree ORDER BY (team_id, distinct_id)""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Where the files of a batch export are.

    Attributes:
        events: glob of the events' Parquet files.
        persons: glob of the persons' Parquet files, or None where there are none.
        team_id: the team the events belong to.
    """

    events: str
    persons: str | None
    team_id: int


def load_export(export: Export, run: Run, describe: Callable[[str], list[str]]) -> None:
    """Create the tables and fill them.

    Args:
        export: the files.
        run: executes one statement.
        describe: returns the column names of a table function call.

    Raises:
        FileNotFoundError: no file matches the events' glob.
    """
    for statement in _TABLES:
        run(statement)
    for source in _sources(export.events):
        run(_insert_events(source, describe(source), export.team_id))
    if export.persons is None:
        run(_persons_from_events())
        run(_distinct_ids_from_events())
        return
    for source in _sources(export.persons):
        columns = describe(source)
        run(_insert_distinct_ids(source, columns, export.team_id))
        run(_insert_persons(source, columns, export.team_id))
    run(_insert_overrides())


def _sources(pattern: str) -> Iterator[str]:
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207  (Path.glob takes no absolute ones)
    files = sorted(str(Path(file).resolve()) for file in found)
    if not files:
        raise FileNotFoundError(f"no file matches {pattern}; give the glob of the Parquet files")
    for start in range(0, len(files), _FILES_AT_ONCE):
        chunk = files[start : start + _FILES_AT_ONCE]
        path = chunk[0] if len(chunk) == 1 else f"/{{{','.join(file[1:] for file in chunk)}}}"
        yield f"file({print_value(path)}, Parquet)"


def _pick(columns: Sequence[str], name: str, default: str) -> str:
    return print_name(name) if name in columns else default


def _insert_events(source: str, columns: Sequence[str], team_id: int) -> str:
    picked = [
        _pick(columns, "team_id", str(team_id)),
        "toUUID(uuid)",
        "event",
        _pick(columns, "properties", "'{}'"),
        "timestamp",
        "distinct_id",
        _pick(columns, "elements_chain", "''"),
        _pick(columns, "created_at", "timestamp"),
        f"toUUID(ifNull(nullIf({_pick(columns, 'person_id', 'NULL')}, ''), '{_NIL_UUID}'))",
        _pick(columns, "person_properties", "'{}'"),
        _pick(columns, "_inserted_at", "timestamp"),
    ]
    return f"INSERT INTO events_raw SELECT {', '.join(picked)} FROM {source}"  # noqa: S608


def _insert_distinct_ids(source: str, columns: Sequence[str], team_id: int) -> str:
    picked = [
        _pick(columns, "team_id", str(team_id)),
        "distinct_id",
        "toUUID(person_id)",
        _pick(columns, "is_deleted", "0"),
        _pick(columns, "person_distinct_id_version", "0"),
        _pick(columns, "_inserted_at", _pick(columns, "created_at", _LONG_AGO)),
    ]
    return f"INSERT INTO person_distinct_id_raw SELECT {', '.join(picked)} FROM {source}"  # noqa: S608


def _insert_persons(source: str, columns: Sequence[str], team_id: int) -> str:
    # One row a person; the export repeats a person for each of its distinct ids.
    version = _pick(columns, "person_version", _pick(columns, "person_distinct_id_version", "0"))
    empty = "''"
    properties = f"argMax(toString({_pick(columns, 'properties', empty)}), {version})"
    created = f"min({_pick(columns, 'created_at', 'now64(3)')})"
    team = _pick(columns, "team_id", str(team_id))
    fallback = (
        "SELECT person_id, argMax(person_properties, timestamp) AS newest "
        "FROM events_raw GROUP BY person_id"
    )
    exported = (
        f"SELECT any({team}) AS team, toUUID(person_id) AS pid, {created} AS created, "  # noqa: S608
        f"{properties} AS own, max({version}) AS latest FROM {source} GROUP BY pid"
    )
    if "properties" in columns:
        chosen, joined = "if(empty(own), '{}', own)", ""
    else:
        chosen = "if(empty(newest), '{}', newest)"
        joined = f"LEFT JOIN ({fallback}) AS seen ON seen.person_id = pid"
    return (
        f"INSERT INTO person_raw SELECT team, pid, created, {chosen}, 1, 0, latest "  # noqa: S608
        f"FROM ({exported}) AS exported {joined}"
    )


def _persons_from_events() -> str:
    return """INSERT INTO person_raw
        SELECT any(team_id), person_id, min(created_at),
               argMax(person_properties, timestamp), 1, 0, 0
        FROM events_raw GROUP BY person_id"""


def _distinct_ids_from_events() -> str:
    return """INSERT INTO person_distinct_id_raw
        SELECT any(team_id), distinct_id, argMax(person_id, timestamp), 0, 0, max(inserted_at)
        FROM events_raw GROUP BY distinct_id"""


def _insert_overrides() -> str:
    return """INSERT INTO override_raw
        SELECT now.team_id, now.distinct_id, any(now.person_id), 0, any(now.newest)
        FROM (
            SELECT team_id, distinct_id, argMax(person_id, version) AS person_id,
                   max(version) AS newest
            FROM person_distinct_id_raw GROUP BY team_id, distinct_id
            HAVING argMax(is_deleted, version) = 0
        ) AS now
        INNER JOIN (
            SELECT DISTINCT team_id, distinct_id, person_id FROM events_raw
        ) AS then ON then.team_id = now.team_id AND then.distinct_id = now.distinct_id
        WHERE then.person_id != now.person_id
        GROUP BY now.team_id, now.distinct_id"""


def merge_statements(distinct_id: str, person_id: str, team_id: int) -> tuple[str, ...]:
    """Return what PostHog writes when a distinct id moves to another person.

    A person left without distinct ids is deleted; one that did not exist is created.
    """
    did, pid = print_value(distinct_id), f"toUUID({print_value(person_id)})"
    next_version = (
        "(SELECT max(version) + 1 FROM person_distinct_id_raw "  # noqa: S608
        f"WHERE team_id = {team_id} AND distinct_id = {did})"
    )
    row = f"SELECT {team_id}, {did}, {pid}, 0, {next_version}"
    return (
        f"""INSERT INTO person_raw
            SELECT {team_id}, {pid}, now64(3), '{{}}', 1, 0, 0
            WHERE {pid} NOT IN (SELECT id FROM person_raw WHERE team_id = {team_id})""",  # noqa: S608
        f"INSERT INTO override_raw {row}",
        f"INSERT INTO person_distinct_id_raw {row}, now64(6)",
        f"""INSERT INTO person_raw
            SELECT team_id, id, any(created_at), '{{}}', 1, 1, max(version) + 1
            FROM person_raw
            WHERE team_id = {team_id} AND id NOT IN (
                SELECT argMax(person_id, version) FROM person_distinct_id_raw
                WHERE team_id = {team_id} GROUP BY distinct_id)
            GROUP BY team_id, id HAVING argMax(is_deleted, version) = 0""",  # noqa: S608
    )
