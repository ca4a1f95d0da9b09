"""Which person in PostHog each user is: by distinct id, else by e-mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.activity.source import ActivitySource, Progress
from core.errors import PostHogBusy, PostHogError, QueryTooBig

BATCH = 1000
"""Users asked for at once, at most."""
DIRECT, EMAIL, UNMAPPED, UNRESOLVED = "direct", "email", "unmapped", "unresolved"
_NOBODY = pd.DataFrame(columns=["distinct_id", "email", "person_id"], dtype="str")
_STEP = "Matching users to persons"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is who.

    Attributes:
        users: One row per user: `user_id`, `person_id` (missing where unmapped), `mapped_by`
            (direct, email, unmapped; unresolved where the source could not be asked).
        renames: Person ids of earlier answers -> the person they belong to now.
        n_shared_emails: E-mails that belong to several persons, who are measured as one.
        n_unresolved: Users whose person could not be asked for.
        why: Why it could not, in a sentence or two; empty where all could.
    """

    users: pd.DataFrame
    renames: dict[str, str]
    n_shared_emails: int
    n_unresolved: int = 0
    why: str = ""


@dataclass(slots=True, kw_only=True)
class _Unanswered:
    """What could not be looked up, and the first reason."""

    keys: set[str] = field(default_factory=set)
    error: PostHogError | None = None


def match_users(
    users: pd.DataFrame, source: ActivitySource, seen: pd.DataFrame, *, on_progress: Progress
) -> Identity:
    """Return the person of every user.

    A user with a distinct id is mapped by it, known to PostHog or not (nothing seen of them
    counts as zero events). Without one the e-mail decides; where it belongs to several persons
    they are measured as one. A merged person is the one it was merged into.

    Args:
        users: `user_id`, `distinct_id`, `email` (trimmed, case-folded), one row per user.
        source: Where identities are looked up, at most 1,000 at once.
        seen: Activity.seen, answers that came with the events.
        on_progress: Told how many users were matched.

    Raises:
        PostHogError: Nobody could be looked up, or PostHog does not let this key ask.
    """
    has_id = users["distinct_id"].notna() & (users["distinct_id"] != "")
    has_email = ~has_id & users["email"].notna() & (users["email"] != "")
    total = int(has_id.sum() + has_email.sum())
    no_ids, no_emails = _Unanswered(), _Unanswered()
    asking = _Asking(source=source, report=on_progress, total=total)
    persons = asking.of_ids(users.loc[has_id, "distinct_id"], seen, no_ids)
    merged = _merges(seen, persons)
    found = asking.of_emails(users.loc[has_email, "email"], no_emails)
    lost = (has_id & users["distinct_id"].isin(no_ids.keys)) | (
        has_email & users["email"].isin(no_emails.keys)
    )
    error = no_ids.error or no_emails.error
    if error is not None and lost.sum() == total:
        raise error
    grouped, n_shared = _one_person_each(found)
    renames = grouped | {old: grouped.get(new, new) for old, new in merged.items()}
    return Identity(
        users=_mapped(users, has_id, lost, persons, found, renames),
        renames={old: new for old, new in renames.items() if old != new},
        n_shared_emails=n_shared,
        n_unresolved=int(lost.sum()),
        why=str(error or ""),
    )


def _mapped(
    users: pd.DataFrame,
    has_id: pd.Series,
    lost: pd.Series,
    persons: pd.Series,
    found: pd.DataFrame,
    renames: dict[str, str],
) -> pd.DataFrame:
    by_id = _looked_up(users["distinct_id"], persons).fillna(users["distinct_id"])
    first = found.drop_duplicates("email").set_index("email")["person_id"]
    by_email = _looked_up(users["email"], first).where(~has_id)
    # whoever could not be asked for may have merged with anybody: their own id would not do
    person = by_id.where(has_id, by_email).mask(lost)
    ways = [lost, has_id, by_email.notna()]
    how = np.select(ways, [UNRESOLVED, DIRECT, EMAIL], default=UNMAPPED)
    return pd.DataFrame(
        {
            "user_id": users["user_id"],
            "person_id": _looked_up(person, pd.Series(renames, dtype="str")).fillna(person),
            "mapped_by": pd.array(how.astype(object), dtype="str"),
        }
    )


def _looked_up(values: pd.Series, table: pd.Series) -> pd.Series:
    """Return the table's entry for each value, missing where there is none, always as text."""
    return values.map(table).astype("str")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """Looks users up in batches; a batch that cannot be had is noted, the others go on."""

    source: ActivitySource
    report: Progress
    total: int

    def of_ids(self, ids: pd.Series, seen: pd.DataFrame, missing: _Unanswered) -> pd.Series:
        """Return distinct id -> current person, the fresh answers seen with events included."""
        fresh = seen[seen["is_current"]]
        asked = sorted(set(ids) - set(fresh["distinct_id"]))
        n_known = len(ids) - len(asked)
        self.report(_STEP, n_known, self.total)
        looked_up = self._batched(asked, self.source.persons_of, missing, done=n_known)
        known = pd.concat([looked_up, fresh[["distinct_id", "person_id"]]], ignore_index=True)
        return known.drop_duplicates("distinct_id").set_index("distinct_id")["person_id"]

    def of_emails(self, emails: pd.Series, missing: _Unanswered) -> pd.DataFrame:
        """Return e-mail and person of those that are known."""
        asked = sorted(set(emails))
        done = self.total - len(emails)
        found = self._batched(asked, self.source.persons_with, missing, done=done)
        return found.sort_values(["email", "person_id"], ignore_index=True)

    def _batched(
        self,
        asked: Sequence[str],
        look_up: Callable[[Sequence[str]], pd.DataFrame],
        missing: _Unanswered,
        *,
        done: int,
    ) -> pd.DataFrame:
        answers = [_NOBODY]
        for start in range(0, len(asked), BATCH):
            batch = asked[start : start + BATCH]
            try:
                answers.append(look_up(batch))
            except (PostHogBusy, QueryTooBig) as error:
                missing.keys.update(batch)
                missing.error = missing.error or error
            self.report(_STEP, min(done + start + len(batch), self.total), self.total)
        return pd.concat(answers, ignore_index=True)


def _merges(seen: pd.DataFrame, persons: pd.Series) -> dict[str, str]:
    """Return person then -> person now, for distinct ids whose person has changed since."""
    now = _looked_up(seen["distinct_id"], persons)
    has_moved = now.notna() & (now != seen["person_id"])
    return dict(zip(seen.loc[has_moved, "person_id"], now[has_moved], strict=True))


def _one_person_each(found: pd.DataFrame) -> tuple[dict[str, str], int]:
    """Return person -> the first (by id) of all persons an e-mail ties together."""
    sizes = found["email"].value_counts()
    shared = found[found["email"].isin(sizes.index[sizes > 1])]
    if shared.empty:
        return {}, 0
    # here, because most runs have no shared e-mail and importing this takes half a second
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    person, ids = pd.factorize(shared["person_id"], sort=True)
    email, emails = pd.factorize(shared["email"])
    n = len(ids)
    edges = coo_array((np.ones(len(person)), (person, n + email)), shape=(n + len(emails),) * 2)
    _, group = connected_components(edges, directed=False)
    first = pd.Series(ids).groupby(group[:n]).transform("first")
    return dict(zip(ids, first, strict=True)), len(emails)
