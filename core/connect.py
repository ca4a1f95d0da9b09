"""Opening what the settings name: the push database, the automations, the source of activity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from core.activity.source import ActivitySource, Progress
from core.activity.store import Store
from core.demo import World, read_demo, write_demo
from core.sections import Analysis, Database, Events, Folder
from core.settings import Settings
from core.sources.exports import ExportSource
from core.sources.posthog import PostHogSource

DEMO_LABEL = "Demo marketplace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Settings whose sources are all named, the demo's put in where nothing is configured.

    Attributes:
        settings: With a database, and either posthog or events.
        label: What the data is, in a few words without secrets.
        default_as_of: Now, where the caller names no other.
    """

    settings: Settings
    database: Database
    label: str
    default_as_of: datetime


def wire(
    settings: Settings, on_progress: Progress, *, clock: Callable[[], datetime] | None = None
) -> Wiring:
    """Return settings with sources, building the demo marketplace first where it is used."""
    if settings.database is not None:
        label = settings.database_label
        now = clock() if clock else datetime.now(UTC)
        return Wiring(settings=settings, database=settings.database, label=label, default_as_of=now)
    return _demo_wiring(settings, on_progress)


def _demo_wiring(settings: Settings, on_progress: Progress) -> Wiring:
    folder = settings.cache.dir / "demo"
    files = read_demo(folder, world=World()) or write_demo(
        folder, World(), on_progress=lambda step, share: on_progress(step, round(share * 100), 100)
    )
    database = Database(url=SecretStr(files.database_url))
    analysis = settings.analysis
    if "timezone" not in analysis.model_fields_set:
        analysis = Analysis(**{**analysis.model_dump(), "timezone": files.timezone})
    demo = settings.model_copy(
        update={
            "database": database,
            "events": Events(path=files.events, persons=files.persons),
            "automations": Folder(dir=Path(files.automations)),
            "analysis": analysis,
        }
    )
    return Wiring(settings=demo, database=database, label=DEMO_LABEL, default_as_of=files.as_of)


def open_activity(settings: Settings) -> ActivitySource:
    """Return the configured source of activity.

    Raises:
        SourceError: It cannot be opened.
    """
    if settings.events is not None:
        return ExportSource(settings.events)
    if settings.posthog is None:
        raise AssertionError("wire() names a source of activity before this is called")
    cache = settings.cache
    store = Store(cache.dir / "activity", size_limit=cache.size_mb * 1024**2)
    return PostHogSource(settings.posthog, store, folder=cache.dir / "pace")
