"""What scores are made of: arrays over campaigns and pushes, and their sums by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.activity.timelines import Int64
from core.frames import LAYERS
from core.measure.ratios import Floats

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pushes:
    """The measured pushes of the campaigns, and what their persons did in all that was read.

    Attributes:
        campaigns: Int64[pushes], position of its campaign.
        persons: Int64[pushes], position of its person in the two arrays below.
        is_closed: Whether its post window has closed.
        is_whole: Whether all that was observed of its windows was read.
        n_events: Int64[persons], tracked events of the metrics.
        n_impossible: Int64[persons], of these with an instant that cannot be right.
    """

    campaigns: Int64
    persons: Int64
    is_closed: Flags
    is_whole: Flags
    n_events: Int64
    n_impossible: Int64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baselines:
    """How steady the primary metric's baselines are and what the self-checks say.

    Attributes:
        slope_ci_low: Floats[campaigns], of the growth a week on the log scale; NaN: not known.
        slope_ci_high: The same.
        contamination: Floats[campaigns], share of the baseline near other pushes; NaN: not known.
        placebo_pvalues: Floats[campaigns, metrics], of the self-checks; NaN: none.
    """

    slope_ci_low: Floats
    slope_ci_high: Floats
    contamination: Floats
    placebo_pvalues: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Everything the scores of some campaigns rest on.

    Attributes:
        campaigns: frames.CAMPAIGNS, judged.
        event_days: quality.frames.EVENT_DAYS, the metrics' events alone.
        checks: frames.CHECKS of these campaigns' layers.
        pushes: Their measured pushes.
        window_starts: Int64[campaigns], where the first baseline begins, milliseconds UTC.
        window_ends: Int64[campaigns], where the last post window ends; the start where nothing
            was delivered.
        is_ready: Bool[campaigns, metrics], enough users and events for a test.
        baselines: How steady they are.
    """

    campaigns: pd.DataFrame
    event_days: pd.DataFrame
    checks: pd.DataFrame
    pushes: Pushes
    window_starts: Int64
    window_ends: Int64
    is_ready: Flags
    baselines: Baselines


class Groups:
    """All campaigns, each layer that has any, and each campaign: one group after another."""

    def __init__(self, campaigns: pd.DataFrame) -> None:
        """Group campaigns (frames.CAMPAIGNS)."""
        present = set(campaigns["layer"])
        self.layers = [layer for layer in LAYERS if layer in present]
        self.layer = pd.Index(self.layers).get_indexer(pd.Index(campaigns["layer"]))
        self.n_campaigns = len(campaigns)
        self.of = ["all", *self.layers, *campaigns["campaign_id"]]
        self.levels = ["all", *["layer"] * len(self.layers), *["campaign"] * self.n_campaigns]

    def __len__(self) -> int:
        """Return how many groups there are."""
        return len(self.of)

    def sums(self, values: pd.Series | NDArray[np.generic]) -> Floats:
        """Return each group's sum of an array over campaigns."""
        each = np.asarray(values, dtype=np.float64)
        by_layer = np.bincount(self.layer, weights=each, minlength=len(self.layers))
        return np.concatenate([[each.sum()], by_layer, each])

    def counts(self, values: pd.Series | NDArray[np.generic]) -> Int64:
        """Return the same for whole numbers."""
        return np.rint(self.sums(values)).astype(np.int64)

    def any_of(self, flags: Flags) -> Flags:
        """Return whether any campaign of each group has a flag, Bool[groups, ...]."""
        rows = [np.ones(self.n_campaigns, dtype=bool)]
        rows += [self.layer == place for place in range(len(self.layers))]
        joined = [np.logical_or.reduce(flags[one], axis=0)[None] for one in rows]
        return np.concatenate([*joined, flags])

    def of_persons(self, pushes: Pushes, *values: Int64) -> list[Int64]:
        """Return each group's sums of arrays over persons, everybody once a group."""
        n = max(len(pushes.n_events), 1)
        layer = self.layer[pushes.campaigns]
        every = np.unique(pushes.persons)
        layers, in_layer = np.divmod(np.unique(layer * n + pushes.persons), n)
        n_layers = len(self.layers)

        def summed(one: Int64) -> Int64:
            by_layer = np.bincount(layers, weights=one[in_layer], minlength=n_layers)
            each = np.bincount(
                pushes.campaigns, weights=one[pushes.persons], minlength=self.n_campaigns
            )
            parts = np.concatenate([np.array([one[every].sum()]), by_layer, each])
            rounded: Int64 = np.rint(parts).astype(np.int64)
            return rounded

        return [summed(one) for one in values]
