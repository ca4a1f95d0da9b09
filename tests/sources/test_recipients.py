"""Users to persons: one row a campaign and person, delivered before held out before left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from core.activity.timelines import Timelines, from_rows
from core.frames import CAMPAIGNS, INSTANT, PUSHES
from core.sources.campaigns import Assigned
from core.sources.recipients import (
    Recipients,
    by_person,
    everybody,
    positions,
    users_of,
    with_identities,
)

Row = tuple[str, str, int]
"""Campaign, user, hour."""


def table(rows: Sequence[Row], at: str) -> pd.DataFrame:
    """Return rows as pushes or others hold them; the trigger is an hour before."""
    hours = pd.Series([row[2] for row in rows], dtype="int64")
    instants = pd.to_datetime(hours, unit="h", utc=True).astype(INSTANT)
    return pd.DataFrame(
        {
            "campaign_id": pd.Series([row[0] for row in rows], dtype="str"),
            "user_id": pd.Series([row[1] for row in rows], dtype="str"),
            at: instants,
            "trigger_at": (instants - pd.Timedelta(hours=1)).astype(INSTANT),
            "signed_up_at": pd.Series(pd.NaT, index=hours.index, dtype=INSTANT),
            "distinct_id": pd.Series([f"d-{row[1]}" for row in rows], dtype="str"),
            "email": pd.Series([None] * len(rows), dtype="str"),
        }
    )


def assigned(
    pushes: Sequence[Row] = (), held: Sequence[Row] = (), missed: Sequence[Row] = ()
) -> Assigned:
    """Return what assigning campaigns gives; campaign z stands before campaign a."""
    campaigns = CAMPAIGNS.empty().reindex(range(2)).assign(campaign_id=["z", "a"])
    return Assigned(
        pushes=table(pushes, "delivered_at")[PUSHES.names],
        campaigns=campaigns.astype({"campaign_id": "str"}),
        holdouts=table(held, "assigned_at"),
        undelivered=table(missed, "assigned_at"),
        notices=(),
    )


def users(**persons: str | None) -> pd.DataFrame:
    """Return who each user is."""
    return pd.DataFrame(
        {
            "user_id": pd.Series(list(persons), dtype="str"),
            "person_id": pd.Series(list(persons.values()), dtype="str"),
            "mapped_by": ["direct" if one else "unmapped" for one in persons.values()],
        }
    )


def timelines(*events: tuple[str, int]) -> Timelines:
    """Return the timelines of (person, position of the event)."""
    return from_rows(
        [person for person, _ in events],
        np.arange(len(events)),
        np.arange(len(events)),
        np.array([event for _, event in events], dtype=np.int64),
        event_names=("metric", "trigger"),
    )


def told(frame: pd.DataFrame, at: str) -> list[tuple[object, ...]]:
    hours = frame[at].astype("int64") // 3_600_000
    status = frame["status"] if "status" in frame else [""] * len(frame)
    return list(zip(frame["campaign_id"], frame["person_id"], status, hours, strict=True))


def test_by_person_first_of_two_users_of_one_person_counts() -> None:
    given = assigned([("z", "u2", 5), ("z", "u1", 3)], [("a", "u1", 9), ("a", "u2", 8)])
    found = by_person(given, users(u1="p", u2="p"))
    assert told(found.pushes, "delivered_at") == [("z", "p", "", 3)]
    assert told(found.others, "assigned_at") == [("a", "p", "holdout", 8)]
    assert (found.others["assigned_at"] - found.others["trigger_at"]).tolist() == [
        pd.Timedelta(hours=1)
    ]


def test_by_person_delivered_before_held_out_before_undelivered() -> None:
    given = assigned(
        [("z", "u1", 5)],
        [("z", "u2", 1), ("a", "u2", 7)],
        [("z", "u3", 1), ("a", "u1", 2), ("a", "u4", 3)],
    )
    found = by_person(given, users(u1="p", u2="p", u3="p", u4="q"))
    assert told(found.pushes, "delivered_at") == [("z", "p", "", 5)]
    assert told(found.others, "assigned_at") == [
        ("a", "p", "holdout", 7), ("a", "q", "undelivered", 3),
    ]  # fmt: skip


def test_by_person_leaves_unmapped_users_out() -> None:
    given = assigned([("z", "u1", 1), ("z", "u2", 1)], [("a", "u1", 1), ("a", "u2", 1)])
    found = by_person(given, users(u1=None, u2="p"))
    assert told(found.pushes, "delivered_at") == [("z", "p", "", 1)]
    assert told(found.others, "assigned_at") == [("a", "p", "holdout", 1)]


def test_by_person_sorts_by_campaign_then_person() -> None:
    rows = [("a", "u1", 1), ("a", "u2", 1), ("z", "u1", 1), ("z", "u2", 1)]
    found = by_person(assigned((), rows[:2], rows[2:]), users(u1="q", u2="p"))
    assert told(found.others, "assigned_at") == [
        ("z", "p", "undelivered", 1), ("z", "q", "undelivered", 1),
        ("a", "p", "holdout", 1), ("a", "q", "holdout", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("given", [users(), users(u1=None)])
def test_by_person_of_nobody_gives_typed_empty_tables(given: pd.DataFrame) -> None:
    found = by_person(assigned([("z", "u1", 1)] if len(given) else []), given)
    assert {name: str(kind) for name, kind in found.pushes.dtypes.items()} == {
        "campaign_id": "str", "person_id": "str", "delivered_at": INSTANT, "trigger_at": INSTANT,
        "signed_up_at": INSTANT,
    }  # fmt: skip
    assert {name: str(kind) for name, kind in found.others.dtypes.items()} == {
        "campaign_id": "str", "person_id": "str", "status": "str", "assigned_at": INSTANT,
        "trigger_at": INSTANT, "signed_up_at": INSTANT,
    }  # fmt: skip
    assert len(found.pushes) == len(found.others) == 0


def test_users_of_names_everybody_once() -> None:
    given = assigned(
        [("z", "u1", 1), ("a", "u1", 1)], [("z", "u2", 1), ("a", "u1", 1)], [("z", "u3", 1)]
    )
    found = users_of(given)
    assert found["user_id"].tolist() == ["u1", "u2", "u3"]
    assert found["distinct_id"].tolist() == ["d-u1", "d-u2", "d-u3"]
    assert list(found) == ["user_id", "distinct_id", "email"]


def test_everybody_is_the_timelines_then_the_unseen_sorted() -> None:
    found = by_person(
        assigned([("z", "u1", 1)], [("z", "u2", 1)], [("a", "u3", 1), ("a", "u1", 1)]),
        users(u1="m", u2="z", u3="a"),
    )
    ids = everybody(timelines(("m", 0), ("n", 0)), found)
    assert ids.tolist() == ["m", "n", "a", "z"]
    assert str(ids.dtype) == "str"


def test_everybody_without_timelines() -> None:
    nobody = Recipients(*by_person(assigned(), users()))
    assert everybody(timelines(), nobody).tolist() == []


def test_with_identities_who_only_set_off_automations_counts_as_never_seen() -> None:
    given = assigned([("z", "u1", 1), ("z", "u2", 1), ("z", "u3", 1), ("z", "u4", 1)])
    known = users(u1="p", u2="q", u3="r", u4=None)
    measured = by_person(given, known).pushes
    events = timelines(("p", 0), ("q", 1), ("q", 1))
    first = with_identities(given, known, measured, events, n_events=1).iloc[0]
    assert (first["n_measured"], first["n_never_seen"], first["n_unmapped"]) == (3, 2, 1)


def test_positions_of_what_is_not_there_is_minus_one() -> None:
    found = positions(pd.Series(["b", "a"], dtype="str"), pd.Series(["a", "x", "b"], dtype="str"))
    assert found.tolist() == [1, -1, 0]
