"""Made-up tables of quality, insight and health, of the declared form, the same for every test."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.frames import INSTANT, Table
from core.health.frames import ALERTS, RUNS
from core.insight.frames import (
    CADENCE,
    CORRELATIONS,
    DECISIONS,
    HISTORY,
    PATTERN_GROUPS,
    PATTERNS,
    RANKINGS,
    TRENDS,
    WHAT_IF,
)
from core.quality.frames import ADVICE, EVENT_DAYS, NATIVE, PUSH_DAYS, SCORES

NAN = float("nan")
ZONE = "America/New_York"
METRIC = "confirmed_trades"
METRICS = (METRIC, "sessions", "wishlist_adds", "offers_created", "items_viewed")
EVENTS = ("Trade Confirmed", "$pageview", "PDP add to wishlist", "Offer Created", "Item viewed")
"""As PostHog calls them."""
_DTYPES = {
    "text": "str",
    "instant": INSTANT,
    "integer": "int64",
    "number": "float64",
    "flag": "bool",
}
_NOTHING = {"text": "", "instant": pd.NaT, "integer": 0, "number": NAN, "flag": False}


def made(table: Table, rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return rows as the declared table; what is not given is nothing in particular."""
    base = {"confidence_level": 0.95, "status": "ok"}
    blank = {c.name: base.get(c.name, _NOTHING[c.kind]) for c in table.columns}
    if not rows:
        return table.checked(table.empty())
    frame = pd.DataFrame([{**blank, **row} for row in rows])
    return table.checked(frame.astype({c.name: _DTYPES[c.kind] for c in table.columns}))


def _with_interval(name: str, estimate: float, half: float) -> dict[str, object]:
    return {name: estimate, f"{name}_ci_low": estimate - half, f"{name}_ci_high": estimate + half}


def _local(day: str, *, days: int = 0, hours: float = 0) -> pd.Timestamp:
    midnight = pd.Timestamp(day) + pd.Timedelta(days=days)
    return midnight.tz_localize(ZONE).tz_convert("UTC") + pd.Timedelta(hours=hours)


def groups() -> pd.DataFrame:
    """Return kinds of sends: content, hours since the trigger, day of the week, hour."""
    kinds = [
        ("content", "1", "drop", NAN, 8, 9310, 0.172, 0.05),
        ("content", "1", "feature", NAN, 5, 5120, 0.031, 0.06),
        ("hours_since_trigger", "3", "6 to 12 h", 2.0, 44, 2110, -0.08, 0.06),
        ("hours_since_trigger", "3", "0 to 2 h", 0.0, 45, 3120, 0.12, 0.05),
        ("hours_since_trigger", "3", "2 to 6 h", 1.0, 46, 2840, 0.251, 0.06),
        ("hours_since_trigger", "3", "12 h and more", 3.0, 12, 310, NAN, NAN),
    ]
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    effects = (0.02, 0.19, 0.05, -0.12, 0.01, NAN, 0.03)
    kinds += [
        ("weekday", "2", day, float(at), 3 + at, 800 + at, effects[at], 0.08)
        for at, day in enumerate(days)
    ]
    kinds += [
        ("hour", "2", name, float(at), 5, 900, 0.04 * at, 0.06)
        for at, name in enumerate(
            ("00:00 to 06:00", "06:00 to 12:00", "12:00 to 18:00", "18:00 to 24:00")
        )
    ]
    names = ("pattern", "layer", "group", "position", "n_campaigns", "n_pushes")
    rows = [
        {
            **dict(zip(names, kind[:6], strict=True)),
            "metric": METRIC,
            "evidence": "B",
            **_with_interval("rel_effect_size", kind[6], kind[7]),
            "status": "ok" if np.isfinite(kind[6]) else "too_few_users",
        }
        for kind in kinds
    ]
    return made(PATTERN_GROUPS, rows)


def patterns(names: tuple[str, str] = ("drop", "feature")) -> pd.DataFrame:
    """Return patterns: one found, one not, one that could not be looked at."""
    found = {
        "pattern": "content", "layer": "1", "group": names[0], "other": names[1],
        **_with_interval("difference", 0.141, 0.077), "pvalue": 0.002, "qvalue": 0.012,
        "n_campaigns": 8, "n_other": 5, "is_found": True, "df": 11.0, "statistic": 3.9,
        "is_found_in_sends": True, "in_sends_ci_low": 0.09, "in_sends_ci_high": 0.19,
        "in_sends_pvalue": 0.001, "in_sends_qvalue": 0.006,
    }  # fmt: skip
    not_found = {
        "pattern": "weekday", "layer": "2", "group": "Tuesday", "other": "all others",
        **_with_interval("difference", 0.05, 0.09), "pvalue": 0.24, "qvalue": 0.48,
        "n_campaigns": 3, "n_other": 9,
    }  # fmt: skip
    untold = {
        "pattern": "fatigue", "layer": "all", "group": "pushed shortly before",
        "other": "not pushed", "n_campaigns": 1, "n_other": 40, "status": "no_support",
    }  # fmt: skip
    common = {"metric": METRIC, "evidence": "B", "family": "patterns of confirmed trades"}
    return made(PATTERNS, [{**common, **row} for row in (found, not_found, untold)])


def rankings(n: int = 10, name: str = "drop") -> pd.DataFrame:
    """Return the ten best campaigns of all layers; the last is not ranked."""
    rows = [
        {
            "layer": "all", "metric": METRIC, "place": at + 1, "campaign_id": f"{name}-{at:02d}",
            "is_clear": at < 6,
            **_with_interval("shrunk_rel_effect_size", 0.31 - 0.03 * at, 0.06 + 0.02 * at),
            "rank": at + 1.0 if at < n - 1 else NAN, "rank_low": max(1.0, at - 1),
            "rank_high": at + 6.0,
            **_with_interval("incremental_events", 420.4 - 38 * at, 130),
            **_with_interval("value", 12612.0 - 1140 * at, 3900),
        }
        for at in range(n)
    ]  # fmt: skip
    return made(RANKINGS, rows)


def what_if() -> pd.DataFrame:
    """Return recommendations: one sure, one that may bring nothing, one without money."""
    keys = ("prefer_content", "send_on_plan", "stop_harmful", "send_at_best_lag")
    numbers = ((31.4, 19.2), (12.1, 15.0), (4.2, 3.1), (58.0, 30.0))
    rows = [
        {
            "recommendation": key, "layer": "1" if at else "2", "metric": METRIC,
            **_with_interval("events_per_week", *numbers[at]), "n_campaigns": 5 + at,
            **(_with_interval("value_per_week", 30 * numbers[at][0], 90) if at != 1 else {}),
            "words": f"Do {key}, which brings {numbers[at][0]} a week",
            "assumptions": "if the effect carries over to those sends; associated, not randomised",
        }
        for at, key in enumerate(keys)
    ]  # fmt: skip
    return made(WHAT_IF, rows)


def history() -> pd.DataFrame:
    """Return layers now and before: one rose, one fell, one did not, one has no before."""
    numbers = [("1", 0.19, 0.08, 0.05), ("2", 0.02, 0.14, 0.07), ("3", 0.24, 0.22, 0.06)]
    rows = [
        {
            "layer": layer, "metric": METRIC, "now": now, "before": before, "n_now": 12,
            "n_before": 9, **_with_interval("difference", now - before, half), "pvalue": 0.02,
        }
        for layer, now, before, half in numbers
    ]  # fmt: skip
    last = {"layer": "all", "metric": METRIC, "now": 0.2, "n_now": 66, "status": "not_loaded"}
    return made(HISTORY, [*rows, last])


def trends() -> pd.DataFrame:
    """Return automations over time: one falls, one does not, one was sent too seldom."""
    rows = [
        {
            "automation_id": name, "metric": METRIC, "n_campaigns": n, "pvalue": p, "qvalue": q,
            **_with_interval("slope_per_week", slope, half),
        }
        for name, n, slope, half, p, q in (
            ("hot-tuesday", 9, -0.021, 0.012, 0.003, 0.009),
            ("wishlist-match", 47, 0.004, 0.011, 0.5, 0.5),
        )
    ]  # fmt: skip
    seldom = {"automation_id": "hot-friday", "metric": METRIC, "n_campaigns": 1,
              "status": "too_few_weeks"}  # fmt: skip
    return made(TRENDS, [*rows, seldom])


def correlations(n: int = 4) -> pd.DataFrame:
    """Return each two of n metrics: the first pair clear, one below zero, one unknown."""
    metrics = METRICS[:n]
    pairs = [(a, b) for at, a in enumerate(metrics) for b in metrics[at + 1 :]]
    values = [0.84, -0.61, 0.12, 0.33, NAN, -0.08, 0.22, 0.4, 0.01, 0.18]
    rows = [
        {
            "layer": "all", "metric": a, "other_metric": b, "correlation": r,
            "correlation_ci_low": max(-1.0, r - 0.32), "correlation_ci_high": min(1.0, r + 0.11),
            "observed": 0.7 * r, "n_campaigns": 60, "is_found": at < 2,
            "pvalue": 0.001 if at < 2 else 0.4, "qvalue": 0.004 if at < 2 else 0.6,
            "status": "ok" if np.isfinite(r) else "no_variation",
        }
        for at, ((a, b), r) in enumerate(zip(pairs, values, strict=False))
    ]  # fmt: skip
    return made(CORRELATIONS, rows)


def cadence(name: str = "hot-tuesday") -> pd.DataFrame:
    """Return planned sends of two automations: on plan, moved within and over a week, missed."""
    rows: list[dict[str, object]] = []
    fates = ("on_plan", "on_plan", "moved", "missed", "on_plan", "moved", "on_plan", "open")
    for automation, first, hours in ((name, "2026-09-22", 9), ("hot-friday", "2026-09-25", 17)):
        for week, fate in enumerate(fates):
            moved = 26.0 if week == 2 else (5 * 24.0 if week == 5 else 0.1)
            rows.append(
                {
                    "automation_id": automation,
                    "planned_at": _local(first, days=7 * week, hours=hours),
                    "state": fate,
                    "campaign_id": f"{automation}-{week}" if fate in {"on_plan", "moved"} else None,
                    "hours_late": moved if fate in {"on_plan", "moved"} else NAN,
                    **(_with_interval("cost_events", 31.2, 22.0) if fate == "missed" else {}),
                    "why": "the effect of a typical send times its audience"
                    if fate == "missed"
                    else "no difference between on and off plan is clear",
                }
            )
    return made(CADENCE, rows)


def decisions() -> pd.DataFrame:
    """Return one decision of each kind."""
    rows = [
        {
            "campaign_id": f"drop-{at:02d}", "metric": METRIC, "decision": decision, "why": why,
            "reason": reason, "n_needed": needed,
            "until": _local("2026-11-26") if decision == "wait" else pd.NaT,
        }
        for at, (decision, reason, needed, why) in enumerate(
            (
                ("repeat", "clear_gain", 0, "Clearly higher: +19.7 % [17.2, 22.3]."),
                ("stop", "clear_harm", 0, "Clearly lower: −8.1 % [−12.0, −4.2]."),
                ("retest", "unclear", 4200, "No clear effect: +2.1 % [−4.0, 8.2]."),
                ("wait", "open", 0, "The window closes in 17 h."),
            )
        )
    ]  # fmt: skip
    return made(DECISIONS, rows)


SCORED = {
    "database": {"mapping": 0.4, "timestamps": 0.2, "completeness": 0.2, "identifiers": 0.2},
    "activity": {
        "user_coverage": 0.3, "event_completeness": 0.2, "temporal_accuracy": 0.2,
        "significance_readiness": 0.2, "consistency": 0.1,
    },
}  # fmt: skip


def scores(campaigns: tuple[str, ...] = ("drop-00", "drop-01")) -> pd.DataFrame:
    """Return scores of all, two layers and campaigns: some short, one unknown."""
    values = {"mapping": 0.972, "completeness": 0.913, "event_completeness": 0.995,
              "significance_readiness": 0.74, "consistency": NAN}  # fmt: skip
    places = [("all", "all"), ("layer", "1"), ("layer", "2"), *(("campaign", c) for c in campaigns)]
    rows: list[dict[str, object]] = []
    for shift, (level, of) in enumerate(places):
        totals = {}
        for side, parts in SCORED.items():
            told = {part: values.get(part, 0.99) - 0.01 * shift for part in parts}
            known = {part: score for part, score in told.items() if np.isfinite(score)}
            weight = sum(parts[part] for part in known)
            totals[side] = sum(parts[part] * score for part, score in known.items()) / weight
            rows += [_score(level, of, side, part, parts[part], told[part]) for part in parts]
            rows.append(_score(level, of, side, "total", 1.0, totals[side]))
        both = sum(totals.values()) / 2
        rows.append(_score(level, of, "combined", "total", 1.0, both))
    return made(SCORES, rows)


def _score(
    level: str, of: str, side: str, part: str, weight: float, score: float
) -> dict[str, object]:
    is_known = np.isfinite(score)
    n = round(3000 * score) if is_known else 0
    return {
        "level": level, "of": of, "side": side, "part": part, "weight": weight, "score": score,
        "threshold": 0.95, "n": n, "n_of": 3000 if is_known else 0,
        "inputs": f"{n:,} of 3,000 recipients" if is_known else "no self-check was possible",
        "status": "ok" if is_known else "too_few_days",
    }  # fmt: skip


def advice(about: str = "drop-00") -> pd.DataFrame:
    """Return advice for two shortfalls."""
    rows = [
        {"level": "campaign", "of": about, "side": "activity", "part": "significance_readiness",
         "about": about, "shortfall": 0.21, "words": "Only 74 % have enough events: wait."},
        {"level": "all", "of": "all", "side": "database", "part": "completeness",
         "about": "users.email", "shortfall": 0.037, "words": "91.3 % complete: fill users.email."},
    ]  # fmt: skip
    return made(ADVICE, rows)


def event_days(n_days: int = 92, names: tuple[str, ...] = EVENTS, seed: int = 5) -> pd.DataFrame:
    """Return days of several events: two gaps, a busy day, the last day not whole."""
    rng = np.random.default_rng(seed)
    rows = []
    for at, event in enumerate(names):
        mean = (900, 240, 60, 12, 0.4)[at % 5]
        for day in range(n_days):
            expected = mean * (1.3 if day % 7 in {4, 5} else 1.0)
            is_gap = at < 2 and day in {30, 31}
            n = 0 if is_gap else int(rng.poisson(expected * (2.2 if day == 60 else 1)))
            rows.append(
                {
                    "event": event, "day": _local("2026-08-24", days=day), "n_events": n,
                    "n_persons": n // 2, "expected": expected if day > 3 else NAN,
                    "is_whole": day < n_days - 1 and not (at == 2 and day in {10, 11}),
                    "is_gap": is_gap, "why": "none, where 900 are usual" if is_gap else None,
                }
            )  # fmt: skip
    return made(EVENT_DAYS, rows)


def push_days(n_days: int = 60, seed: int = 6) -> pd.DataFrame:
    """Return days of delivery of three layers: two odd days, days without a push."""
    rng = np.random.default_rng(seed)
    rows = []
    for layer, share, every in (("1", 0.62, 5), ("2", 0.71, 7), ("3", 0.9, 1)):
        for day in range(0, n_days, every):
            is_odd = layer == "3" and day in {30, 31}
            pushes = int(rng.integers(40, 900))
            active = int(pushes * min(1.0, max(0.0, rng.normal(share, 0.02) - 0.5 * is_odd)))
            rows.append(
                {
                    "layer": layer, "day": _local("2026-09-24", days=day), "n_pushes": pushes,
                    "n_active": active, "active_share": active / pushes, "expected_share": share,
                    "is_odd": is_odd,
                }
            )  # fmt: skip
    return made(PUSH_DAYS, rows)


def native(n_days: int = 31, names: tuple[str, ...] = EVENTS[:3], seed: int = 8) -> pd.DataFrame:
    """Return our totals against PostHog's: one differs without a reason, the last with one."""
    rng = np.random.default_rng(seed)
    rows = []
    for at, event in enumerate(names):
        for day in range(n_days):
            total = int(rng.poisson((900, 240, 12)[at % 3]))
            lost = 70 if (at, day) == (1, 12) else (31 if day == n_days - 1 and at == 0 else 0)
            differs = lost > 0
            rows.append(
                {
                    "event": event, "day": _local("2026-10-24", days=day),
                    "ours": max(0, total - lost), "native": total,
                    "tolerance": max(2.0, 0.01 * total), "agrees": not differs,
                    "why": "the day is not settled" if day == n_days - 1 and differs else None,
                }
            )  # fmt: skip
    return made(NATIVE, rows)


def runs(n: int = 24, error: str = "PostHog could not be reached") -> pd.DataFrame:
    """Return runs every six hours: one failed, quality falling at the end."""
    rng = np.random.default_rng(11)
    rows = []
    for at in range(n):
        failed = at == 9
        known = (
            {
                "mapped_share": 0.97 + 0.002 * rng.normal(),
                "quality": 0.97 - (0.03 if at > n - 4 else 0) + 0.003 * rng.normal(),
                "newest_event_at": _local("2026-11-18", hours=6 * at),
                "since": _local("2026-09-24"), "until": _local("2026-11-23"),
                **_with_interval("primary_rel_effect_size", 0.19 + 0.004 * rng.normal(), 0.026),
            }
            if not failed
            else {"error": error}
        )  # fmt: skip
        rows.append(
            {
                "run_id": f"r{at:03d}", "started_at": _local("2026-11-18", hours=6 * at),
                "what": "watch", "status": "failed" if failed else "done", "source": "PostHog EU",
                "n_campaigns": 66, "n_requests": 40 + at, "n_retries": 2, "n_errors": int(failed),
                "n_cache_hits": 310, "bytes_received": 12_400_000, "bytes_read": 98_000_000,
                "seconds": 21 + 3 * rng.normal(), "peak_mb": 512.0, "error": None, **known,
            }
        )  # fmt: skip
    return made(RUNS, rows)


def alerts(about: str = "drop-03") -> pd.DataFrame:
    """Return two things somebody should know."""
    rows = [
        {"kind": "quality", "about": "all", "severity": "act", "value": 0.93, "threshold": 0.95,
         "words": "Quality is 93.0 %, below 95 %."},
        {"kind": "window_closed", "about": about, "severity": "know",
         "words": f"The window of {about} has closed: works, +12.3 % [4.5, 20.1]."},
    ]  # fmt: skip
    return made(ALERTS, rows)
