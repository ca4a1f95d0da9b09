"""What would change if a recommendation were followed: events a week, as a range.

What rests on campaigns (stop what harms, stop what does nothing, repeat what works) is summed from
the joint draws of their effects, drawn towards their layer: campaigns picked because they came out
best or worst then do not overstate, and people that they share count once. Events of a send are
its relative effect x the rate expected without it x measured users x days of the window.

What rests on a pattern (content, hours since the trigger) is its difference x the rate expected x
the pushes of the other kind; the rate is taken as known. What missed and moved sends cost is added
up from CADENCE as if all of it were wrong in the same direction, which makes the range too wide
rather than too narrow. A pattern has to be found (q at most 5 % and an interval that leaves out
zero), and the cost of missed sends to lie above zero, to be in here at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.frames import LAYERS
from core.insight.costs import KINDS
from core.insight.frames import WHAT_IF
from core.insight.groups import LATER
from core.insight.standings import Standing
from core.measure.layers import HEADLINE
from core.measure.pooling import ALL

ASSUMPTIONS = {
    "stop_harmful": "sends like these would do again what these did; nothing takes their place",
    "stop_no_effect": "sends like these would do again what these did; nothing takes their place, "
    "and the attention saved is not counted",
    "scale_best": "another send does what these did on average, to as many people, and repeating "
    "it does not wear it off",
    "send_on_plan": "a missed send would have done what a typical one of it does, and a moved one "
    "what those on plan do; associated: which sends were moved was not random",
    "send_at_best_lag": "the difference carries over to those pushes; associated: when a push "
    "followed its trigger was not random",
    "prefer_content": "the difference carries over to those sends, and there is as much of the "
    "better kind to tell; associated: content was not randomised",
}
"""Recommendation -> what has to hold for its range."""
_BY_REASON = {"stop_harmful": "clear_harm", "stop_no_effect": "too_small",
              "scale_best": "clear_gain"}  # fmt: skip
_BY_PATTERN = {"send_at_best_lag": "hours_since_trigger", "prefer_content": "content"}
_TRIGGERED = "3"
"""The layer whose content follows from what set a push off, so that none can be preferred."""
_ENDS = ("", "_ci_low", "_ci_high")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """What recommendations rest on.

    Attributes:
        lifts: frames.LIFTS.
        campaigns: frames.CAMPAIGNS.
        layers: frames.LAYER_LIFTS.
        decisions: DECISIONS.
        patterns: PATTERNS.
        groups: PATTERN_GROUPS.
        cadence: CADENCE.
        standing: Metric -> joint draws.
        primary: The metric CADENCE counts.
        weeks: Length of the period.
        post_days: Length of the window after a push.
        per_event: Metric -> what one event is worth, in money.
        confidence_level: For example 0.95.
    """

    lifts: pd.DataFrame
    campaigns: pd.DataFrame
    layers: pd.DataFrame
    decisions: pd.DataFrame
    patterns: pd.DataFrame
    groups: pd.DataFrame
    cadence: pd.DataFrame
    standing: Mapping[str, Standing]
    primary: str
    weeks: float
    post_days: float
    per_event: Mapping[str, float]
    confidence_level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One recommendation, for one layer and metric.

    Attributes:
        recommendation: Its key.
        layer: 1, 2, 3, unclassified, or all.
        metric: The metric.
        events: More events a week: best guess, low and high.
        n_campaigns: Campaigns behind it.
        n_pushes: Pushes a week it is about.
        kind: Of a pattern, the better kind; else nothing.
    """

    recommendation: str
    layer: str
    metric: str
    events: tuple[float, float, float]
    n_campaigns: int
    n_pushes: float
    kind: str = ""


def what_if(basis: Basis, *, say: Callable[[pd.Series], str]) -> pd.DataFrame:
    """Return what following each recommendation would change, where there is evidence for it.

    Args:
        basis: What recommendations rest on.
        say: Puts a row into a sentence: the columns of WHAT_IF but `words`, with `n_pushes` (a
            week) and `kind` (the better kind of a pattern, or nothing).

    Returns:
        WHAT_IF.
    """
    found = [*_from_campaigns(basis), *_from_cadence(basis), *_from_patterns(basis)]
    if not found:
        return WHAT_IF.empty()
    rows = pd.DataFrame([_row(one, basis) for one in found])
    rows = rows.astype({c.name: "str" for c in WHAT_IF.columns if c.kind == "text" and c.name in
                        rows})  # fmt: skip
    words = [say(row) for _, row in rows.iterrows()]
    return WHAT_IF.checked(rows.assign(words=pd.array(words, dtype="str")))


def _row(one: Change, basis: Basis) -> dict[str, object]:
    worth = basis.per_event.get(one.metric, np.nan)
    return {
        "recommendation": one.recommendation,
        "layer": one.layer,
        "metric": one.metric,
        **{f"events_per_week{end}": n for end, n in zip(_ENDS, one.events, strict=True)},
        **{f"value_per_week{end}": n * worth for end, n in zip(_ENDS, one.events, strict=True)},
        "n_campaigns": one.n_campaigns,
        "n_pushes": one.n_pushes,
        "kind": one.kind,
        "assumptions": ASSUMPTIONS[one.recommendation],
        "confidence_level": basis.confidence_level,
    }


def _from_campaigns(basis: Basis) -> Iterator[Change]:
    users = basis.campaigns.set_index("campaign_id")["n_measured"]
    layer_of = basis.campaigns.set_index("campaign_id")["layer"]
    heads = basis.lifts.loc[basis.lifts["headline"], ["campaign_id", "metric", "expected_rate"]]
    for recommendation, reason in _BY_REASON.items():
        chosen = basis.decisions.loc[basis.decisions["reason"] == reason, ["campaign_id", "metric"]]
        rows = chosen.merge(heads, on=["campaign_id", "metric"]).assign(
            layer=lambda own: own["campaign_id"].map(layer_of),
            n_users=lambda own: own["campaign_id"].map(users),
        )
        for metric, own in rows.groupby("metric", sort=False):
            standing = basis.standing.get(str(metric))
            if standing is None:
                continue
            layers = [one for one in LAYERS if (own["layer"] == one).any()]
            # one send more cannot be of all layers; what is stopped adds up over them
            is_summed = len(layers) > 1 and recommendation != "scale_best"
            for layer in [*layers, ALL] if is_summed else layers:
                some = own[(own["layer"] == layer) | (layer == ALL)]
                yield from _of_campaigns(basis, recommendation, layer, some, standing)


def _of_campaigns(
    basis: Basis, recommendation: str, layer: str, rows: pd.DataFrame, standing: Standing
) -> Iterator[Change]:
    """Return what some campaigns of one metric added, a week or, to be repeated, on average."""
    at = standing.campaign_ids.get_indexer(pd.Index(rows["campaign_id"]))
    rows, at = rows[at >= 0], at[at >= 0]
    if not len(at):
        return
    users = rows["n_users"].to_numpy(dtype=float)
    events = standing.draws[:, at] @ (rows["expected_rate"].to_numpy() * users * basis.post_days)
    share = 1 / len(at) if recommendation == "scale_best" else -1 / basis.weeks
    tail = (1 - basis.confidence_level) / 2
    low, high = np.quantile(events * share, [tail, 1 - tail])
    yield Change(
        recommendation=recommendation,
        layer=layer,
        metric=str(rows["metric"].iloc[0]),
        events=(float(events.mean() * share), float(low), float(high)),
        n_campaigns=len(at),
        n_pushes=float(users.sum() * abs(share)),
    )


def _from_cadence(basis: Basis) -> Iterator[Change]:
    layer_of = basis.campaigns.dropna(subset=["automation_id"]).drop_duplicates("automation_id")
    slots = basis.cadence.merge(layer_of[["automation_id", "layer"]], on="automation_id")
    slots = slots[slots["cost_events"].notna()]
    found = basis.patterns[(basis.patterns["pattern"] == "cadence") & basis.patterns["is_found"]]
    is_better = (found["group"] == KINDS[0]) == (found["difference"] > 0)
    found = found[is_better & (found["metric"] == basis.primary)]
    is_moved = (slots["state"] == "moved") & slots["layer"].isin(found["layer"])
    is_missed = (slots["state"] == "missed") & (slots["cost_events_ci_low"] > 0)
    for layer, own in slots[is_moved | is_missed].groupby("layer"):
        ends = [float(own[f"cost_events{end}"].sum()) / basis.weeks for end in _ENDS]
        yield Change(
            recommendation="send_on_plan",
            layer=str(layer),
            metric=basis.primary,
            events=(ends[0], ends[1], ends[2]),
            n_campaigns=len(own),
            n_pushes=np.nan,
        )


def _from_patterns(basis: Basis) -> Iterator[Change]:
    for recommendation, pattern in _BY_PATTERN.items():
        rows = basis.patterns[(basis.patterns["pattern"] == pattern) & basis.patterns["is_found"]]
        if recommendation == "prefer_content":
            rows = rows[rows["layer"] != _TRIGGERED]
        # the clearest, not the largest: the largest of several found is the likeliest to overstate
        for _, own in rows.sort_values("qvalue").groupby(["layer", "metric"], sort=False):
            yield from _of_pattern(basis, recommendation, own.iloc[0])


def _of_pattern(basis: Basis, recommendation: str, row: pd.Series) -> Iterator[Change]:
    """Return what the pushes of the other kind would have done, had they been of the better."""
    same = [(basis.groups[name] == row[name]) for name in ("pattern", "layer", "metric")]
    groups = basis.groups[np.logical_and.reduce(same)].set_index("group")
    sign = 1.0 if row["difference"] > 0 else -1.0
    better, worse = (row["group"], row["other"]) if sign > 0 else (row["other"], row["group"])
    rate = basis.layers[
        (basis.layers["layer"] == row["layer"])
        & (basis.layers["metric"] == row["metric"])
        & (basis.layers["method"] == HEADLINE)
    ]["expected_rate"]
    # "all others" are better, but no kind that could be sent instead
    if better not in groups.index or rate.empty:
        return
    moved = groups.loc[[worse]] if worse in groups.index else groups.drop(index=better)
    if worse == LATER:
        moved = moved[moved["position"] > groups.loc[better, "position"]]
    pushes = float(moved["n_pushes"].sum()) / basis.weeks
    each = float(rate.iloc[0]) * basis.post_days * pushes
    ends = sorted(sign * float(row[f"difference{end}"]) * each for end in _ENDS[1:])
    yield Change(
        recommendation=recommendation,
        layer=str(row["layer"]),
        metric=str(row["metric"]),
        events=(abs(float(row["difference"])) * each, ends[0], ends[1]),
        n_campaigns=_behind(row),
        n_pushes=pushes,
        kind=str(better),
    )


def _behind(row: pd.Series) -> int:
    """Return the campaigns behind a pattern, those on both sides of it once."""
    n, n_other = int(row["n_campaigns"]), int(row["n_other"])
    return max(n, n_other) if row["is_within"] else n + n_other
