"""The words of the method page, with the settings and the numbers that are in force."""

from __future__ import annotations

import pandas as pd

from core.measure.panel import Rules
from core.publish import formats, words
from core.settings import Settings
from pages.parts.choices import Choices
from pages.parts.plain import plain

WIDTH = 860
"""Pixels a line of text takes at most."""
LIMITS = """\
- **It cannot tell the push from what would have happened anyway.** A drop day lifts everybody, \
pushed or not. A recipient of layer 3 had just been active, and somebody who is active now is \
likelier to be active in the next hours without any push.
- **The calendar is in it.** The days after a push are other weekdays than the weeks before.
- **Pushes overlap.** A baseline may hold the effects of earlier pushes, and two pushes within \
the same hours share whatever follows.
- **Extreme users weigh much.** The campaign page shows each number with and without them.
- **Many campaigns, some luck.** Among dozens of campaigns the highest number is partly chance; \
q-values allow for that, the ranking of raw numbers does not.
"""
_ERROR_RATES = (
    ("Steady, independent activity, 1,000 users", "5 of 100"),
    ("Rare events, 30 users", "10 to 30 of 100"),
    ("Always sent on the same weekday", "22 to 28 of 100"),
    ("The same, while activity grows 10 % a month", "44 to 53 of 100"),
    ("Recipients had just been active (layer 3)", "99.8 of 100"),
)


def in_a_sentence(settings: Settings) -> str:
    """Return what is measured, in one sentence."""
    analysis = settings.analysis
    return (
        f"Each recipient's activity in the {analysis.post_hours} h after their push, against the "
        f"same person's activity in the {analysis.baseline_days} days before it."
    )


def steps(settings: Settings, choices: Choices) -> str:
    """Return how a number comes about, step by step, as markdown."""
    analysis = settings.analysis
    level = formats.confidence(choices.confidence_level)
    return f"""\
1. **Who.** Everybody a push was delivered to and who is found in the activity data, by their id \
or else by e-mail. Somebody found who did nothing counts as zero and stays in. The first delivery \
of a campaign to a person counts.
2. **When.** From the instant of each person's own delivery: {analysis.baseline_days} days back \
(cut at their sign-up) and {analysis.post_hours} h on, to the millisecond. While the \
{analysis.post_hours} h are not over, both sides are cut to the same hours and the number is \
provisional.
3. **Rates.** Events per user per day, before and after. The **lift** is the rate after over the \
rate before, less one.
4. **How sure.** A {level} interval from the paired comparison of each person with themselves \
(Fieller's for the percentage, which contains zero exactly when the test does not reject). Layers \
pool pushes and allow for the same people being in many campaigns.
5. **Clear or not.** A result counts as clear only where it survives the correction for looking \
at all campaigns of the period (Benjamini-Hochberg, 5 %). Campaigns below \
{formats.count(choices.min_recipients)} measured users get no verdict, but stay listed.
"""


def grades() -> pd.DataFrame:
    """Return the evidence grades, what each compares with, and what it cannot say."""
    letters = list("ABCDE")
    return pd.DataFrame(
        {
            "Grade": letters,
            "Compared with": [words.evidence(grade) for grade in letters],
            "What to keep in mind": [words.caveat(grade) for grade in letters],
        }
    )


def error_rates() -> pd.DataFrame:
    """Return how often plain before and after finds an effect where there is none."""
    return pd.DataFrame(_ERROR_RATES, columns=["Situation without any effect", "False alarms"])


def worked(row: pd.Series, rules: Rules) -> str:
    """Return one campaign's number, step by step, as markdown.

    Args:
        row: As `tables.judged`, with a relative effect.
        rules: How it was measured.
    """
    name = plain(words.label(str(row["metric"])))
    ends = (row["rel_effect_size_ci_low"], row["rel_effect_size_ci_high"])
    lift = formats.percent(row["rel_effect_size"], ends)
    before, after = formats.rate(row["baseline_rate"]), formats.rate(row["post_rate"])
    return f"""\
**{plain(row["label"])}**

- {formats.count(row["n_users"])} people were measured.
- In the {rules.lengths.baseline_days} days before, they had \
{formats.count(row["n_events_baseline"])} {name}: on average {before} per person and day (each \
person's own rate first, then the mean over people).
- In the {rules.lengths.post_hours} h after, they had {formats.count(row["n_events_post"])}: \
{after} per person and day.
- The rate after over the rate before, less one, before rounding: **{plain(lift)}**.
- Verdict: **{row["verdict"]}**. {plain(row["sentence"])}
"""
