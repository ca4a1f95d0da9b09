"""Trying every connection, permission, table and event name, and saying what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from core.activity.source import Progress
from core.connect import Wiring, open_activity
from core.errors import SourceError
from core.settings import Settings
from core.sources.automations import read_automations, with_triggers
from core.sources.checks import Check
from core.sources.database import check_database, open_engine
from core.sources.exports import ExportSource
from core.sources.posthog import PostHogSource


def check_all(wiring: Wiring, on_progress: Progress) -> Iterator[Check]:
    """Yield what is right and what is not, source by source; a broken one does not stop the rest.

    Args:
        wiring: The sources.
        on_progress: Told which source is being tried.
    """
    tries: dict[str, Callable[[], list[Check]]] = {
        "push database": lambda: _database(wiring),
        "automations": lambda: _automations(wiring.settings),
        "activity": lambda: _activity(wiring.settings),
    }
    for done, (what, try_it) in enumerate(tries.items()):
        on_progress("Checking", done, len(tries))
        try:
            yield from try_it()
        except SourceError as error:
            yield Check(what=what, ok=False, words=str(error))
    on_progress("Checking", len(tries), len(tries))


def _database(wiring: Wiring) -> list[Check]:
    engine = open_engine(wiring.database)
    try:
        return list(check_database(engine, wiring.database))
    finally:
        engine.dispose()


def _automations(settings: Settings) -> list[Check]:
    automations, problems = read_automations(settings.automations.dir)
    found = Check(
        what="automations",
        ok=True if automations else None,
        words=f"{len(automations)} automations described in {settings.automations.dir}.",
    )
    return [found, *(Check(what="automations", ok=None, words=str(p)) for p in problems)]


def _activity(settings: Settings) -> list[Check]:
    source = open_activity(settings)
    automations, _ = read_automations(settings.automations.dir)
    events = with_triggers(settings.tracked_events, automations)
    try:
        if isinstance(source, PostHogSource):
            return source.check(events)
        if isinstance(source, ExportSource):
            return _export(source, events)
        return []
    finally:
        source.close()


def _export(source: ExportSource, events: Sequence[str]) -> list[Check]:
    totals = source.totals(events).set_index("event")["n"]
    checks = [Check(what="activity", ok=True, words=f"{source.label} can be read.")]
    for event in events:
        n = int(totals.get(event, 0))
        words = f"{n:,} of {event!r}."
        if not n:
            words = (
                f"No event is named {event!r}. Check its spelling in [metrics], or as the trigger "
                "of an automation, or export it."
            )
        checks.append(Check(what="events", ok=True if n else None, words=words))
    return checks
