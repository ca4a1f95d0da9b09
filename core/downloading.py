"""What `python -m core download` does: from settings and dates to a folder of weeks."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from core.activity.source import Progress, Usage
from core.errors import ConfigError, PostHogError
from core.sections import PostHog
from core.settings import Settings
from core.sources.automations import read_automations, with_triggers
from core.sources.file_download import Download, Downloaded, weeks_between
from core.sources.file_download_api import FileDownloadApi, Order
from core.sources.file_download_folder import DownloadFolder
from core.span import midnight, span_of

_LEAD: Final = timedelta(days=1)
"""How much earlier than it happened by its clock an event may arrive, as PostHog allows it."""
_SLACK: Final = timedelta(minutes=1)
"""Kept from now: PostHog refuses an interval that ends in the future by its own clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """Which sends are to be measured, as days in the business time zone.

    Attributes:
        since: First day of sends; None for 60 days before now.
        until: First day no longer in it; None for now.
        persons_since: First day of changes of persons, where that is to be earlier than the events.
    """

    since: date | None = None
    until: date | None = None
    persons_since: date | None = None


def orders_of(settings: Settings, dates: Dates, now: datetime) -> list[Order]:
    """Return the weeks that measuring the sends of some days needs, of both models.

    Events: from the first baseline until the last window has closed and late events have come.
    Persons: until now whatever the days are, since a merge counts from the day it is made.

    Raises:
        ConfigError: There is no [posthog] section, or the days hold no time.
    """
    posthog, analysis = _posthog(settings), settings.analysis
    zone = analysis.timezone
    span = span_of(since=dates.since, until=dates.until, as_of=now, timezone=zone)
    automations, _ = read_automations(settings.automations.dir)
    names = tuple(sorted(with_triggers(settings.tracked_events, automations)))
    latest = (now - _SLACK).astimezone(UTC).replace(second=0, microsecond=0)
    start = span.since - timedelta(days=analysis.baseline_days) - _LEAD
    late = timedelta(hours=analysis.post_hours + posthog.settle_hours)
    people = start
    if dates.persons_since is not None:
        people = min(start, midnight(dates.persons_since, zone))
    return [
        *weeks_between("events", start, min(span.until + late, latest), names),
        *weeks_between("persons", people, latest),
    ]


def download(
    settings: Settings,
    out: Path,
    dates: Dates,
    *,
    on_progress: Progress,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Downloaded:
    """Bring a folder up to date with PostHog and say what came of it.

    Args:
        settings: With a [posthog] section.
        out: The folder; it may hold an earlier download of the same project.
        dates: Which sends are to be measured.
        on_progress: Told how many weeks are there.
        now: The instant it is.
        clock: Seconds that only ever grow.
        sleep: Waits some seconds.

    Raises:
        ConfigError: Settings or folder do not fit.
        PostHogError: PostHog refuses, or its faults outlasted every retry.
        ExportError: There is no room.
    """
    posthog = _posthog(settings)
    orders = orders_of(settings, dates, now())
    folder = DownloadFolder(out, host=posthog.host, project_id=posthog.project_id)
    with folder.alone(), closing(
        FileDownloadApi(posthog, Usage(), clock=clock, sleep=sleep)
    ) as api:  # fmt: skip
        folder.read()
        work = Download(
            api,
            folder,
            settle=timedelta(hours=posthog.settle_hours),
            on_progress=on_progress,
            now=now,
            clock=clock,
            sleep=sleep,
        )
        done = work.run(orders)
    if len(done.failed) == done.n_weeks:
        raise PostHogError(" ".join(done.failed[:3]))
    return done


def in_words(done: Downloaded, out: Path) -> str:
    """Return a screen of what was downloaded, what is missing, and how to read it."""
    there = done.n_weeks - len(done.failed)
    counted = f"{there} of {done.n_weeks} weeks of events and persons are in {out}"
    said = [f"{counted}; {done.n_fetched} were fetched now ({done.n_rows:,} rows)."]
    said += done.notices
    said += [f"Missing: {sentence}" for sentence in done.failed]
    said += [
        "To read them, put this into the settings in the place of [posthog]:",
        "  [events]",
        f'  path = "{out}/events/*.parquet"',
        f'  persons = "{out}/persons/*.parquet"',
    ]
    if done.reach is not None:
        said.append(f"They reach until then: analyze --as-of {done.reach:%Y-%m-%dT%H:%M:%SZ}")
    return "\n".join(said)


def _posthog(settings: Settings) -> PostHog:
    if settings.posthog is None:
        raise ConfigError(
            "download needs a [posthog] section: host, project_id and an api_key with the scope "
            "batch_export:write."
        )
    return settings.posthog
