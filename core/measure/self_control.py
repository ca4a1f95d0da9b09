"""Triggered recipients against themselves at earlier instants where the same trigger fired.

For campaigns to which everybody was sent who set them off: the only comparison left is with the
same people in the same state without a push. Instants a week apart are independent enough given
the user; daily ones over-represent long spells of activity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import MS_PER_DAY
from core.measure.comparison import LEAST_ARM
from core.measure.contrasts import Contrast, missing
from core.measure.ratios import Floats
from core.measure.state import EDGES_HOURS, Moments, states
from core.measure.study import Study
from core.measure.triggers import pseudo_sends

SELF_CONTROL = "self_control"
WEEKS = 4
LEAST_WITH_EARLIER = 0.5
MOST_PUSHED = 0.1
_HISTORY_DAYS = 7
_RIDGE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Outcomes:
    """What followed some moments, and how busy their persons had just been.

    Attributes:
        rates: Floats[moments, metrics], events per day.
        everything: Floats[moments, edges - 1], events of all kinds since each edge.
        own: Floats[moments, metrics, edges - 1], the same of each metric.
    """

    rates: Floats
    everything: Floats
    own: Floats

    def columns(self, metric: int) -> Floats:
        """Return the covariates of one metric: recency only, which differs within users."""
        hours = {h: self.everything[:, place - 1] for place, h in enumerate(EDGES_HOURS) if place}
        day = hours[24]
        return np.column_stack(
            [
                np.sqrt(hours[6]), np.sqrt(day), day, np.sqrt(hours[72]),
                (day >= 3) & (day < 8), day >= 8, np.sqrt(self.own[:, metric, 2]),
            ]
        ).astype(np.float64)  # fmt: skip


def self_control(study: Study, campaign: int) -> Contrast:
    """Return the effect on recipients against their own unpushed triggers of earlier weeks.

    d_i = Y_i - mean_j Y_ij - b'(S_i - mean_j S_ij), with b from the earlier instants within
    users; influence values include the estimation of b.
    """
    pushed = study.pushed(campaign)

    def without(status: str) -> Contrast:
        return missing(SELF_CONTROL, status, n_metrics=study.n_metrics, n_users=len(pushed))

    if not study.is_triggered(campaign):
        return without("not_triggered")
    if study.triggers[campaign] is None:
        return without("trigger_unknown")
    if not len(pushed):
        return without("no_recipients")
    if len(pushed) and pushed.instants.max() + study.panel.lengths.post_ms > _as_of(study):
        return without("window_open")  # hours observed so far against whole windows would mislead
    n_users, pushed = len(pushed), _alone(study, pushed)
    earlier, share_pushed = earlier_sends(study, campaign, pushed)
    if share_pushed > MOST_PUSHED:
        return without("always_on")
    has_earlier = np.isin(pushed.persons, earlier.persons)
    support = float(has_earlier.sum() / max(n_users, 1))
    if has_earlier.sum() < LEAST_ARM or support < LEAST_WITH_EARLIER:
        return without("too_few_earlier_triggers")
    return _against_earlier(study, pushed.taken(has_earlier), earlier, support=support)


def _alone(study: Study, pushed: Moments) -> Moments:
    """Return the sends whose windows hold no effect of another push: as the earlier instants."""
    window = study.panel.lengths.post_ms
    others = study.scheduled.count(pushed, -window, window) + study.triggered.count(
        pushed, -window, 0
    )
    return pushed.taken(others == 0)


def _as_of(study: Study) -> int:
    return study.panel.sends.as_of


def earlier_sends(study: Study, campaign: int, pushed: Moments) -> tuple[Moments, float]:
    """Return the recipients' pseudo-sends without a push within a window's length, by week.

    Returns:
        The clean pseudo-sends, and the share that was not clean because another triggered push
        came: where that is large, what is left is a selection of quiet moments.
    """
    window = study.panel.lengths.post_ms
    first = study.data_since + _HISTORY_DAYS * MS_PER_DAY
    parts = [pseudo_sends(study, campaign, weeks_earlier=week) for week in range(1, WEEKS + 1)]
    every = Moments.joined(parts)
    there = np.isin(every.persons, pushed.persons) & (every.instants >= first)
    there &= study.signed_up[every.persons] < every.instants
    every = every.taken(there)
    scheduled = study.scheduled.count(every, -window, window) > 0
    triggered = study.triggered.count(every, -window, window) > 0
    share = float((triggered & ~scheduled).sum() / max((~scheduled).sum(), 1))
    return every.taken(~(scheduled | triggered)), share


def _against_earlier(
    study: Study, pushed: Moments, earlier: Moments, *, support: float
) -> Contrast:
    now, before = _outcomes(study, pushed), _outcomes(study, earlier)
    users, place = np.unique(pushed.persons, return_inverse=True)
    of_user = np.searchsorted(users, earlier.persons)
    n_earlier = np.bincount(of_user, minlength=len(users)).astype(float)
    several = n_earlier[of_user] >= 2
    found = [
        _of_metric(
            now.rates[:, m], now.columns(m), before.rates[:, m], before.columns(m),
            place=place, of_user=of_user, n_earlier=n_earlier, several=several,
        )
        for m in range(study.n_metrics)
    ]  # fmt: skip
    n = len(users)
    factor = np.sqrt(n / (n - 1))
    post = now.rates.mean(axis=0)
    psi_post = np.zeros((n, study.n_metrics))
    psi_post[place] = (now.rates - post) / n
    psi_effect = np.stack([psi for _, psi in found], axis=1)
    return Contrast(
        method=SELF_CONTROL,
        post=post,
        expected=post - np.array([effect for effect, _ in found]),
        df=np.full(study.n_metrics, n - 1.0),
        persons=users,
        psi_post=(factor * psi_post).astype(np.float32),
        psi_expected=(factor * (psi_post - psi_effect)).astype(np.float32),
        n_users=n,
        n_comparison=len(earlier),
        support=support,
    )


def _of_metric(
    now: Floats,
    state_now: Floats,
    before: Floats,
    state_before: Floats,
    *,
    place: NDArray[np.intp],
    of_user: NDArray[np.intp],
    n_earlier: Floats,
    several: NDArray[np.bool_],
) -> tuple[float, Floats]:
    """Return one metric's effect and each user's influence on it."""
    n_users = len(n_earlier)

    def means(values: Floats) -> Floats:
        return np.bincount(of_user, weights=values, minlength=n_users) / n_earlier

    usual = means(before)
    usual_state = np.stack([means(column) for column in state_before.T], axis=1)
    x = (state_before - usual_state[of_user])[several]
    y = (before - usual[of_user])[several]
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += _RIDGE * max(np.trace(gram), 1.0)
    slopes = np.linalg.solve(gram, x.T @ y)
    difference = now - usual[place]
    away = state_now - usual_state[place]
    adjusted = difference - away @ slopes
    effect = float(adjusted.mean())
    psi = np.zeros(n_users)
    psi[place] = (adjusted - effect) / len(now)
    weights = x @ np.linalg.solve(gram, away.mean(axis=0))
    psi -= np.bincount(of_user[several], weights=weights * (y - x @ slopes), minlength=n_users)
    return effect, psi


def _outcomes(study: Study, moments: Moments) -> _Outcomes:
    panel = study.panel
    state = states(
        panel.index, moments, panel.lengths, n_events=study.n_events, as_of=panel.sends.as_of,
        first_seen=study.signed_up,
    )  # fmt: skip
    return _Outcomes(
        rates=study.totals(state.post) / np.maximum(state.post_days, 1e-9)[:, None],
        everything=np.cumsum(state.recent.sum(axis=1), axis=1).astype(np.float64),
        own=np.cumsum(study.totals(state.recent), axis=2).astype(np.float64),
    )
