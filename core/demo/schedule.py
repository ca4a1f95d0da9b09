"""The campaigns of a demo marketplace: what is sent when, to how many, with which effect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from core.demo.effects import BEST_DELAY_HOURS, GROUPS, draw_effects
from core.demo.messages import (
    DROPS,
    FEATURES,
    HOT_INVENTORY,
    TRIGGERS,
    Automation,
    Message,
)
from core.demo.world import EVENTS, Stream, World
from core.errors import ConfigError

LAYER_SHARES = {1: 12, 2: 7, 3: 47}
"""Campaigns of each layer in 60 days."""
SCHEDULED_SHARE = {1: 0.80, 2: 0.125}
"""Share of all users that qualify for a send of layer 1 and 2, holdout included."""
TRIGGERED_SHARE = (0.006, 0.076)
TRIGGERED_LEANING = 0.35
"""The same for a send of layer 3: between these, leaning to the larger (power of a uniform)."""
HOLDOUT_SHARE = 0.10
TRIGGERED_HOURS = (13.0, 23.5)
"""New York hours in which layer 3 sends: after all of the day's scheduled sends, so that
campaigns in order of their start are pushes in order of time."""
SCHEDULED_SPREAD_MS = 12 * 60_000
TUESDAY = 1
PLANNED_HOUR = 9.0
_DROP_PATTERN = "DFDDFDFDFDFD"
_HOT_PATTERN = ((0, 9.0), (1, 11.0), (0, 9.0), (0, 12.5), (2, 9.0), (0, 9.0), (1, 10.0))
"""Days after the planned Tuesday and New York hour of each hot-inventory send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One send of one automation.

    Attributes:
        day: Days since the first campaign day.
        starts_ms: Instant of its first push.
        ends_ms: Instant after its last.
        share: Share of all users that qualify.
        holdout_share: Share of those that are held out at random.
        trigger: Index into EVENTS of what sets it off; layer 3 only.
        effects: Relative effect per metric of a first, well-timed push.
    """

    layer: int
    content: str
    group: str
    automation_id: str
    campaign_id: str | None
    message: Message
    day: int
    starts_ms: int
    ends_ms: int
    share: float
    holdout_share: float
    trigger: int | None = None
    effects: tuple[float, ...] = ()


def plan_campaigns(world: World) -> tuple[Campaign, ...]:
    """Plan every campaign of a world, in order of time.

    Raises:
        ConfigError: More layer-3 campaigns are asked for than automations x days.
    """
    counts = campaign_counts(world)
    plans = [
        *_plan_platform(world, counts[1]),
        *_plan_hot_inventory(world, counts[2]),
        *_plan_triggered(world, counts[3]),
    ]
    effects = draw_effects(world, [plan.group for plan in plans]).tolist()
    planned = [replace(plan, effects=tuple(row)) for plan, row in zip(plans, effects, strict=True)]
    return tuple(sorted(planned, key=lambda campaign: campaign.starts_ms))


def campaign_counts(world: World) -> dict[int, int]:
    """Return how many campaigns each layer sends: 12, 7 and 47 in 60 days, or to scale."""
    shares = {layer: LAYER_SHARES[layer] for layer in world.layers}
    total = world.n_campaigns
    if total is None:
        return {layer: round(shares.get(layer, 0) * world.n_days / 60) for layer in LAYER_SHARES}
    counts = {layer: total * shares.get(layer, 0) // sum(shares.values()) for layer in LAYER_SHARES}
    counts[min(shares)] += total - sum(counts.values())
    return counts


def describe_automations(campaigns: tuple[Campaign, ...]) -> list[Automation]:
    """Return the automations behind the campaigns, each once, in order of their first send."""
    first = {campaign.automation_id: campaign for campaign in reversed(campaigns)}
    return [_automation(first[key]) for key in reversed(first)]


def _plan_platform(world: World, n: int) -> list[Campaign]:
    """Return layer 1: drops and feature announcements, evenly spread, never on a Tuesday."""
    last = max(world.n_days - 2, 0)
    days = np.linspace(min(2, last), last, n) if n > 1 else np.array([world.n_days // 2])
    return [_platform_campaign(world, i, int(day)) for i, day in enumerate(days[:n])]


def _platform_campaign(world: World, i: int, day: int) -> Campaign:
    is_drop = _DROP_PATTERN[i % len(_DROP_PATTERN)] == "D"
    before = (_DROP_PATTERN * (i // len(_DROP_PATTERN) + 1))[:i].count("D" if is_drop else "F")
    content = "drop" if is_drop else "feature"
    message = DROPS[before % len(DROPS)] if is_drop else FEATURES[before % len(FEATURES)]
    if _weekday(world, day) == TUESDAY and day + 1 < world.n_days:
        day += 1
    starts_ms = world.instant(day, 10.0 if is_drop else 12.0)
    return Campaign(
        layer=1,
        content=content,
        group=content,
        automation_id=f"{content}-{message.slug}",
        campaign_id=f"{content}-{i + 1:02d}",
        message=message,
        day=day,
        starts_ms=starts_ms,
        ends_ms=starts_ms + SCHEDULED_SPREAD_MS,
        share=SCHEDULED_SHARE[1],
        holdout_share=HOLDOUT_SHARE,
    )


def _plan_hot_inventory(world: World, n: int) -> list[Campaign]:
    """Return layer 2: planned for Tuesdays, some weeks skipped, some sends on another day."""
    tuesdays = [day for day in range(world.n_days) if _weekday(world, day) == TUESDAY] or [0]
    weeks = np.linspace(0, len(tuesdays) - 1, n).round().astype(int)
    return [_hot_campaign(world, i, tuesdays[week]) for i, week in enumerate(weeks.tolist())]


def _hot_campaign(world: World, i: int, tuesday: int) -> Campaign:
    slip, hour = _HOT_PATTERN[i % len(_HOT_PATTERN)]
    day = min(tuesday + slip, world.n_days - 1)
    is_planned = _weekday(world, day) == TUESDAY and hour == PLANNED_HOUR
    starts_ms = world.instant(day, hour)
    return Campaign(
        layer=2,
        content="hot_inventory",
        group="hot_on_plan" if is_planned else "hot_off_plan",
        automation_id="hot-inventory",
        campaign_id=f"hot-{i + 1:02d}",
        message=HOT_INVENTORY[i % len(HOT_INVENTORY)],
        day=day,
        starts_ms=starts_ms,
        ends_ms=starts_ms + SCHEDULED_SPREAD_MS,
        share=SCHEDULED_SHARE[2],
        holdout_share=0.0,
    )


def _plan_triggered(world: World, n: int) -> list[Campaign]:
    """Return layer 3: one automation a day in turn, sharing the hours where days are short."""
    if n > len(TRIGGERS) * world.n_days:
        raise ConfigError(
            f"{n} layer-3 campaigns do not fit into {world.n_days} days of {len(TRIGGERS)} "
            "automations; ask for fewer campaigns or more days."
        )
    days = ((np.arange(n) + 0.5) * world.n_days / max(n, 1)).astype(int)
    low, high = TRIGGERED_SHARE
    draws = world.random(Stream.SCHEDULE).random(n) ** TRIGGERED_LEANING
    shares = (low + (high - low) * draws).tolist()
    slots = np.arange(n) - np.searchsorted(days, days)
    per_day = np.bincount(days, minlength=world.n_days)[days]
    return [
        _triggered_campaign(world, i, day=int(days[i]), slot=int(slots[i]), of=int(per_day[i]),
                            share=shares[i])
        for i in range(n)
    ]  # fmt: skip


def _triggered_campaign(
    world: World, i: int, *, day: int, slot: int, of: int, share: float
) -> Campaign:
    content = list(TRIGGERS)[i % len(TRIGGERS)]
    trigger = TRIGGERS[content]
    opens, closes = TRIGGERED_HOURS
    step = (closes - opens) / of
    return Campaign(
        layer=3,
        content=content,
        group=content if content in GROUPS else "other_triggered",
        automation_id=trigger.message.slug,
        campaign_id=None,
        message=trigger.message,
        day=day,
        starts_ms=world.instant(day, opens + slot * step),
        ends_ms=world.instant(day, opens + (slot + 1) * step),
        share=share,
        holdout_share=HOLDOUT_SHARE if trigger.has_holdout else 0.0,
        trigger=EVENTS.index(trigger.event),
    )


def _weekday(world: World, day: int) -> int:
    return (world.start + timedelta(days=day)).weekday()


def _automation(campaign: Campaign) -> Automation:
    """Describe one automation; only drops name their layer, the others' has to be told."""
    trigger = TRIGGERS.get(campaign.content)
    audiences = {1: "all", 2: "hot watchers", 3: "recently active"}
    return Automation(
        id=campaign.automation_id,
        name=campaign.message.name,
        content=campaign.content,
        layer=1 if campaign.content == "drop" else None,
        audience=audiences[campaign.layer],
        weekday="tuesday" if campaign.layer == 2 else None,
        event=trigger.event if trigger else None,
        delay_hours=BEST_DELAY_HOURS if trigger else None,
    )
