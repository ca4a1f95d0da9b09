"""Recipients' own windows at the same weekday and hour of earlier weeks, windows as the sample.

A shock that moves everybody on a day moves all users of a window together, so the spread between
windows, not between users, says how far a window strays by itself (simulated: users as
the sample reject a true null 13 % of the time under daily shocks, windows 5 %).
"""

from __future__ import annotations

import numpy as np

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.contrasts import Contrast, missing
from core.measure.panel import MIN_OBSERVED_MS
from core.measure.ratios import Floats
from core.measure.state import Moments
from core.measure.study import Study
from core.measure.windows import NEVER

WINDOW = "window"
FEWEST_WEEKS, MOST_WEEKS, WEEKS_FOR_LINE = 4, 8, 6
MOST_CONTAMINATED = 0.5
_WEEK_MS = 7 * MS_PER_DAY


def window(study: Study, campaign: int) -> Contrast:
    """Return the effect against the same users' windows of earlier weeks.

    The expectation is their mean, with six weeks or more a straight line through them;
    T = (post - expected) / (s sqrt(1 + leverage)) with k - 1 or k - 2 degrees of freedom.
    """
    pushed, as_of = study.pushed(campaign), study.panel.sends.as_of
    observed = np.clip(as_of - pushed.instants, 0, study.panel.lengths.post_ms)
    pushed, observed = (
        pushed.taken(observed >= MIN_OBSERVED_MS),
        observed[observed >= MIN_OBSERVED_MS],
    )
    n_users = len(pushed)

    def without(status: str) -> Contrast:
        return missing(WINDOW, status, n_metrics=study.n_metrics, n_users=n_users)

    if study.is_triggered(campaign):
        return without("triggered_sends")
    if n_users < 2:
        return without("too_few_users")
    weeks = _weeks(study, pushed)
    if weeks < FEWEST_WEEKS:
        return without("too_few_weeks")
    there = pushed.instants - weeks * _WEEK_MS >= _since(study, pushed)
    pushed, observed = pushed.taken(there), observed[there]
    if _contaminated(study, pushed, weeks) > MOST_CONTAMINATED:
        return without("contaminated_baseline")
    rates = np.stack([_rates(study, pushed, observed, back) for back in range(weeks + 1)])
    return _against_weeks(pushed, rates, n_users=n_users)


def _since(study: Study, pushed: Moments) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    signed = study.signed_up[pushed.persons]
    return np.maximum(np.where(signed == NEVER, study.data_since, signed), study.data_since)


def _weeks(study: Study, pushed: Moments) -> int:
    """Return how many earlier weeks most recipients were there for."""
    whole = (pushed.instants - _since(study, pushed)) // _WEEK_MS
    return int(min(np.quantile(whole, 0.2), MOST_WEEKS))


def _contaminated(study: Study, pushed: Moments, weeks: int) -> float:
    """Return the share of the earlier windows that lies within windows of other pushes."""
    window_ms = study.panel.lengths.post_ms
    earlier = [
        Moments(persons=pushed.persons, instants=pushed.instants - back * _WEEK_MS)
        for back in range(1, weeks + 1)
    ]
    hours = [
        np.minimum(
            study.scheduled.reached(moments, window_ms)
            + study.scheduled.followed(moments, window_ms)
            + study.scheduled.count(moments, 0, 1) * (window_ms / MS_PER_HOUR),
            window_ms / MS_PER_HOUR,
        ).mean()
        for moments in earlier
    ]
    return float(np.mean(hours) / (window_ms / MS_PER_HOUR))


def _rates(
    study: Study,
    pushed: Moments,
    observed: np.ndarray[tuple[int], np.dtype[np.int64]],
    back: int,
) -> Floats:
    """Return each user's rates in the window so many weeks earlier, [users, metrics]."""
    start = pushed.instants - back * _WEEK_MS
    index, events = study.panel.index, study.panel.metric_events
    counts = [
        sum(index.count_between(e, pushed.persons, start, start + observed) for e in own)
        for own in events
    ]
    rates: Floats = np.stack(counts, axis=1) / (observed / MS_PER_DAY)[:, None]
    return rates


def _against_weeks(pushed: Moments, rates: Floats, *, n_users: int) -> Contrast:
    """Return the contrast from rates [weeks back, users, metrics], the post window first."""
    n, k = rates.shape[1], rates.shape[0] - 1
    post, means = rates[0].mean(axis=0), rates[1:].mean(axis=1)
    back = np.arange(1.0, k + 1)
    design = np.column_stack([np.ones(k), back]) if k >= WEEKS_FOR_LINE else np.ones((k, 1))
    at_push = np.array([1.0, 0.0][: design.shape[1]])
    inverse = np.linalg.inv(design.T @ design)
    fitted = inverse @ design.T @ means
    df = k - design.shape[1]
    spread = ((means - design @ fitted) ** 2).sum(axis=0) / df
    leverage = float(at_push @ inverse @ at_push)
    expected = at_push @ fitted
    weights = design @ inverse @ at_push
    own = rates[0] - np.tensordot(weights, rates[1:], axes=1)
    own = (own - own.mean(axis=0)) / n
    size = np.sqrt(np.einsum("ij,ij->j", own, own))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(size > 0, np.sqrt(spread * (1 + leverage)) / size, 0.0)
    return Contrast(
        method=WINDOW,
        post=post,
        expected=expected,
        df=np.full(len(post), float(df)),
        persons=pushed.persons,
        psi_post=(own * ratio).astype(np.float32),
        psi_expected=np.zeros(own.shape, dtype=np.float32),
        n_users=n_users,
        n_comparison=k,
        support=n / max(n_users, 1),
        variances=(spread, spread * leverage, np.zeros_like(spread)),
    )
