"""Who was measured, one row a person, and who was left out, with why."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd

from core.frames import INSTANT, Column, Table
from core.publish import formats
from core.quality.ledger import mapping_ledger

USERS = Table(
    "users",
    ("person_id",),
    (
        Column("person_id", "text", "PostHog's person; a keyed hash where settings say so"),
        Column("n_pushes", "integer", "measured pushes"),
        Column("n_campaigns", "integer", "campaigns these are of; each counts a person once"),
        Column("first_delivered_at", "instant", "first of these deliveries"),
        Column("last_delivered_at", "instant", "last of these deliveries"),
        Column("metric", "text", "the primary metric, which the counts are of"),
        Column("n_baseline", "integer", "events before, summed over pushes (windows may overlap)"),
        Column("baseline_days", "number", "days before, summed over pushes"),
        Column("n_post", "integer", "events after, summed over pushes (windows may overlap)"),
        Column("post_days", "number", "observed days after, summed over pushes"),
    ),
)
"""One row per measured person, by their id."""

EXCLUDED = Table(
    "excluded",
    ("what", "step", "campaign_id", "metric"),
    (
        Column("what", "text", "campaign, rows, recipients, people or users"),
        Column("step", "text", "the step of the ledger, or the status of the campaign or lift"),
        Column("campaign_id", "text", "the campaign"),
        Column("name", "text", "automation's name, else the title"),
        Column("layer", "text", "1, 2, 3 or unclassified"),
        Column("metric", "text", "where only one metric is concerned", "all metrics"),
        Column("n", "integer", "how many; of a campaign: the persons measured in it"),
        Column("why", "text", "why they are left out"),
    ),
)
"""One row per group left out and campaign; steps of the ledger add up to the ledger's."""

HOURS_PER_DAY = 24
_LEFT_OUT = MappingProxyType(
    {
        "failed": ("rows", "n_failed"),
        "duplicates": ("rows", "n_duplicates"),
        "other_status": ("rows", "n_other_status"),
        "unmapped": ("recipients", "n_unmapped"),
        "unresolved": ("recipients", "n_unresolved"),
        "same_person": ("recipients", "n_same_person"),
        "incomplete": ("people", "n_incomplete"),
        "holdout": ("users", "n_holdout"),
    }
)
_NOT_IN_LEDGER = MappingProxyType(
    {
        "not_delivered": "sent, and no delivery is recorded",
        "other_status": "a status that is not known: neither sent nor held out",
    }
)


def users_table(counts: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return USERS: what each measured person got, and did before and after.

    Args:
        counts: frames.WINDOW_COUNTS; text columns may be categorical.
        metric: The metric that is counted.
    """
    rows = counts[counts["metric"] == metric]
    people = rows["person_id"].astype("category").cat.remove_unused_categories()
    codes, n = people.cat.codes.to_numpy(), len(people.cat.categories)
    at = rows["delivered_at"].dt.tz_convert(None).to_numpy().astype("datetime64[ms]")
    order = np.lexsort((at, codes))
    starts = np.searchsorted(codes[order], np.arange(n))
    ends = np.searchsorted(codes[order], np.arange(n), side="right") - 1
    pairs = pd.DataFrame({"person": codes, "campaign": rows["campaign_id"].to_numpy()})
    campaigns = pairs.drop_duplicates()["person"].to_numpy()

    def total(name: str) -> np.ndarray:
        return np.bincount(codes, weights=rows[name].to_numpy(dtype=float), minlength=n)

    table = pd.DataFrame(
        {
            "person_id": people.cat.categories.to_numpy(),
            "n_pushes": np.bincount(codes, minlength=n),
            "n_campaigns": np.bincount(campaigns, minlength=n),
            "first_delivered_at": pd.Series(at[order][starts]).dt.tz_localize("UTC"),
            "last_delivered_at": pd.Series(at[order][ends]).dt.tz_localize("UTC"),
            "metric": metric,
            "n_baseline": total("n_baseline").astype(np.int64),
            "baseline_days": total("baseline_days"),
            "n_post": total("n_post").astype(np.int64),
            "post_days": total("post_hours") / HOURS_PER_DAY,
        }
    )
    return USERS.checked(_typed(USERS, table).sort_values("person_id", ignore_index=True))


def excluded_table(campaigns: pd.DataFrame, lifts: pd.DataFrame) -> pd.DataFrame:
    """Return EXCLUDED: campaigns without a verdict, and whom each campaign lost where.

    Args:
        campaigns: frames.CAMPAIGNS.
        lifts: frames.LIFTS of the same campaigns.
    """
    ledger = mapping_ledger(campaigns).set_index("step")["reason"]
    named = campaigns[["campaign_id", "name", "layer"]]
    quiet = campaigns["n_sent"] - campaigns["n_delivered"] - campaigns["n_failed"]
    parts = [_not_judged(campaigns)]
    counts = {step: (what, campaigns[column]) for step, (what, column) in _LEFT_OUT.items()}
    for step, (what, n) in {**counts, "not_delivered": ("rows", quiet)}.items():
        why = _NOT_IN_LEDGER.get(step) or str(ledger.get(step, ""))
        parts.append(named.assign(what=what, step=step, metric=None, n=n, why=why)[n > 0])
    parts.append(_outliers(lifts, named))
    return EXCLUDED.checked(_typed(EXCLUDED, pd.concat(parts, ignore_index=True)))


def _not_judged(campaigns: pd.DataFrame) -> pd.DataFrame:
    left = campaigns[campaigns["status"] != "ok"]
    return pd.DataFrame(
        {
            "what": "campaign",
            "step": left["status"],
            "campaign_id": left["campaign_id"],
            "name": left["name"],
            "layer": left["layer"],
            "metric": None,
            "n": left["n_measured"],
            "why": [f"no verdict and in no layer: {formats.reason(s)}" for s in left["status"]],
        }
    )


def _outliers(lifts: pd.DataFrame, named: pd.DataFrame) -> pd.DataFrame:
    """Return the users each headline's outlier rule dropped or capped."""
    rows = lifts[lifts["headline"] & (lifts["n_dropped"] > 0)]
    kept = rows[["campaign_id", "metric", "n_dropped"]].rename(columns={"n_dropped": "n"})
    why = "left out or capped by the rule for extreme users"
    return kept.merge(named, on="campaign_id").assign(what="users", step="outliers", why=why)


def _typed(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    kinds = {"text": "str", "instant": INSTANT, "integer": "int64", "number": "float64"}
    return frame.astype({c.name: kinds[c.kind] for c in table.columns})[table.names]
