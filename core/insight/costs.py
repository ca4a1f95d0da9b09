"""What it cost to miss a planned send or to move it, from how the automation's sends did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from core.activity.timelines import Int64
from core.insight.cadence import MISSED, MOVED, ON_PLAN
from core.insight.groups import FEWEST, Difference, Sample, compare
from core.measure.regression import Combination, combined, meta_regression

KINDS = ("on plan", "off plan")
_ON, _OFF = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a planned send that was not sent on plan cost.

    Attributes:
        events: Best guess, in events of the primary metric; negative where it gained; NaN where
            there is no basis.
        low: Lower limit.
        high: Upper limit.
        why: What it rests on, or why there is none.
    """

    events: float
    low: float
    high: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The effect that a cost rests on, for whoever puts it into words.

    Attributes:
        state: MISSED or MOVED.
        sends: Whose effect it is, in words.
        effect: Relative effect where missed; difference of relative effects where moved.
        low: Lower limit.
        high: Upper limit.
        events: Events expected without the push, which the effect is counted on.
    """

    state: str
    sends: str
    effect: float
    low: float
    high: float
    events: float

    def cost(self, why: str) -> Cost:
        """Return the effect in events."""
        best, low, high = (one * self.events for one in (self.effect, self.low, self.high))
        return Cost(events=best, low=low, high=high, why=why)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """What the sends of one automation tell of a send's worth.

    Attributes:
        typical: Log ratio of a typical send, None where fewer than two were measured.
        typical_of: What it is typical of, in words.
        gap: Sends on plan against the others, None where there are not two of each.
        expected: Events expected without the push, by campaign.
    """

    typical: Combination | None
    typical_of: str
    gap: Difference | None
    expected: Mapping[int, float]

    @property
    def usual_events(self) -> float:
        """Return the events expected without the push of an average audience."""
        return float(np.mean(list(self.expected.values())))


def basis_of(sample: Sample, kinds: Int64, *, confidence_level: float) -> Basis:
    """Return what one automation's measured sends tell.

    Args:
        sample: Of its sends, the primary metric.
        kinds: Int64[sends], 0 on plan, 1 off plan.
        confidence_level: Of the intervals.
    """
    compared = compare(
        sample, kinds, names=KINDS, positions=(np.nan, np.nan), confidence_level=confidence_level
    )
    expected = dict(zip(sample.campaigns.tolist(), sample.expected.tolist(), strict=True))
    on = next((g for g in compared.groups if g.name == KINDS[_ON] and g.effect), None)
    gap = next((d for d in compared.differences if d.test and d.group == KINDS[_ON]), None)
    if on is not None:
        words = f"{on.n_campaigns} measured sends on plan"
        return Basis(typical=on.effect, typical_of=words, gap=gap, expected=expected)
    n = len(sample.values)
    typical = None
    if n >= FEWEST:
        fit = meta_regression(sample.values, sample.covariance, np.ones((n, 1)))
        typical = combined(fit, np.ones(1), confidence_level=confidence_level)
    return Basis(typical=typical, typical_of=f"{n} measured sends", gap=gap, expected=expected)


def cost_of(
    state: str, basis: Basis, campaign: int | None, *, say: Callable[[Ground], str]
) -> Cost:
    """Return what a planned send cost, given what became of it.

    A missed one costs what a typical send adds to an average audience; a moved one what sends on
    plan add beyond those off plan, to its own audience. Intervals are of those effects; audiences
    are held as they were.

    Args:
        state: Of the planned send.
        basis: What the automation's sends tell.
        campaign: What was sent for it, None where nothing was.
        say: Puts what a cost rests on into words.
    """
    if state == ON_PLAN:
        return Cost(events=0.0, low=0.0, high=0.0, why="sent on plan")
    if state == MISSED:
        return _of_missed(basis, say)
    if state == MOVED:
        return _of_moved(basis, campaign, say)
    return Cost(events=np.nan, low=np.nan, high=np.nan, why="may still be sent")


def _of_missed(basis: Basis, say: Callable[[Ground], str]) -> Cost:
    if basis.typical is None:
        why = "nothing was sent, and fewer than two sends were measured: no basis for a cost"
        return Cost(events=np.nan, low=np.nan, high=np.nan, why=why)
    one = basis.typical
    effect, low, high = (float(np.expm1(log)) for log in (one.estimate, one.ci_low, one.ci_high))
    ground = Ground(
        state=MISSED, sends=basis.typical_of, effect=effect, low=low, high=high,
        events=basis.usual_events,
    )  # fmt: skip
    return ground.cost(say(ground))


def _of_moved(basis: Basis, campaign: int | None, say: Callable[[Ground], str]) -> Cost:
    gap = basis.gap
    if gap is None or gap.test is None:
        why = "moved, and fewer than two sends on plan or off it were measured: no basis for a cost"
        return Cost(events=np.nan, low=np.nan, high=np.nan, why=why)
    is_own = campaign in basis.expected
    events = basis.expected[campaign] if campaign is not None and is_own else basis.usual_events
    effect, low, high = (
        gap.as_relative(log) for log in (gap.test.estimate, gap.test.ci_low, gap.test.ci_high)
    )
    ground = Ground(
        state=MOVED, sends=f"{gap.n_campaigns} sends on plan against {gap.n_other} off it",
        effect=effect, low=low, high=high, events=events,
    )  # fmt: skip
    return ground.cost(say(ground))
