"""From users to persons: who got a campaign, who was held out of it, who was left without it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.activity.timelines import Int64, Timelines
from core.sources.campaigns import Assigned
from core.sources.identity import DIRECT, EMAIL, UNRESOLVED

HOLDOUT, UNDELIVERED = "holdout", "undelivered"
_OF_PUSHES = ["campaign_id", "person_id", "delivered_at", "trigger_at", "signed_up_at"]
_OF_OTHERS = [
    "campaign_id", "person_id", "status", "assigned_at", "trigger_at", "signed_up_at",
]  # fmt: skip
_NOBODY = -1


class Recipients(NamedTuple):
    """The persons of every campaign, each once; sorted by campaign, then person.

    Attributes:
        pushes: campaign_id, person_id, delivered_at, trigger_at, signed_up_at.
        others: campaign_id, person_id, status (HOLDOUT or UNDELIVERED), assigned_at, trigger_at,
            signed_up_at.
    """

    pushes: pd.DataFrame
    others: pd.DataFrame


def users_of(assigned: Assigned) -> pd.DataFrame:
    """Return `user_id`, `distinct_id`, `email` of everybody a campaign names, each user once."""
    names = ["user_id", "distinct_id", "email"]
    tables = (assigned.pushes, assigned.holdouts, assigned.undelivered)
    users = pd.concat([table.drop_duplicates("user_id")[names] for table in tables])
    return users.drop_duplicates("user_id", ignore_index=True)


def by_person(assigned: Assigned, users: pd.DataFrame) -> Recipients:
    """Return what each mapped person of each campaign was, the first row of it.

    Two users of one person count as one user that stands twice does: delivered before held out
    before undelivered, then the first instant.

    Args:
        assigned: The users of every campaign.
        users: Identity.users.
    """
    pushes = assigned.pushes
    n_held, n_missed = len(assigned.holdouts), len(assigned.undelivered)
    others = pd.concat([assigned.holdouts, assigned.undelivered], ignore_index=True)
    is_missed = np.arange(n_held + n_missed) >= n_held
    status = np.where(is_missed, UNDELIVERED, HOLDOUT).astype(object)
    others = others.assign(status=pd.Series(status, dtype="str"))
    cells, ids = _cells(assigned, users, pushes)
    other_cells, _ = _cells(assigned, users, others)
    other_cells[np.isin(other_cells, cells)] = _NOBODY
    return Recipients(
        pushes=_first_rows(pushes, cells, ids, _instants(pushes["delivered_at"]))[_OF_PUSHES],
        others=_first_rows(
            others, other_cells, ids, _instants(others["assigned_at"]), is_missed
        )[_OF_OTHERS],
    )  # fmt: skip


def everybody(timelines: Timelines, recipients: Recipients) -> pd.Index:
    """Return every person id once: those of the timelines, then those never seen, sorted."""
    named = pd.concat([table["person_id"] for table in recipients])
    found = pd.Index(named.drop_duplicates())
    unseen = found[timelines.person_ids.get_indexer(found) < 0]
    return timelines.person_ids.append(unseen.sort_values())


def with_identities(
    assigned: Assigned,
    users: pd.DataFrame,
    measured: pd.DataFrame,
    timelines: Timelines,
    *,
    n_events: int,
) -> pd.DataFrame:
    """Return frames.CAMPAIGNS with the counts of identities filled in.

    Args:
        assigned: The users of every campaign.
        users: Identity.users.
        measured: Recipients.pushes.
        timelines: Everybody's events.
        n_events: Of the timelines' events so many, from the first on, are the metrics'; who had
            none of them counts as never seen.
    """
    ids = assigned.campaigns["campaign_id"]

    def per_campaign(campaigns: pd.Series, selected: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(positions(ids, campaigns)[selected], minlength=len(ids))

    recipients = assigned.pushes["campaign_id"]
    how = _ways(users, assigned.pushes)
    n_direct, n_email, n_unresolved = (
        per_campaign(recipients, how == way) for way in (DIRECT, EMAIL, UNRESOLVED)
    )
    for rows in (assigned.holdouts, assigned.undelivered):  # who is compared with is unknown too
        n_unresolved = n_unresolved + per_campaign(
            rows["campaign_id"], _ways(users, rows) == UNRESOLVED
        )
    everyone = np.ones(len(measured), dtype=bool)
    n_measured = per_campaign(measured["campaign_id"], everyone)
    is_new = ~measured["person_id"].isin(_active(timelines, n_events)).to_numpy(dtype=bool)
    return assigned.campaigns.assign(
        n_direct=n_direct,
        n_email=n_email,
        n_mapped=n_direct + n_email,
        n_unmapped=per_campaign(recipients, ~np.isin(how, [DIRECT, EMAIL, UNRESOLVED])),
        n_unresolved=n_unresolved,
        n_measured=n_measured,
        n_same_person=n_direct + n_email - n_measured,
        n_never_seen=per_campaign(measured["campaign_id"], is_new),
    )


def positions(table: pd.Series, values: pd.Series) -> Int64:
    """Return where each value stands in a table of distinct ones, -1 where it does not."""
    found: Int64 = pd.Index(table).get_indexer(pd.Index(values)).astype(np.int64)
    return found


def _ways(users: pd.DataFrame, rows: pd.DataFrame) -> NDArray[np.str_]:
    """Return how the user of each row was mapped."""
    how = users["mapped_by"].to_numpy(dtype=str)
    return how[positions(users["user_id"], rows["user_id"])]


def _cells(assigned: Assigned, users: pd.DataFrame, rows: pd.DataFrame) -> tuple[Int64, pd.Index]:
    """Return one number for each row's campaign and person, and the person ids in their order.

    It ascends by campaign, then person id; rows of unmapped users have _NOBODY.
    """
    person, ids = pd.factorize(users["person_id"], sort=True)
    person = person[positions(users["user_id"], rows["user_id"])]
    campaign = positions(assigned.campaigns["campaign_id"], rows["campaign_id"])
    return np.where(person < 0, _NOBODY, campaign * len(ids) + person), ids


def _first_rows(
    rows: pd.DataFrame, cells: Int64, ids: pd.Index, *order: NDArray[np.generic]
) -> pd.DataFrame:
    """Return the first row of each cell with its person; the last key of the order leads."""
    found = np.lexsort((*order, cells))
    found = found[cells[found] != _NOBODY]
    first = found[np.flatnonzero(np.diff(cells[found], prepend=_NOBODY))]
    persons = pd.Series(ids.take(cells[first] % max(len(ids), 1)))
    return rows.take(first).reset_index(drop=True).assign(person_id=persons)


def _instants(instants: pd.Series) -> Int64:
    milliseconds: Int64 = pd.DatetimeIndex(instants).as_unit("ms").asi8
    return milliseconds


def _active(timelines: Timelines, n_events: int) -> pd.Index:
    """Return the persons who had any of the first events."""
    persons = timelines.persons[timelines.events < n_events]
    return timelines.person_ids[np.bincount(persons, minlength=len(timelines.person_ids)) > 0]
