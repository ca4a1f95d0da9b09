"""The effects that are planted: one relative effect per campaign and metric.

Effects are drawn per group of like campaigns and then shifted and scaled so that each group's
mean is the planted one whatever the seed; single campaigns still differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.demo.world import METRICS, Floats, Stream, World

FADE_HOURS = 16.0
"""An effect falls by a factor e in this many hours after delivery."""
REPEAT_FACTOR = 0.5
"""What is left of the effect of a push that follows another within 48 h."""
BEST_DELAY_HOURS = (2.0, 6.0)
OTHER_DELAY_FACTOR = 0.6
"""What is left of a layer-3 effect when sent sooner or later than best after the trigger."""
OFFERS_CORRELATION = 0.80
"""Correlation over campaigns of the effects on offers created and on confirmed trades, as drawn;
what repeats and timing take away is common to both and brings it to about 0.84 as delivered."""
OFFERS_SLOPE = 0.85
SESSIONS_MEAN = 0.303
"""As drawn; about 0.28 as delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Campaigns whose effects on confirmed trades are drawn together.

    Attributes:
        mean: Mean effect of the group as delivered, zeros included.
        sd: Spread over its campaigns that have an effect.
        n_zero: How many have none, where the group is large enough.
        worst: The effect of its last campaign, where one is set, divided by `kept` like the
            others'; with what it takes from the next pushes about -0.12 in the default world.
        kept: Share of a first, well-timed push's effect that is delivered on average, after
            repeats within 48 h, layer-3 timing and what it takes from the next push; measured in
            the default world, so that the causal effects of core.demo.truth have the means.
    """

    mean: float
    sd: float
    n_zero: int = 0
    worst: float | None = None
    kept: float = 1.0


GROUPS = {
    "drop": Group(mean=0.224, sd=0.030, kept=0.679),
    "feature": Group(mean=0.128, sd=0.025, n_zero=1, kept=0.635),
    "hot_on_plan": Group(mean=0.210, sd=0.015, kept=0.463),
    "hot_off_plan": Group(mean=0.126, sd=0.010, worst=-0.026, kept=0.414),
    "offer_machine_encouragement": Group(mean=0.317, sd=0.035, kept=0.472),
    "other_triggered": Group(mean=0.2205, sd=0.045, n_zero=2, kept=0.451),
}


def draw_effects(world: World, groups: list[str]) -> Floats:
    """Draw each campaign's relative effect on every metric for a first, well-timed push.

    Args:
        world: The parameters; `effect_scale` multiplies everything.
        groups: The name of each campaign's group, in the order of the campaigns.

    Returns:
        Campaigns x metrics, 0.2 being +20 % on the rate in the 48 h after delivery.
    """
    rng = world.random(Stream.EFFECTS)
    trades = _trades(rng, groups)
    delivered = _all_metrics(rng, trades)
    kept = np.array([GROUPS[group].kept for group in groups]).reshape(-1, 1)
    if not world.overlap:
        kept = np.ones_like(kept)
    return np.asarray(world.effect_scale * delivered / kept)


def _trades(rng: np.random.Generator, groups: list[str]) -> Floats:
    names = np.array(groups, dtype=object)
    effects = np.zeros(len(groups))
    for name, group in GROUPS.items():
        members = np.flatnonzero(names == name)
        effects[members] = _group_effects(rng, group, len(members))
    return effects


def _group_effects(rng: np.random.Generator, group: Group, n: int) -> Floats:
    n_zero = group.n_zero if n >= 5 * group.n_zero else 0
    worst = [group.worst] if group.worst is not None and n >= 3 else []
    n_alive = n - n_zero - len(worst)
    if n_alive <= 0:
        return np.zeros(n)
    alive = _spread(rng, n_alive, group.mean * (n_alive + n_zero) / n_alive, group.sd)
    effects = rng.permutation(np.concatenate([alive, np.zeros(n_zero)]))
    return np.append(effects, worst)


def _spread(rng: np.random.Generator, n: int, mean: float, sd: float) -> Floats:
    """Return n draws whose mean is exact and, from three on, whose spread is too."""
    draws = rng.standard_normal(n)
    if n < 3:
        return np.full(n, mean)
    return np.asarray(mean + sd * (draws - draws.mean()) / draws.std())


def _all_metrics(rng: np.random.Generator, trades: Floats) -> Floats:
    effects = np.zeros((len(trades), len(METRICS)))
    alive = np.flatnonzero(trades)
    if len(alive) == 0:
        return effects
    noise = rng.standard_normal((len(alive), len(METRICS)))
    x = trades[alive]
    columns = {
        "confirmed_trades": x,
        "offers_created": OFFERS_SLOPE * x + _residual(noise[:, 1], trades),
        "offers_accepted": 0.65 * x + 0.020 * noise[:, 2],
        "sessions": np.maximum(0.28 + 0.4 * (x - x.mean()) + 0.03 * noise[:, 3], 0.02),
        "closet_adds": 0.04 + 0.20 * x + 0.015 * noise[:, 4],
        "wishlist_adds": 0.05 + 0.20 * x + 0.015 * noise[:, 5],
        "trade_machine_clicks": 0.05 + 0.30 * x + 0.020 * noise[:, 6],
    }
    columns["sessions"] *= SESSIONS_MEAN * len(trades) / columns["sessions"].sum()
    effects[alive] = np.column_stack([columns[name] for name in METRICS])
    return effects


def _residual(noise: Floats, trades: Floats) -> Floats:
    """Return what makes offers correlate with trades as planted, for campaigns with an effect."""
    x = trades[trades != 0]
    if len(x) < 4 or x.std() == 0:
        return np.zeros_like(x)
    design = np.column_stack([np.ones_like(x), x])
    free = noise - design @ np.linalg.lstsq(design, noise, rcond=None)[0]
    spread = OFFERS_SLOPE * trades.std() * np.sqrt(1 / OFFERS_CORRELATION**2 - 1)
    return np.asarray(free / free.std() * spread * np.sqrt(len(trades) / len(x)))
