"""What people would do without any push: an hourly intensity per user and its Poisson events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.demo.people import People
from core.demo.schedule import Campaign
from core.demo.world import (
    EVENTS,
    HOUR_MS,
    LEAD_DAYS,
    TIMEZONE,
    ZONES,
    Floats,
    Ints,
    Stream,
    World,
)

ACTIVE_SHARE = 0.25
"""Share of time users are in an active spell."""
SPELL_HOURS = 16.0
"""Mean length of an active spell."""
IDLE_FACTOR = 0.35
"""Intensity outside spells, relative to the average; inside it is what keeps the mean at 1."""
TREND_PER_30_DAYS = 0.04
PLATFORM_SD = 0.05
"""Spread of what lifts or lowers everybody on a day."""
DROP_DAY_FACTORS = (1.30, 1.12)
"""What a drop does to everybody, pushed or not, on its day and the next."""
_CLOCK = np.array([
    0.55, 0.30, 0.18, 0.12, 0.10, 0.15, 0.35, 0.65, 0.90, 1.05, 1.15, 1.25,
    1.35, 1.25, 1.15, 1.15, 1.20, 1.35, 1.55, 1.75, 1.90, 1.80, 1.40, 0.95,
])  # fmt: skip
_WEEKDAY = np.array([0.98, 0.76, 0.95, 1.00, 1.05, 1.17, 1.09])


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """How busy each user of a chunk is in each UTC hour.

    Attributes:
        per_hour: Users x hours; times a daily rate it is events per hour. 0 before sign-up.
        first_ms: Instant the first hour begins.
    """

    per_hour: npt.NDArray[np.float32]
    first_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Happenings:
    """Events as flat arrays, in order of time: whose, when (ms), and which of EVENTS."""

    user: Ints
    at_ms: Ints
    event: npt.NDArray[np.int8]

    @classmethod
    def sorted(cls, user: Ints, at_ms: Ints, event: npt.NDArray[np.int8]) -> Happenings:
        """Return the events in order of time."""
        order = np.argsort(at_ms, kind="stable")
        return cls(user=user[order], at_ms=at_ms[order], event=event[order])

    def between(self, start_ms: int, end_ms: int) -> slice:
        """Return which of them lie in [start, end)."""
        low, high = np.searchsorted(self.at_ms, [start_ms, end_ms]).tolist()
        return slice(low, high)


def draw_intensity(
    world: World, chunk: int, *, people: People, campaigns: tuple[Campaign, ...]
) -> Intensity:
    """Draw the hourly intensity of a chunk: spells x clock and weekday x platform x tenure."""
    rng = world.random(Stream.ACTIVITY, chunk)
    hours_ms = world.first_ms + HOUR_MS * np.arange(world.n_hours)
    shared = _cycles(hours_ms) * _platform(world, hours_ms, campaigns) / 24
    inside = (1 - (1 - ACTIVE_SHARE) * IDLE_FACTOR) / ACTIVE_SHARE
    active = _spells(rng, people.n, world.n_hours)
    per_hour = np.where(active, np.float32(inside), np.float32(IDLE_FACTOR))
    per_hour *= shared.astype(np.float32)[people.zone]
    joined_hour = (people.joined_ms - world.first_ms) // HOUR_MS
    per_hour[np.arange(world.n_hours) <= joined_hour[:, None]] = 0.0
    return Intensity(per_hour=per_hour, first_ms=world.first_ms)


def _spells(rng: np.random.Generator, n_users: int, n_hours: int) -> npt.NDArray[np.bool_]:
    """Return who is in an active spell in which hour: a stationary two-state Markov chain."""
    ends = 1 / SPELL_HOURS
    begins = ends * ACTIVE_SHARE / (1 - ACTIVE_SHARE)
    draws = rng.random((n_hours, n_users), dtype=np.float32)
    states = np.empty((n_hours, n_users), dtype=np.bool_)
    states[0] = draws[0] < ACTIVE_SHARE
    for hour in range(1, n_hours):
        states[hour] = draws[hour] < np.where(states[hour - 1], 1 - ends, begins)
    return np.ascontiguousarray(states.T)


def _cycles(hours_ms: Ints) -> Floats:
    """Return the clock and weekday factor of each zone and hour, zones x hours."""
    instants = pd.to_datetime(hours_ms, unit="ms", utc=True)
    locals_ = [instants.tz_convert(zone) for zone, _ in ZONES]
    clock, weekday = _CLOCK / _CLOCK.mean(), _WEEKDAY / _WEEKDAY.mean()
    return np.stack([clock[local.hour] * weekday[local.day_of_week] for local in locals_])


def _platform(world: World, hours_ms: Ints, campaigns: tuple[Campaign, ...]) -> Floats:
    """Return what lifts everybody in each hour: New York day shocks, drop days and the trend."""
    local = pd.to_datetime(hours_ms, unit="ms", utc=True).tz_convert(TIMEZONE)
    start = pd.Timestamp(world.start).tz_localize(TIMEZONE)
    day = np.asarray((local.tz_localize(None) - start.tz_localize(None)).days) + LEAD_DAYS + 1
    shocks = np.exp(PLATFORM_SD * world.random(Stream.PLATFORM).standard_normal(day.max() + 3))
    for campaign in campaigns:
        if campaign.content == "drop":
            at = campaign.day + LEAD_DAYS + 1
            shocks[at : at + len(DROP_DAY_FACTORS)] *= DROP_DAY_FACTORS
    trend = (1 + TREND_PER_30_DAYS) ** ((hours_ms - hours_ms[0]) / (30 * 24 * HOUR_MS))
    return np.asarray(shocks[day] * trend)


def draw_events(world: World, chunk: int, *, people: People, intensity: Intensity) -> Happenings:
    """Draw the events of a chunk as Poisson processes with the users' own intensities.

    The number is Poisson in the intensity's sum; instants follow by inverting the cumulative
    intensity, events by the user's mix. That is the same as one Poisson process per user, hour
    and event (superposition and thinning), without a draw per cell.
    """
    rng = np.random.default_rng(world.random(Stream.ACTIVITY, chunk).integers(2**63, size=4))
    n_grid = intensity.per_hour.shape[1]
    cumulative = np.cumsum(intensity.per_hour, axis=1, dtype=np.float64)
    totals = cumulative[:, -1]
    ends = np.cumsum(totals)
    counts = rng.poisson(totals * people.rates.sum(axis=1))
    user = np.repeat(np.arange(people.n), counts)
    places = np.sort((ends - totals)[user] + rng.random(len(user)) * totals[user])
    cumulative += (ends - totals)[:, None]
    cells = np.searchsorted(cumulative.reshape(-1), places, side="right")
    hour = np.clip(cells - user * n_grid, 0, n_grid - 1)
    at_ms = intensity.first_ms + hour * HOUR_MS + rng.integers(0, HOUR_MS, len(user))
    return Happenings.sorted(user, at_ms, _draw_kinds(rng, people.rates, user))


def _draw_kinds(rng: np.random.Generator, rates: Floats, user: Ints) -> npt.NDArray[np.int8]:
    """Draw which event each is, by its user's mix."""
    mix = np.cumsum(rates, axis=1)
    lot = rng.random(len(user)) * mix[user, -1]
    kind = np.zeros(len(user), dtype=np.int8)
    for k in range(len(EVENTS) - 1):
        kind += lot >= mix[user, k]
    return kind
