"""Insight as sentences by fixed wording: never a number without its interval, or more than it says.

Every function takes one row of a table of core/insight/frames.py. What is not clear is said to be
"no clear difference"; what was not randomised is said to be associated.
"""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

import pandas as pd

from core.insight.cadence import MISSED
from core.insight.costs import Ground
from core.measure.multiplicity import FALSE_DISCOVERY_RATE
from core.publish import formats, keys, unknown, words
from core.span import Span

_FAMILIES = MappingProxyType(
    {
        "primary": "the primary metric of all campaigns",
        "secondary": "all metrics of all campaigns",
        "patterns, primary metric": "all patterns in the primary metric",
        "patterns, other metrics": "all patterns in the other metrics",
    }
)
_KINDS = MappingProxyType({"drop": "drops", "feature": "features"})
_NOT_RANDOM = MappingProxyType(
    {
        "content": "content was not randomised",
        "cadence": "which sends kept to the plan was not randomised",
        "weekday": "days of the week were not randomised",
        "hour": "hours of the day were not randomised",
        "hours_since_trigger": "how long after its trigger a push came was not randomised",
        "audience_size": "sizes of audiences were not randomised",
        "fatigue": "who had other pushes shortly before was not randomised",
        "fatigue_dose": "who had how many pushes before was not randomised",
    }
)
_STATES = MappingProxyType(
    {"on_plan": "sent on plan", "moved": "moved", "missed": "missed", "open": "still to come"}
)
_WITHOUT_COST = frozenset({"on_plan", "open"})
_HOLD = "hold it back, at random, from about one in ten of those it is for"
_PER = "per "


def decision_why(case: pd.Series, *, zone: str = "UTC") -> str:
    """Return why something was decided, with the number, its interval, family and grade.

    Args:
        case: A row of core/insight/decisions.cases.
        zone: The zone a closing time is shown in.
    """
    reason = str(case["reason"])
    if reason in _WITHOUT_NUMBER:
        return _WITHOUT_NUMBER[reason]
    if reason == "open":
        return _open(case, zone)
    if reason == "too_few_users":
        return f"{_people(case['n_measured'])} measured, too few for a verdict.{_needed(case)}"
    if reason == "no_number":
        return f"{unknown.sentence(_status(case))}{_needed(case)}"
    if reason == "descriptive":
        return (
            f"{number(case)}. Grade {case['evidence']}: {words.caveat(str(case['evidence']))}. "
            f"To learn what the push does, {_HOLD}.{_needed(case)}"
        )
    if reason == "not_tested":
        return f"{number(case)}; not tested within a family, so chance cannot be ruled out."
    grade = f"Grade {case['evidence']}: {words.evidence(str(case['evidence']))}."
    if reason in {"clear_gain", "clear_harm"}:
        return f"{number(case)}, clear at {tested(case)}. {grade}"
    if reason == "too_small":
        most = formats.percent(case["rel_effect_size_ci_high"])
        return (
            f"No clear effect; at most {most}, less than the {_worth(case)} that would be worth a "
            f"push. {number(case)}; {tested(case)}. {grade}"
        )
    return (
        f"No clear effect. {number(case)}; {tested(case)}. {grade} {_worth(case)} or more is "
        f"still possible.{_needed(case)}"
    )


_WITHOUT_NUMBER = MappingProxyType(
    {
        "nothing_sent": "Nothing was delivered, so there has been no test yet.",
        "incomplete": "Part of the data it would rest on is missing; it can be decided once that "
        "has been read again.",
    }
)


def decision_sentence(row: pd.Series) -> str:
    """Return a row of DECISIONS as a sentence, "Retest: no clear effect ..."."""
    return f"{keys.titled(str(row['decision']))}: {row['why']}"


def number(row: pd.Series) -> str:
    """Return a headline's metric, effect with interval and the rate it is relative to.

    Args:
        row: One row of LIFTS.
    """
    said = f"{_upper(words.label(str(row['metric'])))} {words.effect(row)}"
    if formats.is_missing(row["expected_rate"]):
        return said
    return f"{said} on the {formats.rate(row['expected_rate'])} expected per user per day"


def tested(row: pd.Series) -> str:
    """Return a q-value with what it was corrected within, "q = 0.012 within ..."."""
    family = row["family"]
    name = "its family" if pd.isna(family) else _FAMILIES.get(family, words.label(str(family)))
    return f"q = {formats.pvalue(row['qvalue'])} within {name}".replace("q = <", "q <")


def ranking_sentence(row: pd.Series, *, name: str | None = None, currency: str = "") -> str:
    """Return a row of RANKINGS as a sentence.

    Args:
        row: The row.
        name: The campaign's name; its id where left out.
        currency: What the value is in; no value is said where there is none.
    """
    place = f"{formats.count(row['place'])}. {name or row['campaign_id']}"
    effect = formats.percent(row["shrunk_rel_effect_size"], _ends(row, "shrunk_rel_effect_size"))
    if formats.is_missing(row["shrunk_rel_effect_size"]):
        effect = formats.missing("baseline_near_zero")
    rank = "not ranked"
    if not formats.is_missing(row["rank"]):
        between = formats.interval(_pair(row["rank_low"], row["rank_high"]), decimals=0)
        rank = f"rank {formats.count(row['rank'])} {between}"
    value = _money(row, "value", currency)
    worth = f", {value}" if value else ""
    sure = "clear" if row["is_clear"] else "not clear by itself"
    metric = words.label(str(row["metric"]))
    return (
        f"{place}: {effect} {metric} against what was expected, drawn towards its layer; {rank}; "
        f"{_events(row, 'incremental_events')} {metric}{worth}; {sure}."
    )


def pattern_sentence(row: pd.Series) -> str:
    """Return a row of PATTERNS as a sentence, found or not."""
    metric, where = words.label(str(row["metric"])), _where(str(row["layer"]))
    if formats.is_missing(row["difference"]):
        asked = dict.fromkeys((keys.said(str(row["pattern"])), _kind(row["group"])))
        return f"{_upper(', '.join(asked))}, {metric}{where}: {formats.reason(_status(row))}."
    behind = f"{_campaigns(row['n_campaigns'])} against {formats.count(row['n_other'])}"
    if row["is_within"]:
        behind = f"within {_campaigns(max(row['n_campaigns'], row['n_other']))}"
    elif str(row["other"]).startswith(_PER):
        behind = _campaigns(row["n_campaigns"])
    why_not = _NOT_RANDOM.get(str(row["pattern"]), "it was not randomised")
    is_of_these = bool(row["is_found_in_sends"] and not row["is_found"])
    said = _of_these(row) if is_of_these else row
    return (
        f"{_compared(said, metric)}{where}{' among these sends' if is_of_these else ''}, "
        f"{tested(said)}; {behind}, evidence of grade {row['evidence']} at the weakest; "
        f"associated: {why_not}.{_of_others(row) if is_of_these else ''}"
    )


def _of_these(row: pd.Series) -> pd.Series:
    """Return a pattern as a statement about these sends alone."""
    said = row.copy()
    for name in ("ci_low", "ci_high"):
        said[f"difference_{name}"] = row[f"in_sends_{name}"]
    said["qvalue"], said["is_found"] = row["in_sends_qvalue"], True
    return said


def _of_others(row: pd.Series) -> str:
    between = formats.points(row["difference"], _ends(row, "difference"))
    return f" Whether other sends like them would is not clear: {between}."


def correlation_sentence(row: pd.Series) -> str:
    """Return a row of CORRELATIONS as a sentence, found or not."""
    pair = f"{words.label(str(row['metric']))} and {words.label(str(row['other_metric']))}"
    where = _where(str(row["layer"]))
    if formats.is_missing(row["correlation"]):
        return f"Effects on {pair}{where}: no correlation ({formats.reason(_status(row))})."
    said = formats.rate(row["correlation"], _ends(row, "correlation"))
    over = f"over {_campaigns(row['n_campaigns'])}{where}"
    sure = f"q = {formats.pvalue(row['qvalue'])} over the pairs of metrics".replace("q = <", "q <")
    if not row["is_found"]:
        return f"No clear correlation of the effects on {pair} {over}: {said}; {sure}."
    way = "go together" if row["correlation"] > 0 else "go opposite ways"
    return f"Effects on {pair} {way} {over}: correlation {said}, noise allowed for; {sure}."


def cost_why(ground: Ground) -> str:
    """Return what the cost of a planned send rests on, its effect with the interval."""
    ends, events = (ground.low, ground.high), formats.count(ground.events)
    if ground.state == MISSED:
        effect = formats.percent(ground.effect, ends)
        return (
            f"nothing was sent; {ground.sends} did {effect} on the {events} events expected of an "
            "average audience"
        )
    return f"{ground.sends}: {formats.points(ground.effect, ends)} on {events} events expected"


def cadence_sentence(
    row: pd.Series, *, metric: str, name: str | None = None, zone: str = "UTC"
) -> str:
    """Return a row of CADENCE as a sentence.

    Args:
        row: The row.
        metric: The primary metric, which the cost is counted in.
        name: The automation's name; its id where left out.
        zone: The zone instants are shown in.
    """
    planned = formats.instant(row["planned_at"], zone)
    state = _STATES.get(str(row["state"]), words.label(str(row["state"])))
    if row["state"] == "moved" and not formats.is_missing(row["hours_late"]):
        late = "later" if row["hours_late"] > 0 else "earlier"
        state = f"sent {formats.duration(abs(pd.Timedelta(hours=row['hours_late'])))} {late}"
    said = f"{name or row['automation_id']}, planned for {planned}: {state}"
    if row["state"] in _WITHOUT_COST:
        return f"{said}."
    cost = "what it cost is not known"
    if not formats.is_missing(row["cost_events"]):
        side = words.direction(*_ends(row, "cost_events"), estimate=float(row["cost_events"]))
        verb = "what it cost is not clear," if side == "unclear" else "it cost"
        cost = f"{verb} {_events(row, 'cost_events')} {words.label(metric)}"
    return f"{said}; {cost} ({row['why']})."


def what_if_words(row: pd.Series) -> str:
    """Return a recommendation in a sentence with its numbers.

    Args:
        row: A row of WHAT_IF, with `n_pushes` a week and `kind`, the better kind of a pattern.
    """
    metric, where = words.label(str(row["metric"])), _where(str(row["layer"]))
    n, kind = formats.count(row["n_campaigns"]), _kind(str(row["kind"]))
    is_one = row["n_campaigns"] == 1
    sends, s, those = ("send", "s", "one") if is_one else ("sends", "", n)
    advice = {
        "stop_harmful": f"Stop sends like the {those} that clearly lower{s} {metric}{where}",
        "stop_no_effect": f"Stop sends like the {those} without an effect on {metric} worth a "
        f"push{where}: {_pushes(row)} fewer a week",
        "scale_best": f"Send one more a week of the {those} that clearly raise{s} {metric}{where}",
        "send_on_plan": f"Send on plan{where}: {n} planned {sends} moved or missed",
        "send_at_best_lag": f"Send {_pushes(row)} a week{where} at the better time after what set "
        f"them off, {kind}",
        "prefer_content": f"Tell more of {kind}{where}, {_pushes(row)} a week instead of others",
    }
    said = advice.get(str(row["recommendation"]), keys.titled(str(row["recommendation"])))
    return f"{said}: {_events(row, 'events_per_week')} {metric} a week."


def what_if_sentence(row: pd.Series, *, currency: str = "") -> str:
    """Return a row of WHAT_IF as a sentence with money and what has to hold.

    Args:
        row: The row.
        currency: What the value is in.
    """
    value = _money(row, "value_per_week", currency)
    money = f" In money: {value} a week." if value else ""
    return f"{row['words']}{money} This holds if {row['assumptions']}."


def history_sentence(row: pd.Series, *, period: Span, before: Span | None, zone: str) -> str:
    """Return a row of HISTORY as a sentence.

    Args:
        row: The row.
        period: What is called now.
        before: What it is compared with; None where it was not read.
        zone: The zone days are told in.
    """
    what = f"{words.layer(str(row['layer']))}, {words.label(str(row['metric']))}"
    if before is None or formats.is_missing(row["difference"]):
        why = formats.reason("not_loaded" if before is None else _status(row))
        return f"{what}: no comparison with the period before ({why})."
    side = words.direction(*_ends(row, "difference"), estimate=float(row["difference"]))
    word = {"above": "more than", "below": "less than"}.get(side, "nothing clearly different from")
    difference = formats.points(row["difference"], _ends(row, "difference"))
    return (
        f"{what}: sends from {_days(period, zone)} did {word} those from {_days(before, zone)}, "
        f"{difference} ({formats.percent(row['now'])} against {formats.percent(row['before'])}; "
        f"p = {formats.pvalue(row['pvalue'])}, not corrected for the other comparisons; "
        f"{_campaigns(row['n_now'])} against {formats.count(row['n_before'])})."
    ).replace("p = <", "p <")


def trend_sentence(row: pd.Series, *, name: str | None = None) -> str:
    """Return a row of TRENDS as a sentence.

    Args:
        row: The row.
        name: The automation's name; its id where left out.
    """
    what = f"{name or row['automation_id']}, {words.label(str(row['metric']))}"
    if formats.is_missing(row["slope_per_week"]):
        return f"{what}: no trend ({formats.reason(_status(row))})."
    slope = formats.points(row["slope_per_week"], _ends(row, "slope_per_week"))
    q = f"q = {formats.pvalue(row['qvalue'])} over the automations".replace("q = <", "q <")
    side = words.direction(*_ends(row, "slope_per_week"), estimate=float(row["slope_per_week"]))
    is_clear = row["qvalue"] <= FALSE_DISCOVERY_RATE and side != "unclear"
    way = "rises" if side == "above" else "falls"
    word = f"its effect {way} over time" if is_clear else "no clear trend"
    return f"{what}: {word}, {slope} a week over {_campaigns(row['n_campaigns'])}; {q}."


def _open(case: pd.Series, zone: str) -> str:
    closes = "" if pd.isna(case["until"]) else f", it closes {formats.instant(case['until'], zone)}"
    if formats.is_missing(case["effect_size"]):
        return f"The window is still open{closes}."
    return f"The window is still open{closes}. So far: {number(case)}."


def _needed(case: pd.Series) -> str:
    """Say what a retest needs; nothing where that cannot be told."""
    if not case["n_needed"]:
        return ""
    by = ", going by other sends of its layer" if case["is_borrowed"] else ""
    return (
        f" A retest that finds {_worth(case)} four times in five needs about "
        f"{formats.count(case['n_needed'])} recipients{by}."
    )


def _worth(case: pd.Series) -> str:
    return formats.share(case["worth"])


def _compared(row: pd.Series, metric: str) -> str:
    """Return "Drops did +9.8 pp [...] better than features in ...", or that it is not clear."""
    group, other = _kind(row["group"]), str(row["other"])
    is_told = row["pattern"] == "content" or keys.said(str(row["pattern"])) == group
    asked = "" if is_told else f"{keys.titled(str(row['pattern']))}: "
    difference = formats.points(row["difference"], _ends(row, "difference"))
    if other.startswith(_PER) and row["is_found"]:
        said = f"{group}: the effect on {metric} changes by {difference} {other}"
    elif other.startswith(_PER):
        said = f"{group}: no clear difference in {metric} {other}, {difference}"
    elif not row["is_found"]:
        said = f"no clear difference between {group} and {_kind(other)} in {metric}, {difference}"
    elif row["difference"] > 0:
        said = f"{group} did {difference} better than {_kind(other)} in {metric}"
    else:
        said = f"{group} did worse than {_kind(other)} in {metric}, {difference}"
    return f"{asked}{said}" if asked else _upper(said)


def _kind(name: str) -> str:
    return _KINDS.get(name) or keys.said(name)


def _pushes(row: pd.Series) -> str:
    return f"about {formats.count(row['n_pushes'])} pushes"


def _money(row: pd.Series, name: str, currency: str) -> str:
    if formats.is_missing(row[name]):
        return ""
    return f"{currency} {_events(row, name)}".strip()


def _events(row: pd.Series, name: str) -> str:
    return formats.signed(row[name], _ends(row, name))


def _ends(row: pd.Series, name: str) -> tuple[float, float]:
    return _pair(row[f"{name}_ci_low"], row[f"{name}_ci_high"])


def _pair(low: float, high: float) -> tuple[float, float]:
    return float(low), float(high)


def _status(row: pd.Series) -> str:
    """Return the status, unless it says ok where a number is missing all the same."""
    return "no_data" if row["status"] == "ok" else str(row["status"])


def _where(layer: str) -> str:
    return " over all layers" if layer == "all" else f" in layer {layer}"


def _days(period: Span, zone: str) -> str:
    """Return the first and the last day of a period, whose end is outside it."""
    last = formats.day(period.until - timedelta(milliseconds=1), zone)
    return f"{formats.day(period.since, zone)} to {last}"


def _campaigns(number_of: float) -> str:
    return f"{formats.count(number_of)} campaign{'' if number_of == 1 else 's'}"


def _people(number_of: float) -> str:
    return f"{formats.count(number_of)} recipient{'' if number_of == 1 else 's'}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
