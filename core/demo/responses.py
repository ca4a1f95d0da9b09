"""What people do because of a push: events added by a fading effect, or put off by a negative one.

An effect e on a metric adds events as a Poisson process with the user's own intensity without
the push, times a weight that is highest at delivery and fades. The weights are scaled per push so
that the added events of 48 h are, in expectation, e times those expected without the push.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from core.demo.activity import Happenings, Intensity
from core.demo.effects import FADE_HOURS
from core.demo.history import NOT_REMOVED, Extra, History
from core.demo.world import HOUR_MS, METRICS, WINDOW_HOURS, WINDOW_MS, Floats, Ints

N_METRICS = len(METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The 48 h after each of some deliveries, cut into the hours of the grid.

    Attributes:
        starts_ms: Where each hour (or the part of it inside) begins, pushes x 49.
        lasts_ms: How long it is.
        weight: Intensity x fading over it, events at a daily rate of 1.
        inside: Intensity over it, without fading.
    """

    starts_ms: Ints
    lasts_ms: Ints
    weight: Floats
    inside: Floats

    @property
    def total(self) -> Floats:
        """Return the intensity over each whole window."""
        return np.asarray(self.inside.sum(axis=1))

    def total_before(self, instant_ms: int) -> Floats:
        """Return the intensity over each window's part before the beginning of an hour."""
        return np.asarray((self.inside * (self.starts_ms < instant_ms)).sum(axis=1))

    def weight_before(self, instant_ms: int) -> Floats:
        """Return the intensity x fading over each window's part before the beginning of an hour."""
        return np.asarray((self.weight * (self.starts_ms < instant_ms)).sum(axis=1))

    def weight_until(self, instants_ms: Ints) -> Floats:
        """Return the intensity x fading over each window's part before an instant of its own.

        Within an hour the weight is even, as events are drawn.
        """
        passed = (instants_ms[:, None] - self.starts_ms) / np.maximum(self.lasts_ms, 1)
        return np.asarray((self.weight * np.clip(passed, 0.0, 1.0)).sum(axis=1))

    def take(self, rows: Ints) -> Windows:
        """Return some of the windows."""
        return Windows(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def scale(self) -> Floats:
        """Return per push what the fading is multiplied by, so that its mean effect is whole."""
        weights = self.weight.sum(axis=1)
        nothing = np.zeros_like(weights)
        return np.asarray(np.divide(self.total, weights, out=nothing, where=weights > 0))


def cut_windows(intensity: Intensity, *, user: Ints, delivered_ms: Ints) -> Windows:
    """Return the windows after deliveries to users of the chunk."""
    first_hour = (delivered_ms - intensity.first_ms) // HOUR_MS
    hours = first_hour[:, None] + np.arange(WINDOW_HOURS + 1)
    begins = intensity.first_ms + hours * HOUR_MS
    starts = np.maximum(begins, delivered_ms[:, None])
    ends = np.minimum(begins + HOUR_MS, delivered_ms[:, None] + WINDOW_MS)
    share = (ends - starts) / HOUR_MS
    middle_hours = ((starts + ends) / 2 - delivered_ms[:, None]) / HOUR_MS
    inside = intensity.per_hour[user[:, None], hours] * share
    return Windows(
        starts_ms=starts,
        lasts_ms=ends - starts,
        weight=inside * np.exp(-middle_hours / FADE_HOURS),
        inside=inside,
    )


def draw_extra(
    rng: np.random.Generator, windows: Windows, *, user: Ints, push: Ints, expected: Floats
) -> Extra:
    """Draw the events that pushes add.

    Args:
        rng: The chunk's generator for responses.
        windows: The windows of the pushes.
        user: Whose, per push.
        push: The pushes' numbers in the chunk.
        expected: Events expected on top, pushes x metrics; negative ones add none.
    """
    counts = rng.poisson(np.maximum(expected, 0.0))
    flat = np.repeat(np.arange(counts.size), counts.reshape(-1))
    row, metric = np.divmod(flat, N_METRICS)
    cumulative = np.cumsum(windows.weight, axis=1)
    place = rng.random(len(row)) * cumulative[row, -1]
    cell = np.minimum((cumulative[row] <= place[:, None]).sum(axis=1), WINDOW_HOURS)
    lasts = windows.lasts_ms[row, cell]
    at_ms = windows.starts_ms[row, cell] + np.floor(rng.random(len(row)) * lasts).astype(np.int64)
    return Extra(user=user[row], at_ms=at_ms, event=metric.astype(np.int8), push=push[row])


def put_off(
    rng: np.random.Generator,
    history: History,
    *,
    user: Ints,
    push: Ints,
    delivered_ms: Ints,
    loss: Floats,
) -> None:
    """Mark base events that pushes with a negative effect keep from happening.

    Args:
        rng: The chunk's generator for responses.
        history: What happens in the chunk; its `removed_by` is changed.
        user: Whose, per push; each user once.
        push: The pushes' numbers in the chunk.
        delivered_ms: When they arrived.
        loss: Probability, at delivery, that an event is lost, pushes x metrics, 0 or more.
    """
    base = history.base
    part = base.between(int(delivered_ms.min()), int(delivered_ms.max()) + WINDOW_MS)
    row = _row_of_user(base, part, user)
    since = base.at_ms[part] - delivered_ms[row]
    event = base.event[part]
    hit = (row >= 0) & (since >= 0) & (since < WINDOW_MS) & (event < N_METRICS)
    hit &= history.removed_by[part] == NOT_REMOVED
    at = np.flatnonzero(hit)
    chance = loss[row[at], event[at]] * np.exp(-since[at] / HOUR_MS / FADE_HOURS)
    lost = at[rng.random(len(at)) < chance]
    history.removed_by[part][lost] = push[row[lost]]


def _row_of_user(base: Happenings, part: slice, user: Ints) -> npt.NDArray[np.int64]:
    """Return for each event the row of its user among the pushes, -1 where there is none."""
    users = base.user[part]
    size = max(int(users.max(initial=0)), int(user.max(initial=0))) + 1
    rows = np.full(size, -1)
    rows[user] = np.arange(len(user))
    return rows[users]
