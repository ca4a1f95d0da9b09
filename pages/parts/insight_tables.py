"""Insight as rows: decisions, rankings, patterns, what if, history. Knows no Streamlit."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from core.publish import formats, keys, words
from core.publish.figures_cadence import late
from core.publish.figures_grids import coefficients
from core.publish.figures_insight import events, money
from core.publish.theme import flat
from pages.parts.tables import layer_name, level, moment, rank

NOTHING = {
    "decisions": "There is no campaign to decide about.",
    "found": "No pattern is clear: nothing that was looked for can be told from chance.",
    "not_found": "Everything that was looked for was found.",
    "rankings": "No campaign can be ranked yet: none qualifies and has its windows closed.",
    "correlations": "No two metrics can be compared: there are too few campaigns.",
    "cadence": "No automation has a weekly plan with a send in this period.",
    "what_if": "No recommendation has evidence for what it would bring.",
    "history": "There is no period before this one to compare with.",
    "trends": "No automation has sent often enough to show a trend.",
}
"""What is said where a table has no rows."""
_TEXT, _NAME = 400, 80
_DECISIONS = ("stop", "repeat", "retest", "wait")
Names = Mapping[str, str]
"""Campaign or automation -> what it is called; one that is not there goes by its id."""


def decisions_in_order(decisions: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric's decisions, what is to be stopped or repeated first.

    Args:
        decisions: DECISIONS.
        metric: The metric.
    """
    place = {name: at for at, name in enumerate(_DECISIONS)}
    rows = decisions[decisions["metric"] == metric]
    keyed = rows.assign(_place=rows["decision"].map(place).fillna(len(place)))
    ordered = keyed.sort_values(["_place", "campaign_id"], kind="stable")
    return ordered.drop(columns="_place").reset_index(drop=True)


def decision_table(decisions: pd.DataFrame, names: Names, zone: str) -> pd.DataFrame:
    """Return decisions as they are read, in the order given.

    Args:
        decisions: Rows of DECISIONS of one metric, such as `decisions_in_order`.
        names: Campaign -> its label.
        zone: Times are those of this zone.
    """
    return pd.DataFrame(
        {
            "Campaign": _named(decisions["campaign_id"], names),
            "Decision": [keys.titled(name) for name in decisions["decision"]],
            "Why": [flat(text, limit=_TEXT) for text in decisions["why"]],
            "Can be told from": [
                moment(at, zone) if pd.notna(at) else "" for at in decisions["until"]
            ],
            "A retest needs": [
                f"{formats.count(n)} recipients" if n else "" for n in decisions["n_needed"]
            ],
        }
    )


def decision_matrix(decisions: pd.DataFrame, metrics: list[str], names: Names) -> pd.DataFrame:
    """Return the decision about each campaign for every metric, a column a metric.

    Args:
        decisions: DECISIONS.
        metrics: The metrics, in the order of the columns.
        names: Campaign -> its label.
    """
    wide = decisions.pivot(index="campaign_id", columns="metric", values="decision")
    wide = wide.reindex(columns=metrics)
    columns = {
        keys.titled(metric): [
            formats.MISSING if pd.isna(one) else keys.titled(one) for one in wide[metric]
        ]
        for metric in metrics
    }
    return pd.DataFrame({"Campaign": _named(wide.index.to_series(), names), **columns})


def decision_counts(decisions: pd.DataFrame) -> str:
    """Return how many campaigns were decided how, "3 to repeat, 1 to stop, 9 to retest".

    Args:
        decisions: Rows of DECISIONS of one metric.
    """
    counts = decisions["decision"].value_counts()
    said = [
        f"{formats.count(counts[name])} to {name}"
        for name in ("repeat", "stop", "retest", "wait")
        if name in counts
    ]
    return ", ".join(said) or NOTHING["decisions"].rstrip(".")


def ranking_table(rankings: pd.DataFrame, names: Names, currency: str = "") -> pd.DataFrame:
    """Return the best campaigns of one layer and metric as they are read.

    Args:
        rankings: Rows of RANKINGS of one layer and metric.
        names: Campaign -> its label.
        currency: What money is counted in.
    """
    rows = rankings.sort_values("place")
    of, guess = level(rows), "shrunk_rel_effect_size"
    table = {
        "Place": rows["place"].to_numpy(),
        "Campaign": _named(rows["campaign_id"], names),
        "Best guess": rows[guess].to_numpy(),
        f"{of} interval": [_ends(row, guess) for _, row in rows.iterrows()],
        "Rank": [rank(row) for _, row in rows.iterrows()],
        "Clear": _yes(rows["is_clear"]),
        "Extra events": rows["incremental_events"].to_numpy(),
        "Extra events, interval": [
            _event_ends(row, "incremental_events") for _, row in rows.iterrows()
        ],
    }
    if currency and rows["value"].notna().any():
        table["Worth"] = [_worth(row, "value", currency) for _, row in rows.iterrows()]
    return pd.DataFrame(table)


def found_table(patterns: pd.DataFrame) -> pd.DataFrame:
    """Return the patterns that are clear, the surest first.

    Args:
        patterns: PATTERNS.
    """
    rows = patterns[patterns["is_found"]].sort_values("qvalue", kind="stable")
    return _pattern_columns(rows)


def not_found_table(patterns: pd.DataFrame) -> pd.DataFrame:
    """Return what was looked for and not found, with why, the nearest first.

    Args:
        patterns: PATTERNS.
    """
    rows = patterns[~patterns["is_found"]].sort_values("qvalue", na_position="last", kind="stable")
    return _pattern_columns(rows).assign(**{"Why not": [_why_not(row) for _, row in
                                                        rows.iterrows()]})  # fmt: skip


def group_table(groups: pd.DataFrame) -> pd.DataFrame:
    """Return the effect of each kind of send as it is read.

    Args:
        groups: Rows of PATTERN_GROUPS, in the order to show.
    """
    return pd.DataFrame(
        {
            "What": [keys.titled(name) for name in groups["pattern"]],
            "Layer": [_layer(name) for name in groups["layer"]],
            "Metric": [words.label(name) for name in groups["metric"]],
            "Kind": [flat(keys.titled(name), limit=_NAME) for name in groups["group"]],
            "Lift": groups["rel_effect_size"].to_numpy(),
            f"{level(groups)} interval": [
                _ends(row, "rel_effect_size") for _, row in groups.iterrows()
            ],
            "Campaigns": groups["n_campaigns"].to_numpy(),
            "Pushes": groups["n_pushes"].to_numpy(),
            "Evidence": _grades(groups, "rel_effect_size"),
        }
    )


def correlation_table(correlations: pd.DataFrame) -> pd.DataFrame:
    """Return each two metrics' correlation as it is read, the clear ones first.

    Args:
        correlations: CORRELATIONS.
    """
    by = ["is_found", "qvalue"]
    rows = correlations.sort_values(by, ascending=[False, True], na_position="last", kind="stable")
    return pd.DataFrame(
        {
            "Layer": [_layer(name) for name in rows["layer"]],
            "Metrics": [
                f"{words.label(one)} and {words.label(other)}"
                for one, other in zip(rows["metric"], rows["other_metric"], strict=True)
            ],
            "Correlation": rows["correlation"].to_numpy(),
            f"{level(rows)} interval": [_coefficient_ends(row) for _, row in rows.iterrows()],
            "As estimated": rows["observed"].to_numpy(),
            "Campaigns": rows["n_campaigns"].to_numpy(),
            "q": rows["qvalue"].to_numpy(),
            "Clear": _yes(rows["is_found"]),
        }
    )


def cadence_table(
    cadence: pd.DataFrame, automations: Names, campaigns: Names, zone: str
) -> pd.DataFrame:
    """Return planned against real sends, the newest first.

    Args:
        cadence: CADENCE.
        automations: Automation -> its name.
        campaigns: Campaign -> its label.
        zone: Times are those of this zone.
    """
    rows = cadence.sort_values("planned_at", ascending=False, kind="stable")
    return pd.DataFrame(
        {
            "Automation": _named(rows["automation_id"], automations),
            "Planned": [moment(at, zone) for at in rows["planned_at"]],
            "What came": [keys.titled(state) for state in rows["state"]],
            "Sent": [
                formats.MISSING if pd.isna(name) else flat(campaigns.get(name, name), limit=_NAME)
                for name in rows["campaign_id"]
            ],
            "How late": [late(hours) or formats.MISSING for hours in rows["hours_late"]],
            "Cost, events": rows["cost_events"].to_numpy(),
            "Cost, interval": [_cost_ends(row) for _, row in rows.iterrows()],
            "Why": [flat(text, limit=_TEXT) for text in rows["why"]],
        }
    )


def what_if_table(what_if: pd.DataFrame, currency: str = "") -> pd.DataFrame:
    """Return what each recommendation may bring, the largest first, and what has to hold.

    Args:
        what_if: Rows of WHAT_IF.
        currency: What money is counted in.
    """
    rows = what_if.sort_values("events_per_week", ascending=False, na_position="last")
    table = {
        "Recommendation": [flat(text, limit=_TEXT) for text in rows["words"]],
        "Layer": [_layer(name) for name in rows["layer"]],
        "Metric": [words.label(name) for name in rows["metric"]],
        "Events a week": rows["events_per_week"].to_numpy(),
        f"{level(rows)} interval": [
            _event_ends(row, "events_per_week") for _, row in rows.iterrows()
        ],
    }
    if currency and rows["value_per_week"].notna().any():
        table["Worth a week"] = [
            _worth(row, "value_per_week", currency) for _, row in rows.iterrows()
        ]
    table["Campaigns"] = rows["n_campaigns"].to_numpy()
    table["Holds if"] = [flat(text, limit=_TEXT) for text in rows["assumptions"]]
    return pd.DataFrame(table)


def history_table(history: pd.DataFrame) -> pd.DataFrame:
    """Return a period against the one before, as it is read.

    Args:
        history: Rows of HISTORY, in the order to show.
    """
    return pd.DataFrame(
        {
            "Layer": [_layer(name) for name in history["layer"]],
            "Metric": [words.label(name) for name in history["metric"]],
            "Lift before": history["before"].to_numpy(),
            "Lift now": history["now"].to_numpy(),
            "Change": history["difference"].to_numpy(),
            f"{level(history)} interval": [
                _ends(row, "difference") for _, row in history.iterrows()
            ],
            "p": history["pvalue"].to_numpy(),
            "Campaigns before": history["n_before"].to_numpy(),
            "Campaigns now": history["n_now"].to_numpy(),
        }
    )


def trend_table(trends: pd.DataFrame, automations: Names) -> pd.DataFrame:
    """Return the same automation over time, the surest first.

    Args:
        trends: Rows of TRENDS.
        automations: Automation -> its name.
    """
    rows = trends.sort_values("qvalue", na_position="last", kind="stable")
    return pd.DataFrame(
        {
            "Automation": _named(rows["automation_id"], automations),
            "Metric": [words.label(name) for name in rows["metric"]],
            "Sends": rows["n_campaigns"].to_numpy(),
            "Change a week": rows["slope_per_week"].to_numpy(),
            f"{level(rows)} interval": [_ends(row, "slope_per_week") for _, row in
                                        rows.iterrows()],
            "p": rows["pvalue"].to_numpy(),
            "q": rows["qvalue"].to_numpy(),
        }
    )  # fmt: skip


def _pattern_columns(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "What": [keys.titled(name) for name in rows["pattern"]],
            "Layer": [_layer(name) for name in rows["layer"]],
            "Metric": [words.label(name) for name in rows["metric"]],
            "Compared": [_compared(row) for _, row in rows.iterrows()],
            "Better by": rows["difference"].to_numpy(),
            f"{level(rows)} interval": [_ends(row, "difference") for _, row in rows.iterrows()],
            "q": rows["qvalue"].to_numpy(),
            "Campaigns": [_against(row) for _, row in rows.iterrows()],
            "Evidence": _grades(rows, "difference"),
        }
    )


def _compared(row: pd.Series) -> str:
    group, other = (flat(keys.said(row[name]), limit=_NAME) for name in ("group", "other"))
    return f"{group} {other}" if _is_scale(row) else f"{group} against {other}"


def _against(row: pd.Series) -> str:
    n, n_other = int(row["n_campaigns"]), int(row["n_other"])
    if row["is_within"]:
        return f"{formats.count(max(n, n_other))}, within them"
    if _is_scale(row):
        return formats.count(n)
    return f"{formats.count(n)} against {formats.count(n_other)}"


def _is_scale(row: pd.Series) -> bool:
    """Say whether a pattern is a change per step of a scale rather than two kinds."""
    return str(row["other"]).startswith("per ")


def _why_not(row: pd.Series) -> str:
    if formats.is_missing(row["difference"]):
        return formats.reason("no_data" if row["status"] == "ok" else row["status"])
    if formats.is_missing(row["qvalue"]):
        return "not clear: not tested within a family"
    said = formats.pvalue(row["qvalue"])
    within = words.label(row["family"]) if pd.notna(row["family"]) else "its family"
    return f"not clear: q {said if said.startswith('<') else f'= {said}'} within {within}"


def _ends(row: pd.Series, name: str) -> str:
    """Return the interval of a fraction in percent, or why there is none."""
    if formats.is_missing(row[name]):
        return _absent(row)
    ends = (100 * row[f"{name}_ci_low"], 100 * row[f"{name}_ci_high"])
    return formats.interval(ends, decimals=1)


def _event_ends(row: pd.Series, name: str) -> str:
    """Return the interval of a number of events, or why there is none."""
    if formats.is_missing(row[name]):
        return _absent(row)
    return events(row, name).partition(" ")[2]


def _cost_ends(row: pd.Series) -> str:
    """Return the interval of what an astray send cost; why there is none stands beside it."""
    if row["cost_events"] == 0:
        return ""
    return (
        formats.MISSING
        if formats.is_missing(row["cost_events"])
        else _event_ends(row, "cost_events")
    )


def _coefficient_ends(row: pd.Series) -> str:
    said = coefficients(row)
    return said if said.startswith(formats.MISSING) else said.partition(" ")[2]


def _worth(row: pd.Series, name: str, currency: str) -> str:
    if formats.is_missing(row[name]):
        return f"{formats.MISSING} no value per event set"
    ends = (row[f"{name}_ci_low"], row[f"{name}_ci_high"])
    return f"{money(row[name], currency)} {formats.interval(ends, decimals=0)}"


def _absent(row: pd.Series) -> str:
    status = row.get("status", "no_data")
    return formats.missing("no_data" if status == "ok" else status)


def _grades(rows: pd.DataFrame, name: str) -> list[str]:
    return [
        formats.MISSING if formats.is_missing(row[name]) else f"{row['evidence']} at the weakest"
        for _, row in rows.iterrows()
    ]


def _named(ids: pd.Series, names: Names) -> list[str]:
    return [flat(names.get(one, one), limit=_NAME) for one in ids]


def _yes(flags: pd.Series) -> list[str]:
    return ["yes" if flag else "" for flag in flags]


def _layer(name: str) -> str:
    return "All layers" if name == "all" else layer_name(name)
