"""Everything the estimators may look at: who was sent what when, who was not, and who was there."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.activity.timelines import Int64
from core.measure.exposure import PushIndex
from core.measure.holes import Holes
from core.measure.panel import Panel
from core.measure.state import Moments
from core.measure.windows import NEVER

TRIGGERED_LAYER = "3"
_LATEST = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unsent:
    """Persons who qualified for a campaign and did not get it.

    Attributes:
        campaigns: Campaign code of each.
        moments: Who, and when it would have gone (or was sent in vain).
        is_held: Held out at random; the others were sent to and not reached.
    """

    campaigns: Int64
    moments: Moments
    is_held: NDArray[np.bool_]

    @classmethod
    def none(cls) -> Unsent:
        """Return nobody."""
        whole = np.empty(0, dtype=np.int64)
        return cls(
            campaigns=whole,
            moments=Moments(persons=whole, instants=whole),
            is_held=np.empty(0, dtype=np.bool_),
        )

    def of(self, campaign: int, *, held: bool) -> Moments:
        """Return those of one campaign that were held out, or else not reached."""
        return self.moments.taken((self.campaigns == campaign) & (self.is_held == held))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trigger:
    """What sets a campaign off.

    Attributes:
        event: Position of the event in the timelines.
        source: How it is known: "automation", "trigger_at" or "data".
        min_lag_ms: The shortest time between the event and the push, where none is recorded.
        max_lag_ms: The longest, where none is recorded.
    """

    event: int
    source: str
    min_lag_ms: int
    max_lag_ms: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """Pushes, those not pushed and everybody's activity, for the estimators.

    Attributes:
        panel: The measured pushes, sorted by campaign.
        campaign_ids: Of each campaign code.
        layers: Layer of each campaign.
        triggers: What sets each campaign off, None where nothing is known to.
        triggered_at: Int64[pushes], what set each push off, NEVER where not recorded.
        unsent: Holdouts and those not reached.
        signed_up: Int64[persons], NEVER where not known; persons never seen have codes beyond
            the timelines' and entries too.
        first_event: Int64[persons], first tracked event that was read; the latest possible
            instant where there is none.
        n_seen: Persons in the timelines.
        n_events: Tracked events.
        offsets_ms: Int64[campaigns], business time zone less UTC when each was sent.
        data_since: First instant activity was read for.
        is_capped: Windows count at most as many events as 99.5 % of them hold.
        holes: Stretches of time whose activity is not known.
        is_incomplete: Bool[campaigns], whose numbers would rest on a hole, or lack recipients
            nothing is known of.
    """

    panel: Panel
    campaign_ids: tuple[str, ...]
    layers: tuple[str, ...]
    triggers: tuple[Trigger | None, ...]
    triggered_at: Int64
    unsent: Unsent
    signed_up: Int64
    first_event: Int64
    n_seen: int
    n_events: int
    offsets_ms: Int64
    data_since: int
    is_capped: bool = False
    holes: Holes = field(default_factory=lambda: Holes.of(()))
    is_incomplete: NDArray[np.bool_] | None = None
    scheduled: PushIndex = field(init=False)
    triggered: PushIndex = field(init=False)

    def __post_init__(self) -> None:
        """Index deliveries by what decided on their instants: the clock, or the person."""
        panel = self.panel
        is_triggered = np.array([self.is_triggered(c) for c in range(panel.n_campaigns)], bool)
        rows = is_triggered[panel.campaigns] if panel.n_campaigns else np.empty(0, bool)
        moments = Moments(persons=panel.persons, instants=panel.sends.instants)
        for name, some in (("scheduled", moments.taken(~rows)), ("triggered", moments.taken(rows))):
            object.__setattr__(self, name, PushIndex.of(some.persons, some.instants))

    @property
    def n_metrics(self) -> int:
        """Return how many metrics there are."""
        return len(self.panel.metric_names)

    def lacks(self, campaign: int) -> bool:
        """Return whether a campaign's numbers would rest on part of the data."""
        return self.is_incomplete is not None and bool(self.is_incomplete[campaign])

    def is_triggered(self, campaign: int) -> bool:
        """Return whether what people did decided when a campaign was sent to them."""
        return self.layers[campaign] == TRIGGERED_LAYER or self.triggers[campaign] is not None

    def pushed(self, campaign: int) -> Moments:
        """Return a campaign's recipients at delivery."""
        rows = self.panel.segments[campaign]
        return Moments(persons=self.panel.persons[rows], instants=self.panel.sends.instants[rows])

    def rng(self, campaign: int, *salt: int) -> np.random.Generator:
        """Return a campaign's own random numbers: the same whatever else is measured."""
        return np.random.default_rng([zlib.crc32(self.campaign_ids[campaign].encode()), *salt])

    def known_before(self, moments: Moments) -> NDArray[np.bool_]:
        """Say who had signed up and had been seen or sent something before each moment.

        Only what was known at the moment decides; somebody first seen later was not there yet
        as far as could be told, and choosing by what people do later would bias the comparison.
        """
        signed = self.signed_up[moments.persons]
        was_sent = (self.scheduled.last_before(moments) != NEVER) | (
            self.triggered.last_before(moments) != NEVER
        )
        was_seen = self.first_event[moments.persons] < moments.instants
        known: NDArray[np.bool_] = (signed < moments.instants) & (was_sent | was_seen)
        return known

    def totals(self, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return counts of events [moments, events, ...] as counts of metrics."""
        parts = [counts[:, list(events)].sum(axis=1) for events in self.panel.metric_events]
        return np.stack(parts, axis=1)


def first_events(offsets: Int64, instants: Int64, n_persons: int) -> Int64:
    """Return each person's first instant, the latest possible where there is none."""
    first = np.full(n_persons, _LATEST)
    has = np.diff(offsets) > 0
    first[: len(offsets) - 1][has] = instants[offsets[:-1][has]]
    return first


def person_sign_ups(persons: Int64, signed_up: Int64, n_persons: int) -> Int64:
    """Return each person's earliest known sign-up, NEVER where there is none."""
    found = np.full(n_persons, _LATEST)
    known = signed_up != NEVER
    np.minimum.at(found, persons[known], signed_up[known])
    return np.where(found == _LATEST, NEVER, found)


def local_block(instants: Int64, offset_ms: int, hours: int = 6) -> NDArray[np.int64]:
    """Return which block of the local day each instant lies in."""
    hour_ms = 3_600_000
    return (instants + offset_ms) // hour_ms % 24 // hours
