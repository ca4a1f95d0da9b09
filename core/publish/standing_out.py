"""What stands out of everything that was concluded: three to six sentences for the overview."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from core.insight.patterns import clear
from core.measure.multiplicity import FALSE_DISCOVERY_RATE
from core.publish import formats, insight_words, words
from core.span import Span

MOST, FEWEST = 6, 3
_DECISIONS = {"repeat": "to repeat", "stop": "to stop", "retest": "to test again",
              "wait": "to wait for"}  # fmt: skip
_PATTERNS = 2


class Concluded(Protocol):
    """What core/findings.Insight holds, as far as it is read here."""

    @property
    def decisions(self) -> pd.DataFrame:
        """Return DECISIONS."""
        ...

    @property
    def rankings(self) -> pd.DataFrame:
        """Return RANKINGS."""
        ...

    @property
    def patterns(self) -> pd.DataFrame:
        """Return PATTERNS."""
        ...

    @property
    def correlations(self) -> pd.DataFrame:
        """Return CORRELATIONS."""
        ...

    @property
    def what_if(self) -> pd.DataFrame:
        """Return WHAT_IF."""
        ...

    @property
    def history(self) -> pd.DataFrame:
        """Return HISTORY."""
        ...

    @property
    def trends(self) -> pd.DataFrame:
        """Return TRENDS."""
        ...

    @property
    def period(self) -> Span:
        """Return what history calls now."""
        ...

    @property
    def before(self) -> Span | None:
        """Return what it calls before."""
        ...

    @property
    def primary(self) -> str:
        """Return the primary metric."""
        ...

    @property
    def currency(self) -> str:
        """Return what money is in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One sentence and what it links to.

    Attributes:
        text: The sentence.
        table: The table it is from, as named in core/insight/frames.py without capitals.
        campaign_id: The campaign it is about, where it is about one.
    """

    text: str
    table: str
    campaign_id: str | None = None


def standing_out(
    found: Concluded, *, names: Mapping[str, str] | None = None, zone: str = "UTC"
) -> list[Point]:
    """Return the three to six sentences that matter most, the most urgent first.

    In this order, as far as there is evidence: how many campaigns to repeat, stop, test again or
    wait for; harm; the best campaign; up to two patterns; the recommendation with the highest
    lower end; what changed; metrics that go together. Where less than three are left, what was
    looked for and not found is said. Nothing is picked by its size alone.

    Args:
        found: What was concluded.
        names: Campaign id -> name, for those with one.
        zone: The zone days are told in.
    """
    known = names or {}
    points = [
        *_tally(found), *_harm(found, known), *_best(found, known), *_patterns(found),
        *_recommended(found), *_changed(found, zone), *_together(found),
    ]  # fmt: skip
    if len(points) < FEWEST:
        points += _looked_for(found)
    return points[:MOST]


def _tally(found: Concluded) -> Iterator[Point]:
    own = found.decisions[found.decisions["metric"] == found.primary]
    counts = own["decision"].value_counts()
    said = [
        f"{formats.count(counts[key])} {text}" for key, text in _DECISIONS.items() if key in counts
    ]
    if said:
        campaigns = f"{formats.count(len(own))} campaign{'' if len(own) == 1 else 's'}"
        text = f"By {words.label(found.primary)}, of {campaigns}: {', '.join(said)}."
        yield Point(text=text, table="decisions")


def _harm(found: Concluded, names: Mapping[str, str]) -> Iterator[Point]:
    rows = found.decisions[found.decisions["reason"] == "clear_harm"]
    if rows.empty:
        return
    first = rows.assign(other=rows["metric"] != found.primary).sort_values("other").iloc[0]
    more = f" {formats.count(len(rows) - 1)} more like it." if len(rows) > 1 else ""
    campaign = str(first["campaign_id"])
    text = f"Stop {names.get(campaign, campaign)}: {first['why']}{more}"
    yield Point(text=text, table="decisions", campaign_id=campaign)


def _best(found: Concluded, names: Mapping[str, str]) -> Iterator[Point]:
    rows = found.rankings
    top = rows[(rows["metric"] == found.primary) & (rows["layer"] == "all") & (rows["place"] == 1)]
    for _, row in top[top["is_clear"]].iterrows():
        campaign = str(row["campaign_id"])
        said = insight_words.ranking_sentence(
            row, name=names.get(campaign), currency=found.currency
        )
        text = f"Best campaign: {said.partition('. ')[2]}"
        yield Point(text=text, table="rankings", campaign_id=campaign)


def _patterns(found: Concluded) -> Iterator[Point]:
    rows = clear(found.patterns[found.patterns["metric"] == found.primary])
    for _, row in rows.head(_PATTERNS).iterrows():
        yield Point(text=insight_words.pattern_sentence(row), table="patterns")


def _recommended(found: Concluded) -> Iterator[Point]:
    rows = found.what_if[found.what_if["metric"] == found.primary]
    rows = rows[rows["events_per_week_ci_low"] > 0]
    for _, row in rows.nlargest(1, "events_per_week_ci_low").iterrows():
        said = insight_words.what_if_sentence(row, currency=found.currency)
        yield Point(text=said, table="what_if")


def _changed(found: Concluded, zone: str) -> Iterator[Point]:
    own = _of_all(found)
    for _, row in own[own["pvalue"] <= FALSE_DISCOVERY_RATE].iterrows():
        text = insight_words.history_sentence(
            row, period=found.period, before=found.before, zone=zone
        )
        yield Point(text=text, table="history")
    moving = found.trends[found.trends["metric"] == found.primary]
    moving = moving[moving["qvalue"] <= FALSE_DISCOVERY_RATE]
    for _, row in moving.nsmallest(1, "qvalue").iterrows():
        yield Point(text=insight_words.trend_sentence(row), table="trends")


def _of_all(found: Concluded) -> pd.DataFrame:
    """Return what history says of all layers in the primary metric."""
    rows = found.history
    return rows[(rows["layer"] == "all") & (rows["metric"] == found.primary)]


def _together(found: Concluded) -> Iterator[Point]:
    rows = found.correlations[found.correlations["is_found"]]
    has_primary = (rows["metric"] == found.primary) | (rows["other_metric"] == found.primary)
    for _, row in rows[has_primary].nsmallest(1, "qvalue").iterrows():
        yield Point(text=insight_words.correlation_sentence(row), table="correlations")


def _looked_for(found: Concluded) -> list[Point]:
    """Say what was looked for and not found."""
    rows = found.rankings
    ranked = rows[(rows["metric"] == found.primary) & (rows["layer"] == "all")]
    looked = found.patterns[(found.patterns["metric"] == found.primary)]
    looked = looked[looked["difference"].notna()]
    said = []
    if len(ranked) and not ranked["is_clear"].any():
        metric = words.label(found.primary)
        text = f"No campaign is clear above zero in {metric} by itself."
        said.append(Point(text=text, table="rankings"))
    if len(looked) and not looked["is_found_in_sends"].any():
        were = "was" if len(looked) == 1 else "were"
        text = f"No kind of send clearly differs: {formats.count(len(looked))} {were} looked for."
        said.append(Point(text=text, table="patterns"))
    if (_of_all(found)["pvalue"] > FALSE_DISCOVERY_RATE).any() and len(said) < FEWEST - 1:
        text = "No clear change against the period before."
        said.append(Point(text=text, table="history"))
    return said
