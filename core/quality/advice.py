"""What to do where the data falls short: each shortfall with the place it names.

Where all campaigns or a layer fall short, every cause that can be counted has its row. Of single
campaigns only those are named in which most is lost, with how many more there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from core.quality.causes import (
    DETAILED,
    EVERYWHERE,
    Cause,
    Place,
    Short,
    causes_of,
    gap_causes,
)
from core.quality.frames import ADVICE
from core.quality.parts import DATABASE, EVENTS
from core.quality.scores import COMBINED, TOTAL, share

FEW = 3
"""Campaigns named for each part."""
_LEVELS = ("all", "layer", "campaign")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """What advice reads besides the scores."""

    campaigns: pd.DataFrame
    gaps: Sequence[Cause]


def advice(
    scores: pd.DataFrame,
    campaigns: pd.DataFrame,
    event_days: pd.DataFrame,
    *,
    metrics: Mapping[str, Sequence[str]],
    zone: str,
) -> pd.DataFrame:
    """Return ADVICE for every part that is below what it is held against, the worst first.

    A part that cannot be told has no shortfall. Totals have none of their own: their parts do.

    Args:
        scores: quality.frames.SCORES.
        campaigns: frames.CAMPAIGNS, those scored.
        event_days: quality.frames.EVENT_DAYS.
        metrics: Metric -> its events.
        zone: The business time zone, whose days are named.
    """
    rows = scores[(scores["part"] != TOTAL) & (scores["side"] != COMBINED)]
    rows = rows[rows["score"] < rows["threshold"]]
    data = _Data(campaigns=campaigns, gaps=gap_causes(event_days, metrics=metrics, zone=zone))
    whole = [
        said
        for short in _shorts(rows[rows["level"] != "campaign"])
        for said in _of_many(short, data)
    ]
    single = rows[rows["level"] == "campaign"]
    named = [
        said
        for _, part in single.groupby(["side", "part"], sort=False)
        for said in _of_campaigns(part, data)
    ]
    return _table([*whole, *named])


def _table(rows: Sequence[Mapping[str, str | float]]) -> pd.DataFrame:
    if not rows:
        return ADVICE.empty()
    texts = [column.name for column in ADVICE.columns if column.kind == "text"]
    table = pd.DataFrame(rows).astype(dict.fromkeys(texts, "str") | {"shortfall": "float64"})
    level = table["level"].map({name: place for place, name in enumerate(_LEVELS)})
    table = table.assign(level_place=level, is_activity=table["side"] != DATABASE)
    order = ["shortfall", "level_place", "is_activity"]
    table = table.sort_values(order, ascending=[False, True, True], kind="stable")
    return ADVICE.checked(table.reset_index(drop=True))


def _shorts(rows: pd.DataFrame) -> Iterator[Short]:
    names = ["level", "of", "side", "part", "score", "threshold", "n", "n_of", "inputs"]
    for values in rows[names].itertuples(index=False, name=None):
        yield Short(**dict(zip(names, values, strict=True)))


def _of_many(short: Short, data: _Data) -> Iterator[dict[str, str | float]]:
    """Yield a row for each place that all campaigns or a layer fall short by."""
    own = data.campaigns
    if short.level == "layer":
        own = own[own["layer"] == short.of]
    if short.part == EVENTS:
        causes = list(data.gaps) if short.level == "all" else [DETAILED]
        causes = causes or [EVERYWHERE[EVENTS]]
    else:
        causes = causes_of(short, own)
    for about, together in _by_place(causes).items():
        words = " ".join(f"{_capital(cause.what)}: {cause.todo}" for cause in together)
        yield _row(short, about, f"{_capital(_held(short))}. {words}")


def _of_campaigns(part: pd.DataFrame, data: _Data) -> Iterator[dict[str, str | float]]:
    """Yield a row for each of the few campaigns that lose most, the last with the rest's number."""
    lost = (part["threshold"] - part["score"]) * part["n_of"]
    worst = part.loc[lost.sort_values(ascending=False, kind="stable").index[:FEW]]
    worst = worst.sort_values("score", kind="stable")
    n_more = len(part) - len(worst)
    own = data.campaigns.set_index("campaign_id", drop=False)
    for place, short in enumerate(_shorts(worst), start=1):
        row = own.loc[[short.of]]
        causes = [DETAILED] if short.part == EVENTS else causes_of(short, row)
        todo = " ".join(
            _capital(cause.todo) if cause.about == short.of else f"{cause.about}: {cause.todo}"
            for cause in causes
        )
        words = f"{row['name'].iloc[0]}, {_held(short)}: {short.inputs}. {todo}"
        is_last = place == len(worst) and n_more
        yield _row(short, short.of, f"{words} {_more(n_more)}" if is_last else words)


def _row(short: Short, about: str, words: str) -> dict[str, str | float]:
    return {
        "level": short.level,
        "of": short.of,
        "side": short.side,
        "part": short.part,
        "about": about,
        "shortfall": short.threshold - short.score,
        "words": words,
    }


def _by_place(causes: Sequence[Cause]) -> dict[Place, list[Cause]]:
    places: dict[Place, list[Cause]] = {}
    for cause in causes:
        places.setdefault(cause.about, []).append(cause)
    return places


def _held(short: Short) -> str:
    name = short.part.replace("_", " ")
    return f"{name} {share(short.score)}, held against {share(short.threshold)}"


def _more(n: int) -> str:
    return f"And {n:,} more {'campaign falls' if n == 1 else 'campaigns fall'} short of it."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
