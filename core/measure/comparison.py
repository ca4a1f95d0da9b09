"""Recipients against people not pushed: held out at random, or in the same state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY, Int64
from core.measure.contrasts import Contrast, missing
from core.measure.features import Features, features, strata
from core.measure.imputation import TwoMeans, adjust, impute
from core.measure.outliers import common_cap
from core.measure.panel import MIN_OBSERVED_MS
from core.measure.ratios import Floats
from core.measure.state import Moments, states
from core.measure.study import Study
from core.measure.triggers import pseudo_sends

COMPARISON, HOLDOUT = "comparison", "holdout"
LEAST_SUPPORT = 0.8
LEAST_ARM = 30
_PER_COLUMN = 12
"""Comparison users per covariate below which only the strongest covariates are used."""
_MOST_RANDOMISED = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Who was sent a campaign and who could have been; each person once, in one of them.

    Attributes:
        reached: Recipients at delivery (or earlier, in a self-check).
        missed: Sent to and not reached.
        held: Held out at random.
        others: Anybody else who was there.
    """

    reached: Moments
    missed: Moments
    held: Moments
    others: Moments


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Described:
    """The groups' moments one after the other, what was known of them and what followed.

    Attributes:
        moments: Of all groups.
        sizes: Of reached, missed, held and others.
        features: Covariates.
        rates: Floats[moments, metrics], events per day after the moment.
        has_rate: Observed long enough for one.
    """

    moments: Moments
    sizes: tuple[int, int, int, int]
    features: Features
    rates: Floats
    has_rate: NDArray[np.bool_]

    def rows(self, *groups: int) -> Int64:
        """Return the rows of some of the groups, by their places in `sizes`."""
        edges = np.concatenate([[0], np.cumsum(self.sizes)])
        parts = [np.arange(edges[group], edges[group + 1]) for group in groups]
        found = np.concatenate(parts).astype(np.int64)
        return found[self.has_rate[found]]


def groups(study: Study, campaign: int) -> Groups:
    """Return a campaign's recipients and everybody they can be compared with.

    Where what people did decided when they were sent to, the others are those who did it too and
    were not sent to, at the instants at which the rule would have reached them. Otherwise they
    are all who were there, at instants drawn from the recipients'.
    """
    reached = study.pushed(campaign)
    held, missed = (study.unsent.of(campaign, held=is_held) for is_held in (True, False))
    if study.is_triggered(campaign):
        others = pseudo_sends(study, campaign)
    else:
        everybody = np.arange(len(study.signed_up), dtype=np.int64)
        instants = study.rng(campaign).choice(reached.instants, len(everybody))
        others = Moments(persons=everybody, instants=instants)
    taken = np.concatenate([reached.persons, held.persons, missed.persons])
    others = others.taken(~np.isin(others.persons, taken))
    return Groups(
        reached=reached, missed=missed, held=held,
        others=others.taken(study.known_before(others)),
    )  # fmt: skip


def described(study: Study, some: Groups) -> Described:
    """Return what was known of everybody in some groups, and what followed."""
    parts = (some.reached, some.missed, some.held, some.others)
    moments, panel = Moments.joined(parts), study.panel
    state = states(
        panel.index, moments, panel.lengths, n_events=study.n_events, as_of=panel.sends.as_of,
        first_seen=study.signed_up,
    )  # fmt: skip
    has_rate = state.post_days * MS_PER_DAY >= MIN_OBSERVED_MS
    counts = study.totals(state.post).astype(np.float64)
    if study.is_capped:
        caps = [common_cap(column, has_rate) for column in counts.T]
        counts = np.minimum(counts, np.array(caps))
    first, second, third, fourth = (len(part) for part in parts)
    return Described(
        moments=moments,
        sizes=(first, second, third, fourth),
        features=features(study, moments, state),
        rates=counts / np.maximum(state.post_days, 1e-9)[:, None],
        has_rate=has_rate,
    )


def randomised_and_compared(study: Study, campaign: int) -> tuple[Contrast, Contrast]:
    """Return a campaign's holdout and comparison contrasts, what they share computed once."""
    n_users = len(study.pushed(campaign))
    if not n_users:
        return (
            missing(HOLDOUT, "no_recipients", n_metrics=study.n_metrics),
            missing(COMPARISON, "no_recipients", n_metrics=study.n_metrics),
        )
    is_blind = study.is_triggered(campaign) and study.triggers[campaign] is None
    if is_blind:
        return _of_holdout_alone(study, campaign), missing(
            COMPARISON, "trigger_unknown", n_metrics=study.n_metrics, n_users=n_users
        )
    told = described(study, groups(study, campaign))
    return (
        randomised(study, told),
        compared(study, told, offset_ms=int(study.offsets_ms[campaign])),
    )


def comparison(study: Study, campaign: int) -> Contrast:
    """Return the effect on recipients against imputed outcomes of users not pushed.

    Source: `impute`. Where fewer than 80 % of the recipients have anybody
    comparable, or an arm is small, there is no number.
    """
    return randomised_and_compared(study, campaign)[1]


def holdout(study: Study, campaign: int) -> Contrast:
    """Return the effect on recipients against those held out at random: `randomised`."""
    return randomised_and_compared(study, campaign)[0]


def compared(study: Study, told: Described, *, offset_ms: int) -> Contrast:
    """Return the effect on the reached by imputation from all the others."""
    ones, zeros = told.rows(0), told.rows(1, 2, 3)
    n_all = len(ones)
    if min(len(ones), len(zeros)) < LEAST_ARM:
        status = "too_few_users" if len(ones) < LEAST_ARM else "no_comparison"
        return missing(COMPARISON, status, n_metrics=study.n_metrics, n_users=n_all)
    rows = np.concatenate([ones, zeros])
    is_pushed = np.arange(len(rows)) < len(ones)
    dummies, has_support = strata(
        told.features.everything[rows], told.moments.taken(rows), is_pushed=is_pushed,
        offset_ms=offset_ms,
    )  # fmt: skip
    support = float(has_support[is_pushed].mean())
    rows, is_pushed, dummies = rows[has_support], is_pushed[has_support], dummies[has_support]
    n1, n0 = int(is_pushed.sum()), int((~is_pushed).sum())
    if support < LEAST_SUPPORT or n0 < LEAST_ARM:
        status = "no_support" if support < LEAST_SUPPORT else "no_comparison"
        return missing(COMPARISON, status, n_metrics=study.n_metrics, n_users=n_all)

    def of_metric(metric: int) -> TwoMeans:
        x = np.column_stack([dummies, told.features.columns(metric, rows)])
        if n0 < _PER_COLUMN * x.shape[1]:
            few = told.features.few(metric, rows)
            x = np.column_stack([np.ones(len(rows)), few, told.features.exposure[rows]])
        y = told.rates[rows, metric]
        return impute(y[:n1], x[:n1], y[n1:], x[n1:])

    found = [of_metric(metric) for metric in range(study.n_metrics)]
    persons = told.moments.persons[rows]
    return _contrast(COMPARISON, found, persons, n_users=n1, n_comparison=n0, support=support)


def randomised(study: Study, told: Described) -> Contrast:
    """Return the effect on the reached against those held out at random, intention to treat.

    Everybody assigned to be sent to counts, reached or not; the difference is then put on those
    who were reached (Bloom 1984, Evaluation Review 8(2), 225-246), which changes neither t nor
    p. Adjusted for what people did before: `adjust`.
    """
    ones, zeros = told.rows(0, 1), told.rows(2)
    n_reached = len(told.rows(0))
    if not told.sizes[2] or min(n_reached, len(zeros)) < LEAST_ARM:
        status = "too_few_held_out" if told.sizes[2] else "no_holdout"
        return missing(HOLDOUT, status, n_metrics=study.n_metrics, n_users=n_reached)
    share = n_reached / len(ones)
    n_columns = max(1, min(len(zeros) // (2 * _PER_COLUMN), _MOST_RANDOMISED))

    def covariates(metric: int, rows: Int64) -> Floats:
        parts = [told.features.few(metric, rows), told.features.exposure[rows, 2:]]
        return np.column_stack([*parts, told.features.tenure[rows]])[:, :n_columns]

    def of_metric(metric: int) -> TwoMeans:
        y = told.rates[:, metric]
        return _on_reached(
            adjust(y[ones], covariates(metric, ones), y[zeros], covariates(metric, zeros)), share
        )

    found = [of_metric(metric) for metric in range(study.n_metrics)]
    persons = told.moments.persons[np.concatenate([ones, zeros])]
    return _contrast(
        HOLDOUT, found, persons, n_users=len(ones), n_comparison=len(zeros), support=1.0
    )


def _of_holdout_alone(study: Study, campaign: int) -> Contrast:
    """Return the holdout contrast of a campaign whose others nobody can tell."""
    nobody = study.pushed(campaign).taken(np.empty(0, dtype=np.int64))
    held, missed = (study.unsent.of(campaign, held=is_held) for is_held in (True, False))
    reached = study.pushed(campaign)
    return randomised(
        study, described(study, Groups(reached=reached, missed=missed, held=held, others=nobody))
    )


def _on_reached(two: TwoMeans, reached: float) -> TwoMeans:
    """Return means whose difference is that of the assigned over the share that was reached."""

    def spread(psi: Floats) -> Floats:
        effect = (psi[:, 0] - psi[:, 1]) / reached
        return np.column_stack([psi[:, 1] + effect, psi[:, 1]])

    return TwoMeans(
        post=two.expected + (two.post - two.expected) / reached,
        expected=two.expected,
        psi_pushed=spread(two.psi_pushed),
        psi_others=spread(two.psi_others),
    )


def _contrast(
    method: str,
    found: Sequence[TwoMeans],
    persons: Int64,
    *,
    n_users: int,
    n_comparison: int,
    support: float,
) -> Contrast:
    """Return what two arms gave, with the factor G / (G - 1) in the influence values."""
    n = n_users + n_comparison
    factor = np.sqrt(n / (n - 1))

    def stacked(column: int) -> NDArray[np.float32]:
        parts = [np.concatenate([t.psi_pushed[:, column], t.psi_others[:, column]]) for t in found]
        psi: NDArray[np.float32] = (factor * np.stack(parts, axis=1)).astype(np.float32)
        return psi

    return Contrast(
        method=method,
        post=np.array([two.post for two in found]),
        expected=np.array([two.expected for two in found]),
        df=np.full(len(found), float(min(n_users, n_comparison) - 1)),
        persons=persons,
        psi_post=stacked(0),
        psi_expected=stacked(1),
        n_users=n_users,
        n_comparison=n_comparison,
        support=support,
    )
