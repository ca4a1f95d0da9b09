"""The figures at the top of pages, before they are drawn. Knows no Streamlit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from core.activity.source import Usage
from core.publish import formats, words
from core.quality.ledger import mapped_share
from pages.parts import pools, tables
from pages.parts.measured import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One figure.

    Attributes:
        label: What it is.
        value: The number, as text.
        beside: What belongs to it: its interval, or what it was before.
        note: What `beside` is.
        meaning: What the label does not say.
    """

    label: str
    value: str
    beside: str = ""
    note: str = ""
    meaning: str = ""


def overview(
    now: Measured,
    rows: pd.DataFrame,
    pooled: pd.Series,
    *,
    before: Measured | None,
    before_rows: pd.DataFrame | None,
    days: str,
) -> list[Card]:
    """Return campaigns, pushes, people, extra events and the share that is clear.

    Args:
        now: What was chosen.
        rows: As `tables.judged`, of it.
        pooled: The pooled row of all chosen layers for the chosen metric.
        before: The period of the same length before, where it was read.
        before_rows: As `tables.judged`, of it.
        days: What the two are compared by, "the 30 days before".
    """

    def counted(label: str, count: Callable[[Measured], int], meaning: str = "") -> Card:
        value = formats.count(count(now))
        if before is None:
            return Card(label=label, value=value, meaning=meaning)
        more = count(now) - count(before)
        change = f"{'+' if more > 0 else ''}{formats.count(more)}"
        return Card(label=label, value=value, beside=change, note=f"to {days}", meaning=meaning)

    name = words.label(str(pooled["metric"]))
    value, interval = pools.extra_parts(pooled)
    label = f"Extra {name}{' after' if pooled['method'] == 'classic' else ''}"
    return [
        counted("Campaigns", lambda part: len(part.campaigns)),
        counted("Pushes delivered", _pushes, "Each counted once per campaign and user."),
        counted(
            "People reached",
            lambda part: part.n_people,
            "Distinct persons measured. Recipients not found in the activity are not among them.",
        ),
        Card(
            label=label,
            value=value,
            beside=interval,
            meaning="The effect of a push times every push of the campaigns that qualify and whose "
            f"windows have closed. {_sentence(words.limits(pooled))}",
        ),
        _clear(rows, before_rows, days),
    ]


def campaign(row: pd.Series, *, post_hours: int) -> list[Card]:
    """Return one campaign's rates before and after, extra events and evidence.

    Args:
        row: As `tables.judged`.
        post_hours: Length of the window after the push.
    """
    name, grade = words.label(str(row["metric"])), str(row["evidence"])
    return [
        Card(
            label="Per user per day",
            value=f"{formats.rate(row['expected_rate'])} → {formats.rate(row['post_rate'])}",
            beside=formats.rate(row["baseline_rate"]),
            note="before the push",
            meaning="Expected without the push → after it.",
        ),
        _extra(row, name, post_hours=post_hours),
        _evidence(row, grade),
        *_rank(row),
    ]


def _evidence(row: pd.Series, grade: str) -> Card:
    if formats.is_missing(row["effect_size"]):  # there is no number whose evidence it could be
        return Card(label="Evidence", value=formats.MISSING)
    return Card(
        label="Evidence",
        value=f"Grade {grade}",
        beside=words.method(str(row["method"])),
        meaning=f"{_sentence(words.caveat(grade))} A is the best grade, E the weakest.",
    )


def strip(row: pd.Series) -> list[Card]:
    """Return the way from sent rows to measured users of one campaign."""
    doubled = formats.count(row["n_duplicates"])
    steps = [
        ("Sent", "n_sent", "Rows that were delivered, sent or failed."),
        ("Failed", "n_failed", "Not delivered."),
        ("Delivered", "n_delivered", f"{doubled} of them a second time to the same user."),
        ("Held out", "n_holdout", "Qualified, but at random not sent it."),
        ("Mapped", "n_mapped", "Found in the activity data, by id or by e-mail."),
        ("Measured", "n_measured", "Distinct persons; those who did nothing count as zeros."),
    ]
    return [
        Card(label=said, value=formats.count(row[column]), meaning=meaning)
        for said, column, meaning in steps
    ]


def quality(campaigns: pd.DataFrame, rows: pd.DataFrame) -> list[Card]:
    """Return what was mapped, measured and judged.

    Args:
        campaigns: frames.CAMPAIGNS.
        rows: As `tables.judged`, of them.
    """
    return [
        Card(label="Recipients", value=formats.count(tables.n_recipients(campaigns))),
        Card(
            label="Mapped",
            value=formats.share(mapped_share(campaigns)),
            beside=formats.count(campaigns["n_unmapped"].sum()),
            note="not found",
        ),
        Card(
            label="Measured",
            value=formats.count(campaigns["n_measured"].sum()),
            beside=formats.count(campaigns["n_never_seen"].sum()),
            note="of them never seen",
            meaning="Somebody found who did nothing counts as zero and stays in.",
        ),
        Card(
            label="Campaigns with a verdict",
            value=f"{int(rows['tone'].ne('missing').sum())} of {len(rows)}",
        ),
    ]


def usage(used: Usage) -> list[Card]:
    """Return what reading the activity cost; nothing where it came from files."""
    if not any((used.requests, used.cache_hits, used.errors)):
        return []
    cards = [
        Card(label="Requests", value=formats.count(used.requests)),
        Card(label="Retries", value=formats.count(used.retries)),
        Card(label="Errors", value=formats.count(used.errors)),
        Card(label="Taken from the cache", value=formats.count(used.cache_hits)),
        Card(label="Received", value=formats.size(used.bytes_received)),
        Card(label="Read by PostHog", value=formats.size(used.bytes_read)),
    ]
    if used.budget_remaining_bytes is not None:
        left = formats.size(used.budget_remaining_bytes)
        cards.append(Card(label="Left of the hourly budget", value=left))
    return cards


def _pushes(measured: Measured) -> int:
    return tables.n_recipients(measured.campaigns)


def _clear(rows: pd.DataFrame, before: pd.DataFrame | None, days: str) -> Card:
    n_above, n_below, n_judged = _counts(rows)
    earlier = _counts(before) if before is not None else (0, 0, 0)
    return Card(
        label="With a clear effect",
        value=f"{n_above} of {n_judged}" if n_judged else formats.MISSING,
        beside=f"{earlier[0]} of {earlier[2]}" if earlier[2] else "",
        note=f"in {days}" if earlier[2] else "",
        meaning="Campaigns whose q-value within the period is at most 5 % and whose interval lies "
        f"above zero, of those with a verdict. {n_below or 'None'} lies below zero.",
    )


def _counts(rows: pd.DataFrame) -> tuple[int, int, int]:
    sides = rows["verdict"].map(tables.CLEAR)
    above, below = (int(sides.eq(side).sum()) for side in ("above", "below"))
    return above, below, int(rows["tone"].ne("missing").sum())


def _rank(row: pd.Series) -> list[Card]:
    """Return the best guess and the rank, where the campaign is ranked."""
    if formats.is_missing(row["rank"]):
        return []
    return [
        Card(
            label="Best guess",
            value=formats.percent(row["shrunk_rel_effect_size"]),
            beside=f"{tables.interval(row, 'shrunk_rel_effect_size')} %",
            meaning="Drawn towards the mean of its layer, the more so the less sure the campaign "
            "itself is: what to expect if it were measured again.",
        ),
        Card(
            label="Rank",
            value=tables.rank(row),
            beside=formats.share(row["p_top10"]),
            note="to be in the top ten",
            meaning="Among all ranked campaigns of the period, with the interval of its rank.",
        ),
    ]


def _extra(row: pd.Series, name: str, *, post_hours: int) -> Card:
    label = f"Extra {name} in {post_hours} h"
    if not row["window_complete"]:
        return Card(label=label, value=formats.MISSING, beside=formats.reason("window_open"))
    if formats.is_missing(row["effect_size"]):
        return Card(label=label, value=formats.MISSING, beside=formats.reason(_why(row)))
    ends = (row["incremental_events_ci_low"], row["incremental_events_ci_high"])
    value = row["incremental_events"]
    if formats.is_missing(value):  # plain before and after has none of its own
        scale = row["n_measured"] * post_hours / 24
        ends = (scale * row["effect_size_ci_low"], scale * row["effect_size_ci_high"])
        value = scale * row["effect_size"]
    return Card(
        label=label,
        value=f"{'+' if value >= 0.5 else ''}{formats.count(value)}",
        beside=formats.interval(ends, decimals=0),
        meaning="The effect on the rate, times measured users, times days of the window.",
    )


def _why(row: pd.Series) -> str:
    return "no_data" if row["lift_status"] == "ok" else str(row["lift_status"])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
