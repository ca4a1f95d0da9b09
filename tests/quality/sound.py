"""Evidence of a world in which nothing is wrong, to be damaged on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from core.activity.timelines import MS_PER_DAY
from core.frames import CAMPAIGNS, CHECKS, INSTANT
from core.quality.evidence import Baselines, Evidence, Pushes
from core.quality.frames import EVENT_DAYS

LAYERS = ("1", "1", "2", "3")
N_RECIPIENTS, N_DAYS = 100, 60
METRICS = {"trades": ["Trade Confirmed"], "views": ["$pageview", "PDP add to closet"]}
EVENTS = [event for events in METRICS.values() for event in events]
START = pd.Timestamp("2026-08-01", tz="UTC")
START_MS = int(START.value // 10**6)


def campaigns(**changes: object) -> pd.DataFrame:
    """Return CAMPAIGNS c0 to c3, 100 recipients each, all found; some columns changed."""
    n = len(LAYERS)
    counts = [column.name for column in CAMPAIGNS.columns if column.kind == "integer"]
    full = ("n_sent", "n_delivered", "n_mapped", "n_measured", "n_direct")
    at = pd.Series(START + pd.to_timedelta([31, 35, 40, 45], unit="D")).astype(INSTANT)
    values: dict[str, object] = {name: N_RECIPIENTS if name in full else 0 for name in counts}
    values |= {
        "campaign_id": [f"c{i}" for i in range(n)], "name": [f"Campaign {i}" for i in range(n)],
        "automation_id": "a", "layer": list(LAYERS), "content": "drop", "title": "Hello",
        "body": "There", "status": "ok", "window_complete": True, "qualifies": True,
        "first_delivered_at": at, "last_delivered_at": at,
        "window_closes_at": (at + pd.Timedelta(hours=48)).astype(INSTANT),
    }  # fmt: skip
    table = pd.DataFrame(values | changes, index=range(n))
    texts = [column.name for column in CAMPAIGNS.columns if column.kind == "text"]
    integers = dict.fromkeys(counts, "int64")
    return CAMPAIGNS.checked(table.astype(dict.fromkeys(texts, "str") | integers))


def event_days() -> pd.DataFrame:
    """Return 60 whole days of three events without a gap."""
    n = N_DAYS * len(EVENTS)
    days = pd.Series(pd.date_range(START, periods=N_DAYS, freq="D").as_unit("ms"))
    return EVENT_DAYS.checked(
        pd.DataFrame(
            {
                "event": pd.array(np.repeat(EVENTS, N_DAYS), dtype="str"),
                "day": pd.concat([days] * len(EVENTS), ignore_index=True),
                "n_events": 50, "n_persons": 40, "expected": 50.0, "is_whole": True,
                "is_gap": False, "why": pd.array([None] * n, dtype="str"),
            }
        )
    )  # fmt: skip


def gapped(days: range, why: str, *, events: int = 1) -> pd.DataFrame:
    """Return the same with gaps on some days of the first events."""
    table = event_days()
    wanted = START + pd.to_timedelta(list(days), unit="D")
    at = table["day"].isin(wanted) & table["event"].isin(EVENTS[:events])
    is_read = why != "not read"
    return table.assign(
        is_gap=at,
        n_events=table["n_events"].where(~at, 0),
        is_whole=~at | is_read,
        why=table["why"].mask(at, why),
    )


def evidence(**changes: object) -> Evidence:
    """Return evidence on which every part is whole; some of it changed."""
    table = campaigns()
    at = table["first_delivered_at"].astype("int64").to_numpy()
    n, n_pushes = len(LAYERS), len(LAYERS) * N_RECIPIENTS
    no_noise = np.zeros(n)
    sound = Evidence(
        campaigns=table,
        event_days=event_days(),
        checks=checks(),
        pushes=Pushes(
            campaigns=np.repeat(np.arange(n), N_RECIPIENTS),
            persons=np.tile(np.arange(N_RECIPIENTS), n),
            is_closed=np.ones(n_pushes, dtype=bool),
            is_whole=np.ones(n_pushes, dtype=bool),
            n_events=np.full(N_RECIPIENTS, 10),
            n_impossible=np.zeros(N_RECIPIENTS, dtype=np.int64),
        ),
        window_starts=at - 30 * MS_PER_DAY,
        window_ends=at + 2 * MS_PER_DAY,
        is_ready=np.ones((n, len(METRICS)), dtype=bool),
        baselines=Baselines(
            slope_ci_low=no_noise - 0.01, slope_ci_high=no_noise + 0.01, contamination=no_noise,
            placebo_pvalues=np.full((n, len(METRICS)), 0.4),
        ),
    )  # fmt: skip
    return replace(sound, **changes)


def checks(false_positive_share_ci_low: float = 0.02) -> pd.DataFrame:
    """Return CHECKS of three layers."""
    numbers = [column.name for column in CHECKS.columns if column.kind == "number"]
    rows = [
        {"layer": layer, "method": "comparison", "n_checks": 40, "n_campaigns": 10,
         **dict.fromkeys(numbers, 1.0),
         "false_positive_share_ci_low": false_positive_share_ci_low}
        for layer in ("1", "2", "3")
    ]  # fmt: skip
    return CHECKS.checked(pd.DataFrame(rows).astype({"layer": "str", "method": "str"}))
