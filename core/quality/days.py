"""Events day by day and the gaps in them, and push records held against events.

A day is a gap where part of it could not be read, where the event never shows at all, or where it
has far fewer events than the same weekday of the weeks around it. "Far fewer" is less than half of
what is expected and so few that days which scatter as this event's days do would show it less
than once in 100,000: so a rare event's day without any is no gap.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray
from scipy.special import betainc, pdtr

from core.activity.timelines import Int64, Timelines
from core.measure.holes import Holes
from core.measure.ratios import Floats
from core.quality.frames import EVENT_DAYS, PUSH_DAYS

Flags = NDArray[np.bool_]

NOT_READ, NEVER_SEEN = "not read", "never seen"
NO_EVENTS, TOO_FEW = "no events", "far too few events"
WEEKS_AROUND = 3
"""Same weekdays on either side that say what a day should have."""
FEWEST_DAYS = 2
ALPHA = 1e-5
"""Of an event's day without fault to be called a gap; some thousand days are looked at in a run.
That what is expected is itself an estimate about doubles it, as counted in made-up worlds."""
FAR_BELOW = 0.5
_MEDIAN_OF_SQUARE = 0.4549
"""Median of a squared standard normal number."""
FEWEST_OTHER_DAYS = 3
ODD_Z, ODD_DIFFERENCE = 4.0, 0.05
_MAD_TO_SD = 1.4826


def midnights(start: int, end: int, zone: str) -> Int64:
    """Return the local midnights from the day of start to the one after the last instant.

    Args:
        start: Milliseconds since 1970 UTC.
        end: The same, no longer in it.
        zone: Whose midnights; one that the clocks skip is the first instant after it, of two the
            first counts.
    """
    ends = pd.to_datetime([start, max(end - 1, start)], unit="ms", utc=True).tz_convert(zone)
    first, last = ends.tz_localize(None).normalize()
    days = pd.date_range(first, last + pd.Timedelta(days=1), freq="D")
    local = days.tz_localize(
        zone, nonexistent="shift_forward", ambiguous=np.ones(len(days), dtype=bool)
    )
    found: Int64 = local.tz_convert("UTC").as_unit("ms").asi8
    return np.unique(found)


def event_days(
    timelines: Timelines, *, zone: str, start: int, end: int, holes: Holes
) -> pd.DataFrame:
    """Return EVENT_DAYS: each tracked event on each day of what was read, gaps found.

    Args:
        timelines: What was read.
        zone: The business time zone.
        start: Where reading began, milliseconds since 1970 UTC.
        end: Where it ended, no longer in it.
        holes: What of it could not be had.

    References:
        Expected: the median of the same weekdays around, gaps left out. Scatter: negative
        binomial, its variance the median squared distance over that of a normal number.
    """
    bounds = midnights(start, end, zone)
    n_events, n_persons = _counts(timelines, bounds)
    is_asked = (bounds[:-1] >= start) & (bounds[1:] <= end)
    is_hole = holes.touch(np.maximum(bounds[:-1], start), np.minimum(bounds[1:], end))
    is_whole = is_asked & ~is_hole
    expected, is_low = _gaps(n_events, is_whole)
    is_never = is_whole & (n_events[:, is_whole].sum(axis=1, keepdims=True) == 0)
    why = np.select(
        [np.broadcast_to(is_hole, n_events.shape), is_never, is_low & (n_events == 0), is_low],
        [NOT_READ, NEVER_SEEN, NO_EVENTS, TOO_FEW],
        default="",
    ).astype(object)
    nothing = np.array(None, dtype=object)
    n_names, n_days = n_events.shape
    return EVENT_DAYS.checked(
        pd.DataFrame(
            {
                "event": pd.array(np.repeat(_names(timelines), n_days), dtype="str"),
                "day": _instants(np.tile(bounds[:-1], n_names)),
                "n_events": n_events.ravel(),
                "n_persons": n_persons.ravel(),
                "expected": expected.ravel(),
                "is_whole": np.tile(is_whole, n_names),
                "is_gap": (why != "").ravel(),
                "why": pd.array(np.where(why == "", nothing, why).ravel(), dtype="str"),
            }
        )
    )


def push_days(
    layers: NDArray[np.object_], instants: Int64, is_active: Flags, *, is_told: Flags, zone: str
) -> pd.DataFrame:
    """Return PUSH_DAYS: how many of each day's pushes went to somebody active around them.

    A day is odd where its share is 5 points and four standard errors from the median of the
    layer's other days, whose own scatter counts.

    Args:
        layers: Of each measured push.
        instants: Of its delivery, milliseconds since 1970 UTC.
        is_active: Whether the person had any tracked event near it.
        is_told: Whether all the time near it was read; a day with a push of which it was not is
            not called odd, nor does it say what others should have.
        zone: The business time zone.
    """
    if not len(instants):
        return PUSH_DAYS.empty()
    bounds = midnights(int(instants.min()), int(instants.max()) + 1, zone)
    names, layer = np.unique(layers.astype(str), return_inverse=True)
    shape = (len(names), len(bounds) - 1)
    cells = layer * shape[1] + np.searchsorted(bounds, instants, side="right") - 1
    n, n_active, n_untold = (
        np.bincount(cells[rows], minlength=shape[0] * shape[1]).reshape(shape)
        for rows in (slice(None), is_active, ~is_told)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        share = n_active / n
    expected, is_odd = _odd(share, n, n_untold == 0)
    at_layer, at_day = np.nonzero(n)
    return PUSH_DAYS.checked(
        pd.DataFrame(
            {
                "layer": pd.array(names[at_layer].astype(object), dtype="str"),
                "day": _instants(bounds[at_day]),
                "n_pushes": n[at_layer, at_day],
                "n_active": n_active[at_layer, at_day],
                "active_share": share[at_layer, at_day],
                "expected_share": expected[at_layer, at_day],
                "is_odd": is_odd[at_layer, at_day],
            }
        )
    )


def near_events(timelines: Timelines, persons: Int64, starts: Int64, ends: Int64) -> Flags:
    """Return which persons (-1: nobody) had any event in [start, end)."""
    if not len(timelines):
        return np.zeros(len(persons), dtype=bool)
    first = int(timelines.instants.min())
    span = int(timelines.instants.max()) - first + 3
    keys = timelines.persons * span + (timelines.instants - first + 1)
    keys = np.append(keys, np.iinfo(np.int64).max)
    start, end = (
        persons * span + np.clip(side - first + 1, 0, span - 1) for side in (starts, ends)
    )
    near: Flags = (keys[np.searchsorted(keys, start)] < end) & (persons >= 0)
    return near


def _names(timelines: Timelines) -> NDArray[np.object_]:
    return np.array(timelines.event_names, dtype=object)


def _instants(milliseconds: Int64) -> ExtensionArray:
    return pd.to_datetime(milliseconds, unit="ms", utc=True).as_unit("ms").array


def _counts(timelines: Timelines, bounds: Int64) -> tuple[Int64, Int64]:
    """Return events, and persons they are of, by event and day."""
    n_days = len(bounds) - 1
    day = np.searchsorted(bounds, timelines.instants, side="right") - 1
    persons, shape = timelines.persons, (len(timelines.event_names), n_days)
    n_events, n_persons = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    is_inside = (day >= 0) & (day < n_days)
    for place in range(shape[0]):
        rows = np.flatnonzero((timelines.events == place) & is_inside)
        days, owners = day[rows], persons[rows]
        # rows of one person stand together in the order of time, so that a day's do as well
        is_new = np.ones(len(rows), dtype=bool)
        is_new[1:] = (np.diff(days) != 0) | (np.diff(owners) != 0)
        n_events[place] = np.bincount(days, minlength=n_days)
        n_persons[place] = np.bincount(days[is_new], minlength=n_days)
    return n_events, n_persons


def _gaps(counts: Int64, is_whole: Flags) -> tuple[Floats, Flags]:
    """Return what each day should have, and which have far less; gaps do not count as days."""
    is_gap = np.zeros(counts.shape, dtype=bool)
    while True:
        usable = is_whole & ~is_gap
        expected = _expected(counts, usable)
        found = is_whole & _is_low(counts, expected, usable)
        if not (found & ~is_gap).any():
            return expected, is_gap
        is_gap |= found


def _expected(counts: Int64, usable: Flags) -> Floats:
    """Return the median of the same weekdays around each day, NaN where they are too few."""
    n_days = counts.shape[1]
    days = np.arange(n_days)
    values = np.where(usable, counts, np.nan)
    around = np.full((2 * WEEKS_AROUND, *counts.shape), np.nan)
    shifts = [7 * week for week in range(-WEEKS_AROUND, WEEKS_AROUND + 1) if week]
    for row, shift in enumerate(shifts):
        inside = (days + shift >= 0) & (days + shift < n_days)
        around[row][:, inside] = values[:, days[inside] + shift]
    return _medians(around)


def _medians(values: Floats) -> Floats:
    """Return medians along the first axis of what is known, NaN where too few are."""
    ordered = np.sort(values, axis=0)  # what is not known comes last
    n = (~np.isnan(values)).sum(axis=0)
    sides = (np.maximum(n - 1, 0) // 2, np.minimum(n // 2, len(values) - 1))
    low, high = (np.take_along_axis(ordered, side[None], axis=0)[0] for side in sides)
    return np.where(n >= FEWEST_DAYS, (low + high) / 2, np.nan)


def _is_low(counts: Int64, expected: Floats, usable: Flags) -> Flags:
    """Return which counts are far below what is expected, given how the event's days scatter."""
    known = ~np.isnan(expected) & (expected > 0)
    mean = np.where(known, expected, 1.0)
    noise = ((counts - mean) ** 2 / _MEDIAN_OF_SQUARE - mean) / mean**2
    scatter = _medians(np.where(known & usable, noise, np.nan).T)
    chance = _chance_of_fewer(counts, mean, np.nan_to_num(np.maximum(scatter, 0.0))[:, None])
    return known & (counts < FAR_BELOW * mean) & (chance < ALPHA)


def _chance_of_fewer(counts: Int64, mean: Floats, scatter: Floats) -> Floats:
    """Return the chance of as few events or fewer: Poisson, or negative binomial with scatter."""
    size = 1 / np.where(scatter > 0, scatter, 1.0)
    mixed = betainc(size, counts + 1.0, size / (size + mean))
    chance: Floats = np.where(scatter > 0, mixed, pdtr(counts, mean))
    return chance


def _odd(share: Floats, n: Int64, is_told: Flags) -> tuple[Floats, Flags]:
    """Return the median share of the layer's other days, and which are far from it."""
    expected, is_odd = np.full(share.shape, np.nan), np.zeros(share.shape, dtype=bool)
    for layer in range(len(share)):
        days = np.flatnonzero(n[layer])
        usable = is_told[layer, days]
        others = np.where(usable & ~np.eye(len(days), dtype=bool), share[layer, days], np.nan).T
        known = (~np.isnan(others)).sum(axis=0) >= FEWEST_OTHER_DAYS
        middle = np.where(known, _medians(others), np.nan)
        apart = _medians(np.abs(others - middle)) * _MAD_TO_SD
        pushes = n[layer, days]
        near = (np.nan_to_num(middle) * pushes + 1) / (pushes + 2)
        error = np.sqrt(near * (1 - near) / pushes + np.nan_to_num(apart) ** 2)
        far = np.abs(np.nan_to_num(share[layer, days] - middle))
        expected[layer, days] = middle
        is_odd[layer, days] = usable & known & (far > ODD_DIFFERENCE) & (far > ODD_Z * error)
    return expected, is_odd
