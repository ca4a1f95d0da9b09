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
METHODS = """\
- **Randomised holdout (A).** Of those who qualified, some were left out at random. Both groups \
are compared over the same hours, everybody assigned counts, reached or not, and what each did \
before makes the comparison sharper.
- **Users not pushed at the time (B).** From people in the same state (how active in the last \
hours and weeks, other pushes they got) who were not sent it, the model says what the recipients \
would have done. For messages that people set off, the others did the same thing and got no push. \
Where that same comparison varied too much at dates without a push, its intervals are widened and \
the grade drops to C.
- **Joint regression (C).** All pushes in one model over people and days, so that overlapping \
pushes do not take credit for each other. Not for messages that people set off.
- **Earlier triggers (C).** The same people at earlier moments at which they set the message off \
and got none.
- **Earlier weeks (D).** The same people at the same weekday and hour of earlier weeks. It only \
describes.
- **Plain before and after (E).** The average day of the weeks before. It only describes.
"""
LIMITS = """\
- **What nobody could see.** Without a randomised holdout, a comparison allows for what is \
recorded. Who was meant to get a message for a reason that is not recorded may differ anyway.
- **Days that hit only the recipients.** A rival's sale among the very people who were pushed \
looks like an effect in every method but the holdout.
- **Pushes that follow from pushes.** Where one push leads to another within the same hours, the \
number is that of both.
- **Longer than the window.** What happens after the window's end, or is only moved forward into \
it, is not told apart.
- **Many campaigns, some luck.** Among dozens of campaigns the highest number is partly chance: \
best guesses are drawn towards their layer, q-values allow for having looked at all of them, and \
ranks come with intervals.
- **Layers differ by whom they reach.** A difference between layers is not what moving a message \
would bring.
"""


def in_a_sentence(settings: Settings) -> str:
    """Return what is measured, in one sentence."""
    analysis = settings.analysis
    return (
        f"What recipients did in the {analysis.post_hours} h after their push, against the best "
        "answer there is to what they would have done without it."
    )


def steps(settings: Settings, choices: Choices) -> str:
    """Return how a number comes about, step by step, as markdown."""
    analysis = settings.analysis
    level = formats.confidence(choices.confidence_level)
    return f"""\
1. **Who.** Everybody a push was delivered to and who is found in the activity data, by their id \
or else by e-mail. Somebody found who did nothing counts as zero and stays in. The first delivery \
of a campaign to a person counts.
2. **When.** From the instant of each person's own delivery, {analysis.post_hours} h on, to the \
millisecond. While they are not over, everybody is compared over the same hours and the number is \
provisional.
3. **Compared with what.** Six methods are tried on every campaign; the best evidence that could \
be had is the headline. Plain before and after ({analysis.baseline_days} days back, cut at the \
sign-up) is always computed and stands beside it.
4. **The number.** Events per user per day after the push over those expected without it, less \
one: the **lift**. Times users and days: the **extra events**.
5. **How sure.** A {level} interval from the spread between people, each counted once however \
many campaigns they were in (Fieller's for the percentage, which contains zero exactly when the \
test does not reject).
6. **Checked.** The same comparison is repeated one to four weeks earlier, where nothing was \
sent. Where it finds effects there, intervals are widened and the grade drops.
7. **Clear or not.** A result counts as clear only where it survives the correction for looking \
at all campaigns of the period (Benjamini-Hochberg, 5 %). Campaigns below \
{formats.count(choices.min_recipients)} measured users get no verdict, but stay listed.
"""


def grades() -> pd.DataFrame:
    """Return the evidence grades, what each compares with, and what it cannot say."""
    letters = list("ABCDE")
    says = [
        "works, hurts",
        "works, hurts",
        "likely works, likely hurts",
        *["higher, lower after"] * 2,
    ]
    return pd.DataFrame(
        {
            "Grade": letters,
            "Compared with": [words.evidence(grade) for grade in letters],
            "A clear verdict says": says,
            "What to keep in mind": [words.caveat(grade) for grade in letters],
        }
    )


def worked(row: pd.Series, plain_row: pd.Series | None, rules: Rules) -> str:
    """Return one campaign's number, step by step, as markdown.

    Args:
        row: As `tables.judged`, with a relative effect.
        plain_row: The same campaign's row of LIFTS by plain before and after.
        rules: How it was measured.
    """
    name = plain(words.label(str(row["metric"])))
    expected, after = formats.rate(row["expected_rate"]), formats.rate(row["post_rate"])
    lift = plain(words.effect(row.drop("status").rename({"lift_status": "status"})))
    compared = (
        f"Compared with {formats.count(row['n_comparison'])} others: "
        if row["n_comparison"]
        else "Compared with themselves: "
    )
    how = f"{plain(words.method(str(row['method'])))} (grade {row['evidence']})"
    people, hours = formats.count(row["n_users"]), rules.lengths.post_hours
    lines = [
        f"**{plain(str(row['label']))}**\n",
        f"- {people} people were {'to get it' if row['method'] == 'holdout' else 'measured'}.",
        f"- In the {hours} h after their push they had {after} {name} per person and day.",
        f"- {compared}{how}. By that, {expected} were to be expected without the push.",
        f"- The one over the other, less one, before rounding: **{lift}**.",
    ]
    if row["se_scale"] > 1:
        lines.append(
            f"- The interval is {row['se_scale']:.2f} times as wide as computed, because the same "
            "comparison varied that much where nothing was sent."
        )
    if not formats.is_missing(row["shrunk_rel_effect_size"]):
        guess = plain(formats.percent(row["shrunk_rel_effect_size"]))
        lines.append(f"- Drawn towards the mean of its layer, the best guess is **{guess}**.")
    if plain_row is not None and row["method"] != "classic":
        lines.append(
            f"- Plain before and after: {formats.rate(plain_row['baseline_rate'])} per person and "
            f"day in the {rules.lengths.baseline_days} days before, so "
            f"{plain(words.effect(plain_row))}: it takes for the push's doing whatever else was "
            "different."
        )
    lines.append(f"- Verdict: **{row['verdict']}**. {plain(str(row['sentence']))}")
    return "\n".join(lines) + "\n"
