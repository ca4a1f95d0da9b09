"""Health as rows: runs, two runs beside each other, alerts. Knows no Streamlit."""

from __future__ import annotations

import pandas as pd

from core.publish import formats, keys
from core.publish.theme import flat
from pages.parts.tables import layer_name, moment

NOTHING = {
    "runs": "No run has left a record yet.",
    "alerts": "Nothing needs anybody's attention.",
    "changes": "Both runs show the same: no verdict, status or number changed.",
}
"""What is said where a table has no rows."""
_TEXT, _NAME = 400, 80
_CHANGES = {
    "new": "only in the later run",
    "gone": "only in the earlier run",
    "status": "verdict or status",
    "effect": "number",
    "same": "nothing",
}
_SHARES = frozenset({"mapping", "quality", "errors"})
_SEVERITIES = {"act": "to act on", "know": "to know"}


def run_table(runs: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return runs as they are read, the newest first.

    Args:
        runs: RUNS.
        zone: Times are those of this zone.
    """
    rows = runs.sort_values("started_at", ascending=False, kind="stable")
    return pd.DataFrame(
        {
            "Started": [moment(at, zone) for at in rows["started_at"]],
            "What": rows["what"].to_numpy(),
            "Result": [_result(row) for _, row in rows.iterrows()],
            "Sends": [_period(row, zone) for _, row in rows.iterrows()],
            "Campaigns": rows["n_campaigns"].to_numpy(),
            "Lift": rows["primary_rel_effect_size"].to_numpy(),
            "Interval": [_interval(row) for _, row in rows.iterrows()],
            "Quality": rows["quality"].to_numpy(),
            "Mapped": rows["mapped_share"].to_numpy(),
            "Data until": [moment(at, zone) for at in rows["newest_event_at"]],
            "Seconds": rows["seconds"].to_numpy(),
            "Memory": [_memory(mb) for mb in rows["peak_mb"]],
            "Requests": rows["n_requests"].to_numpy(),
            "Retries": rows["n_retries"].to_numpy(),
            "Errors": rows["n_errors"].to_numpy(),
            "From the store": rows["n_cache_hits"].to_numpy(),
            "Received": [formats.size(n) for n in rows["bytes_received"]],
            "Read by PostHog": [formats.size(n) for n in rows["bytes_read"]],
            "Source": [flat(name, limit=_NAME) for name in rows["source"]],
        }
    )


def run_names(runs: pd.DataFrame, zone: str) -> dict[str, str]:
    """Return run -> how a choice of runs names it, the newest first."""
    rows = runs.sort_values("started_at", ascending=False, kind="stable")
    return {
        row["run_id"]: f"{formats.instant(row['started_at'], zone)}, {row['what']}, {row['status']}"
        for _, row in rows.iterrows()
    }


def change_table(changes: pd.DataFrame) -> pd.DataFrame:
    """Return what two runs show of each layer and campaign, what is the same left out.

    Args:
        changes: RUN_CHANGES.
    """
    rows = changes[changes["change"] != "same"]
    return pd.DataFrame(
        {
            "Of": [_of(row) for _, row in rows.iterrows()],
            "What changed": [_CHANGES.get(name, keys.said(name)) for name in rows["change"]],
            "Verdict before": [_word(row, "_before") for _, row in rows.iterrows()],
            "Verdict": [_word(row, "") for _, row in rows.iterrows()],
            "Lift before": rows["rel_effect_size_before"].to_numpy(),
            "Interval before": [_ends(row, "rel_effect_size_before") for _, row in rows.iterrows()],
            "Lift": rows["rel_effect_size"].to_numpy(),
            "Interval": [_ends(row, "rel_effect_size") for _, row in rows.iterrows()],
            "Change": rows["difference"].to_numpy(),
            "Remark": [
                "outside the earlier interval" if outside else "" for outside in rows["is_outside"]
            ],
        }
    )


def change_sentence(changes: pd.DataFrame) -> str:
    """Return how much two runs differ, in a sentence.

    Args:
        changes: RUN_CHANGES.
    """
    of_campaigns = changes[changes["level"] == "campaign"]
    counts = of_campaigns["change"].value_counts()
    said = [
        f"{formats.count(counts[name])} {what}"
        for name, what in (
            ("new", "new"), ("gone", "gone"), ("status", "with another verdict or status"),
            ("effect", "with another number"), ("same", "the same"),
        )
        if name in counts
    ]  # fmt: skip
    outside = int(of_campaigns["is_outside"].sum())
    more = f"; {formats.count(outside)} now outside the earlier interval" if outside else ""
    n = formats.count(len(of_campaigns))
    return f"Of {n} campaigns: {', '.join(said) or 'nothing to compare'}{more}"


def alert_table(alerts: pd.DataFrame) -> pd.DataFrame:
    """Return what somebody should know now, what is to be acted on first.

    Args:
        alerts: ALERTS.
    """
    rows = alerts.sort_values("severity", kind="stable")
    return pd.DataFrame(
        {
            "How": [_SEVERITIES.get(name, name) for name in rows["severity"]],
            "What": [keys.titled(kind) for kind in rows["kind"]],
            "About": [flat(about, limit=_NAME) for about in rows["about"]],
            "Measured": [_amount(row, "value") for _, row in rows.iterrows()],
            "Held against": [_amount(row, "threshold") for _, row in rows.iterrows()],
            "In words": [flat(text, limit=_TEXT) for text in rows["words"]],
        }
    )


def _result(row: pd.Series) -> str:
    if pd.isna(row["error"]) or not row["error"]:
        return str(row["status"])
    return f"{row['status']}: {flat(row['error'], limit=_TEXT)}"


def _period(row: pd.Series, zone: str) -> str:
    if pd.isna(row["since"]) or pd.isna(row["until"]):
        return formats.MISSING
    return f"{formats.day(row['since'], zone)} to {formats.day(row['until'], zone)}"


def _interval(row: pd.Series) -> str:
    if formats.is_missing(row["primary_rel_effect_size"]):
        return formats.missing("failed" if row["status"] == "failed" else "no_data")
    return _ends(row, "primary_rel_effect_size")


def _ends(row: pd.Series, name: str) -> str:
    if formats.is_missing(row[name]):
        return formats.MISSING
    ends = (100 * row[f"{name}_ci_low"], 100 * row[f"{name}_ci_high"])
    return formats.interval(ends, decimals=1)


def _memory(megabytes: float) -> str:
    return formats.size(1e6 * megabytes) if not formats.is_missing(megabytes) else formats.MISSING


def _of(row: pd.Series) -> str:
    if row["level"] == "campaign":
        return flat(row["name"], limit=_NAME)
    return "All layers" if row["of"] == "all" else layer_name(row["of"])


def _word(row: pd.Series, suffix: str) -> str:
    """Return a run's verdict, else its status in words, else that it was not there."""
    verdict, status = row[f"verdict{suffix}"], row[f"status{suffix}"]
    if not pd.isna(verdict) and verdict:
        return str(verdict)
    if pd.isna(status):
        return f"{formats.MISSING} not in it"
    return formats.reason(status) or "ok"


def _amount(row: pd.Series, name: str) -> str:
    if formats.is_missing(row[name]):
        return formats.MISSING
    if row["kind"] in _SHARES:
        return formats.share(row[name])
    return f"{row[name]:,.1f} h" if row["kind"] == "data_age" else formats.rate(row[name])
