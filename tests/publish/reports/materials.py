"""Made-up material for reports: every table, consistent, with hostile names where asked for."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from core.insight import frames as insight
from core.measure.panel import Rules
from core.publish.reports.material import Material, Setting
from core.quality import frames as quality
from core.span import Span
from tests.publish import examples
from tests.publish.found import made

METRIC = "confirmed_trades"
SINCE, UNTIL = (pd.Timestamp(at, tz="UTC").to_pydatetime() for at in ("2026-09-01", "2026-10-31"))
ENDS = ("", "_ci_low", "_ci_high")


def material(*, names: list[str] | None = None, missing: tuple[str, ...] = (), bare: bool = False):
    """Return material of six campaigns, or of as many as there are names; bare: lifts alone."""
    n = len(names) if names else 6
    campaigns = examples.campaigns(n, name=names).assign(
        n_sent=260, n_delivered=250, n_failed=10, n_duplicates=3, n_mapped=242,
        n_unmapped=5, n_holdout=20,
        body=[f"{text}\nsecond line" for text in names or ["Live now."] * n],
        automation_id=[f"auto{at % 3}" for at in range(n)],
    )  # fmt: skip
    campaigns = campaigns.astype({"body": "str", "automation_id": "str"})
    headline = examples.layers(method="headline", evidence="B").assign(
        n_pushes=900, n_above=3, n_below=1, evidence="B"
    )
    return Material(
        campaigns=campaigns,
        lifts=examples.lifts(n).assign(n_dropped=2),
        layers=pd.concat([headline, examples.layers()], ignore_index=True),
        contrasts=examples.contrasts(),
        checks=examples.checks(),
        quality=None if bare else of_quality(campaigns),
        insight=None if bare else of_insight(campaigns),
        setting=setting(missing=missing),
    )


def setting(**changes) -> Setting:
    parts = {
        "source": "Demo marketplace", "activity": "an export", "version": "0.1.0",
        "zone": "America/New_York", "since": SINCE, "until": UNTIL, "as_of": UNTIL,
        "rules": Rules(), "layers": ("1", "2", "3", "unclassified"), "currency": "EUR",
        "metrics": {METRIC: ["Trade Confirmed"], "sessions": ["$pageview"],
                    "wishlist_adds": ["PDP add to wishlist"]},
        "notices": ("4 rows have a status that is not known.",),
    }  # fmt: skip
    return Setting(**{**parts, **changes})


def of_quality(campaigns: pd.DataFrame) -> SimpleNamespace:
    places = [("all", "all"), ("layer", "1"), ("layer", "2"), ("layer", "3")]
    places += [("campaign", one) for one in campaigns["campaign_id"]]
    scores = [
        {"level": level, "of": of, "side": side, "part": part, "weight": 1.0, "score": 0.93,
         "threshold": 0.95, "n": 93, "n_of": 100, "inputs": "93 of 100 recipients"}
        for level, of in places
        for side, part in (("database", "mapping"), ("combined", "total"))
    ]  # fmt: skip
    advice = [
        {"level": level, "of": of, "side": "database", "part": "mapping", "about": of,
         "shortfall": 0.02, "words": f"Mapping of {of} is 93 %, 2 points short; set distinct ids."}
        for level, of in places
    ]  # fmt: skip
    days = [{"event": "$pageview", "day": examples.START.floor("D"), "n_events": 7, "n_persons": 3}]
    pushes = [{"layer": "1", "day": examples.START.floor("D"), "n_pushes": 9, "n_active": 8}]
    return SimpleNamespace(
        scores=made(quality.SCORES, scores), advice=made(quality.ADVICE, advice),
        event_days=made(quality.EVENT_DAYS, days), push_days=made(quality.PUSH_DAYS, pushes),
    )  # fmt: skip


def of_insight(campaigns: pd.DataFrame) -> SimpleNamespace:
    ids = list(campaigns["campaign_id"])
    kinds = ("repeat", "stop", "retest", "wait")
    decisions = [
        {"campaign_id": one, "metric": metric, "decision": kinds[at % 4],
         "why": f"Clear at +{at}.0 % [1.0, 9.0].", "reason": "clear_gain", "n_needed": 900,
         "until": examples.START}
        for at, one in enumerate(ids)
        for metric in setting().metrics
    ]  # fmt: skip
    rankings = [
        {"layer": layer, "metric": METRIC, "place": at + 1, "campaign_id": one, "is_clear": at < 1,
         **_ends("shrunk_rel_effect_size", 0.1, 0.05), "rank": at + 1.0, "rank_low": 1.0,
         "rank_high": 6.0, **_ends("incremental_events", 120.4, 30), **_ends("value", 3612.2, 900)}
        for layer in ("all", "1")
        for at, one in enumerate(ids[:3])
    ]  # fmt: skip
    pattern = {"pattern": "content", "layer": "1", "metric": METRIC, "group": "drop",
               "other": "feature", **_ends("difference", 0.14, 0.07), "qvalue": 0.012,
               "pvalue": 0.002, "df": 11.0, "statistic": 3.9, "family": "content",
               "evidence": "B", "n_campaigns": 8, "n_other": 5, "is_found": True,
               "is_found_in_sends": True, "in_sends_ci_low": 0.09, "in_sends_ci_high": 0.19,
               "in_sends_pvalue": 0.001, "in_sends_qvalue": 0.006}  # fmt: skip
    unclear = {**pattern, "layer": "2", "is_found": False, "qvalue": 0.5,
               "is_found_in_sends": False, "in_sends_qvalue": 0.4}  # fmt: skip
    groups = [
        {"pattern": "content", "layer": "1", "metric": METRIC, "group": group, "n_campaigns": 8,
         "n_pushes": 900, "evidence": "B", **_ends("rel_effect_size", 0.1 * at, 0.05)}
        for at, group in enumerate(("drop", "feature"))
    ]  # fmt: skip
    correlation = {"layer": "1", "metric": METRIC, "other_metric": "sessions", "is_found": True,
                   **_ends("correlation", 0.6, 0.2), "observed": 0.4, "pvalue": 0.001,
                   "qvalue": 0.004, "n_campaigns": 12}  # fmt: skip
    planned = {"automation_id": "auto1", "planned_at": examples.START, "state": "missed",
               **_ends("cost_events", -4.0, 3.0), "why": "its other sends"}  # fmt: skip
    what_if = {"recommendation": "stop_harmful", "layer": "1", "metric": METRIC,
               **_ends("events_per_week", 12.4, 5), **_ends("value_per_week", 372.2, 150),
               "n_campaigns": 2, "words": "Stop 2 sends: 12.4 [7.4, 17.4] more a week.",
               "assumptions": "others stay as they are"}  # fmt: skip
    history = {"layer": "1", "metric": METRIC, "now": 0.2, "before": 0.1, "n_now": 5,
               "n_before": 4, **_ends("difference", 0.1, 0.05), "pvalue": 0.01}  # fmt: skip
    trend = {"automation_id": "auto0", "metric": METRIC, "n_campaigns": 9,
             **_ends("slope_per_week", -0.02, 0.01), "pvalue": 0.003, "qvalue": 0.01}  # fmt: skip
    return SimpleNamespace(
        decisions=made(insight.DECISIONS, decisions), rankings=made(insight.RANKINGS, rankings),
        patterns=made(insight.PATTERNS, [pattern, unclear]),
        pattern_groups=made(insight.PATTERN_GROUPS, groups),
        correlations=made(insight.CORRELATIONS, [correlation]),
        cadence=made(insight.CADENCE, [planned]), what_if=made(insight.WHAT_IF, [what_if]),
        history=made(insight.HISTORY, [history]), trends=made(insight.TRENDS, [trend]),
        period=Span(since=SINCE, until=UNTIL, as_of=UNTIL),
        before=Span(since=SINCE - (UNTIL - SINCE), until=SINCE, as_of=UNTIL),
    )  # fmt: skip


def _ends(name: str, estimate: float, half: float) -> dict[str, float]:
    return dict(zip([f"{name}{end}" for end in ENDS],
                    (estimate, estimate - half, estimate + half), strict=True))  # fmt: skip
