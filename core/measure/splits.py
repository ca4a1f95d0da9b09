"""Pushes told apart within their campaigns: hours since the trigger, other pushes before."""

from __future__ import annotations

import numpy as np

from core.activity.timelines import MS_PER_HOUR, Int64
from core.measure.proportional import Rows, hours_since
from core.measure.ratios import Floats
from core.measure.study import Study
from core.measure.windows import NEVER


def trigger_lags(study: Study, rows: Rows) -> Floats:
    """Return the hours between trigger and delivery of each push, NaN where not known.

    As recorded; where not, since the person last did what sets the campaign off. Those compared
    have no push and so no lag: what is expected of everybody knows how long ago they did that.

    Args:
        study: The study.
        rows: Of its campaigns.
    """
    recorded = _recorded(study, rows)
    lags = (rows.moments.instants - recorded) / MS_PER_HOUR
    is_known = rows.is_pushed & (recorded != NEVER) & (recorded <= rows.moments.instants)
    lags = np.where(is_known, lags, np.nan)
    for campaign in np.unique(rows.campaigns).tolist():
        trigger = study.triggers[campaign]
        asked = np.flatnonzero((rows.campaigns == campaign) & rows.is_pushed & np.isnan(lags))
        if trigger is not None and len(asked):
            since = hours_since(study, trigger.event, rows.moments.taken(asked))
            lags[asked] = np.where(np.isfinite(since), since, np.nan)
    return lags


def pushes_before(study: Study, rows: Rows, *, hours: float) -> Int64:
    """Return how many other pushes each person got in the hours before each moment."""
    back = -round(hours * MS_PER_HOUR)
    found: Int64 = study.scheduled.count(rows.moments, back, 0) + study.triggered.count(
        rows.moments, back, 0
    )
    return found


def local_offsets(study: Study, rows: Rows) -> Int64:
    """Return the business time zone less UTC at each row."""
    offsets: Int64 = study.offsets_ms[rows.campaigns]
    return offsets


def _recorded(study: Study, rows: Rows) -> Int64:
    """Return what set each push off, as recorded, NEVER where it is not or nothing was sent."""
    panel = study.panel
    found = np.full(len(rows), NEVER)
    if not len(panel.persons):
        return found
    n_persons = np.int64(len(study.signed_up))
    keys = panel.campaigns * n_persons + panel.persons
    order = np.argsort(keys, kind="stable")
    wanted = rows.campaigns * n_persons + rows.moments.persons
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    at = order[place]
    return np.where(rows.is_pushed & (keys[at] == wanted), study.triggered_at[at], found)
