from __future__ import annotations

import numpy as np
import pytest

from core.demo.activity import Happenings
from core.demo.history import Extra, History


@pytest.fixture
def history() -> History:
    base = Happenings(
        user=np.array([0, 1, 0]),
        at_ms=np.array([10, 20, 30]),
        event=np.array([0, 1, 1], dtype=np.int8),
    )
    return History.of(base)


def _extra(at_ms: int) -> Extra:
    one = np.array([1])
    return Extra(user=one, at_ms=np.array([at_ms]), event=one.astype(np.int8), push=one)


def test_seen_holds_base_and_added_events_of_the_asked_kinds(history: History) -> None:
    history.added.append(_extra(25))
    users, at_ms = history.seen((1,), 20, 30)
    assert sorted(zip(users.tolist(), at_ms.tolist(), strict=True)) == [(1, 20), (1, 25)]


def test_seen_leaves_out_what_a_push_put_off(history: History) -> None:
    history.removed_by[1] = 7
    users, _ = history.seen((0, 1), 0, 100)
    assert users.tolist() == [0, 0]


def test_happened_is_in_order_of_time_and_ends_before_the_instant(history: History) -> None:
    history.added.append(_extra(25))
    history.added.append(_extra(40))
    happened = history.happened(40)
    assert happened.at_ms.tolist() == [10, 20, 25, 30]
    assert happened.user.tolist() == [0, 1, 1, 0]


def test_joined_of_nothing_is_empty() -> None:
    assert len(Extra.joined([]).push) == 0
