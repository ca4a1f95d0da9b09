"""All campaigns in one regression over user x day cells, so that none takes another's credit.

y_ib / r_i = a_i + g_b + sum_c p_c z_ibc + e_ib with weights r_i, clustered by user: r_i is the
user's usual rate and z the share of the cell that lies in the window after a push of campaign c.
Days and pushes thus act in proportion to what a user does anyway; with effects that are the same
number of events for everybody least squares weighs most those users whose
receipt varies most, and found half of a planted relative effect where busy users are nearly
always sent to. Cells before a sign-up are missing, not 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from core.activity.timelines import MS_PER_DAY, Int64
from core.measure.contrasts import Contrast, missing
from core.measure.ratios import Floats
from core.measure.study import Study
from core.measure.windows import NEVER

JOINT = "joint"
LARGEST_VIF = 10.0
LEAST_UNDELIVERED = 0.05
FEWEST_DAYS = 14
FEWEST_USERS = 30
SELECTION_DAYS = 14
MOST_SELECTION = 3.0
_RCOND = 1e-9
_EXACT = 1e-6


class _Exposure(NamedTuple):
    """Share of user x day cells in windows after pushes; one entry per cell and campaign."""

    users: Int64
    days: Int64
    campaigns: Int64
    shares: Floats

    def cross_products(self, grid: _Grid, weights: Floats, n_campaigns: int) -> Floats:
        """Return the campaigns' weighted sums of products over cells."""
        cells = self.users * grid.n_days + self.days
        shape = (grid.n_users * grid.n_days, n_campaigns)
        rooted = self.shares * np.sqrt(weights[self.users])
        z = csr_array((rooted, (cells, self.campaigns)), shape=shape)
        products: Floats = (z.T @ z).toarray()
        return products

    def by_day(self, grid: _Grid, weights: Floats, n_campaigns: int) -> Floats:
        """Return each campaign's weighted share summed by day."""
        at = self.campaigns * grid.n_days + self.days
        size = n_campaigns * grid.n_days
        sums = np.bincount(at, weights=self.shares * weights[self.users], minlength=size)
        return sums.astype(np.float64).reshape(n_campaigns, grid.n_days)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Grid:
    """The user x day grid.

    Attributes:
        first_ms: Where the first day begins.
        n_days: Days.
        is_there: Bool[users, days].
    """

    first_ms: int
    n_days: int
    is_there: NDArray[np.bool_]

    @property
    def n_users(self) -> int:
        return len(self.is_there)


def joint(study: Study) -> list[Contrast]:
    """Return the effect of every campaign from one regression, in order of the campaigns."""
    n = study.panel.n_campaigns
    n_days = (study.panel.sends.as_of - study.data_since) // MS_PER_DAY
    if n_days < FEWEST_DAYS or len(study.signed_up) < FEWEST_USERS or not n:
        return [missing(JOINT, "too_few_days", n_metrics=study.n_metrics) for _ in range(n)]
    grid = _grid(study, int(n_days))
    exposure = _exposure(study, grid)
    found = [_of_metric(grid, exposure, counts, n) for counts in _counts(study, grid)]
    return [
        _contrast(study, campaign, [of_metric.of(campaign) for of_metric in found])
        for campaign in range(n)
    ]


def _grid(study: Study, n_days: int) -> _Grid:
    first_ms = study.panel.sends.as_of - n_days * MS_PER_DAY
    starts = first_ms + np.arange(n_days) * MS_PER_DAY
    known = (study.signed_up != NEVER) | (study.first_event < study.panel.sends.as_of)
    return _Grid(
        first_ms=first_ms,
        n_days=n_days,
        is_there=(study.signed_up[:, None] <= starts) & known[:, None],
    )


def _counts(study: Study, grid: _Grid) -> NDArray[np.float32]:
    """Return events in each cell, [metrics, users, days], 0 where nobody was there."""
    index, n_cells = study.panel.index, grid.n_users * grid.n_days
    end = grid.first_ms + grid.n_days * MS_PER_DAY
    of_event = {}
    for event in sorted({e for events in study.panel.metric_events for e in events}):
        persons, instants = index.happened(event, grid.first_ms, end)
        cell = persons * grid.n_days + (instants - grid.first_ms) // MS_PER_DAY
        of_event[event] = np.bincount(cell, minlength=n_cells).astype(np.float32)
    shape = (grid.n_users, grid.n_days)
    parts = [np.sum([of_event[e] for e in events], axis=0) for events in study.panel.metric_events]
    return np.stack([part.reshape(shape) * grid.is_there for part in parts])


def _exposure(study: Study, grid: _Grid) -> _Exposure:
    """Return each window's share of the days it touches."""
    panel, window = study.panel, study.panel.lengths.post_ms
    start = panel.sends.instants - grid.first_ms
    first = start // MS_PER_DAY
    parts = []
    for step in range(window // MS_PER_DAY + 2):
        day = first + step
        low = np.maximum(start, day * MS_PER_DAY)
        high = np.minimum(start + window, (day + 1) * MS_PER_DAY)
        inside = (high > low) & (day >= 0) & (day < grid.n_days)
        rows = np.flatnonzero(inside)
        rows = rows[grid.is_there[panel.persons[rows], day[rows]]]
        share = (high - low)[rows] / MS_PER_DAY
        parts.append((panel.persons[rows], day[rows], panel.campaigns[rows], share))
    users, days, campaigns, shares = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Exposure(users=users, days=days, campaigns=campaigns, shares=shares)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _OneEffect:
    """A campaign's effect on one metric: relative to the usual rate, and who says so.

    Attributes:
        relative: The coefficient.
        usual: Float64[users], the usual rates.
        psi: Float32[users], influence on the coefficient.
        vif: By how much days and other campaigns blow the variance up.
    """

    relative: float
    usual: Floats
    psi: NDArray[np.float32]
    vif: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """The regression of one metric: the same for all campaigns, [campaigns] and so on."""

    relative: Floats
    usual: Floats
    psi: NDArray[np.float32]
    vif: Floats

    def of(self, campaign: int) -> _OneEffect:
        return _OneEffect(
            relative=float(self.relative[campaign]), usual=self.usual,
            psi=self.psi[:, campaign], vif=float(self.vif[campaign]),
        )  # fmt: skip


def _of_metric(
    grid: _Grid, exposure: _Exposure, counts: NDArray[np.float32], n_campaigns: int
) -> _Fit:
    """Return one metric's regression; users' and days' own effects are taken out exactly."""
    n_there = np.maximum(grid.is_there.sum(axis=1), 1).astype(float)
    usual = counts.sum(axis=1) / n_there
    there = grid.is_there.astype(np.float64)
    at = exposure.users * n_campaigns + exposure.campaigns
    size = grid.n_users * n_campaigns
    sums = np.bincount(at, weights=exposure.shares, minlength=size).reshape(-1, n_campaigns)
    weighted = there * (usual / n_there)[:, None]
    days = np.diag(usual @ there) - weighted.T @ there
    both = exposure.by_day(grid, usual, n_campaigns) - sums.T @ weighted
    days_inverse = np.linalg.pinv(days, hermitian=True)
    project = both @ days_inverse
    own = exposure.cross_products(grid, usual, n_campaigns)
    own -= (sums * (usual / n_there)[:, None]).T @ sums
    reduced = own - project @ both.T
    inverse = np.linalg.pinv(reduced, rcond=_RCOND, hermitian=True)
    # where campaigns or days add up to each other exactly, the pseudo-inverse shares the effect
    # out among them and its diagonal looks harmless
    is_alone = (np.diag(inverse @ reduced) > 1 - _EXACT) | (np.diag(own) == 0)
    vif = np.where(is_alone, np.diag(own) * np.diag(inverse), np.inf)

    def freed(cells: Floats) -> Floats:
        free: Floats = (cells - (cells.sum(axis=1) / n_there)[:, None]) * there
        return free

    def summed(cells: Floats) -> Floats:
        """Return each user's cells summed by campaign, less what days take out."""
        weights = exposure.shares * cells[exposure.users, exposure.days]
        by_user = np.bincount(at, weights=weights, minlength=size).reshape(-1, n_campaigns)
        freed_sums: Floats = by_user - cells @ project.T
        return freed_sums

    free = freed(counts.astype(np.float64))
    relative = inverse @ summed(free).sum(axis=0)
    fitted = np.zeros_like(free)
    shares = exposure.shares * relative[exposure.campaigns] * usual[exposure.users]
    np.add.at(fitted, (exposure.users, exposure.days), shares)
    residual = free - freed(fitted)
    by_day = days_inverse @ residual.sum(axis=0)
    residual -= freed(there * by_day) * usual[:, None]
    factor = np.sqrt(grid.n_users / (grid.n_users - 1))
    return _Fit(
        relative=relative, usual=usual, vif=vif,
        psi=(factor * summed(residual) @ inverse).astype(np.float32),
    )  # fmt: skip


def _contrast(study: Study, campaign: int, found: list[_OneEffect]) -> Contrast:
    """Return one campaign's contrast from its effect on each metric."""
    panel = study.panel
    rows = panel.segments[campaign]
    n_users = rows.stop - rows.start
    status = _status(study, campaign, n_users=n_users, vif=max(one.vif for one in found))
    if status != "ok":
        return missing(JOINT, status, n_metrics=study.n_metrics, n_users=n_users)
    pushed = panel.persons[rows]
    rates = panel.counts.n_post[rows] / (panel.counts.post_ms[rows] / MS_PER_DAY)[:, None]
    post = rates.mean(axis=0)
    usual = np.array([one.usual[pushed].mean() for one in found])
    psi_post = np.zeros((len(found[0].psi), len(found)))
    psi_post[pushed] = (rates - post) / n_users
    psi = np.stack([one.psi for one in found], axis=1) * usual
    persons = np.flatnonzero((psi != 0).any(axis=1) | (psi_post != 0).any(axis=1))
    return Contrast(
        method=JOINT,
        post=post,
        expected=post - np.array([one.relative for one in found]) * usual,
        df=np.full(len(post), float(max(n_users - 1, 1))),
        persons=persons.astype(np.int64),
        psi_post=psi_post[persons].astype(np.float32),
        psi_expected=(psi_post - psi)[persons].astype(np.float32),
        n_users=n_users,
        n_comparison=int((~np.isin(persons, pushed)).sum()),
    )


def _status(study: Study, campaign: int, *, n_users: int, vif: float) -> str:
    if study.is_triggered(campaign):
        return "triggered_sends"
    if n_users < FEWEST_USERS:
        return "too_few_users"
    panel = study.panel
    rows = panel.segments[campaign]
    if (panel.counts.post_ms[rows] < panel.lengths.post_ms).any():
        return "window_open"
    at = int(np.median(panel.sends.instants[rows]))
    present = int(((study.signed_up < at) & (study.first_event < at)).sum())
    if not vif <= LARGEST_VIF or n_users > (1 - LEAST_UNDELIVERED) * present:
        return "not_separable"
    return "selected_on_activity" if _selection(study, campaign, at) > MOST_SELECTION else "ok"


def _selection(study: Study, campaign: int, at: int) -> float:
    """Return |z| of recipients having been unusually busy, or quiet, just before.

    A user's own effect stands for what is usual with them. Who is picked for a busy fortnight
    falls back to the usual afterwards, and the regression takes that for the push. Compared is
    the ratio of two neighbouring fortnights, recipients against everybody else there.
    """
    half = min(SELECTION_DAYS * MS_PER_DAY, (at - study.data_since) // 2)
    persons = np.flatnonzero((study.signed_up < at - 2 * half) & (study.first_event < at))
    is_pushed = np.isin(persons, study.panel.persons[study.panel.segments[campaign]])
    edges = [np.full(len(persons), at - back * half) for back in (2, 1, 0)]
    index = study.panel.index
    before, lately = (
        np.sum(
            [index.count_between(e, persons, a, b) for e in range(study.n_events)], axis=0
        ).astype(float)
        for a, b in (edges[:2], edges[1:])
    )
    logs, variances = [], []
    for group in (is_pushed, ~is_pushed):
        x, y = before[group], lately[group]
        if x.sum() == 0 or y.sum() == 0:
            return 0.0
        ratio = y.sum() / x.sum()
        logs.append(np.log(ratio))
        variances.append(((y - ratio * x) ** 2).sum() / y.sum() ** 2)
    return float(abs(logs[0] - logs[1]) / np.sqrt(sum(variances)))
