"""What of recipients' rows cannot be right: each fault counted, each row once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.frames import INSTANT
from core.sources.doubts import doubts

T = pd.Timestamp("2026-09-10 12:00", tz="UTC")
SOUND = {
    "sent_at": T, "delivered_at": T, "trigger_at": T - pd.Timedelta("1min"),
    "signed_up_at": T - pd.Timedelta("90D"), "distinct_id": "d", "email": "someone@example.com",
}  # fmt: skip
INSTANTS = ("sent_at", "delivered_at", "trigger_at", "signed_up_at")


def rows(*changes: dict[str, object]) -> pd.DataFrame:
    made = [{**SOUND, "distinct_id": f"d{i}", **one} for i, one in enumerate(changes)]
    types = dict.fromkeys(INSTANTS, INSTANT) | {"distinct_id": "str", "email": "str"}
    return pd.DataFrame(made, columns=list(SOUND)).astype(types)


def counted(*changes: dict[str, object], users: list[int] | None = None) -> dict[str, int]:
    n = len(changes)
    of = np.arange(n) if users is None else np.array(users)
    table = doubts(rows(*changes), np.zeros(n, dtype=np.int64), of, n_campaigns=1)
    return {name: n for name, n in table.iloc[0].items() if n}


def test_doubts_of_sound_rows_are_none():
    assert counted({}, {}) == {}
    assert counted() == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"delivered_at": None}, "n_sent_at_used"),
        ({"sent_at": T + pd.Timedelta("2s")}, "n_early"),
        ({"trigger_at": T + pd.Timedelta("2s")}, "n_early"),
        ({"signed_up_at": T + pd.Timedelta("1ms")}, "n_before_sign_up"),
        ({"signed_up_at": None}, "n_no_sign_up"),
        ({"trigger_at": None}, "n_no_trigger"),
        ({"distinct_id": None, "email": None}, "n_no_id"),
        ({"distinct_id": None, "email": "no address"}, "n_odd_id"),
    ],
)
def test_doubts_count_each_fault(change, expected):
    assert counted({}, change, {}) == {expected: 1}


def test_doubts_allow_for_clocks_that_give_whole_seconds():
    assert counted({"sent_at": T + pd.Timedelta("999ms")}) == {}
    assert counted({"signed_up_at": T}) == {}


def test_doubts_count_an_instant_under_its_first_fault_only():
    late = {"signed_up_at": T + pd.Timedelta("1D")}
    assert counted({**late, "delivered_at": None}) == {"n_sent_at_used": 1}
    assert counted({**late, "sent_at": T + pd.Timedelta("1h")}) == {"n_early": 1}


@pytest.mark.parametrize(
    "name",
    ["undefined", "Undefined", "null", "None", "NaN", "0", "[object Object]", "anonymous", "GUEST",
     "distinct_id", "not_authenticated", '"undefined"', " d1", "d1\t", "x" * 201, "true"],
)  # fmt: skip
def test_doubts_know_identifiers_that_can_be_nobodys(name):
    assert counted({"distinct_id": name}) == {"n_odd_id": 1}


@pytest.mark.parametrize("name", ["1", "nullable", "x" * 200, "someone@example.com", "Ø", "00"])
def test_doubts_leave_other_identifiers_alone(name):
    assert counted({"distinct_id": name}) == {}


def test_doubts_find_identifiers_of_several_users_but_not_of_one_user_twice():
    assert counted({"distinct_id": "a"}, {"distinct_id": "a"}, {}) == {"n_shared_id": 2}
    assert counted({"distinct_id": "a"}, {"distinct_id": "a"}, users=[7, 7]) == {}
    assert counted({"distinct_id": "null"}, {"distinct_id": "null"}) == {"n_odd_id": 2}
    assert counted({"distinct_id": None}, {"distinct_id": None}) == {}


def test_doubts_are_counted_by_campaign_every_row_of_a_user_in_it():
    table = doubts(
        rows({"distinct_id": "0"}, {"distinct_id": "0"}, {}, {"delivered_at": None}),
        np.array([0, 2, 2, 2]), np.array([4, 4, 5, 6]), n_campaigns=4,
    )  # fmt: skip
    assert table["n_odd_id"].tolist() == [1, 0, 1, 0]
    assert table["n_sent_at_used"].tolist() == [0, 0, 1, 0]
    assert (table.dtypes == np.int64).all()
