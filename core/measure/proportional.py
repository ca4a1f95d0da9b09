"""Many campaigns' effects at once, for comparing kinds of sends: proportional imputation.

What everybody did after the instants of all campaigns of a layer is explained by one Poisson
regression on what was known of them, with a level for each arm of each campaign; a campaign's
effect is how far the levels of its two arms are apart, in logs. Each campaign's own comparison
learns everything from its own few hundred people, and most of its noise is in telling how activity
before relates to activity after. That relation is the same from campaign to campaign: learning it
once takes a quarter (layers 1 and 3) to a half (layer 2) off the standard errors (measured on demo
worlds); what is of the day, the level, stays each campaign's own.

Sources: the regression, `poisson`; imputation from those not pushed, as in `imputation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array
from threadpoolctl import threadpool_limits

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, Int64
from core.errors import DataError
from core.measure.comparison import LEAST_ARM, Described, Groups, described, groups
from core.measure.poisson import FARTHEST, fit_slopes, sparse_by
from core.measure.ratios import Floats
from core.measure.state import EDGES_HOURS, Moments
from core.measure.study import Study, local_block
from core.measure.triggers import LONGEST_LAG_MS

LEAST_EVENTS = 8.0
"""Events expected of a group of pushes, and seen in those compared, for a ratio of them."""
_WITHIN = {hours: place for place, hours in enumerate(EDGES_HOURS)}
_RECENT_HOURS = (2, 6, 24, 72, 168)
_SINCE_HOURS = (0.0, 1.0, 2.0, 4.0, 6.0, 9.0, 12.0, 24.0)
_YOUNG = 0.1
"""Share of the counted days added to the days a person was there, as the half to the events."""
_FLAT, _THREADS = 1e-9, 2
_MOST_FOR_SLOPES = 2_500
"""Rows of an arm of a campaign that the slopes are learnt from; the level takes them all."""
_MOST = 30_000
"""Rows of an arm of a campaign, drawn at random, beyond which more would only cost memory."""
_DRAWN = 7_001
"""Salt of the random numbers that thin arms."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Everybody in some campaigns, pushed or compared with, one entry each.

    Attributes:
        campaigns: Position of the campaign in the study.
        moments: Who, and when.
        is_pushed: Whether they got it; the others did not.
        counts: Floats[rows, metrics], events in the observed part of the post window.
        days: Days of it.
        apart: Floats[rows, columns], covariates whose relation to activity is learnt from those
            not pushed alone: other pushes, time since the trigger.
        shared: Floats[rows, columns], other covariates of every metric.
        own: Floats[rows, metrics, columns], covariates of one metric.
        n_persons: Persons of the study.
    """

    campaigns: Int64
    moments: Moments
    is_pushed: NDArray[np.bool_]
    counts: Floats
    days: Floats
    apart: Floats
    shared: Floats
    own: Floats
    n_persons: int

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.campaigns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expectation:
    """What is expected of every row without a push, up to its campaign's level, for one metric.

    Attributes:
        metric: Its position.
        events: Events expected of each row, at level 1.
        covariates: Floats[rows, columns], as they entered.
        influence: Floats[persons, columns], of each person on the coefficients.
    """

    metric: int
    events: Floats
    covariates: Floats
    influence: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """Log ratios of groups of pushes, and whom they rest on.

    Attributes:
        campaigns: Position of the campaign of each, in the study.
        labels: Code of its label within the campaign; 0 where campaigns are whole.
        values: log(events over events expected).
        n_pushes: Pushes behind it.
        expected: Events expected of them without the push.
        direct: [persons, effects] influence of the rows themselves, sparse.
        through: Floats[effects, columns], how each depends on the coefficients.
        coefficients: Floats[persons, columns], influence on those.
    """

    campaigns: Int64
    labels: Int64
    values: Floats
    n_pushes: Int64
    expected: Floats
    direct: csc_array
    through: Floats
    coefficients: Floats

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.values)

    def covariance(self, other: Effects) -> Floats:
        """Return the covariance of these effects with others on the same people, [these, others].

        The influence of a person on an effect is their own part in it, less what they did to the
        coefficients times what these do to it; products of the two need no person x effect array.
        """
        both: Floats = (self.direct.T @ other.direct).toarray()
        left = self.through @ (other.direct.T @ self.coefficients).T
        right = (self.direct.T @ other.coefficients) @ other.through.T
        inner = self.coefficients.T @ other.coefficients
        found: Floats = both - left - right + self.through @ inner @ other.through.T
        return found

    def joint(self, other: Effects) -> Floats:
        """Return the covariance of each of these effects with the other at its place only."""
        both: Floats = self.direct.multiply(other.direct).sum(axis=0)
        left = ((other.direct.T @ self.coefficients) * self.through).sum(axis=1)
        right = ((self.direct.T @ other.coefficients) * other.through).sum(axis=1)
        inner = self.coefficients.T @ other.coefficients
        found: Floats = both - left - right + ((self.through @ inner) * other.through).sum(axis=1)
        return found

    def taken(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Effects:
        """Return some of the effects."""
        places = np.arange(len(self))[rows]
        return Effects(
            campaigns=self.campaigns[places], labels=self.labels[places],
            values=self.values[places], n_pushes=self.n_pushes[places],
            expected=self.expected[places], direct=self.direct[:, places],
            through=self.through[places], coefficients=self.coefficients,
        )  # fmt: skip

    def widened(self, se_scale: float) -> Effects:
        """Return them with standard errors so many times as large."""
        return replace(self, direct=self.direct * se_scale, through=self.through * se_scale)


def rows_of(study: Study, campaigns: Sequence[int]) -> Rows:
    """Return everybody in some campaigns of one layer with what was known of them.

    Args:
        study: The study.
        campaigns: Positions of campaigns whose comparison has a number.
    """
    # matrix products that open threads of their own take twice the time on the same cores
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(_THREADS) as pool:
        parts = list(pool.map(lambda campaign: _of_campaign(study, campaign), campaigns))
    if not parts:
        raise DataError("No campaign was given: there is nobody to look at.")
    return Rows(
        campaigns=np.repeat(np.array(campaigns, dtype=np.int64), [len(part) for part in parts]),
        moments=Moments.joined([part.moments for part in parts]),
        is_pushed=np.concatenate([part.is_pushed for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
        days=np.concatenate([part.days for part in parts]),
        apart=np.concatenate([part.apart for part in parts]),
        shared=np.concatenate([part.shared for part in parts]),
        own=np.concatenate([part.own for part in parts]),
        n_persons=len(study.signed_up),
    )


def expectations(rows: Rows) -> list[Expectation]:
    """Return what is expected of every row without a push, for each metric.

    Args:
        rows: Of campaigns of one layer.
    """
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda m: expectation(rows, m), range(rows.counts.shape[1])))


def expectation(rows: Rows, metric: int) -> Expectation:
    """Return what is expected of every row without a push, for one metric.

    Each arm of each campaign has its own level, so that what pushes do leaves the slopes alone;
    those of other pushes and of the time since the trigger come from people not pushed, because
    they tell how much a push does.

    Args:
        rows: Of campaigns of one layer.
        metric: Position of the metric.
    """
    raw = np.column_stack([rows.apart, rows.shared, rows.own[:, metric]])
    n_apart = rows.apart.shape[1]
    centre, scale = raw.mean(axis=0), raw.std(axis=0)
    varies = scale > _FLAT
    x = (raw[:, varies] - centre[varies]) / scale[varies]
    of_pushed = x[:, : int(varies[:n_apart].sum())] * rows.is_pushed[:, None]
    of_pushed = of_pushed[:, of_pushed.std(axis=0) > _FLAT]
    arms = np.unique(2 * rows.campaigns + rows.is_pushed, return_inverse=True)[1]
    some, n = _thinned(arms), x.shape[1]
    both = np.column_stack([x[some], of_pushed[some]])
    fit = fit_slopes(both, rows.counts[some, metric], rows.days[some], arms[some])
    by_person = sparse_by(rows.moments.persons[some], np.ones(len(some)), rows.n_persons)
    influence = by_person @ fit.influence[:, :n]
    events = np.exp(np.clip(x @ fit.slopes[:n], -FARTHEST, FARTHEST)) * rows.days
    return Expectation(metric=metric, events=events, covariates=x, influence=influence)


def effects(rows: Rows, told: Expectation, labels: Int64 | None = None) -> Effects:
    """Return the log ratio of each campaign, or of each label of pushes within each.

    Groups of which fewer than 8 events are expected, or in whose campaign fewer than 8 were seen
    among those compared, are left out: chosen by what is expected, not by what happened, they
    say nothing of the effect.

    Args:
        rows: As `told` was made from.
        told: What is expected of them.
        labels: Int64[rows], 0 or more; -1 leaves a push out; only those of pushes are read.
    """
    labels = np.zeros(len(rows), dtype=np.int64) if labels is None else labels
    at = np.unique(rows.campaigns, return_inverse=True)[1]
    n_labels = int(labels.max(initial=0)) + 1
    used = np.flatnonzero(~rows.is_pushed | (labels >= 0))
    n_groups = (int(at.max()) + 1) * n_labels
    group = at * n_labels + np.maximum(labels, 0)
    pushed = _level(rows, told, used[rows.is_pushed[used]], group, n_groups)
    compared = _level(rows, told, used[~rows.is_pushed[used]], at, n_groups // n_labels)
    level = np.repeat(compared.level, n_labels)
    is_told = (pushed.model * level >= LEAST_EVENTS) & (pushed.n >= LEAST_ARM)
    is_told &= np.repeat((compared.events >= LEAST_EVENTS) & (compared.n >= LEAST_ARM), n_labels)
    kept = np.flatnonzero(is_told & (pushed.events > 0))
    campaign = kept // n_labels
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(pushed.level / level)[kept]
    return Effects(
        campaigns=np.unique(rows.campaigns)[campaign], labels=kept % n_labels, values=values,
        n_pushes=pushed.n[kept].astype(np.int64), expected=(pushed.model * level)[kept],
        direct=pushed.direct[:, kept] - compared.direct[:, campaign],
        through=pushed.covariates[kept] - compared.covariates[campaign],
        coefficients=told.influence,
    )  # fmt: skip


class _Level(NamedTuple):
    """Events of groups of rows over those expected, and what moves that.

    Attributes:
        n: Rows of each group.
        events: Events of each.
        model: Events expected at level 1.
        level: One over the other.
        covariates: Mean covariates weighted by what is expected, [groups, columns].
        direct: [persons, groups], influence of each person on the log of the level.
    """

    n: Floats
    events: Floats
    model: Floats
    level: Floats
    covariates: Floats
    direct: csc_array


def _level(rows: Rows, told: Expectation, used: Int64, group: Int64, n_groups: int) -> _Level:
    own, counts = group[used], rows.counts[used, told.metric]
    model = told.events[used]

    def total(values: Floats | None) -> Floats:
        sums: Floats = np.bincount(own, weights=values, minlength=n_groups).astype(float)
        return sums

    n, events, expected = total(None), total(counts), total(model)
    sums = sparse_by(own, model, n_groups) @ told.covariates[used]
    with np.errstate(divide="ignore", invalid="ignore"):
        level = events / expected
        factor = np.sqrt(n / np.maximum(n - 1, 1)) / events
        influence = (counts - level[own] * model) * factor[own]
    persons = rows.moments.persons[used]
    direct = csc_array(
        (np.where(np.isfinite(influence), influence, 0.0), (persons, own)),
        shape=(rows.n_persons, n_groups),
    )
    return _Level(
        n=n, events=events, model=expected, level=level,
        covariates=sums / np.maximum(expected, np.finfo(float).tiny)[:, None], direct=direct,
    )  # fmt: skip


def _thinned(arms: Int64) -> Int64:
    """Return rows for the slopes: of each arm at most as many as help, evenly taken."""
    n = np.bincount(arms)
    order = np.argsort(arms, kind="stable")
    place = np.arange(len(arms)) - (np.cumsum(n) - n)[arms[order]]
    step = np.maximum(n // _MOST_FOR_SLOPES, 1)[arms[order]]
    kept: Int64 = np.sort(order[place % step == 0])
    return kept


class _Part(NamedTuple):
    moments: Moments
    is_pushed: NDArray[np.bool_]
    counts: Floats
    days: Floats
    apart: Floats
    shared: Floats
    own: Floats

    def __len__(self) -> int:
        return len(self.days)


def _of_campaign(study: Study, campaign: int) -> _Part:
    told = described(study, _drawn(study, campaign, groups(study, campaign)))
    rows = told.rows(0, 1, 2, 3)
    moments, panel = told.moments.taken(rows), study.panel
    days = np.clip(panel.sends.as_of - moments.instants, 1, panel.lengths.post_ms) / MS_PER_DAY
    return _Part(
        moments=moments, is_pushed=rows < told.sizes[0], counts=told.rates[rows] * days[:, None],
        days=days, apart=_apart(study, campaign, told, rows),
        shared=_shared(study, campaign, told, rows), own=_own(told, rows),
    )  # fmt: skip


def _drawn(study: Study, campaign: int, found: Groups) -> Groups:
    """Return the groups, none of them larger than is of use."""
    rng = study.rng(campaign, _DRAWN)

    def some(one: Moments) -> Moments:
        if len(one) <= _MOST:
            return one
        return one.taken(np.sort(rng.choice(len(one), _MOST, replace=False)))

    return Groups(
        reached=some(found.reached), missed=some(found.missed), held=some(found.held),
        others=some(found.others),
    )  # fmt: skip


def _shared(study: Study, campaign: int, told: Described, rows: Int64) -> Floats:
    """Return logs of recent activity of all kinds, other pushes, local hours, time since trigger.

    Logs because the regression is multiplicative: (events + a half) over days is about what a
    person does on average (for gamma rates exactly so), and its log then has slope 1.
    """
    features, moments = told.features, told.moments.taken(rows)
    everything, tenure = features.everything[rows], features.tenure[rows]
    within = [everything[:, _WITHIN[hours] - 1] for hours in _RECENT_HOURS]
    block = local_block(moments.instants, int(study.offsets_ms[campaign]), hours=3)
    columns = [
        np.log((everything[:, -1] + 0.5) / (tenure + _YOUNG)),
        np.log(tenure + _YOUNG),
        features.shared[rows, -1],
        *(np.log1p(count) for count in within),
        *(count > 0 for count in within[:3]),
        *(block == place for place in range(1, 8)),
    ]
    return np.column_stack(columns).astype(np.float64)


def _apart(study: Study, campaign: int, told: Described, rows: Int64) -> Floats:
    """Return other pushes around each moment, and bins of the time since the trigger."""
    trigger = study.triggers[campaign]
    since = np.full(len(rows), np.inf)
    if trigger is not None:
        since = hours_since(study, trigger.event, told.moments.taken(rows))
    bins = [(since >= low) & (since < high) for low, high in pairwise(_SINCE_HOURS)]
    return np.column_stack([*told.features.exposure[rows].T, *bins]).astype(np.float64)


def _own(told: Described, rows: Int64) -> Floats:
    """Return logs of the metrics' own counts, [rows, metrics, columns]."""
    features = told.features
    own, tenure = features.own[rows].astype(np.float64), features.tenure[rows][:, None]
    columns = [
        np.log((own[:, :, -1] + 0.5) / (tenure + _YOUNG)),
        np.log(features.weekly[rows] + 0.1),
        *(np.log1p(own[:, :, _WITHIN[hours] - 1]) for hours in (6, 24, 72)),
    ]
    return np.stack(columns, axis=2)


def hours_since(study: Study, event: int, moments: Moments) -> Floats:
    """Return hours since each person last did something, infinite where not within a day."""
    index = study.panel.index
    before = index.count_before(event, moments.persons, moments.instants - LONGEST_LAG_MS)
    now = index.count_before(event, moments.persons, moments.instants)
    found = np.full(len(moments), np.inf)
    has = now > before
    last = index.instant_at(event, now[has] - 1)
    found[has] = (moments.instants[has] - last) / MS_PER_HOUR
    return found
