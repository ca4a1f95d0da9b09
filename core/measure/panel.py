"""The measured pushes of all campaigns side by side, and each user's rates before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.outliers import common_cap, within_iqr, within_zscore
from core.measure.paired import Codes
from core.measure.ratios import Floats
from core.measure.windows import EventIndex, Sends, WindowCounts, WindowLengths, count_blocks
from core.sections import Outliers

MIN_OBSERVED_MS = MS_PER_HOUR
"""A user observed for less than an hour has no rate yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How to measure what was counted."""

    lengths: WindowLengths = field(default_factory=WindowLengths)
    confidence_level: float = 0.95
    min_recipients: int = 30
    outliers: Outliers = "keep"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """One entry per measured push, sorted by campaign.

    Attributes:
        campaigns: Campaign code of each push, ascending.
        n_campaigns: How many campaigns there are, those without a measured push included.
        persons: Person code of each push, from 0 (also for persons never seen).
        sends: Who, when, since when.
        index: The searchable events.
        metric_names: The metrics, the primary first.
        metric_events: For each metric the positions of its events in the timelines.
        counts: Events in the windows.
        lengths: The windows' lengths.
    """

    campaigns: Codes
    n_campaigns: int
    persons: Codes
    sends: Sends
    index: EventIndex
    metric_names: tuple[str, ...]
    metric_events: tuple[Sequence[int], ...]
    counts: WindowCounts
    lengths: WindowLengths

    @property
    def segments(self) -> list[slice]:
        """Return each campaign's rows."""
        edges = np.searchsorted(self.campaigns, np.arange(self.n_campaigns + 1))
        return [slice(a, b) for a, b in pairwise(edges)]

    @property
    def is_open(self) -> NDArray[np.bool_]:
        """Return which pushes' post windows have not closed yet."""
        return self.counts.post_ms < self.lengths.post_ms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UserRates:
    """Rates of one metric, one entry per push of the panel.

    Attributes:
        base: Events per day over the compared baseline time.
        post: Events per day over the observed post time.
        is_used: Whether the push takes part (has both rates, is not dropped as an outlier).
        is_touched: Whether the outlier rule dropped or capped it.
    """

    base: Floats
    post: Floats
    is_used: NDArray[np.bool_]
    is_touched: NDArray[np.bool_]


def all_rates(panel: Panel, outliers: Outliers) -> list[UserRates]:
    """Return each push's rates before and after of every metric, under an outlier rule.

    Args:
        panel: The measured pushes.
        outliers: keep, winsorize (one common cap on all windows), iqr or zscore (drop users by
            their difference, descriptive only).
    """
    counts = panel.counts
    has_both = (counts.aligned_ms > 0) & (counts.post_ms >= MIN_OBSERVED_MS)
    metrics = range(len(panel.metric_names))
    if outliers == "winsorize":
        before, whole = count_blocks(
            panel.index, panel.sends, panel.lengths, metrics=panel.metric_events
        )
        return [_capped(panel, m, has_both, before=before[m], whole=whole) for m in metrics]
    kept = [_plain(panel, metric, has_both) for metric in metrics]
    return kept if outliers == "keep" else [_dropped(panel, rates, outliers) for rates in kept]


def _plain(panel: Panel, metric: int, has_both: NDArray[np.bool_]) -> UserRates:
    counts = panel.counts
    return UserRates(
        base=_per_day(counts.n_aligned[:, metric], counts.aligned_ms),
        post=_per_day(counts.n_post[:, metric], counts.post_ms),
        is_used=has_both,
        is_touched=np.zeros(len(has_both), dtype=bool),
    )


def _per_day(events: NDArray[np.int64], milliseconds: NDArray[np.int64]) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        rate: Floats = events / (milliseconds / MS_PER_DAY)
    return np.where(milliseconds > 0, rate, 0.0)


def _dropped(panel: Panel, rates: UserRates, outliers: Outliers) -> UserRates:
    rule = within_iqr if outliers == "iqr" else within_zscore
    kept = rates.is_used.copy()
    for rows in panel.segments:
        used = np.flatnonzero(rates.is_used[rows]) + rows.start
        if len(used):
            kept[used] = rule(rates.post[used] - rates.base[used])
    return UserRates(
        base=rates.base, post=rates.post, is_used=kept, is_touched=rates.is_used & ~kept
    )


def _capped(
    panel: Panel,
    metric: int,
    has_both: NDArray[np.bool_],
    *,
    before: NDArray[np.int32],
    whole: NDArray[np.bool_],
) -> UserRates:
    """Cap each campaign's windows, before and after alike, at one common value."""
    windows = np.column_stack([panel.counts.n_post[:, metric], before]).astype(float)
    there = np.column_stack([has_both, whole & has_both[:, None]])
    is_used = has_both & whole.any(axis=1)
    touched = np.zeros(len(has_both), dtype=bool)
    for rows in panel.segments:
        cap = common_cap(windows[rows], there[rows] & is_used[rows, None])
        touched[rows] = is_used[rows] & ((windows[rows] > cap) & there[rows]).any(axis=1)
        windows[rows] = np.minimum(windows[rows], cap)
    days = np.maximum(panel.counts.post_ms, 1) / MS_PER_DAY
    n_blocks = np.maximum(whole.sum(axis=1), 1)
    return UserRates(
        base=(windows[:, 1:] * whole).sum(axis=1) / n_blocks / days,
        post=windows[:, 0] / days,
        is_used=is_used,
        is_touched=touched,
    )
