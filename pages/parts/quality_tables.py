"""Quality as rows: scores, advice, days, PostHog's own totals. Knows no Streamlit."""

from __future__ import annotations

import pandas as pd

from core.publish import formats, keys
from core.publish.figures_quality import in_order, part_name, scored
from core.publish.theme import flat
from pages.parts.tables import layer_name

NOTHING = {
    "advice": "Nothing falls short of its mark, so there is nothing to do.",
    "gaps": "No event has a gap on any day that was read.",
    "native": "PostHog's own totals were not asked for.",
}
"""What is said where a table has no rows."""
_TEXT, _NAME = 400, 80


def score_matrix(scores: pd.DataFrame) -> pd.DataFrame:
    """Return every part's score for all campaigns and for each layer, ▼ where it is short.

    Args:
        scores: SCORES.
    """
    every = in_order(scores, "all", "all")
    columns = {"All": every}
    for layer in sorted(scores.loc[scores["level"] == "layer", "of"].unique()):
        columns[layer_name(layer)] = in_order(scores, "layer", layer)
    index = pd.MultiIndex.from_frame(every[["side", "part"]])
    found = {
        name: pd.Series(
            [_marked(row) for _, row in rows.iterrows()],
            index=pd.MultiIndex.from_frame(rows[["side", "part"]]),
            dtype="str",
        )
        .reindex(index)
        .fillna(formats.MISSING)
        .to_numpy()
        for name, rows in columns.items()
    }
    return pd.DataFrame(
        {
            "What": [part_name(row) for _, row in every.iterrows()],
            "Side": [keys.titled(side) for side in every["side"]],
            "Weight": _weights(every),
            "Mark": every["threshold"].to_numpy(),
            **found,
        }
    )


def score_parts(scores: pd.DataFrame, level: str = "all", of: str = "all") -> pd.DataFrame:
    """Return one place's scores with the numbers behind them.

    Args:
        scores: SCORES.
        level: Which level: all, layer or campaign.
        of: Which layer or campaign.
    """
    rows = in_order(scores, level, of)
    return pd.DataFrame(
        {
            "What": [part_name(row) for _, row in rows.iterrows()],
            "Weight": _weights(rows),
            "Score": rows["score"].to_numpy(),
            "Mark": rows["threshold"].to_numpy(),
            "Result": [_result(row) for _, row in rows.iterrows()],
            "Good": rows["n"].to_numpy(),
            "Of": rows["n_of"].to_numpy(),
            "Numbers behind it": [flat(text, limit=_TEXT) for text in rows["inputs"]],
        }
    )


def campaign_scores(scores: pd.DataFrame, campaigns: pd.DataFrame) -> pd.DataFrame:
    """Return each campaign's quality and its weakest part, the lowest first.

    Args:
        scores: SCORES.
        campaigns: Rows with `campaign_id`, `label` and `layer`, such as those of `judged`.
    """
    own = scores[scores["level"] == "campaign"]
    totals = own[own["part"] == "total"].pivot(index="of", columns="side", values="score")
    table = campaigns[["campaign_id", "label", "layer"]].merge(
        totals.reindex(columns=["combined", "database", "activity"]),
        left_on="campaign_id", right_index=True, how="inner",
    )  # fmt: skip
    table = table.sort_values(["combined", "campaign_id"], na_position="last", kind="stable")
    weakest = _weakest(own)
    return pd.DataFrame(
        {
            "Campaign": [flat(name, limit=_NAME) for name in table["label"]],
            "Layer": [layer_name(name) for name in table["layer"]],
            "Quality": table["combined"].to_numpy(),
            "Database": table["database"].to_numpy(),
            "Activity": table["activity"].to_numpy(),
            "Weakest part": [weakest.get(name, formats.MISSING) for name in table["campaign_id"]],
        }
    )


def advice_table(advice: pd.DataFrame, names: dict[str, str] | None = None) -> pd.DataFrame:
    """Return what is short, where, and what to do about it, the largest shortfall first.

    Args:
        advice: ADVICE.
        names: Campaign -> its label, for those named.
    """
    known = names or {}
    rows = advice.sort_values("shortfall", ascending=False, kind="stable")
    return pd.DataFrame(
        {
            "Short by": rows["shortfall"].to_numpy(),
            "What": [keys.titled(part) for part in rows["part"]],
            "Of": [_place(level, of, known) for level, of in zip(rows["level"], rows["of"],
                                                                 strict=True)],
            "Where": [flat(known.get(about, about), limit=_NAME) for about in rows["about"]],
            "What to do": [flat(text, limit=_TEXT) for text in rows["words"]],
        }
    )  # fmt: skip


def gap_table(event_days: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return the days on which events are missing, the newest first.

    Args:
        event_days: EVENT_DAYS.
        zone: Days are those of this zone.
    """
    rows = event_days[event_days["is_gap"]].sort_values("day", ascending=False, kind="stable")
    return event_day_table(rows, zone)


def event_day_table(event_days: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return events by day as they are read.

    Args:
        event_days: EVENT_DAYS.
        zone: Days are those of this zone.
    """
    return pd.DataFrame(
        {
            "Day": [formats.day(day, zone) for day in event_days["day"]],
            "Event": [flat(event, limit=_NAME) for event in event_days["event"]],
            "Events": event_days["n_events"].to_numpy(),
            "Usual": event_days["expected"].to_numpy(),
            "Persons": event_days["n_persons"].to_numpy(),
            "Read": ["whole" if whole else "not whole" for whole in event_days["is_whole"]],
            "Remark": [_remark(row) for _, row in event_days.iterrows()],
        }
    )  # fmt: skip


def push_day_table(push_days: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return pushes against events, a row a layer and day.

    Args:
        push_days: PUSH_DAYS.
        zone: Days are those of this zone.
    """
    return pd.DataFrame(
        {
            "Day": [formats.day(day, zone) for day in push_days["day"]],
            "Layer": [layer_name(name) for name in push_days["layer"]],
            "Pushes": push_days["n_pushes"].to_numpy(),
            "With activity": push_days["n_active"].to_numpy(),
            "Share": push_days["active_share"].to_numpy(),
            "Usual share": push_days["expected_share"].to_numpy(),
            "Remark": ["odd" if odd else "" for odd in push_days["is_odd"]],
        }
    )


def native_table(native: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return our totals against PostHog's own, those that differ first.

    Args:
        native: NATIVE.
        zone: Time zone of the PostHog project.
    """
    rows = native.sort_values(["agrees", "day", "event"], kind="stable")
    return pd.DataFrame(
        {
            "Day": [formats.day(day, zone) for day in rows["day"]],
            "Event": [flat(event, limit=_NAME) for event in rows["event"]],
            "Pushlift": rows["ours"].to_numpy(),
            "PostHog": rows["native"].to_numpy(),
            "More or less": (rows["ours"] - rows["native"]).to_numpy(),
            "Tolerance": rows["tolerance"].to_numpy(),
            "Result": ["agrees" if agrees else "differs" for agrees in rows["agrees"]],
            "Known reason": ["" if pd.isna(why) else flat(why, limit=_TEXT) for why in rows["why"]],
        }
    )


def _weights(rows: pd.DataFrame) -> list[str]:
    """Return each part's share of its side's total; a total has none."""
    return [
        "" if part == "total" else formats.share(weight)
        for part, weight in zip(rows["part"], rows["weight"], strict=True)
    ]


def _marked(row: pd.Series) -> str:
    if formats.is_missing(row["score"]):
        return formats.missing(row["status"])
    return f"{'▼ ' if row['score'] < row['threshold'] else ''}{formats.share(row['score'])}"


def _result(row: pd.Series) -> str:
    if formats.is_missing(row["score"]):
        return formats.missing(row["status"])
    return scored(row).partition(", ")[2] or "reached"


def _weakest(own: pd.DataFrame) -> dict[str, str]:
    """Return each campaign's part that is furthest below its mark, if any is."""
    parts = own[(own["part"] != "total") & own["score"].notna()]
    short = parts.assign(gap=parts["threshold"] - parts["score"])
    worst = short[short["gap"] > 0].sort_values("gap", ascending=False).drop_duplicates("of")
    said = [f"{part_name(row)}, {scored(row)}" for _, row in worst.iterrows()]
    fine = dict.fromkeys(own["of"], "none is short")
    return {**fine, **dict(zip(worst["of"], said, strict=True))}


def _place(level: str, of: str, names: dict[str, str]) -> str:
    if level == "all":
        return "All"
    return layer_name(of) if level == "layer" else flat(names.get(of, of), limit=_NAME)


def _remark(row: pd.Series) -> str:
    if not row["is_gap"]:
        return ""
    return "gap" if pd.isna(row["why"]) else f"gap: {flat(row['why'], limit=_TEXT)}"
