"""What reports are written from: the declared tables of one run, and how they came about."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, TypeVar, cast

import pandas as pd

from core.frames import Table
from core.insight import frames as insight_frames
from core.measure.panel import Rules
from core.publish import formats, words
from core.quality import frames as quality_frames
from core.span import Span

T = TypeVar("T")
NAMED_LAYERS = ("1", "2", "3")
_LONGEST_SLUG = 40
_SHORTEST_HASH = 8
_BETWEEN = re.compile(r"[^a-z0-9]+")


class Quality(Protocol):
    """The declared tables of quality, whoever holds them."""

    @property
    def scores(self) -> pd.DataFrame:
        """Return quality.frames.SCORES."""
        ...

    @property
    def advice(self) -> pd.DataFrame:
        """Return quality.frames.ADVICE."""
        ...

    @property
    def event_days(self) -> pd.DataFrame:
        """Return quality.frames.EVENT_DAYS."""
        ...

    @property
    def push_days(self) -> pd.DataFrame:
        """Return quality.frames.PUSH_DAYS."""
        ...


class Insight(Protocol):
    """The declared tables of insight, whoever holds them."""

    @property
    def decisions(self) -> pd.DataFrame:
        """Return insight.frames.DECISIONS."""
        ...

    @property
    def rankings(self) -> pd.DataFrame:
        """Return insight.frames.RANKINGS."""
        ...

    @property
    def patterns(self) -> pd.DataFrame:
        """Return insight.frames.PATTERNS."""
        ...

    @property
    def pattern_groups(self) -> pd.DataFrame:
        """Return insight.frames.PATTERN_GROUPS."""
        ...

    @property
    def correlations(self) -> pd.DataFrame:
        """Return insight.frames.CORRELATIONS."""
        ...

    @property
    def cadence(self) -> pd.DataFrame:
        """Return insight.frames.CADENCE."""
        ...

    @property
    def what_if(self) -> pd.DataFrame:
        """Return insight.frames.WHAT_IF."""
        ...

    @property
    def history(self) -> pd.DataFrame:
        """Return insight.frames.HISTORY."""
        ...

    @property
    def trends(self) -> pd.DataFrame:
        """Return insight.frames.TRENDS."""
        ...

    @property
    def period(self) -> Span:
        """Return what `history` calls now."""
        ...

    @property
    def before(self) -> Span | None:
        """Return what `history` compares with; None where nothing before was read."""
        ...


QUALITY_TABLES: Mapping[str, tuple[str, Table]] = MappingProxyType(
    {
        "quality_scores": ("scores", quality_frames.SCORES),
        "quality_advice": ("advice", quality_frames.ADVICE),
        "event_days": ("event_days", quality_frames.EVENT_DAYS),
        "push_days": ("push_days", quality_frames.PUSH_DAYS),
    }
)
INSIGHT_TABLES: Mapping[str, tuple[str, Table]] = MappingProxyType(
    {
        "decisions": ("decisions", insight_frames.DECISIONS),
        "rankings": ("rankings", insight_frames.RANKINGS),
        "patterns": ("patterns", insight_frames.PATTERNS),
        "pattern_groups": ("pattern_groups", insight_frames.PATTERN_GROUPS),
        "correlations": ("correlations", insight_frames.CORRELATIONS),
        "cadence": ("cadence", insight_frames.CADENCE),
        "what_if": ("what_if", insight_frames.WHAT_IF),
        "history": ("history", insight_frames.HISTORY),
        "automation_trends": ("trends", insight_frames.TRENDS),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the numbers of a report came about.

    Attributes:
        source: What the data is, in a few words without secrets.
        activity: Where activity was read from.
        version: Of Pushlift.
        zone: Business time zone.
        since: Start of the sends.
        until: Their end.
        as_of: Now, for what is open.
        rules: How it was measured.
        metrics: The metrics and their events, the primary first.
        layers: The layers it is about.
        currency: Of amounts of money.
        missing: What could not be had, in sentences; empty where everything was.
        notices: What else a reader should know.
    """

    source: str
    activity: str
    version: str
    zone: str
    since: datetime
    until: datetime
    as_of: datetime
    rules: Rules
    metrics: Mapping[str, Sequence[str]]
    layers: tuple[str, ...]
    currency: str = "USD"
    missing: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def primary(self) -> str:
        """Return the primary metric."""
        return next(iter(self.metrics))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Everything a report may say.

    Attributes:
        campaigns: frames.CAMPAIGNS.
        lifts: frames.LIFTS.
        layers: frames.LAYER_LIFTS.
        contrasts: frames.LAYER_CONTRASTS.
        checks: frames.CHECKS.
        quality: Its tables; None where quality was not assessed.
        insight: Its tables; None where nothing was drawn from the lifts.
        setting: How it was measured.
    """

    _kept: dict[Hashable, object] = field(default_factory=dict, init=False, repr=False)
    campaigns: pd.DataFrame
    lifts: pd.DataFrame
    layers: pd.DataFrame
    contrasts: pd.DataFrame
    checks: pd.DataFrame
    quality: Quality | None
    insight: Insight | None
    setting: Setting

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table of quality or insight by its name in files; None where there is none."""
        return self.kept(("table", name), lambda: self._checked(name))

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made under a key before, else make it: many files ask for the same."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast("T", self._kept[key])

    def lifts_of(self, campaign_id: str) -> pd.DataFrame:
        """Return the lifts of one campaign."""
        every = self.kept(
            "lifts by campaign",
            lambda: {str(key): part for key, part in self.lifts.groupby("campaign_id")},
        )
        return every.get(campaign_id, self.lifts.iloc[:0])

    def _checked(self, name: str) -> pd.DataFrame | None:
        is_quality = name in QUALITY_TABLES
        attribute, table = QUALITY_TABLES[name] if is_quality else INSIGHT_TABLES[name]
        whole: Quality | Insight | None = self.quality if is_quality else self.insight
        frame = None if whole is None else getattr(whole, attribute)
        return None if frame is None else table.checked(frame)

    def rows(self, name: str, **wanted: str) -> pd.DataFrame:
        """Return the rows of a table of quality or insight that hold the given texts."""
        table = {**QUALITY_TABLES, **INSIGHT_TABLES}[name][1]
        whole = self.table(name)
        frame = self.kept(("empty", name), table.empty) if whole is None else whole
        for column, text in wanted.items():
            frame = frame[frame[column] == text]
        return frame

    @property
    def shown_layers(self) -> list[str]:
        """Return the layers that get a folder: those chosen, unclassified only where it occurs."""
        present = set(self.campaigns["layer"])
        named = [one for one in NAMED_LAYERS if one in self.setting.layers]
        return named + [one for one in present if one not in NAMED_LAYERS]


def folder_of(layer: str) -> str:
    """Return the folder of a layer's files, "layer-1"; what has no layer is "unclassified"."""
    return f"layer-{layer}" if layer in NAMED_LAYERS else "unclassified"


def stems(ids: Sequence[str]) -> dict[str, str]:
    """Return a file name without ending for each id: letters, digits and hyphens, all distinct.

    Each ends in the start of the id's SHA-256, so that ids that look alike, or differ in capitals
    alone, keep apart on every file system, whatever is in them.
    """
    for length in range(_SHORTEST_HASH, 65, 8):
        names = {one: _stem(one, length) for one in ids}
        if len(set(names.values())) == len(names):
            return names
    raise ValueError("two ids have the same SHA-256")


def _stem(text: str, length: int) -> str:
    slug = _BETWEEN.sub("-", text.lower()).strip("-")[:_LONGEST_SLUG].rstrip("-") or "campaign"
    return f"{slug}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:length]}"


def about(setting: Setting) -> dict[str, str]:
    """Return what a reader of any file has to know, line by line."""
    lengths = setting.rules.lengths
    missing = {f"Missing {at}": said for at, said in enumerate(setting.missing, 1)}
    return {
        **missing,
        "Source": f"{setting.source}; activity: {setting.activity}",
        "Data until": formats.instant(setting.as_of, setting.zone),
        "Sends": f"{formats.instant(setting.since, setting.zone)} to "
        f"{formats.instant(setting.until, setting.zone)}",
        "Layers": ", ".join(setting.layers),
        "Windows": f"{lengths.baseline_days} days before, {lengths.post_hours} h after",
        "Confidence level": formats.confidence(setting.rules.confidence_level),
        "Fewest measured users": formats.count(setting.rules.min_recipients),
        "Extreme users": setting.rules.outliers,
        "Primary metric": words.label(setting.primary),
        "q-values": "Benjamini-Hochberg within all campaigns of the period, whatever layers",
        "Methods": "every method in every row; headline marks each campaign's best evidence",
        "Evidence": "A randomised holdout, B users not pushed, C adjusted and widened or own "
        "earlier triggers, D own earlier weeks, E plain before and after",
        "Pushlift": setting.version,
    }
