"""The tables a HogQL query sees, as views: the team's rows, in a zone, with persons as of now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from .literals import print_value

PersonMode: TypeAlias = Literal[
    "disabled",
    "person_id_no_override_properties_on_events",
    "person_id_override_properties_on_events",
    "person_id_override_properties_joined",
]
MODES: Final[tuple[PersonMode, ...]] = (
    "disabled",
    "person_id_no_override_properties_on_events",
    "person_id_override_properties_on_events",
    "person_id_override_properties_joined",
)
DEFAULT_MODE: Final[PersonMode] = "person_id_override_properties_on_events"

_EVENT_COLUMNS: Final = """e.team_id AS team_id, e.uuid AS uuid, e.event AS event,
    e.properties AS properties, toTimeZone(e.timestamp, {zone}) AS timestamp,
    e.distinct_id AS distinct_id, e.elements_chain AS elements_chain,
    toTimeZone(e.created_at, {zone}) AS created_at,
    JSONExtractString(e.properties, '$session_id') AS `$session_id`,
    JSONExtractString(e.properties, '$window_id') AS `$window_id`,
    'full' AS person_mode"""
_CURRENT_DISTINCT_IDS: Final = """SELECT distinct_id, argMax(person_id, version) AS person_id
    FROM {table} WHERE team_id = {team}
    GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0"""
_CURRENT_PERSONS: Final = """SELECT id, argMax(person_raw.properties, version) AS properties,
    argMax(person_raw.created_at, version) AS created_at,
    argMax(person_raw.is_identified, version) AS is_identified
    FROM person_raw WHERE team_id = {team}
    GROUP BY id HAVING argMax(is_deleted, version) = 0"""


def view_name(table: str, zone: str, mode: str = DEFAULT_MODE) -> str:
    """Return the name of the view behind a HogQL table."""
    side = "utc" if zone == "UTC" else "project"
    if table != "events+person":
        return f"hogql_{table}_{side}"
    return f"hogql_events_{MODES.index(mode)}_{side}"


def views_for(zone: str, mode: str) -> Mapping[str, str]:
    """Return HogQL table -> view, for one zone and one way of telling persons."""
    tables = ("events", "events+person", "persons", "person_distinct_ids")
    return {table: view_name(table, zone, mode) for table in tables}


def view_statements(team: int, zones: set[str]) -> Iterator[str]:
    """Yield the CREATE VIEW statements for the team, in each zone."""
    ids = _CURRENT_DISTINCT_IDS.format(table="person_distinct_id_raw", team=team)
    persons = _CURRENT_PERSONS.format(team=team)
    for zone in sorted(zones):
        columns = _EVENT_COLUMNS.format(zone=print_value(zone))
        yield (
            f"CREATE VIEW {view_name('events', zone)} AS "  # noqa: S608
            f"SELECT {columns} FROM events_raw AS e WHERE e.team_id = {team}"
        )
        yield f"CREATE VIEW {view_name('person_distinct_ids', zone)} AS {ids}"
        yield (
            f"CREATE VIEW {view_name('persons', zone)} AS SELECT id, properties, is_identified, "  # noqa: S608
            f"toTimeZone(created_at, {print_value(zone)}) AS created_at FROM ({persons})"
        )
        for mode in MODES:
            name = view_name("events+person", zone, mode)
            yield f"CREATE VIEW {name} AS {_events_with_person(team, columns, mode)}"


def _events_with_person(team: int, columns: str, mode: PersonMode) -> str:
    table = "person_distinct_id_raw" if mode == "disabled" else "override_raw"
    current = _CURRENT_DISTINCT_IDS.format(table=table, team=team)
    person, join = "e.person_id", ""
    if mode != "person_id_no_override_properties_on_events":
        person = "if(not(empty(o.distinct_id)), o.person_id, e.person_id)"
        join = f"LEFT OUTER JOIN ({current}) AS o ON e.distinct_id = o.distinct_id"
    base = (
        f"SELECT {columns}, e.person_properties AS person__properties, {person} AS person_id "  # noqa: S608
        f"FROM events_raw AS e {join} WHERE e.team_id = {team}"
    )
    if mode in {"disabled", "person_id_override_properties_joined"}:
        persons = _CURRENT_PERSONS.format(team=team)
        base = (
            f"SELECT b.* EXCEPT (person__properties), p.properties AS person__properties, "  # noqa: S608
            f"p.created_at AS person__created_at, b.person_id AS person__id "
            f"FROM ({base}) AS b LEFT OUTER JOIN ({persons}) AS p ON p.id = b.person_id"
        )
    else:
        base = (
            "SELECT b.*, b.person_id AS person__id, "  # noqa: S608
            f"b.created_at AS person__created_at FROM ({base}) AS b"
        )
    return base
