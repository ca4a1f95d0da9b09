"""The rows of the push table: statuses, deliveries, holdouts and how well each push works."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from core.demo.audiences import NO_INSTANT, Audience
from core.demo.effects import BEST_DELAY_HOURS, OTHER_DELAY_FACTOR, REPEAT_FACTOR
from core.demo.schedule import Campaign
from core.demo.world import HOUR_MS, WINDOW_MS, Flags, Floats, Ints

STATUSES = ("delivered", "Delivered", "sent", "failed", "expired", "holdout")
STATUS_SHARES = (0.940, 0.035, 0.005, 0.0195, 0.0005)
"""Of what is sent; "expired" is a status nobody asked for, as they turn up."""
HOLDOUT = STATUSES.index("holdout")
LAST_DELIVERED = STATUSES.index("Delivered")
NO_DELIVERY_TIME_SHARE = 0.0015
DOUBLED_SHARE = 0.003
LATENCY_SECONDS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushes:
    """Rows of the push table of one chunk, one entry each, in order of sending.

    Attributes:
        campaign: Position of the campaign.
        user: Position of the user in the chunk.
        sent_ms: When it was sent, or would have been.
        delivered_ms: When it arrived; NO_INSTANT where it did not.
        trigger_ms: What set it off; NO_INSTANT where nothing did.
        status: Index into STATUSES.
        is_timed: Whether the row records its instant of delivery.
        is_doubled: Whether the row stands twice.
        factor: Share of the campaign's effect this push has.
    """

    campaign: Ints
    user: Ints
    sent_ms: Ints
    delivered_ms: Ints
    trigger_ms: Ints
    status: Ints
    is_timed: Flags
    is_doubled: Flags
    factor: Floats

    @property
    def is_delivered(self) -> Flags:
        """Return which rows are pushes."""
        return np.asarray(self.delivered_ms != NO_INSTANT)

    def take(self, which: Flags | Ints) -> Pushes:
        """Return some of the rows."""
        return Pushes(**{name.name: getattr(self, name.name)[which] for name in fields(self)})

    @classmethod
    def none(cls) -> Pushes:
        """Return no rows."""
        whole, flag = np.empty(0, np.int64), np.empty(0, np.bool_)
        return cls(
            campaign=whole, user=whole, sent_ms=whole, delivered_ms=whole, trigger_ms=whole,
            status=whole, is_timed=flag, is_doubled=flag, factor=np.empty(0),
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: list[Pushes]) -> Pushes:
        """Return the rows of all parts, at least one."""
        return cls(**{
            name.name: np.concatenate([getattr(part, name.name) for part in parts])
            for name in fields(cls)
        })  # fmt: skip


def send(
    rng: np.random.Generator,
    campaign: Campaign,
    *,
    position: int,
    audience: Audience,
    last_delivered_ms: Ints,
) -> Pushes:
    """Return the rows of one campaign: who was held out, what failed, what arrived when.

    Args:
        rng: The chunk's generator for pushes.
        campaign: What is sent.
        position: The campaign's position among all.
        audience: Who qualifies and when.
        last_delivered_ms: Per user of the chunk, the last delivery before this campaign.
    """
    n = len(audience.user)
    status = rng.choice(len(STATUS_SHARES), n, p=STATUS_SHARES)
    status[rng.random(n) < campaign.holdout_share] = HOLDOUT
    is_delivered = status <= LAST_DELIVERED
    is_timed = rng.random(n) >= NO_DELIVERY_TIME_SHARE
    latency_ms = np.floor(1000 * LATENCY_SECONDS * rng.gamma(0.8, 1 / 0.8, n)).astype(np.int64)
    arrived_ms = audience.sent_ms + np.where(is_timed, latency_ms + 150, 0)
    delivered_ms = np.where(is_delivered, arrived_ms, NO_INSTANT)
    is_repeat = last_delivered_ms[audience.user] > delivered_ms - WINDOW_MS
    return Pushes(
        campaign=np.full(n, position),
        user=audience.user,
        sent_ms=audience.sent_ms,
        delivered_ms=delivered_ms,
        trigger_ms=audience.trigger_ms,
        status=status,
        is_timed=is_timed,
        is_doubled=is_delivered & is_timed & (rng.random(n) < DOUBLED_SHARE),
        factor=np.where(is_repeat, REPEAT_FACTOR, 1.0)
        * _timing_factor(delivered_ms, audience.trigger_ms),
    )


def _timing_factor(delivered_ms: Ints, trigger_ms: Ints) -> Floats:
    hours = (delivered_ms - trigger_ms) / HOUR_MS
    low, high = BEST_DELAY_HOURS
    is_best = (trigger_ms == NO_INSTANT) | ((hours >= low) & (hours < high))
    return np.where(is_best, 1.0, OTHER_DELAY_FACTOR)
