"""Who is sent a campaign, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.demo.history import History
from core.demo.people import People
from core.demo.schedule import Campaign
from core.demo.world import DAY_MS, EVENTS, HOUR_MS, WINDOW_MS, Flags, Floats, Ints, World

NO_INSTANT = -1
HOT_EVENTS = (EVENTS.index("PDP add to closet"), EVENTS.index("PDP add to wishlist"))
HOT_DAYS = 14
"""Layer 2 goes to those with the most adds in this many days."""
DELAY_HOURS = (0.5, 2.0, 6.0, 12.0)
DELAY_SHARES = (0.16, 0.64, 0.20)
"""Shares of layer-3 sends by hours since the trigger, between the DELAY_HOURS."""
REACH_NOISE = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who qualifies for a campaign, in order of the instant of sending.

    Attributes:
        user: Positions in the chunk, each once.
        sent_ms: When the push goes (or would have gone).
        trigger_ms: What set it off; NO_INSTANT where nothing did.
    """

    user: Ints
    sent_ms: Ints
    trigger_ms: Ints


def choose_audience(
    rng: np.random.Generator,
    campaign: Campaign,
    *,
    world: World,
    people: People,
    history: History,
    last_delivered_ms: Ints,
) -> Audience:
    """Choose who qualifies for a campaign, and when each push goes.

    Layer 1 reaches the enabled users (livelier ones first), layer 2 those with the most recent
    adds, layer 3 those who just did what triggers it, from what has really happened so far.
    Without selection everybody enabled is equally likely, in every layer.

    Args:
        rng: The chunk's generator for pushes.
        campaign: What is sent.
        world: The parameters.
        people: The users of the chunk.
        history: What they did so far.
        last_delivered_ms: Per user, the last delivery so far.
    """
    free = _free(campaign, world=world, people=people, last_delivered_ms=last_delivered_ms)
    n_wanted = round(campaign.share * people.n)
    trigger = campaign.trigger
    if trigger is None or not world.selection:
        score = _score(rng, campaign, world=world, people=people, history=history)
        return _scheduled(rng, campaign, score=np.where(free, score, np.inf), n_wanted=n_wanted)
    return _triggered(rng, campaign, trigger=trigger, free=free, history=history, n_wanted=n_wanted)


def _free(campaign: Campaign, *, world: World, people: People, last_delivered_ms: Ints) -> Flags:
    free: Flags = people.push_enabled & (people.joined_ms + HOUR_MS < campaign.starts_ms)
    if not world.overlap:
        free = free & (last_delivered_ms + WINDOW_MS < campaign.starts_ms)
    return free


def _score(
    rng: np.random.Generator,
    campaign: Campaign,
    *,
    world: World,
    people: People,
    history: History,
) -> Floats:
    """Return the order in which a scheduled campaign takes users, the lowest first."""
    noise = rng.random(people.n)
    if campaign.layer == 1:
        return people.reach + REACH_NOISE * noise
    if not world.selection:
        return noise
    since = campaign.starts_ms - HOT_DAYS * DAY_MS
    users, _ = history.seen(HOT_EVENTS, since, campaign.starts_ms)
    return noise - np.bincount(users, minlength=people.n)


def _scheduled(
    rng: np.random.Generator, campaign: Campaign, *, score: Floats, n_wanted: int
) -> Audience:
    order = np.argsort(score, kind="stable")
    chosen = order[: min(n_wanted, int(np.isfinite(score).sum()))]
    sent_ms = np.sort(rng.integers(campaign.starts_ms, campaign.ends_ms, len(chosen)))
    return Audience(
        user=rng.permutation(chosen),
        sent_ms=sent_ms,
        trigger_ms=np.full(len(chosen), NO_INSTANT),
    )


def _triggered(
    rng: np.random.Generator,
    campaign: Campaign,
    *,
    trigger: int,
    free: Flags,
    history: History,
    n_wanted: int,
) -> Audience:
    since = campaign.starts_ms - round(DELAY_HOURS[-1] * HOUR_MS)
    users, trigger_ms = history.seen((trigger,), since, campaign.ends_ms)
    sent_ms = trigger_ms + _delays(rng, len(users))
    fits = free[users] & (sent_ms >= campaign.starts_ms) & (sent_ms < campaign.ends_ms)
    users, sent_ms, trigger_ms = users[fits], sent_ms[fits], trigger_ms[fits]
    order = np.argsort(sent_ms, kind="stable")
    firsts = order[np.unique(users[order], return_index=True)[1]]
    chosen = rng.permutation(firsts)[:n_wanted]
    chosen = chosen[np.argsort(sent_ms[chosen], kind="stable")]
    return Audience(user=users[chosen], sent_ms=sent_ms[chosen], trigger_ms=trigger_ms[chosen])


def _delays(rng: np.random.Generator, n: int) -> Ints:
    """Draw the time from trigger to send, in milliseconds."""
    bin_ = rng.choice(len(DELAY_SHARES), n, p=DELAY_SHARES)
    edges = np.array(DELAY_HOURS) * HOUR_MS
    return np.floor(edges[bin_] + rng.random(n) * np.diff(edges)[bin_]).astype(np.int64)
