"""Results as sentences: never more than the evidence carries."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import pandas as pd

from core.measure.holes import INCOMPLETE
from core.measure.multiplicity import FALSE_DISCOVERY_RATE
from core.publish import formats, unknown

Direction = Literal["above", "below", "unclear", "missing"]
"""Where an interval lies: above zero, below it, over it, or there is no number."""
Scale = Literal["relative", "absolute"]
Word = Literal[
    "works",
    "hurts",
    "likely works",
    "likely hurts",
    "no clear effect",
    "higher after",
    "lower after",
    "no clear change",
    "too early",
    "too few",
    "can't tell",
]

_LAYERS = MappingProxyType(
    {
        "1": "Layer 1, platform-wide",
        "2": "Layer 2, hot inventory",
        "3": "Layer 3, activity-responsive",
        "unclassified": "Unclassified",
        "all": "All layers",
    }
)
_METHODS = MappingProxyType(
    {
        "headline": "best of each campaign",
        "holdout": "randomised holdout",
        "comparison": "users not pushed at the time",
        "joint": "joint regression of all campaigns",
        "self_control": "recipients at earlier triggers without a push",
        "window": "the same weekday and hour of earlier weeks",
        "classic": "plain before and after",
        "negative_control": "the headline, on a metric pushes cannot move",
    }
)
_EVIDENCE = MappingProxyType(
    {
        "A": "randomised holdout",
        "B": "comparison with users not pushed at the same time",
        "C": "adjusted comparison that had to be widened, or recipients against themselves",
        "D": "recipients' own earlier weeks",
        "E": "plain before and after",
    }
)
_CAVEATS = MappingProxyType(
    {
        "A": "who got the push was chosen at random, so a difference is its doing",
        "B": "compared with users who were not pushed, not with a randomised holdout",
        "C": "adjusted for what could be seen, but not randomised, so likely rather than shown",
        "D": "descriptive: associated with the push, compared with the same users' earlier weeks",
        "E": "plain before and after: associated with the push, and it cannot tell the push from "
        "what would have happened anyway",
    }
)
CAUSAL = frozenset({"A", "B"})
"""Evidence grades that allow to say what a push did."""
LIKELY = "C"
"""The grade that allows to say what a push likely did; D and E say what came after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What can be said about one campaign.

    Attributes:
        word: The verdict in a word or two.
        sentence: Why, with the number, how sure it is and what the evidence cannot say.
        tone: Where the interval lies, once it is clear; what may be coloured.
    """

    word: Word
    sentence: str
    tone: Direction


def label(metric: str) -> str:
    """Return a metric's name as people say it, "confirmed trades"."""
    return " ".join(metric.replace("_", " ").split()) or metric


def layer(name: str) -> str:
    """Return a layer's name as people say it, "Layer 3, activity-responsive"."""
    return _LAYERS.get(name, name)


def method(name: str) -> str:
    """Return what a method is, in a few words."""
    return _METHODS.get(name, label(name))


def evidence(grade: str) -> str:
    """Return what an evidence grade rests on, in a few words."""
    return _EVIDENCE.get(grade, "unknown evidence")


def basis(row: pd.Series) -> str:
    """Return what a number rests on, grade and method, "A, randomised holdout"."""
    return f"{row['evidence']}, {method(str(row['method']))}"


def limits(row: pd.Series) -> str:
    """Return what a number cannot say, a pool's by the weakest evidence in it.

    Args:
        row: One row of LIFTS or LAYER_LIFTS.
    """
    if row["method"] != "headline":
        return caveat(str(row["evidence"]))
    grade = str(row["evidence"])
    return f"each campaign by its best evidence, the weakest of grade {grade}: {caveat(grade)}"


def caveat(grade: str) -> str:
    """Return what numbers of an evidence grade cannot say."""
    return _CAVEATS.get(grade, "the evidence grade is unknown")


def direction(low: float, high: float, *, estimate: float = 0.0) -> Direction:
    """Return where an interval lies against zero; a side without a bound is open.

    Args:
        low: Its lower end; NaN or infinite where there is none.
        high: Its upper end; NaN or infinite where there is none.
        estimate: The number it belongs to; NaN where there is none.
    """
    if formats.is_missing(estimate):
        return "missing"
    if not formats.is_missing(low) and low > 0:
        return "above"
    if not formats.is_missing(high) and high < 0:
        return "below"
    return "unclear"


def effect(row: pd.Series, scale: Scale = "relative") -> str:
    """Return a row's effect with its interval, or the em dash with the reason.

    Args:
        row: One row of LIFTS or LAYER_LIFTS.
        scale: Whether as a fraction of what was expected or in events per user per day. Where
            there is no relative effect (no baseline to speak of), it is the absolute one.
    """
    rel, absolute = row["rel_effect_size"], row["effect_size"]
    if scale == "relative" and not formats.is_missing(rel):
        return formats.percent(rel, _interval(row, "rel_effect_size"))
    if not formats.is_missing(absolute):
        return f"{formats.signed(absolute, _interval(row, 'effect_size'))} per user per day"
    return formats.missing(_why(row))


def finding(
    layers: pd.DataFrame,
    metric: str,
    *,
    method: str | None = None,
    post_hours: int = 48,
) -> str:
    """Return the one sentence at the top: how much, over how many campaigns, how it is known.

    It reads the rows that pool each campaign's own best evidence, where there are any; else the
    best single method.

    Args:
        layers: Pooled results, as LAYER_LIFTS, with a row for the layer "all".
        metric: The metric.
        method: The estimator; the headline, else the best evidence there is, if left out.
        post_hours: Length of the window after a push.
    """
    rows = layers[layers["metric"] == metric]
    row = _best(rows[rows["layer"] == "all"], method)
    if row is None or formats.is_missing(row["effect_size"]):
        why = "no result" if row is None else formats.reason(_why(row))
        return f"{_upper(label(metric))}: no finding yet ({why})."
    most = _most(rows[rows["method"] == row["method"]])
    said = f"{_claim(row, metric, post_hours)}, over {_campaigns(row)}{most}"
    return f"{said}; {limits(row)}."


def verdict(
    lift: pd.Series,
    campaign: pd.Series,
    *,
    as_of: formats.Instant = None,
    min_recipients: int = 30,
) -> Verdict:
    """Return what can be said about one campaign and metric.

    A result is clear only where its q-value within its family is at most 5 % and its interval
    leaves out zero. Evidence A and B say "works" or "hurts", C puts "likely" before it, D and E
    only say what came after.

    Args:
        lift: One row of LIFTS.
        campaign: Its row of CAMPAIGNS.
        as_of: The instant looked from, for how long an open window stays open.
        min_recipients: Measured users a campaign needs.
    """
    if campaign["n_delivered"] == 0:
        return _none("can't tell", "Nothing was delivered, so there is nothing to measure.")
    if lift["status"] == INCOMPLETE:
        return _none("can't tell", unknown.sentence(INCOMPLETE))
    if not campaign["window_complete"] or lift["status"] == "window_open":
        return _none("too early", _open_window(lift, campaign, as_of))
    if not campaign["qualifies"] or lift["status"] == "too_few_users":
        return _none("too few", _too_few(lift, campaign, min_recipients))
    if formats.is_missing(lift["effect_size"]):
        return _none("can't tell", unknown.sentence(_why(lift)))
    return _judged(lift)


def _judged(lift: pd.Series) -> Verdict:
    side = direction(*_ends(lift, "effect_size"), estimate=lift["effect_size"])
    grade = str(lift["evidence"])
    number = f"{_upper(label(lift['metric']))}: {effect(lift)}"
    limits = f"Grade {grade}: {caveat(grade)}{_widened(lift)}."
    if formats.is_missing(lift["qvalue"]):
        why = "it was not tested within a family, so chance cannot be ruled out"
        return _none("can't tell", f"{number}; {why}. {limits}")
    tested = f"q = {formats.pvalue(lift['qvalue'])} within {_family(lift)}"
    tested = tested.replace("q = <", "q <")
    if lift["qvalue"] > FALSE_DISCOVERY_RATE or side == "unclear":
        may_tell = grade in CAUSAL or grade == LIKELY
        word: Word = "no clear effect" if may_tell else "no clear change"
        return Verdict(word=word, sentence=f"{number}; {tested}. {limits}", tone="unclear")
    word = _clear_word(grade, is_above=side == "above")
    return Verdict(word=word, sentence=f"{number}, clear at {tested}. {limits}", tone=side)


def _widened(lift: pd.Series) -> str:
    """Say that the self-checks widened an interval, nothing where they did not."""
    if formats.is_missing(lift["se_scale"]) or lift["se_scale"] <= 1:
        return ""
    times = f"{lift['se_scale']:.1f}"
    return (
        f"; the interval is {times} times as wide as computed, because the same comparison varied "
        "that much where nothing was sent"
    )


def _clear_word(grade: str, *, is_above: bool) -> Word:
    if grade in CAUSAL:
        return "works" if is_above else "hurts"
    if grade == LIKELY:
        return "likely works" if is_above else "likely hurts"
    return "higher after" if is_above else "lower after"


def _none(word: Word, sentence: str) -> Verdict:
    return Verdict(word=word, sentence=sentence, tone="missing")


def _open_window(lift: pd.Series, campaign: pd.Series, as_of: formats.Instant) -> str:
    closes = campaign["window_closes_at"]
    when = formats.closes_in(closes, as_of)
    if when == formats.MISSING:
        when = "" if pd.isna(closes) else f"closes {formats.instant(closes)}"
    so_far = "" if formats.is_missing(lift["effect_size"]) else f" So far {effect(lift)}."
    return f"Provisional{', ' if when else ''}{when}: not every window is over.{so_far}"


def _too_few(lift: pd.Series, campaign: pd.Series, min_recipients: int) -> str:
    n_users = min(int(lift["n_users"]), int(campaign["n_measured"]))
    users = "user" if n_users == 1 else "users"
    return (
        f"{formats.count(n_users)} measured {users}; at least {formats.count(min_recipients)} "
        "are needed for a verdict."
    )


def _best(rows: pd.DataFrame, method: str | None) -> pd.Series | None:
    """Return the row of the method, else the headline's, else of the best evidence there is."""
    if method is None and (rows["method"] == "headline").any():
        method = "headline"
    rows = rows if method is None else rows[rows["method"] == method]
    if rows.empty:
        return None
    ranked = rows.assign(is_missing=rows["effect_size"].isna())
    return ranked.sort_values(["is_missing", "evidence"], kind="stable").iloc[0]


def _claim(row: pd.Series, metric: str, post_hours: int) -> str:
    """Return "recipients' trades were 19.7 % [...] higher ...", or what the grade allows."""
    side = direction(*_ends(row, "effect_size"), estimate=row["effect_size"])
    name, window = label(metric), f"in the {post_hours} h after a push"
    is_causal = row["evidence"] in CAUSAL
    if side == "unclear":
        other = "their baseline" if row["evidence"] == "E" else "what was expected without it"
        return f"Recipients' {name} {window} did not clearly differ from {other}: {effect(row)}"
    if is_causal:
        verb = "raised" if side == "above" else "lowered"
        return f"Pushes {verb} {name} by {_unsigned(row)} {window}"
    more = "higher" if side == "above" else "lower"
    other = "in their baseline" if row["evidence"] == "E" else "expected without it"
    return f"Recipients' {name} were {_unsigned(row)} {more} {window} than {other}"


def _unsigned(row: pd.Series) -> str:
    """Return the size of an effect whose direction the sentence says."""
    name = "rel_effect_size"
    is_relative = not formats.is_missing(row[name])
    name = name if is_relative else "effect_size"
    value, (low, high) = row[name], _ends(row, name)
    if value < 0:
        value, low, high = -value, -high, -low
    if is_relative:
        return formats.percent(value, (low, high)).removeprefix("+")
    return f"{formats.rate(value, (low, high))} events per user per day"


def _most(rows: pd.DataFrame) -> str:
    """Return which layer stands out, where more than one was measured and one is above zero."""
    single = rows[rows["layer"].isin(["1", "2", "3"]) & rows["rel_effect_size"].notna()]
    if len(single) < 2:
        return ""
    ranked = single.sort_values("rel_effect_size", ascending=False, kind="stable")
    top, second = ranked.iloc[0], ranked.iloc[1]
    if direction(*_ends(top, "rel_effect_size"), estimate=top["rel_effect_size"]) != "above":
        return ""
    ends = _ends(second, "rel_effect_size")
    is_apart = not formats.is_missing(ends[1]) and top["rel_effect_size_ci_low"] > ends[1]
    overlap = "" if is_apart else ", though the layers' intervals overlap"
    return f"; highest in layer {top['layer']} ({effect(top)}{overlap})"


def _campaigns(row: pd.Series) -> str:
    number = int(row["n_campaigns"])
    return f"{formats.count(number)} campaign{'' if number == 1 else 's'}"


def _family(lift: pd.Series) -> str:
    """Say what a q-value was corrected within, so that "clear" is never said without it."""
    family = lift["family"]
    if pd.isna(family) or not family:
        return "its family"
    known = {
        "primary": "the primary metric of all campaigns",
        "secondary": "all metrics of all campaigns",
    }
    return known.get(str(family), label(str(family)))


def _ends(row: pd.Series, name: str) -> tuple[float, float]:
    return float(row[f"{name}_ci_low"]), float(row[f"{name}_ci_high"])


def _interval(row: pd.Series, name: str) -> tuple[float, float] | None:
    """Return an effect's interval; None where no interval could be computed at all."""
    is_absent = all(formats.is_missing(end) for end in _ends(row, "effect_size"))
    return None if is_absent else _ends(row, name)


def _why(row: pd.Series) -> str:
    """Return the status, unless it says ok where a number is missing all the same."""
    return "no_data" if row["status"] == "ok" else str(row["status"])


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
