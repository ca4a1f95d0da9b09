from __future__ import annotations

import numpy as np
import pytest

from core.demo.audiences import NO_INSTANT, Audience
from core.demo.effects import OTHER_DELAY_FACTOR
from core.demo.pushes import HOLDOUT, STATUSES, Pushes, send
from core.demo.schedule import Campaign, plan_campaigns
from core.demo.world import HOUR_MS, WINDOW_MS, World

N = 40_000
SENT = 1_790_000_000_000


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return plan_campaigns(World(n_campaigns=1))[0]


def _send(
    campaign: Campaign, *, n: int = N, trigger_ms: int = NO_INSTANT, last_ms: int = 0
) -> Pushes:
    audience = Audience(
        user=np.arange(n), sent_ms=np.full(n, SENT), trigger_ms=np.full(n, trigger_ms)
    )
    rng = np.random.default_rng(8)
    return send(rng, campaign, position=0, audience=audience, last_delivered_ms=np.full(n, last_ms))


def test_send_draws_statuses_as_planted(campaign: Campaign) -> None:
    pushes = _send(campaign)
    share = np.bincount(pushes.status, minlength=len(STATUSES)) / N
    named = dict(zip(STATUSES, share, strict=True))
    assert named["holdout"] == pytest.approx(0.10, abs=0.005)
    assert named["failed"] == pytest.approx(0.0195 * 0.9, abs=0.003)
    assert named["Delivered"] > 0
    assert 0 < named["expired"] < 0.002


def test_send_delivers_after_sending_and_only_what_was_delivered(campaign: Campaign) -> None:
    pushes = _send(campaign)
    delivered = np.isin(pushes.status, [STATUSES.index("delivered"), STATUSES.index("Delivered")])
    assert (pushes.is_delivered == delivered).all()
    assert (pushes.delivered_ms[delivered] >= SENT).all()
    assert (pushes.delivered_ms[delivered & ~pushes.is_timed] == SENT).all()
    assert 0 < (~pushes.is_timed).mean() < 0.005


def test_send_doubles_a_few_delivered_rows(campaign: Campaign) -> None:
    pushes = _send(campaign)
    assert pushes.is_delivered[pushes.is_doubled].all()
    assert pushes.is_doubled.mean() == pytest.approx(0.003 * 0.88, abs=0.001)


@pytest.mark.parametrize(
    ("last_ms", "factor"), [(SENT - WINDOW_MS - 600_000, 1.0), (SENT - HOUR_MS, 0.5)]
)
def test_send_halves_the_effect_of_a_second_push_within_48_hours(
    campaign: Campaign, last_ms: int, factor: float
) -> None:
    pushes = _send(campaign, n=50, last_ms=last_ms)
    assert set(pushes.factor[pushes.is_delivered].tolist()) == {factor}


@pytest.mark.parametrize(
    ("hours", "factor"),
    [(1.0, OTHER_DELAY_FACTOR), (2.0, 1.0), (5.9, 1.0), (6.0, OTHER_DELAY_FACTOR), (11.0, 0.6)],
)
def test_send_lessens_the_effect_outside_the_best_delay(
    campaign: Campaign, hours: float, factor: float
) -> None:
    pushes = _send(campaign, n=50, trigger_ms=SENT - round(hours * HOUR_MS))
    timed = pushes.is_delivered & pushes.is_timed
    assert set(pushes.factor[timed].tolist()) == {factor}


def test_joined_keeps_rows_in_order(campaign: Campaign) -> None:
    one, two = _send(campaign, n=3), _send(campaign, n=2)
    both = Pushes.joined([Pushes.none(), one, two])
    assert both.user.tolist() == [0, 1, 2, 0, 1]
    assert (
        both.take(both.status == HOLDOUT).user.tolist()
        == both.user[both.status == HOLDOUT].tolist()
    )
