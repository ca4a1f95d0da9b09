from __future__ import annotations

import numpy as np
import pytest

from core.demo.people import BY_EMAIL, DIRECT, NEVER, draw_identities, draw_people
from core.demo.world import DAILY_RATES, World

MANY = World(n_users=20_000, seed=5)


@pytest.fixture(scope="module")
def mapping() -> np.ndarray:
    return np.concatenate([draw_identities(MANY, chunk).mapping for chunk in range(10)])


def test_draw_identities_shares_are_those_planted(mapping: np.ndarray) -> None:
    assert (mapping != DIRECT).mean() == pytest.approx(0.06, abs=0.006)
    assert (mapping == NEVER).mean() == pytest.approx(0.028, abs=0.004)


def test_draw_identities_merges_about_two_percent() -> None:
    merged = np.concatenate([draw_identities(MANY, chunk).is_merged for chunk in range(10)])
    assert merged.mean() == pytest.approx(0.02, abs=0.004)


def test_draw_identities_lets_email_users_be_found_by_trimmed_and_folded_email() -> None:
    found = draw_identities(MANY, 0)
    by_email = np.flatnonzero(found.mapping == BY_EMAIL)
    users = found.user_email.take(by_email).to_pylist()
    persons = found.person_email.take(by_email).to_pylist()
    assert [text.strip().casefold() for text in users] == [
        text.strip().casefold() for text in persons
    ]
    assert users != persons
    assert found.stored_distinct_id.take(by_email).null_count == len(by_email)


def test_draw_identities_leaves_nothing_to_find_the_others_by() -> None:
    found = draw_identities(MANY, 0)
    never = np.flatnonzero(found.mapping == NEVER)
    assert found.person_email.take(never).null_count == len(never)
    assert found.stored_distinct_id.take(never).null_count == len(never)
    assert 0 < found.user_email.take(never).null_count < len(never)


def test_draw_identities_gives_every_user_another_email() -> None:
    emails = draw_identities(MANY, 0).user_email.drop_null().to_pylist()
    assert len({text.strip().casefold() for text in emails}) == len(emails)


def test_draw_people_is_heavy_tailed_around_the_daily_rates() -> None:
    rates = np.concatenate([draw_people(MANY, chunk).rates for chunk in range(10)])
    assert rates.mean(axis=0) == pytest.approx(np.array(DAILY_RATES), rel=0.08)
    trades = np.sort(rates[:, 0])
    assert trades[-len(trades) // 10 :].sum() > 0.4 * trades.sum()
    assert np.median(trades) < 0.55 * trades.mean()
    assert (trades == 0).mean() == pytest.approx(0.015, abs=0.004)


def test_draw_people_joins_over_18_months_and_during_the_period() -> None:
    joined = np.concatenate([draw_people(MANY, chunk).joined_ms for chunk in range(10)])
    start_ms = MANY.instant(0, 0)
    assert joined.max() < MANY.as_of_ms
    assert (joined > start_ms).mean() == pytest.approx(60 / 608, abs=0.01)


def test_draw_people_reaches_lively_users_first_only_with_selection() -> None:
    chosen = draw_people(World(seed=5, n_users=2_000), 0)
    blind = draw_people(World(seed=5, n_users=2_000, selection=False), 0)
    activity = chosen.rates.sum(axis=1).argsort().argsort()
    assert np.corrcoef(chosen.reach, activity)[0, 1] < -0.3
    assert abs(np.corrcoef(blind.reach, activity)[0, 1]) < 0.08
    assert (chosen.rates == blind.rates).all()
