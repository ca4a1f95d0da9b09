"""Records of runs to test with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.health.records import Cost, Headline, HowMeasured, Record, Score, Step, run_id_of

BEGAN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
MEASURED = HowMeasured(
    timezone="America/New_York",
    baseline_days=30,
    post_hours=48,
    confidence_level=0.95,
    min_recipients=30,
    outliers="keep",
    negative_control=None,
    primary_metric="confirmed_trades",
    metrics={"confirmed_trades": ("Trade Confirmed",), "sessions": ("$pageview",)},
)


def headline(of: str, effect: float | None, **changed: Any) -> Headline:
    """Return a headline of a layer ("all", "1", ...) or, by any other name, of a campaign."""
    is_layer = of in {"all", "1", "2", "3", "unclassified"}
    known = Headline(
        level="layer" if is_layer else "campaign",
        of=of,
        name=f"Name of {of}",
        layer=of if is_layer else "2",
        status="ok",
        verdict=None if is_layer else "works",
        evidence="B",
        n=1200,
        effect_size=None if effect is None else effect / 10,
        effect_size_ci_low=None if effect is None else effect / 10 - 0.005,
        effect_size_ci_high=None if effect is None else effect / 10 + 0.005,
        rel_effect_size=effect,
        rel_effect_size_ci_low=None if effect is None else effect - 0.05,
        rel_effect_size_ci_high=None if effect is None else effect + 0.05,
    )
    return replace(known, **changed)


def record(number: int = 0, **changed: Any) -> Record:
    """Return the record of a run, begun six hours after the one of the number before."""
    began = BEGAN + timedelta(hours=6 * number)
    known = Record(
        run_id=run_id_of(began, random=lambda: f"{number:08x}"),
        started_at=began,
        what="watch",
        status="done",
        version="0.1.0",
        source="PostHog project 1 at us.posthog.com",
        database="marketplace on db.example",
        as_of=began,
        since=began - timedelta(days=60),
        until=began,
        settings=MEASURED,
        cost=Cost(requests=40, retries=1, errors=1, bytes_received=10, bytes_read=20, cache_hits=3),
        steps=(Step(name="Reading pushes", seconds=1.5, peak_mb=300.0),),
        reading_seconds={"pushes": 1.4},
        seconds=20.0,
        peak_mb=700.5,
        n_campaigns=2,
        campaigns_by_status={"ok": 2},
        mapped_share=0.99,
        newest_event_at=began - timedelta(hours=1),
        scores=(Score(level="all", of="all", side="combined", score=0.97),),
        headlines=(headline("all", 0.2), headline("a", 0.3), headline("b", 0.1)),
        notices=(),
        alerts=(),
        error=None,
    )
    return replace(known, **changed)
