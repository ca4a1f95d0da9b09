"""Guards on answers, the push database, the store, and what is withheld."""

from __future__ import annotations

from tests.faults.guard import Guard, blind_to, endless, instead, returning, unchanged, without

_UNIT = "tests/sources/test_posthog_queries.py::"
_SCENARIO = "tests/faults/test_scenarios.py::test_scenario_ends_exact_or_declared"


def _scenarios(*names: str) -> tuple[str, ...]:
    return tuple(f"{_SCENARIO}[{name}]" for name in names)


_QUERIES = "core.sources.posthog_queries"
GUARDS: tuple[Guard, ...] = (
    Guard(
        name="rows-as-many-as-ever-given",
        target="core.sources.posthog_answers:ROW_LIMIT",
        disabled=instead(1 << 60),
        tests=("tests/sources/test_posthog_client.py",),
    ),
    Guard(
        name="rows-counted-before-the-limit",
        target=f"{_QUERIES}:_require",
        disabled=blind_to("miscounts its rows"),
        tests=(f"{_UNIT}test_read_slice_rejects_a_whole_answer_for_one_wrong_row",),
    ),
    Guard(
        name="answers-that-found-nothing-prove-it",
        target=f"{_QUERIES}:_require",
        disabled=blind_to("lacks the one row that is always there"),
        tests=_scenarios("every_row_is_lost"),
    ),
    Guard(
        name="each-person-once",
        target=f"{_QUERIES}:_require",
        disabled=blind_to("repeats a person"),
        tests=_scenarios("rows_come_twice_and_are_counted_so"),
    ),
    Guard(
        name="events-within-the-slice",
        target=f"{_QUERIES}:_require",
        disabled=blind_to("has events outside the slice"),
        tests=(f"{_UNIT}test_read_slice_rejects_a_whole_answer_for_one_wrong_row",),
    ),
    Guard(
        name="persons-that-were-asked-for",
        target=f"{_QUERIES}:_require",
        disabled=blind_to("has persons nobody asked for"),
        tests=(f"{_UNIT}test_read_people_rejects_persons_nobody_asked_for",),
    ),
    Guard(
        name="one-person-per-distinct-id",
        target=f"{_QUERIES}:_require",
        disabled=blind_to("gives a distinct id to two persons"),
        tests=(f"{_UNIT}test_read_people_rejects_a_distinct_id_of_two_persons",),
    ),
    Guard(
        name="emails-that-were-asked-for",
        target=f"{_QUERIES}:_require",
        disabled=blind_to("has e-mails nobody asked for"),
        tests=_scenarios("emails_nobody_asked_for"),
    ),
    Guard(
        name="columns-that-were-asked-for",
        target=f"{_QUERIES}:_require",
        disabled=blind_to("has other columns"),
        tests=(f"{_UNIT}test_read_slice_rejects_other_columns",),
    ),
    Guard(
        name="values-of-the-right-type",
        target=f"{_QUERIES}:_require",
        disabled=blind_to("has another type", "has empty"),
        tests=(f"{_UNIT}test_read_slice_rejects_a_whole_answer_for_one_wrong_row",),
    ),
    Guard(
        name="events-counted-once-by-uuid",
        target=f"{_QUERIES}:SLICE_QUERY",
        disabled=without("groupUniqArray(tuple(code, uuid))", "groupArray(tuple(code, uuid))"),
        tests=("tests/sources/test_posthog.py", *_scenarios("limit_without_a_wait")),
    ),
    Guard(
        name="merged-persons-are-one",
        target="core.activity.slices:_renames",
        disabled=returning({}),
        tests=(
            "tests/activity/test_slices.py::test_resolved_moves_everything_of_a_merged_person",
            *_scenarios("persons_merged_since_the_last_run"),
        ),
    ),
    Guard(
        name="body-of-bounded-size",
        target="core.sources.posthog_answers:read_content",
        disabled=lambda _: lambda response: response.raw.read(decode_content=True),
        tests=_scenarios("every_answer_unpacks_to_a_huge_one"),
    ),
    Guard(
        name="no-key-or-email-from-posthogs-words",
        target="core.sources.posthog_answers:_harmless",
        disabled=unchanged,
        tests=("tests/sources/test_posthog_client.py",),
    ),
    Guard(
        name="no-slice-from-the-future",
        target="core.activity.plan:CLOCK_SLACK",
        disabled=instead(1 << 60),
        tests=("tests/activity/test_plan.py", *_scenarios("clock_jumps_back")),
    ),
    Guard(
        name="silent-database-is-given-up",
        target="core.sources.watch:_shutting",
        disabled=endless,
        tests=_scenarios("database_falls_silent_mid_stream"),
    ),
    Guard(
        name="database-is-only-read",
        target="core.sources.database:_SNAPSHOT",
        disabled=without(" READ ONLY"),
        tests=("tests/sources/test_database.py",),
    ),
    Guard(
        name="database-is-read-in-one-snapshot",
        target="core.sources.database:_SNAPSHOT",
        disabled=without("ISOLATION LEVEL REPEATABLE READ "),
        tests=_scenarios("rows_are_written_while_they_are_read"),
    ),
    Guard(
        name="no-text-of-the-driver",
        target="core.sources.database:in_words",
        disabled=lambda original: lambda error, engine: _telling(original(error, engine), error),
        tests=("tests/sources/test_database.py",),
    ),
    Guard(
        name="pushes-within-the-period",
        target="core.sources.snapshot:Snapshot._exactly",
        disabled=lambda _: lambda self, rows: rows,
        tests=("tests/sources/test_pushes.py",),
    ),
    Guard(
        name="kept-bytes-are-those-put",
        target="core.activity.store:_digest",
        disabled=returning(b"\0" * 32),
        tests=("tests/activity/test_store.py",),
    ),
    Guard(
        name="holes-are-told",
        target="core.partial:incomplete_campaigns",
        disabled=lambda original: lambda loaded, lengths: original(loaded, lengths) & False,
        tests=_scenarios("server_errors_for_one_slice"),
    ),
    Guard(
        name="pushes-in-holes-are-withheld",
        target="core.partial:touched_pushes",
        disabled=lambda original: lambda loaded, lengths: original(loaded, lengths) & False,
        tests=_scenarios("server_errors_for_one_slice"),
    ),
    Guard(
        name="no-clear-text-to-posthog",
        target="core.sections:is_loopback",
        disabled=instead(lambda _: True),
        tests=("tests/test_settings.py",),
    ),
    Guard(
        name="formulas-are-defused",
        target="core.publish.tables:defused",
        disabled=unchanged,
        tests=("tests/publish/test_tables.py",),
    ),
    Guard(
        name="markup-is-plain",
        target="pages.parts.plain:plain",
        disabled=unchanged,
        tests=("tests/pages/test_plain.py",),
    ),
)


def _telling(made: Exception, error: Exception) -> Exception:
    """Return the error with the driver's own words after it."""
    return type(made)(f"{made} {error} {getattr(error, 'orig', '')}")
