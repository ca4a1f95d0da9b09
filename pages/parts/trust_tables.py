"""What speaks for and against a campaign's number, as rows. Knows no Streamlit."""

from __future__ import annotations

import pandas as pd

from core.diagnosis import Baseline, Power, Trust
from core.measure.event_study import EventStudy
from core.measure.outliers import OutlierView
from core.measure.permutation import PermutationTest
from core.publish import formats, words
from pages.parts.measured import Individual
from pages.parts.tables import layer_name

_GOOD, _MIXED, _POOR, _NONE = "fine", "with care", "speaks against it", formats.MISSING
ICONS = {
    _GOOD: ":material/check_circle:",
    _MIXED: ":material/info:",
    _POOR: ":material/error:",
    _NONE: ":material/remove:",
}
"""What follows from an answer -> the sign beside it."""
_GRADES = {"green": _GOOD, "amber": _MIXED, "red": _POOR}
_REASONS = {
    "trend": "activity was drifting",
    "other_pushes": "other pushes lie in the weeks before",
    "self_check_found_effect": "a self-check found an effect where nothing was sent",
    "trend_unknown": "the trend cannot be told",
    "other_pushes_unknown": "other pushes cannot be told",
    "no_self_check": "no self-check was possible",
    "many_newcomers": "many recipients had joined less than four weeks before",
}
_TESTS = {
    "t": "enough users and events for the usual test",
    "permutation": "few users or events: the usual test is rough, a permutation test is shown",
    "none": "too few events to test anything",
}
_VIEWS = {
    "keep": "everybody",
    "iqr": "without extreme users by IQR, descriptive only",
    "zscore": "without extreme users by z-score, descriptive only",
    "winsorize": "every window capped alike",
}
_WEIGHTY_OVERLAP, _WEIGHTY_SHARE = 0.5, 0.1


def answers(found: Trust) -> list[tuple[str, str, str]]:
    """Return question, answer and what follows (a key of ICONS)."""
    rows = [
        _overlap(found),
        _contamination(found),
        _stability(found.baseline),
        ("Are there enough users and events?", _enough(found), _enough_mark(found.test)),
        _power(found.power),
        _placebos(found),
    ]
    if found.permutation is not None:
        rows.append(_permutation(found.permutation))
    return rows


def placebo_table(found: Trust) -> pd.DataFrame:
    """Return a campaign's self-checks at earlier dates, where nothing was sent."""
    checks = found.placebos
    return pd.DataFrame(
        {
            "Method": [words.method(name) for name in checks["method"]],
            "Weeks earlier": checks["weeks"].to_numpy(),
            "Standard errors from zero": checks["z"].to_numpy(),
            "p": checks["pvalue"].to_numpy(),
        }
    )


def outlier_table(views: tuple[OutlierView, ...], level: float) -> pd.DataFrame:
    """Return plain before and after with and without extreme users."""
    return pd.DataFrame(
        {
            "Extreme users": [_VIEWS.get(view.rule, view.rule) for view in views],
            "Lift": [view.rel_effect_size for view in views],
            f"{formats.confidence(level)} interval": [
                _percents(view.rel_ci_low, view.rel_ci_high)
                if view.is_verdict_safe
                else "none: it only describes"
                for view in views
            ],
            "Users": [view.n_users for view in views],
            "Touched": [formats.share(view.touched_share) for view in views],
            "Why": [view.why for view in views],
        }
    )


def individual_sentence(lifts: Individual) -> str:
    """Return the recipients' own percentages, and why they are no estimate of the effect."""
    if not lifts.n_users:
        return "No recipient had events before, so there are no percentages of single users."
    return (
        f"Description only: each recipient's own percentage is {formats.percent(lifts.mean)} on "
        f"average, {formats.percent(lifts.median)} in the middle, over the "
        f"{formats.count(lifts.n_users)} recipients with events before; "
        f"{formats.share(lifts.share_excluded)} had none and have no percentage. Neither number "
        "estimates the effect: without any effect the average is not zero and the middle is far "
        "below it."
    )


def event_table(found: EventStudy) -> pd.DataFrame:
    """Return the days around a push as they are read."""
    rows = found.frame()
    return pd.DataFrame(
        {
            "Day": [f"{day:+d}" for day in rows["day"]],
            "After": rows["pushed_rate"].to_numpy(),
            "Expected": rows["expected_rate"].to_numpy(),
            "Difference": [
                formats.signed(row["effect_size"], (row["band_low"], row["band_high"]))
                for _, row in rows.iterrows()
            ],
        }
    )


def trend_sentence(found: EventStudy) -> str:
    """Return whether recipients and the others moved alike before the push, in a sentence."""
    if not found.is_compared:
        return (
            f"There is nobody to compare with ({formats.reason(found.status)}): the curve is the "
            "recipients' own, and the rhythm of the week is still in it."
        )
    trend = found.pre_trend
    others = (
        "those held out" if found.source == "holdout" else "users in the same state, not pushed"
    )
    if formats.is_missing(trend.pvalue):
        return f"Against {others}; whether both moved alike before cannot be tested."
    said = "moved alike" if trend.pvalue >= 0.05 else "did not move alike"
    return (
        f"Against {others}. Days −14 to −3: both {said} (joint test p "
        f"{_equals(formats.pvalue(trend.pvalue))}). A steady drift apart of "
        f"{formats.rate(abs(trend.missed_slope))} events per user per day a day would be missed "
        "half of the time."
    )


def event_takeaway(found: EventStudy) -> str:
    """Return how many days after the push lie outside the band's reach of zero."""
    rows = found.frame()
    after = rows[(rows["day"] >= 0) & rows["effect_size"].notna()]
    if after.empty:
        return "No day after the push is wholly observed yet"
    above, below = int((after["band_low"] > 0).sum()), int((after["band_high"] < 0).sum())
    return (
        f"{above or 'None'} of {len(after)} days after the push clearly above what was expected, "
        f"{below or 'none'} below"
    )


def quality_table(trust: pd.DataFrame, rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return overlap, contamination, stability and adequacy of each campaign.

    Args:
        trust: As `trust_table`.
        rows: As `judged`; only these campaigns, in this order.
        metric: The metric.
    """
    of_metric = trust[trust["metric"] == metric].set_index("campaign_id")
    found = of_metric.reindex(rows["campaign_id"])
    return pd.DataFrame(
        {
            "Campaign": rows["label"].to_numpy(),
            "Layer": [layer_name(name) for name in rows["layer"]],
            "Baseline": [_GRADES.get(str(grade), _NONE) for grade in found["grade"]],
            "Trend a week": [_slope(row) for _, row in found.iterrows()],
            "Other pushes before": found["contamination_share"].to_numpy(),
            "Also pushed within 48 h": found["overlap_share"].to_numpy(),
            "Self-checks, p": found["placebo_pvalue"].to_numpy(),
            "Smallest effect seen": found["detectable_rel_effect"].to_numpy(),
            "Test": [_TESTS.get(str(test), _NONE).partition(":")[0] for test in found["test"]],
            "Evidence": rows["evidence"].to_numpy(),
        }
    )


def quality_sentence(trust: pd.DataFrame, rows: pd.DataFrame, metric: str) -> str:
    """Return how many campaigns have a steady and clean baseline, in a sentence."""
    of = trust[(trust["metric"] == metric) & trust["campaign_id"].isin(rows["campaign_id"])]
    counts = of["grade"].value_counts()
    return (
        f"{counts.get('green', 0)} of {len(of)} campaigns have a steady baseline, free of other "
        f"pushes and quiet in its self-checks; {counts.get('amber', 0)} need care, "
        f"{counts.get('red', 0)} speak against plain before and after."
    )


def _overlap(found: Trust) -> tuple[str, str, str]:
    share = found.overlap.share
    said = (
        f"{formats.share(share)} of the recipients got another push within 48 h before or after; "
        f"on average {found.overlap.hours:.0f} h of the 48 h after are shared with another one"
    )
    return "Do other pushes overlap it?", said, _MIXED if share > _WEIGHTY_OVERLAP else _GOOD


def _contamination(found: Trust) -> tuple[str, str, str]:
    share = found.overlap.contamination
    said = f"{formats.share(share)} of the time before lies within 48 h after another push"
    mark = _NONE if formats.is_missing(share) else _GOOD if share < _WEIGHTY_SHARE else _MIXED
    return "Is the time before free of other pushes?", said, mark


def _stability(baseline: Baseline) -> tuple[str, str, str]:
    if formats.is_missing(baseline.slope):
        said = "the trend of the four weeks before cannot be told"
    else:
        ends = baseline.slope_ci_low, baseline.slope_ci_high
        said = f"{formats.percent(baseline.slope, ends)} a week over the four weeks before"
    reasons = [_REASONS.get(reason, reason) for reason in baseline.reasons]
    more = f"; {', '.join(reasons)}" if reasons else ""
    return "Was the time before steady?", f"{said}{more}", _GRADES.get(baseline.grade, _NONE)


def _enough(found: Trust) -> str:
    expected = (
        ""
        if formats.is_missing(found.n_expected)
        else (f" ({formats.count(found.n_expected)} events to be expected in the window anyway)")
    )
    return f"{_TESTS.get(found.test, found.test)}{expected}"


def _enough_mark(test: str) -> str:
    return {"t": _GOOD, "permutation": _MIXED}.get(test, _POOR)


def _power(power: Power) -> tuple[str, str, str]:
    question = "What could this send have seen?"
    if formats.is_missing(power.rel_effect):
        return question, "it cannot be told", _NONE
    wanted = formats.percent(power.wanted_rel_effect)
    needed = "more recipients than can be counted"
    if not formats.is_missing(power.recipients_needed):
        needed = f"about {formats.count(power.recipients_needed)} recipients"
    said = (
        f"effects from {formats.percent(power.rel_effect)} on, 80 % of the time; "
        f"{wanted} would need {needed} instead of {formats.count(power.n_users)}"
    )
    return question, said, _GOOD if power.rel_effect <= power.wanted_rel_effect else _MIXED


def _placebos(found: Trust) -> tuple[str, str, str]:
    question = "Does it find effects where nothing was sent?"
    counted = found.placebos[found.placebos["pvalue"].notna()]
    if counted.empty:
        return question, "no earlier date could be checked", _NONE
    called = int((counted["pvalue"] < 0.05).sum())
    said = f"{called or 'none'} of {len(counted)} self-checks at earlier dates"
    return question, said, _GOOD if not called else _MIXED


def _permutation(test: PermutationTest) -> tuple[str, str, str]:
    said = (
        f"permuting which of each user's own windows followed the push: p "
        f"{_equals(formats.pvalue(test.pvalue))}"
    )
    return "What does a test for small samples say?", said, _NONE


def _slope(row: pd.Series) -> str:
    if formats.is_missing(row["slope"]):
        return formats.MISSING
    return formats.percent(row["slope"], (row["slope_ci_low"], row["slope_ci_high"]))


def _percents(low: float, high: float) -> str:
    return formats.interval((100 * low, 100 * high), decimals=1)


def _equals(pvalue: str) -> str:
    return pvalue if pvalue.startswith("<") else f"= {pvalue}"
