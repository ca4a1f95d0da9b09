"""What tables of quality, health and insight come to, in a sentence: the titles of their figures.

Each takes a declared table; nothing is called a finding that is not clear.
"""

from __future__ import annotations

import pandas as pd

from core.insight.patterns import clear
from core.measure.multiplicity import FALSE_DISCOVERY_RATE
from core.publish import (
    figures_cadence,
    figures_days,
    figures_grids,
    figures_insight,
    formats,
    keys,
    words,
)
from core.publish import figures_quality as quality
from core.publish.strips import local_days, named

_MOST_NAMED = 2


def scores(frame: pd.DataFrame, *, level: str = "all", of: str = "all") -> str:
    """Return the combined score and how many parts are short of their mark.

    Args:
        frame: Rows of SCORES.
        level: Which level: all, layer or campaign.
        of: Which layer or campaign.
    """
    rows = quality.in_order(frame, level, of)
    if rows.empty:
        return quality.NOTHING["score_bars"].rstrip(".")
    parts = rows[rows["part"] != "total"]
    both = rows.loc[rows["side"] == "combined", "score"]
    said = formats.share(both.iloc[0]) if len(both) else formats.MISSING
    lacking = parts[parts["score"] < parts["threshold"]]
    worst = (
        lacking.assign(gap=lacking["threshold"] - lacking["score"]).sort_values("gap").iloc[::-1]
    )
    names = [f"{quality.part_name(row).lower()} {formats.share(row['score'])}"
             for _, row in worst.head(_MOST_NAMED).iterrows()]  # fmt: skip
    unknown = int(parts["score"].isna().sum())
    more = f"; {unknown} cannot be told" if unknown else ""
    if not names:
        return f"Quality {said}; no part is short of its mark{more}"
    first = f"{len(lacking)} of {len(parts)} parts short of their mark"
    return f"Quality {said}; {first}, most {' and '.join(names)}{more}"


def event_days(frame: pd.DataFrame, *, zone: str = "UTC") -> str:
    """Return on which days events are missing, or over how many none is.

    Args:
        frame: EVENT_DAYS.
        zone: Days are those of this zone.
    """
    if frame.empty:
        return figures_days.NOTHING["event_days_heat"].rstrip(".")
    gaps = frame[frame["is_gap"]]
    n_days, n_events = len(frame["day"].unique()), len(frame["event"].unique())
    if gaps.empty:
        return f"No gap on {_days(n_days)} of {_events(n_events)}"
    said = [
        f"{event} {named(_local(gaps[gaps['event'] == event], zone))}"
        for event in dict.fromkeys(gaps["event"])
    ]
    return f"{_plural(len(gaps), 'gap', 'gaps')}: {_listed(said)}"


def push_days(frame: pd.DataFrame, *, zone: str = "UTC") -> str:
    """Return on which days few or many recipients were active, or that none stands out.

    Args:
        frame: PUSH_DAYS.
        zone: Days are those of this zone.
    """
    if frame.empty:
        return figures_days.NOTHING["push_days"].rstrip(".")
    odd = frame[frame["is_odd"]]
    if odd.empty:
        return f"No day of delivery, of {formats.count(len(frame))}, is far from what is usual"
    said = [
        f"{_layer(layer)} {named(_local(odd[odd['layer'] == layer], zone))}"
        for layer in dict.fromkeys(odd["layer"])
    ]
    return f"{_plural(len(odd), 'odd day', 'odd days')} of delivery: {_listed(said)}"


def native(frame: pd.DataFrame) -> str:
    """Return on how many days PostHog's own totals agree with ours.

    Args:
        frame: NATIVE.
    """
    if frame.empty:
        return figures_days.NOTHING["native_difference"].rstrip(".")
    differs = frame[~frame["agrees"]]
    agree = f"{formats.count(frame['agrees'].sum())} of {formats.count(len(frame))}"
    explained = int(differs["why"].notna().sum())
    if differs.empty:
        return f"PostHog's own totals agree on all {formats.count(len(frame))} event days"
    why = f", {explained} of the others for a known reason" if explained else ""
    return f"PostHog's own totals agree on {agree} event days{why}"


def runs(frame: pd.DataFrame) -> str:
    """Return how many runs failed and where quality stands.

    Args:
        frame: RUNS.
    """
    if frame.empty:
        return quality.NOTHING["runs_trend"].rstrip(".")
    failed = int((frame["status"] == "failed").sum())
    ordered = frame.sort_values("started_at")
    known = ordered["quality"].dropna()
    said = f"{failed or 'None'} of {_plural(len(frame), 'run', 'runs')} failed"
    if known.empty:
        return said
    if len(known) == 1:
        return f"{said}; quality {formats.share(known.iloc[-1])}"
    last, usual = formats.share(known.iloc[-1]), formats.share(known.iloc[:-1].median())
    return f"{said}; quality {last} in the last one, {usual} in the middle of those before"


def patterns(frame: pd.DataFrame) -> str:
    """Return what is clear of what was looked for.

    Args:
        frame: Rows of PATTERNS.
    """
    told = frame[frame["difference"].notna()]
    if told.empty:
        return figures_insight.NOTHING["pattern_groups"].rstrip(".")
    rows = clear(told)
    found, of_these = rows[rows["is_found"]], rows[~rows["is_found"]]
    n = _plural(len(told), "comparison", "comparisons")
    said = []
    if len(found):
        listed = _listed([_compared(row) for _, row in found.iterrows()])
        said.append(f"{formats.count(len(found))} of {n} clear: {listed}")
    if len(of_these):
        more = f"{formats.count(len(of_these))} {'more' if said else f'of {n}'}"
        said.append(f"{more} clear in these sends alone")
    return "; ".join(said) or f"No clear difference in {n}"


def rankings(frame: pd.DataFrame) -> str:
    """Return how many of the best are clear above zero, and how sure the first place is.

    Args:
        frame: Rows of RANKINGS of one layer and metric; a column `label` names the campaigns.
    """
    if frame.empty:
        return figures_insight.NOTHING["ranking_dots"].rstrip(".")
    first = frame.sort_values("place").iloc[0]
    name = first["label" if "label" in frame else "campaign_id"]
    clear = int(frame["is_clear"].sum())
    some = "All" if clear == len(frame) else str(clear or "None")
    said = f"{some} of the {formats.count(len(frame))} best are clear above zero"
    if formats.is_missing(first["rank"]):
        return f"{said}; first is {name}"
    ends = (formats.count(first[f"rank_{end}"]) for end in ("low", "high"))
    return f"{said}; first is {name}, whose rank lies in {' to '.join(ends)}"


def correlations(frame: pd.DataFrame) -> str:
    """Return which effects clearly go together over campaigns.

    Args:
        frame: Rows of CORRELATIONS of one layer.
    """
    told = frame[frame["correlation"].notna()]
    if told.empty:
        return figures_grids.NOTHING["correlation_grid"].rstrip(".")
    found = told[told["is_found"]].sort_values("qvalue", kind="stable")
    n = _plural(len(told), "pair of metrics", "pairs of metrics")
    if found.empty:
        return f"No clear correlation in {n}"
    said = [
        f"{words.label(row['metric'])} and {words.label(row['other_metric'])} "
        f"{figures_grids.coefficients(row)}"
        for _, row in found.iterrows()
    ]
    return f"{formats.count(len(found))} of {n} clear: {_listed(said)}"


def cadence(frame: pd.DataFrame) -> str:
    """Return what became of planned sends, "8 of 14 sends on plan, 4 moved, 2 missed".

    Args:
        frame: CADENCE.
    """
    if frame.empty:
        return figures_cadence.NOTHING["cadence_calendar"].rstrip(".")
    due = frame[frame["state"] != "open"]
    if due.empty:
        return "Every planned send of the period is still to come"
    counts = due["state"].value_counts()
    said = [f"{counts.get('on_plan', 0)} of {_plural(len(due), 'send', 'sends')} on plan"]
    said += [f"{counts[state]} {state}" for state in ("moved", "missed") if state in counts]
    return ", ".join(said)


def what_if(frame: pd.DataFrame) -> str:
    """Return how many recommendations clearly bring something, and the largest.

    Args:
        frame: Rows of WHAT_IF of one metric.
    """
    told = frame[frame["events_per_week"].notna()]
    if told.empty:
        return figures_insight.NOTHING["what_if_ranges"].rstrip(".")
    clear = told[told["events_per_week_ci_low"] > 0].sort_values("events_per_week")
    n = _plural(len(told), "recommendation", "recommendations")
    if clear.empty:
        return f"None of {n} clearly brings more"
    best = clear.iloc[-1]
    amount = figures_insight.events(best, "events_per_week")
    most = f"{keys.said(best['recommendation'])}, {amount} {words.label(best['metric'])} a week"
    return f"{formats.count(len(clear))} of {n} clear; most: {most}"


def history(frame: pd.DataFrame) -> str:
    """Return what clearly rose or fell against the period before.

    Args:
        frame: Rows of HISTORY, as `figures_insight.history_dots` takes them.
    """
    told = frame[frame["difference"].notna()]
    if told.empty:
        return figures_insight.NOTHING["history_dots"].rstrip(".")
    rose, fell = _clear(told, "difference")
    if rose.empty and fell.empty:
        return "Nothing clearly changed against the period before"
    names = dict(zip(told.index, figures_insight.series_names(told), strict=True))
    said = [
        f"{names[at]} {way}, {figures_insight.difference(row)}"
        for part, way in ((rose, "rose"), (fell, "fell"))
        for at, row in part.iterrows()
    ]
    return f"Against the period before: {_listed(said)}"


def trends(frame: pd.DataFrame) -> str:
    """Return which automations clearly get better or worse over time.

    Args:
        frame: Rows of TRENDS of one metric; a column `label` names the automations.
    """
    told = frame[frame["slope_per_week"].notna()]
    if told.empty:
        return figures_insight.NOTHING["trend_lines"].rstrip(".")
    rises, falls = _clear(told[told["qvalue"] <= FALSE_DISCOVERY_RATE], "slope_per_week")
    n = _plural(len(told), "automation", "automations")
    if rises.empty and falls.empty:
        return f"No clear trend in {n}"
    name = "label" if "label" in frame else "automation_id"
    said = [
        f"{row[name]} {way}, {figures_insight.difference(row, 'slope_per_week')} a week"
        for part, way in ((rises, "rises"), (falls, "falls"))
        for _, row in part.iterrows()
    ]
    return f"{len(said)} of {n} with a clear trend: {_listed(said)}"


def _clear(rows: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows whose interval lies above zero, and those whose lies below."""
    return rows[rows[f"{name}_ci_low"] > 0], rows[rows[f"{name}_ci_high"] < 0]


def _compared(row: pd.Series) -> str:
    """Return a found pattern in a few words, "drop over feature, +14.1 pp [6.4, 21.8]"."""
    number = figures_insight.difference(row)
    group, other = keys.said(row["group"]), keys.said(row["other"])
    if other.startswith("per "):
        return f"{group} {other}, {number}"
    return f"{group} {'over' if row['difference'] > 0 else 'under'} {other}, {number}"


def _listed(said: list[str]) -> str:
    rest = len(said) - _MOST_NAMED
    return "; ".join(said[:_MOST_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def _local(rows: pd.DataFrame, zone: str) -> list[pd.Timestamp]:
    return sorted(local_days(rows["day"], zone))


def _layer(name: str) -> str:
    return words.layer(name).partition(",")[0].lower()


def _days(n: int) -> str:
    return _plural(n, "day", "days")


def _events(n: int) -> str:
    return _plural(n, "event", "events")


def _plural(n: int, one: str, many: str) -> str:
    return f"{formats.count(n)} {one if n == 1 else many}"
