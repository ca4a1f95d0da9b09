"""What recipients did hour by hour before and after their push."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.activity.timelines import MS_PER_HOUR
from core.measure.windows import EventIndex, Sends


def activity_around(
    index: EventIndex,
    sends: Sends,
    *,
    events: Sequence[int],
    bin_hours: int = 1,
    hours_before: int = 7 * 24,
    hours_after: int = 48,
) -> pd.DataFrame:
    """Return events per recipient in bins of time counted from each recipient's own delivery.

    A recipient is in a bin that lies wholly between their sign-up and the end of the data; the
    others are not counted as zeros. Bins are half-open, [offset, offset + 1) bins.

    Args:
        index: The indexed timelines.
        sends: The pushes of one campaign.
        events: Positions of the metric's events in the timelines' event_names.
        bin_hours: Length of a bin.
        hours_before: How far back, a multiple of bin_hours.
        hours_after: How far on, a multiple of bin_hours.

    Returns:
        One row a bin: `offset` (bins from the delivery to the bin's start), `n_users`,
        `n_events`, `rate` (events per user in the bin; missing where nobody is in it).

    Raises:
        ValueError: The stretch is not a whole number of bins.
    """
    if hours_before % bin_hours or hours_after % bin_hours:
        raise ValueError(f"{hours_before} and {hours_after} h are not whole bins of {bin_hours} h.")
    offsets = np.arange(-hours_before // bin_hours, hours_after // bin_hours, dtype=np.int64)
    width = bin_hours * MS_PER_HOUR
    starts = sends.instants[:, None] + offsets * width
    is_in = (starts >= sends.signed_up[:, None]) & (starts + width <= sends.as_of)
    edges = np.column_stack([starts, starts[:, -1] + width])
    persons = np.repeat(sends.persons, edges.shape[1])
    counts = np.zeros(starts.shape, dtype=np.int64)
    for event in events:
        # a person never seen (-1) sorts before every event, so that nothing is counted
        before = index.count_before(event, persons, edges.ravel()).reshape(edges.shape)
        counts += np.diff(before, axis=1)
    n_users = is_in.sum(axis=0)
    n_events = np.where(is_in, counts, 0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(n_users > 0, n_events / n_users, np.nan)
    return pd.DataFrame({"offset": offsets, "n_users": n_users, "n_events": n_events, "rate": rate})
