"""One chunk of users through all campaigns, in order of time."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from core.demo.activity import Intensity, draw_events, draw_intensity
from core.demo.audiences import choose_audience
from core.demo.history import History
from core.demo.people import Identities, People, draw_identities, draw_people
from core.demo.pushes import Pushes, send
from core.demo.repeats import Deliveries, Taken, taken_from
from core.demo.responses import N_METRICS, Windows, cut_windows, draw_extra, put_off
from core.demo.schedule import Campaign
from core.demo.world import Floats, Ints, Stream, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Everything that is known about one chunk of users.

    Attributes:
        number: Which chunk.
        pushes: Rows of the push table; their order numbers the pushes.
        expected: Events expected in the 48 h after each delivered push, and in the part of them
            before the demo's now.
    """

    number: int
    people: People
    identities: Identities
    history: History
    pushes: Pushes
    expected: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the planted effects amount to, rows of the push table x metrics.

    Attributes:
        base: Events without any push; 0 where the row was not delivered.
        extra: Events on top (negative: fewer) because of the push.
        base_seen: `base` of the part of the window that has passed.
        extra_seen: `extra` of the part of the window that has passed.
        taken: Events the user's next push would have added more in this window without the push.
        taken_seen: `taken` of the part of the window that has passed.
    """

    base: Floats
    extra: Floats
    base_seen: Floats
    extra_seen: Floats
    taken: Floats
    taken_seen: Floats

    def spread(self, rows: Ints, n: int) -> Expected:
        """Return the same for n rows, with zeros for those not among the given ones."""
        whole = {field.name: np.zeros((n, N_METRICS)) for field in fields(self)}
        for name, values in whole.items():
            values[rows] = getattr(self, name)
        return Expected(**whole)

    def taking(self, parts: list[Taken]) -> Expected:
        """Return the same with what pushes took from the next ones, each push at most once."""
        taken, taken_seen = np.zeros_like(self.extra), np.zeros_like(self.extra)
        for part in parts:
            taken[part.push], taken_seen[part.push] = part.extra, part.extra_seen
        return replace(self, taken=taken, taken_seen=taken_seen)

    @classmethod
    def joined(cls, parts: list[Expected]) -> Expected:
        """Return the rows of all parts."""
        nothing = np.empty((0, N_METRICS))
        return cls(**{
            field.name: np.concatenate([nothing, *(getattr(part, field.name) for part in parts)])
            for field in fields(cls)
        })  # fmt: skip


def simulate_chunk(world: World, number: int, *, campaigns: tuple[Campaign, ...]) -> Chunk:
    """Simulate one chunk: the same world, campaigns and number give the same chunk."""
    people = draw_people(world, number)
    intensity = draw_intensity(world, number, people=people, campaigns=campaigns)
    history = History.of(draw_events(world, number, people=people, intensity=intensity))
    run = _Run(world=world, people=people, intensity=intensity, history=history, number=number)
    for position, campaign in enumerate(campaigns):
        run.send(campaign, position=position)
    return Chunk(
        number=number,
        people=people,
        identities=draw_identities(world, number),
        history=history,
        pushes=run.pushes,
        expected=Expected.joined(run.expected).taking(run.taken),
    )


class _Run:
    """The campaigns of one chunk while they go by."""

    def __init__(
        self, *, world: World, people: People, intensity: Intensity, history: History, number: int
    ) -> None:
        self.world, self.people, self.intensity, self.history = world, people, intensity, history
        self.deliveries = Deliveries.none(people.n)
        self.parts: list[Pushes] = []
        self.expected: list[Expected] = []
        self.taken: list[Taken] = []
        self.n_pushes = 0
        self.push_rng = world.random(Stream.PUSHES, number)
        self.response_rng = world.random(Stream.RESPONSES, number)

    @property
    def pushes(self) -> Pushes:
        return Pushes.joined([Pushes.none(), *self.parts])

    def send(self, campaign: Campaign, *, position: int) -> None:
        audience = choose_audience(
            self.push_rng,
            campaign,
            world=self.world,
            people=self.people,
            history=self.history,
            last_delivered_ms=self.deliveries.last_ms,
        )
        pushes = send(
            self.push_rng,
            campaign,
            position=position,
            audience=audience,
            last_delivered_ms=self.deliveries.last_ms,
        )
        self._respond(campaign, pushes)
        self.parts.append(pushes)
        self.n_pushes += len(pushes.user)

    def _respond(self, campaign: Campaign, pushes: Pushes) -> None:
        rows = np.flatnonzero(pushes.is_delivered)
        user, delivered_ms = pushes.user[rows], pushes.delivered_ms[rows]
        windows = cut_windows(self.intensity, user=user, delivered_ms=delivered_ms)
        relative = pushes.factor[rows, None] * np.array(campaign.effects)
        expected = self._expect(windows, user=user, relative=relative)
        self.expected.append(expected.spread(rows, len(pushes.user)))
        numbers = self.n_pushes + rows
        self.deliveries.add(user, delivered_ms=delivered_ms, push=numbers)
        rng = self.response_rng
        self.history.added.append(
            draw_extra(rng, windows, user=user, push=numbers, expected=expected.extra)
        )
        if len(rows) and min(campaign.effects) < 0:
            loss = np.minimum(np.maximum(-relative, 0) * windows.scale[:, None], 1.0)
            put_off(
                rng, self.history, user=user, push=numbers, delivered_ms=delivered_ms, loss=loss
            )

    def _expect(self, windows: Windows, *, user: Ints, relative: Floats) -> Expected:
        """Return what is expected of pushes, and note what it costs them to come second."""
        rates, as_of_ms = self.people.rates[user, :N_METRICS], self.world.as_of_ms
        base = rates * windows.total[:, None]
        strength = rates * relative * windows.scale[:, None]
        self.taken.append(
            taken_from(windows, self.deliveries, user=user, strength=strength, as_of_ms=as_of_ms)
        )
        return Expected(
            base=base,
            extra=base * relative,
            base_seen=rates * windows.total_before(as_of_ms)[:, None],
            extra_seen=strength * windows.weight_before(as_of_ms)[:, None],
            taken=np.zeros_like(base),
            taken_seen=np.zeros_like(base),
        )
