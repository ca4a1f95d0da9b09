"""The users of the marketplace: when they joined, how active they are, how they can be found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.demo.uuids import random_uuids
from core.demo.world import (
    CHUNK_USERS,
    DAILY_RATES,
    DAY_MS,
    EVENTS,
    LEAD_DAYS,
    ZONES,
    Flags,
    Floats,
    Ints,
    Stream,
    World,
)

TENURE_DAYS = 548
"""Sign-ups reach back this far before the first campaign day."""
NO_DISTINCT_ID_SHARE = 0.06
NEVER_FOUND_SHARE = 0.028
MERGED_SHARE = 0.02
TWIN_SHARE = 1 / 2000
"""Users whose e-mail belongs to a second, unmerged person: a handful."""
NEVER_SEEN_SHARE = 0.015
NO_SIGN_UP_SHARE = 0.002
MESSY_EMAIL_SHARE = 0.08
PUSH_ENABLED_SHARE = 0.95
DIRECT, BY_EMAIL, NEVER = 0, 1, 2
MAPPINGS = ("direct", "email", "never")
_FIRST = (
    "alex", "jordan", "sam", "maria", "chris", "taylor", "devon", "nina", "marcus", "lena",
    "omar", "kayla", "diego", "priya", "tyler", "zoe", "malik", "ava", "hugo", "imani",
)  # fmt: skip
_LAST = (
    "reyes", "kim", "johnson", "patel", "nguyen", "brown", "garcia", "lee", "smith", "okafor",
    "rossi", "chen", "davis", "lopez", "martin", "clark", "silva", "walker", "young", "khan",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The users of one chunk; every array has one entry (row) a user.

    Attributes:
        user_id: `users.id`.
        joined_ms: Instant of sign-up.
        has_sign_up: Whether `users.created_at` is recorded.
        zone: Index into ZONES.
        rates: Events per day at average intensity, users x EVENTS.
        reach: Order in which layer 1 reaches users, 0 first, uniform on [0, 1].
        push_enabled: Whether the user takes pushes at all.
    """

    user_id: Ints
    joined_ms: Ints
    has_sign_up: Flags
    zone: Ints
    rates: Floats
    reach: Floats
    push_enabled: Flags

    @property
    def n(self) -> int:
        """Return the number of users."""
        return len(self.user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """How the users of one chunk are known to the database and to PostHog.

    Until `switch_ms` a user's events carry `early_distinct_id` and `early_person_id`. For merged
    users the persons export later says that the early distinct id is the surviving person; for
    twins it stays a second person of the same e-mail.

    Attributes:
        mapping: Index into MAPPINGS: how the user can be found.
        user_email: `users.email`, null where there is none.
        stored_distinct_id: `users.posthog_distinct_id`, null where there is none.
        person_email: The person's `email` property, null where there is none.
    """

    mapping: Ints
    user_email: pa.StringArray
    stored_distinct_id: pa.StringArray
    person_email: pa.StringArray
    distinct_id: pa.StringArray
    person_id: pa.StringArray
    early_distinct_id: pa.StringArray
    early_person_id: pa.StringArray
    switch_ms: Ints
    is_merged: Flags
    is_twin: Flags


def draw_people(world: World, chunk: int) -> People:
    """Draw the users of one chunk."""
    rng = world.random(Stream.PEOPLE, chunk)
    n = world.chunk_size(chunk)
    earliest = world.first_ms + (LEAD_DAYS - TENURE_DAYS) * DAY_MS
    rates = _draw_rates(rng, n, world.activity)
    activity_rank = rates.sum(axis=1).argsort(kind="stable").argsort(kind="stable") / max(n, 1)
    noise = rng.random(n)
    pull = 0.6 * (1 - activity_rank) + noise if world.selection else noise
    return People(
        user_id=chunk * CHUNK_USERS + np.arange(1, n + 1),
        joined_ms=rng.integers(earliest, world.as_of_ms, n),
        has_sign_up=rng.random(n) >= NO_SIGN_UP_SHARE,
        zone=rng.choice(len(ZONES), n, p=[share for _, share in ZONES]),
        rates=rates,
        reach=pull.argsort(kind="stable").argsort(kind="stable") / max(n, 1),
        push_enabled=rng.random(n) < PUSH_ENABLED_SHARE,
    )


def _draw_rates(rng: np.random.Generator, n: int, activity: float) -> Floats:
    """Return heavy-tailed daily rates: most do little, few a lot, and people differ in what."""
    sigma = 1.05
    overall = np.exp(sigma * rng.standard_normal(n) - sigma**2 / 2)
    leaning = rng.gamma(2.0, 1 / 2.0, (n, len(EVENTS)))
    rates = activity * np.array(DAILY_RATES) * np.minimum(overall, 25.0)[:, None] * leaning
    rates[rng.random(n) < NEVER_SEEN_SHARE] = 0.0
    return rates


def draw_identities(world: World, chunk: int) -> Identities:
    """Draw how the users of one chunk are known to the database and to PostHog."""
    rng = world.random(Stream.IDENTITY, chunk)
    n = world.chunk_size(chunk)
    mapping = _draw_mapping(rng, n)
    can_be_found = mapping != NEVER
    lot = rng.random(n)
    is_merged = can_be_found & (lot < MERGED_SHARE)
    is_twin = can_be_found & (lot > 1 - TWIN_SHARE)
    distinct, early_distinct = random_uuids(rng, n), random_uuids(rng, n)
    user_email, person_email = _draw_emails(rng, chunk * CHUNK_USERS, n)
    stored = _choose(is_merged & (rng.random(n) < 0.5), early_distinct, distinct)
    half_lead_ms = LEAD_DAYS * DAY_MS // 2
    switch_ms = rng.integers(world.first_ms + half_lead_ms, world.as_of_ms, n)
    return Identities(
        mapping=mapping,
        user_email=_blank(user_email, ~can_be_found & (rng.random(n) < 0.5)),
        stored_distinct_id=_blank(stored, mapping != DIRECT),
        person_email=_blank(person_email, ~can_be_found),
        distinct_id=distinct,
        person_id=random_uuids(rng, n),
        early_distinct_id=early_distinct,
        early_person_id=random_uuids(rng, n),
        switch_ms=np.where(is_merged | is_twin, switch_ms, 0),
        is_merged=is_merged,
        is_twin=is_twin,
    )


def _draw_mapping(rng: np.random.Generator, n: int) -> Ints:
    lot = rng.random(n)
    without = np.where(lot < NEVER_FOUND_SHARE, NEVER, BY_EMAIL)
    return np.where(lot < NO_DISTINCT_ID_SHARE, without, DIRECT)


def _draw_emails(
    rng: np.random.Generator, offset: int, n: int
) -> tuple[pa.StringArray, pa.StringArray]:
    """Draw the e-mails of users and of their persons; some are untidy on one of the sides."""
    clean = _emails(rng, offset, n)
    messy, side = rng.random(n), rng.random(n) < 0.5
    return _stray(clean, messy, here=side), _stray(clean, messy, here=~side)


def _emails(rng: np.random.Generator, offset: int, n: int) -> pa.StringArray:
    first = pa.array(_FIRST).take(pa.array(rng.integers(0, len(_FIRST), n)))
    last = pa.array(_LAST).take(pa.array(rng.integers(0, len(_LAST), n)))
    number = pa.array(offset + np.arange(1, n + 1)).cast(pa.string())
    return pc.binary_join_element_wise(first, ".", last, number, "@example.com", "")


def _stray(clean: pa.StringArray, messy: Floats, *, here: Flags) -> pa.StringArray:
    """Return e-mails with stray capitals or blanks for the messy users on this side."""
    third = MESSY_EMAIL_SHARE / 3
    texts = _choose(here & (messy < third), pc.utf8_capitalize(clean), clean)
    padded = pc.binary_join_element_wise(clean, " ", "")
    texts = _choose(here & (messy >= third) & (messy < 2 * third), padded, texts)
    loud = pc.binary_join_element_wise(" ", pc.utf8_upper(clean), "")
    return _choose(here & (messy >= 2 * third) & (messy < 3 * third), loud, texts)


def _choose(where: Flags, this: pa.StringArray, other: pa.StringArray) -> pa.StringArray:
    return pc.if_else(pa.array(where), this, other)


def _blank(texts: pa.StringArray, where: Flags) -> pa.StringArray:
    return pc.if_else(pa.array(where), pa.scalar(None, pa.string()), texts)
