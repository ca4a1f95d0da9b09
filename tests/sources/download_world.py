"""A project whose events came late, twice and under other names, and what a download of it is."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import SecretStr

from core.activity.source import silent
from core.downloading import Dates, download
from core.sections import Analysis, Database, Folder, PostHog
from core.settings import Settings
from core.sources.file_download import Downloaded
from tests.posthog_standin import PostHogStandIn

START = datetime(2026, 9, 7, tzinfo=UTC)
NOW = datetime(2026, 9, 30, 12, tzinfo=UTC)
FIRST = datetime(2026, 9, 14, tzinfo=UTC)
"""The Monday on which a download begins; the project is a week older."""
DATES = Dates(since=date(2026, 9, 17))
"""With a baseline of a day and a day of lead: three weeks of events, three of persons."""
N_WEEKS = 6
METRICS = {"trades": ["Trade Confirmed"], "interest": ["$pageview", "it's {odd}"]}
NAMES = ("Trade Confirmed", "$pageview", "it's {odd}", "Untracked")
UNLIMITED = {"rates": ((100_000, 60.0),), "other_rates": ((100_000, 60.0),)}
_US = pa.timestamp("us", tz="UTC")


def write_world(root: Path, *, seed: int = 11, n_events: int = 900) -> pd.DataFrame:
    """Write an export for the stand-in and return its events, each as often as it came."""
    rng = np.random.default_rng(seed)
    at = START + pd.to_timedelta(rng.integers(0, 23 * 86_400_000, n_events), unit="ms")
    late = np.where(rng.random(n_events) < 0.1, rng.exponential(2e8, n_events), 400)
    came = np.minimum(at + pd.to_timedelta(late.astype(int), unit="ms"), pd.Timestamp(NOW))
    who = rng.integers(0, 40, n_events)
    events = pd.DataFrame({
        "uuid": [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n_events)],
        "event": rng.choice(NAMES, n_events),
        "distinct_id": [f"d{number}" for number in who],
        "person_id": [str(uuid.UUID(int=100 + int(number))) for number in who],
        "properties": ['{"secret":"not to be kept"}'] * n_events,
        "person_properties": [
            json.dumps({"email": f"U{number}@x.com", "phone": "not to be kept"}) for number in who
        ],
        "timestamp": at, "created_at": came, "_inserted_at": came,
    })  # fmt: skip
    again = events.sample(20, random_state=seed)
    again = again.assign(_inserted_at=np.minimum(again["_inserted_at"] + pd.Timedelta("1D"), NOW))
    events = pd.concat([events, again], ignore_index=True)
    events = events[events["_inserted_at"] < pd.Timestamp(NOW - timedelta(minutes=1))]
    table = pa.Table.from_pandas(events, preserve_index=False)
    for name in ("timestamp", "created_at", "_inserted_at"):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].cast(_US))
    (root / "export").mkdir(parents=True, exist_ok=True)
    pq.write_table(table, root / "export" / "events.parquet")
    _write_persons(root / "export" / "persons.parquet")
    return events.reset_index(drop=True)


def _write_persons(file: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "team_id": 1,
            "distinct_id": f"d{number}",
            "person_id": str(uuid.UUID(int=100 + number)),
            "properties": json.dumps({"email": f"u{number}@x.com", "phone": "not to be kept"}),
            "person_distinct_id_version": 0,
            "person_version": 0,
            "created_at": START + timedelta(hours=14 * number),
        }
        for number in range(40)
    ]
    pq.write_table(pa.Table.from_pylist(rows), file)


def standin(root: Path) -> PostHogStandIn:
    """Return a stand-in over the world, not started."""
    export = root / "export"
    return PostHogStandIn(
        events=export / "events.parquet", persons=export / "persons.parquet", limits=UNLIMITED
    )


def settings_for(posthog: PostHogStandIn, root: Path, **of_posthog: Any) -> Settings:
    """Return settings of the world's project."""
    given = {"host": posthog.url, "project_id": posthog.project_id, "api_key": posthog.api_key}
    return Settings(
        database=Database(url=SecretStr(f"sqlite:///{root}/pushes.sqlite")),
        posthog=PostHog(**{**given, **of_posthog}),
        automations=Folder(dir=root / "no-automations"),
        analysis=Analysis(baseline_days=1),
        metrics=METRICS,
    )


class Unhurried:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def run(
    settings: Settings,
    out: Path,
    *,
    dates: Dates = DATES,
    now: datetime = NOW,
    time: Unhurried | None = None,
    on_progress: Callable[[str, int, int], None] = silent,
) -> Downloaded:
    """Download into a folder on time that does not pass by itself."""
    time = time or Unhurried()
    return download(
        settings,
        out,
        dates,
        on_progress=on_progress,
        now=lambda: now,
        clock=time.clock,
        sleep=time.sleep,
    )


def run_in(settings: Settings, out: Path, dates: Dates) -> Downloaded:
    """Download the weeks of other days."""
    return run(settings, out, dates=dates)


def rows_in(out: Path, model: str = "events") -> pd.DataFrame:
    """Return all rows of a folder."""
    tables = [pq.read_table(file) for file in sorted((out / model).glob("*.parquet"))]
    return pa.concat_tables(tables).to_pandas()


def expected_rows(events: pd.DataFrame) -> list[tuple[str, str]]:
    """Return uuid and event of every row that a whole download holds, once a week it came in."""
    names = {name for names in METRICS.values() for name in names}
    monday = (events["_inserted_at"] - pd.Timestamp(START)).dt.days // 7
    held = events[events["event"].isin(names)].assign(week=monday)
    held = held[held["_inserted_at"] >= pd.Timestamp(FIRST)]
    held = held.drop_duplicates(["uuid", "week"])
    return sorted(zip(held["uuid"], held["event"], strict=True))


def held_rows(out: Path) -> list[tuple[str, str]]:
    """Return uuid and event of every row of a folder."""
    rows = rows_in(out)
    return sorted(zip(rows["uuid"], rows["event"], strict=True))


def content_of(out: Path) -> dict[str, bytes]:
    """Return the bytes of every file that the exports source would read, by name."""
    return {
        str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*.parquet"))
    }
