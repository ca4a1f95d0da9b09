"""Users to persons."""

import pandas as pd
import pytest

from core.activity.source import Usage, silent
from core.errors import PostHogBusy, PostHogDenied
from core.sources.identity import BATCH, match_users


class Directory:
    """Answers from two tables and remembers what it was asked."""

    kind, label = "export", "a directory"

    def __init__(self, ids=(), emails=()):
        self.usage, self.asked = Usage(), []
        self._ids = pd.DataFrame(ids, columns=["distinct_id", "person_id"], dtype="str")
        self._emails = pd.DataFrame(emails, columns=["email", "person_id"], dtype="str")

    def persons_of(self, distinct_ids):
        self.asked.append(list(distinct_ids))
        persons = self._ids[self._ids["distinct_id"].isin(distinct_ids)]["person_id"]
        return self._ids[self._ids["person_id"].isin(persons)]

    def persons_with(self, emails):
        self.asked.append(list(emails))
        return self._emails[self._emails["email"].isin(emails)]


def users(*rows):
    return pd.DataFrame(rows, columns=["user_id", "distinct_id", "email"], dtype="str")


def seen(*rows):
    frame = pd.DataFrame(rows, columns=["distinct_id", "person_id", "is_current"])
    return frame.astype({"distinct_id": "str", "person_id": "str", "is_current": "bool"})


def matched(people, source, met=None):
    return match_users(people, source, seen() if met is None else met, on_progress=silent)


def test_match_users_prefers_the_distinct_id_over_the_email():
    source = Directory([("d1", "p1")], [("a@x", "p9"), ("b@x", "p2")])
    identity = matched(users(("1", "d1", "a@x"), ("2", None, "b@x"), ("3", None, None)), source)
    assert identity.users["mapped_by"].tolist() == ["direct", "email", "unmapped"]
    assert identity.users["person_id"].tolist()[:2] == ["p1", "p2"]
    assert identity.users["person_id"].isna().tolist() == [False, False, True]


def test_match_users_keeps_a_distinct_id_posthog_never_saw():
    identity = matched(users(("1", "ghost", None)), Directory())
    assert identity.users.loc[0, ["person_id", "mapped_by"]].tolist() == ["ghost", "direct"]


def test_match_users_asks_only_for_what_was_not_seen_freshly():
    source = Directory([("d2", "p2"), ("d3", "p3")])
    met = seen(("d1", "p1", True), ("d2", "stale", False))
    identity = matched(users(("1", "d1", None), ("2", "d2", None), ("3", "d3", None)), source, met)
    assert source.asked == [["d2", "d3"]]
    assert identity.users["person_id"].tolist() == ["p1", "p2", "p3"]
    assert identity.renames == {"stale": "p2"}


def test_match_users_finds_a_merge_through_the_persons_other_ids():
    """The anonymous id's events were read before it was merged into the user's person."""
    source = Directory([("known", "new"), ("anon", "new")])
    identity = matched(users(("1", "known", None)), source, seen(("anon", "old", False)))
    assert identity.renames == {"old": "new"}


def test_match_users_measures_several_persons_of_one_email_as_one():
    source = Directory(emails=[("a@x", "p3"), ("a@x", "p1"), ("b@x", "p3"), ("c@x", "p7")])
    identity = matched(users(("1", None, "a@x"), ("2", None, "b@x"), ("3", None, "c@x")), source)
    assert identity.users["person_id"].tolist() == ["p1", "p1", "p7"]
    assert identity.renames == {"p3": "p1"}
    assert identity.n_shared_emails == 1


@pytest.mark.parametrize("n", [0, 1, BATCH, BATCH + 1])
def test_match_users_asks_in_batches_of_at_most_a_thousand(n):
    source = Directory()
    people = users(*[(str(i), f"d{i}", None) for i in range(n)])
    identity = matched(people, source)
    assert len(identity.users) == n
    assert [len(batch) for batch in source.asked] == [BATCH] * (n // BATCH) + (
        [n % BATCH] if n % BATCH else []
    )


def test_match_users_reports_progress_to_the_end():
    told = []
    match_users(
        users(("1", "d", None), ("2", None, "a@x")), Directory(), seen(),
        on_progress=lambda *args: told.append(args[1:]),
    )  # fmt: skip
    assert told[-1] == (2, 2)


def test_match_users_treats_empty_text_as_missing():
    identity = matched(users(("1", "", "")), Directory())
    assert identity.users["mapped_by"].tolist() == ["unmapped"]


class Moody(Directory):
    """Fails some of its batches."""

    def __init__(self, *args, fails, error=PostHogBusy, **kwargs):
        super().__init__(*args, **kwargs)
        self._fails, self._error = fails, error

    def persons_of(self, distinct_ids):
        found = super().persons_of(distinct_ids)
        if len(self.asked) in self._fails:
            raise self._error("It is busy. Try again later.")
        return found


def test_match_users_of_a_failed_batch_are_unresolved_and_the_others_mapped():
    ids = [f"u{i:04}" for i in range(2 * BATCH)]
    people = users(*[(i, i, None) for i in ids])
    source = Moody([(i, f"p-{i}") for i in ids], fails={2})
    found = matched(people, source)
    assert found.n_unresolved == BATCH
    assert found.why == "It is busy. Try again later."
    first, second = found.users.iloc[:BATCH], found.users.iloc[BATCH:]
    assert (first["person_id"] == "p-" + first["user_id"]).all()
    assert second["person_id"].isna().all()
    assert set(second["mapped_by"]) == {"unresolved"}


def test_match_users_raises_where_nobody_could_be_looked_up():
    with pytest.raises(PostHogBusy, match="busy"):
        matched(users(("a", "d-a", None)), Moody(fails={1}))


def test_match_users_that_is_denied_stops():
    ids = [f"u{i:04}" for i in range(2 * BATCH)]
    source = Moody(fails={2}, error=PostHogDenied)
    with pytest.raises(PostHogDenied):
        matched(users(*[(i, i, None) for i in ids]), source)
