"""The covariates of the comparison: strata of recent activity, and counts further back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.ratios import Floats
from core.measure.state import EDGES_HOURS, HISTORY_DAYS, Moments, State
from core.measure.study import Study, local_block

LEAST_OTHERS = 2
"""Comparison users a stratum needs."""
_WITHIN = {hours: place for place, hours in enumerate(EDGES_HOURS)}
_LONG_TENURE_DAYS = 180.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """What is known of moments, shared by all metrics and methods.

    Attributes:
        shared: Columns for every metric, [moments, columns].
        exposure: Other pushes: columns that also act in proportion to the usual rate.
        everything: Floats[moments, edges - 1], events of all kinds since each edge.
        own: Float32[moments, metrics, edges - 1], the metrics' counts since each edge.
        weekly: Float32[moments, metrics].
        tenure: Share of the counted days the person was there.
    """

    shared: Floats
    exposure: Floats
    everything: Floats
    own: NDArray[np.float32]
    weekly: NDArray[np.float32]
    tenure: Floats

    def columns(self, metric: int, rows: NDArray[np.int64]) -> Floats:
        """Return the covariates of one metric at some moments, without constant or strata."""
        own = self.own[rows, metric].astype(np.float64)
        month = own[:, -1]
        usual = month / HISTORY_DAYS
        exposure = self.exposure[rows]
        return np.column_stack(
            [
                self.shared[rows], exposure, np.sqrt(own[:, 1:]), month,
                usual / self.tenure[rows], self.weekly[rows, metric], exposure * usual[:, None],
            ]
        )  # fmt: skip

    def few(self, metric: int, rows: NDArray[np.int64]) -> Floats:
        """Return the strongest covariates only, for small arms; no constant."""
        own = self.own[rows, metric].astype(np.float64)
        usual = own[:, -1] / self.tenure[rows]
        return np.column_stack(
            [np.sqrt(usual), usual, self.shared[rows, 0], np.sqrt(own[:, _WITHIN[24] - 1])]
        )


def features(study: Study, moments: Moments, state: State) -> Features:
    """Return the covariates of moments, pushed and others alike.

    Args:
        study: For other pushes around the moments.
        moments: Whom and when.
        state: Of the moments.
    """
    everything = np.cumsum(state.recent.sum(axis=1), axis=1).astype(np.float64)
    tenure = np.maximum(state.tenure_days, 1) / HISTORY_DAYS
    signed = study.signed_up[moments.persons]
    days = np.minimum((moments.instants - signed) / MS_PER_DAY, _LONG_TENURE_DAYS)
    shared = [
        np.sqrt(everything[:, -1] / tenure),
        np.sqrt(everything[:, _WITHIN[24] - 1]),
        np.sqrt(everything[:, _WITHIN[72] - 1]),
        everything[:, -1],
        tenure,
        np.sqrt(np.where(signed > 0, np.maximum(days, 0), _LONG_TENURE_DAYS)),
    ]
    return Features(
        shared=np.column_stack(shared),
        exposure=_exposure(study, moments),
        everything=everything,
        own=np.cumsum(study.totals(state.recent), axis=2, dtype=np.float32),
        weekly=study.totals(state.weekly),
        tenure=tenure,
    )


def _exposure(study: Study, moments: Moments) -> Floats:
    """Return columns about other pushes.

    Later pushes that the person's own activity triggers are left out: the push may have caused
    them, and they tell of the outcome itself.
    """
    window = study.panel.lengths.post_ms
    month = -HISTORY_DAYS * MS_PER_DAY
    full = window / MS_PER_HOUR
    columns = [
        study.scheduled.count(moments, month, 0) / 10,
        study.triggered.count(moments, month, 0) / 10,
        study.scheduled.reached(moments, window) / full,
        study.scheduled.followed(moments, window) / full,
        study.triggered.reached(moments, window) / full,
    ]
    exposure: Floats = np.column_stack(columns).astype(np.float64)
    return exposure


def strata(
    everything: Floats, moments: Moments, *, is_pushed: NDArray[np.bool_], offset_ms: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return dummies of strata of recent activity and local hours, and who has support.

    Strata with too few comparison users are merged step by step; what is still alone after that
    has nobody comparable.

    Args:
        everything: As in Features, of these moments.
        moments: Whom and when.
        is_pushed: Which are pushes.
        offset_ms: Local time less UTC.
    """
    block = local_block(moments.instants, offset_ms)
    within = {hours: everything[:, _WITHIN[hours] - 1] for hours in (2, 6, 24)}
    fine = (_bin(within[2], 1) * 3 + _bin(within[6], 1, 4)) * 4 + _bin(within[24], 1, 4, 10)
    coarse = _bin(within[6], 1) * 3 + _bin(within[24], 1, 6)
    code = fine * 4 + block
    for wider in (1_000 + coarse * 4 + block, 2_000 + coarse, 3_000 + _bin(within[24], 1)):
        code = np.where(_enough(code, is_pushed), code, wider)
    return _dummies(np.unique(code, return_inverse=True)[1]), _enough(code, is_pushed)


def _enough(code: NDArray[np.int64], is_pushed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, place = np.unique(code, return_inverse=True)
    enough: NDArray[np.bool_] = np.bincount(place, weights=~is_pushed)[place] >= LEAST_OTHERS
    return enough


def _bin(values: Floats, *edges: float) -> NDArray[np.int64]:
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def _dummies(codes: NDArray[np.intp]) -> Floats:
    columns = np.zeros((len(codes), int(codes.max(initial=-1)) + 1))
    columns[np.arange(len(codes)), codes] = 1.0
    return columns
