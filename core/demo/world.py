"""What a demo marketplace is asked to be, and the constants of how its people behave.

Instants inside are int64 milliseconds since 1970 in UTC; the simulation runs on a grid of whole
UTC hours that starts 35 days before the first campaign day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from core.errors import ConfigError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TIMEZONE = "America/New_York"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WINDOW_HOURS = 48
WINDOW_MS = WINDOW_HOURS * HOUR_MS
LEAD_DAYS = 35
"""Days of events before the first campaign day, so that first baselines are whole."""
CHUNK_USERS = 2_000
"""Users simulated at a time: fixed, since every chunk draws from its own seed."""

METRICS = {
    "confirmed_trades": "Trade Confirmed",
    "offers_created": "Offer Created",
    "offers_accepted": "Offer Accepted",
    "sessions": "$pageview",
    "closet_adds": "PDP add to closet",
    "wishlist_adds": "PDP add to wishlist",
    "trade_machine_clicks": "Trade machine clicked",
}
"""Metric name -> event, in the order of every metric axis in this package."""
EVENTS = (*METRICS.values(), "App opened", "$identify")
"""Every event that is simulated; the last two belong to no metric."""
DAILY_RATES = (0.125, 0.26, 0.13, 0.87, 0.22, 0.27, 0.18, 0.12, 0.02)
"""Mean events per user per day, in the order of EVENTS."""

ZONES = (
    ("America/New_York", 0.44),
    ("America/Chicago", 0.21),
    ("America/Denver", 0.07),
    ("America/Los_Angeles", 0.20),
    ("Europe/London", 0.08),
)
"""Where users live, with their shares."""


class Stream(IntEnum):
    """What a random stream is for: each has its own, so that worlds stay comparable."""

    SCHEDULE = 1
    EFFECTS = 2
    PLATFORM = 3
    PEOPLE = 4
    IDENTITY = 5
    ACTIVITY = 6
    PUSHES = 7
    RESPONSES = 8
    EXPORT = 9
    DATABASE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The parameters of one demo marketplace; equal worlds give equal bytes.

    Attributes:
        n_users: Users of the marketplace.
        n_days: Days of campaigns; the demo's now is the midnight after the last.
        seed: What every random draw derives from.
        start: First campaign day, in New York.
        activity: Multiplies how much everybody does (and so the size of the export).
        effect_scale: Multiplies every planted effect; 0 is the null world.
        selection: Recipients are chosen by what they do; else at random, without triggers.
        overlap: Users may get several pushes within 48 h; else nobody does.
        n_campaigns: Campaigns; by default 66 per 60 days. A single one is a drop.
        layers: The layers campaigns are sent in.
    """

    n_users: int = 12_000
    n_days: int = 60
    seed: int = 20_261_031
    start: date = field(default=date(2026, 9, 1))
    activity: float = 1.0
    effect_scale: float = 1.0
    selection: bool = True
    overlap: bool = True
    n_campaigns: int | None = None
    layers: tuple[int, ...] = (1, 2, 3)

    def __post_init__(self) -> None:
        _require(1 <= self.n_users <= 10_000_000, "n_users", "between 1 and 10,000,000")
        _require(1 <= self.n_days <= 730, "n_days", "between 1 and 730")
        _require(self.seed >= 0, "seed", "zero or more")
        _require(0 < self.activity <= 10, "activity", "above 0 and at most 10")
        _require(0 <= self.effect_scale <= 3, "effect_scale", "between 0 and 3")
        _require(self.n_campaigns is None or 0 <= self.n_campaigns <= 5_000, "n_campaigns", "0 on")
        known = set(self.layers) <= {1, 2, 3} and len(set(self.layers)) == len(self.layers)
        _require(known and len(self.layers) > 0, "layers", "some of 1, 2 and 3, each once")

    @property
    def as_of(self) -> datetime:
        """Return the demo's now in UTC: midnight in New York after the last campaign day."""
        return _midnight(self.start + timedelta(days=self.n_days))

    @property
    def as_of_ms(self) -> int:
        """Return the demo's now in milliseconds."""
        return _to_ms(self.as_of)

    @property
    def first_ms(self) -> int:
        """Return the first instant events are simulated for, in milliseconds."""
        return _to_ms(_midnight(self.start)) - LEAD_DAYS * DAY_MS

    @property
    def n_hours(self) -> int:
        """Return the hours of the grid: up to now, and one whole window beyond it."""
        return (self.as_of_ms - self.first_ms) // HOUR_MS + WINDOW_HOURS + 1

    @property
    def n_chunks(self) -> int:
        """Return into how many chunks of users the world is cut."""
        return -(-self.n_users // CHUNK_USERS)

    def chunk_size(self, chunk: int) -> int:
        """Return how many users a chunk holds."""
        return min(CHUNK_USERS, self.n_users - chunk * CHUNK_USERS)

    def instant(self, day: int, hour: float) -> int:
        """Return the instant, in milliseconds, of a New York clock time on a campaign day.

        Args:
            day: Days since the first campaign day.
            hour: Hours of the wall clock, fractions allowed (9.5 is 09:30).
        """
        minutes = round(hour * 60)
        clock = time(minutes // 60, minutes % 60)
        local = datetime.combine(self.start + timedelta(days=day), clock, ZoneInfo(TIMEZONE))
        return _to_ms(local)

    def day(self, day: int) -> str:
        """Return the New York date of a campaign day as text (2026-09-01)."""
        return (self.start + timedelta(days=day)).isoformat()

    def random(self, stream: Stream, chunk: int = 0) -> np.random.Generator:
        """Return the generator of one purpose and chunk."""
        return np.random.default_rng((self.seed, int(stream), chunk))


def iso_texts(instants_ms: Ints) -> list[str]:
    """Return instants as ISO 8601 text with milliseconds and Z."""
    stamps = np.datetime_as_string(instants_ms.astype("datetime64[ms]"), unit="ms")
    texts: list[str] = np.char.add(stamps, "Z").tolist()
    return texts


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(TIMEZONE)).astimezone(UTC)


def _to_ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def _require(holds: bool, name: str, wanted: str) -> None:  # noqa: FBT001 - an assertion
    if not holds:
        raise ConfigError(f"The demo's {name} must be {wanted}.")
