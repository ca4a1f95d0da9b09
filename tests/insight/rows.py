"""Rows of the declared tables by hand: what is not said is missing, or nothing."""

from __future__ import annotations

import pandas as pd

from core.frames import CAMPAIGNS, INSTANT, LAYER_LIFTS, LIFTS, Table

START = pd.Timestamp("2026-09-01T13:00:00Z")
_NOTHING = {"text": "x", "integer": 0, "number": float("nan"), "flag": False}
_DTYPES = {"text": "str", "integer": "int64", "number": "float64", "flag": "bool"}


def table(declared: Table, rows: list[dict]) -> pd.DataFrame:
    """Return rows as the declared table, columns that are left out filled."""
    columns = {}
    for column in declared.columns:
        given = [row.get(column.name, _default(column.kind, column.missing)) for row in rows]
        dtype = INSTANT if column.kind == "instant" else _DTYPES[column.kind]
        columns[column.name] = pd.Series(given, dtype=dtype)
    return declared.checked(pd.DataFrame(columns))


def _default(kind: str, missing: str) -> object:
    if kind == "number" and not missing:
        return 0.95  # a confidence level: no other number is never missing
    if kind == "instant":
        return pd.NaT if missing else START
    return None if kind == "text" and missing else _NOTHING[kind]


def campaign(**columns: object) -> dict:
    """Return a closed campaign of layer 1 that qualifies."""
    closes = START + pd.Timedelta(hours=48)
    return {
        "campaign_id": "c1", "name": "Drop", "layer": "1", "n_delivered": 400, "n_measured": 400,
        "window_complete": True, "qualifies": True, "status": "ok", "first_delivered_at": START,
        "window_closes_at": closes, **columns,
    }  # fmt: skip


def lift(*, rel: float = 0.2, half: float = 0.1, expected: float = 0.5, **columns: object) -> dict:
    """Return a headline of grade B: a relative effect and half its interval."""
    return {
        "campaign_id": "c1", "layer": "1", "metric": "trades", "method": "comparison",
        "evidence": "B", "headline": True, "n_users": 400, "n_comparison": 900,
        "expected_rate": expected, "effect_size": rel * expected,
        "effect_size_ci_low": (rel - half) * expected,
        "effect_size_ci_high": (rel + half) * expected, "rel_effect_size": rel,
        "rel_effect_size_ci_low": rel - half, "rel_effect_size_ci_high": rel + half,
        "standard_error": half * expected / 2, "df": 399.0, "pvalue": 0.001, "qvalue": 0.01,
        "family": "primary", "confidence_level": 0.95, "status": "ok", "se_scale": 1.0,
        "incremental_events": rel * expected * 800,
        "incremental_events_ci_low": (rel - half) * expected * 800,
        "incremental_events_ci_high": (rel + half) * expected * 800,
        "shrunk_rel_effect_size": rel, "shrunk_rel_effect_size_ci_low": rel - half,
        "shrunk_rel_effect_size_ci_high": rel + half, **columns,
    }  # fmt: skip


def lifts(*rows: dict) -> pd.DataFrame:
    """Return LIFTS."""
    return table(LIFTS, list(rows))


def campaigns(*rows: dict) -> pd.DataFrame:
    """Return CAMPAIGNS."""
    return table(CAMPAIGNS, list(rows))


def layers(*rows: dict) -> pd.DataFrame:
    """Return LAYER_LIFTS."""
    return table(LAYER_LIFTS, list(rows))
