"""Downloads of a small project under random trouble: exact, or what is missing is named.

Each trial downloads into a folder of its own while PostHog, its storage or the process fail.
Whatever comes of it, every file that can be read must hold exactly what came in its week, what is
not there must be known as missing, and a run without trouble must then make the folder whole.
"""

from __future__ import annotations

import random
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from core.activity.source import Period
from core.downloading import Dates
from core.errors import PushliftError
from core.settings import Settings
from core.sources.file_download_folder import holes_in
from core.span import to_ms
from tests.faults.tally import Tally
from tests.posthog_standin import PostHogStandIn
from tests.sources.download_child import start_child
from tests.sources.download_world import METRICS, NOW, run_in, settings_for, standin, write_world

_DATES = Dates(since=date(2026, 9, 24))
_KILLED = 0.25
_FIRST = datetime(2026, 9, 21, tzinfo=UTC)
_WEEK = timedelta(weeks=1)
_NAMES = sorted({name for names in METRICS.values() for name in names})
_PLACES = ("POST /api", "GET /api", "/download/", "/signed-bucket/")
_FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 500, "body": {"detail": "Server error"}},
    {"status": 502, "body": "<html>Bad gateway</html>"},
    {"status": 429, "body": {"code": "throttled"}, "headers": {"Retry-After": "3"}},
    {"status": 429, "body": {"code": "throttled"}, "headers": {"Retry-After": "soon"}},
    {"status": 403, "body": {"detail": "No"}},
    {"status": 404, "body": {"detail": "Not found."}},
    {"status": 200, "body": "PAR1 nothing PAR1"},
    {"status": 200, "body": {"status": "Completed", "files": [], "records_completed": None}},
    {"status": 200, "body": {"status": "Sideways"}},
    {"status": 302, "headers": {"Location": "https://evil.example/"}, "body": ""},
    {"disconnect": "before"},
    {"disconnect": "after"},
    {"disconnect": "before", "reset": True},
    {"truncate": 9},
    {"truncate": 700},
    {"truncate": 700, "no_length": True},
    {"headers": {"Content-Length": "1000000"}, "truncate": 300},
    {"headers": {"x-amz-checksum-sha256": "AAAA"}},
)
_SCRIPTS: tuple[dict[str, Any], ...] = (
    {"statuses": ["Starting", "Running", "Running"]},
    {"statuses": ["FailedRetryable"]},
    {"statuses": ["Running", "Failed"], "error": "No"},
    {"statuses": ["TimedOut"]},
    {"statuses": ["Terminated"]},
    {"parts": 3},
    {"duplicate_rows": 4},
    {"lose_rows": 1},
    {"records": 3},
    {"records": -1},
    {"other_events": True},
    {"shift_days": -2},
    {"drop_column": "_inserted_at"},
    {"expired": True},
)


def run(*, size: int, seed: int) -> Tally:
    """Make so many downloads under trouble."""
    chance = random.Random(seed)
    tally = Tally(what="Downloads of exported files under trouble")
    began = time.perf_counter()
    n_kills = 0
    with tempfile.TemporaryDirectory(prefix="downloads-") as folder:
        root = Path(folder)
        events = write_world(root, seed=seed, n_events=500)
        with standin(root) as posthog:
            settings = settings_for(posthog, root)
            for trial in range(size):
                out = root / f"trial-{trial}"
                words, is_killed = _trial(posthog, settings, out, chance, events)
                n_kills += is_killed
                tally.runs += 1
                tally.exact += words == "exact"
                tally.declared += words == "declared"
                if words not in {"exact", "declared"}:
                    tally.broken.append(f"seed {seed}, trial {trial}: {words}")
    tally.seconds = time.perf_counter() - began
    tally.figures["killed"] = n_kills
    return tally


def _trial(
    posthog: PostHogStandIn,
    settings: Settings,
    out: Path,
    chance: random.Random,
    events: pd.DataFrame,
) -> tuple[str, bool]:
    """Return "exact", "declared", or what is wrong; and whether the process was killed."""
    posthog.reset()
    scripts = [chance.choice(_SCRIPTS) for _ in range(chance.randint(0, 3))]
    faults = [
        {**chance.choice(_FAULTS), "match": chance.choice(_PLACES), "repeat": chance.randint(1, 4)}
        for _ in range(chance.randint(0, 3))
    ]
    posthog.script_exports(*scripts)
    posthog.script(faults)
    is_killed = chance.random() < _KILLED
    told = f"{scripts} {faults}"
    if is_killed:
        start_child(posthog, out, _DATES, seconds=chance.uniform(0.02, 0.4))
        words = "declared"
    else:
        try:
            words = "declared" if run_in(settings, out, _DATES).failed else "exact"
        except PushliftError:
            words = "declared"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            return f"untyped {type(error).__name__}: {error} under {told}", is_killed
    wrong = _wrong(out, events, is_whole=words == "exact")
    posthog.reset()
    if not wrong:
        run_in(settings, out, _DATES)
        wrong = _wrong(out, events, is_whole=True)
    return (f"{wrong} under {told}" if wrong else words), is_killed


def _wrong(out: Path, events: pd.DataFrame, *, is_whole: bool) -> str:
    """Return what a folder holds that it must not, or lacks without saying so."""
    tracked = events[events["event"].isin(_NAMES)]
    missing = []
    for start in (_FIRST, _FIRST + _WEEK):
        file = out / "events" / f"{start:%Y-%m-%d}.parquet"
        if not file.exists():
            missing.append((to_ms(start), min(to_ms(start + _WEEK), to_ms(NOW))))
            continue
        came = tracked["_inserted_at"]
        true = tracked[(came >= start) & (came < start + _WEEK)]
        if set(pq.read_table(file)["uuid"].to_pylist()) != set(true["uuid"]):
            return f"{file.name} is not what came in its week"
    if missing and is_whole:
        return "weeks are missing of what was said to be whole"
    holes = holes_in(f"{out}/events/*.parquet", Period(to_ms(_FIRST), to_ms(NOW)), _NAMES)
    silent = [
        stretch
        for stretch in missing
        if (out / "download.json").exists()
        and not any(hole.start <= stretch[0] and stretch[1] <= hole.end for hole in holes)
    ]
    return f"{len(silent)} missing weeks are no holes" if silent else ""
