from __future__ import annotations

import pytest

from core.frames import WINDOW_COUNTS
from core.publish.users import EXCLUDED, USERS, excluded_table, users_table
from core.quality.ledger import mapping_ledger
from tests.publish import examples


def _reckoned(counts, metric):
    """Return the table row by row."""
    people = {}
    for row in counts[counts["metric"] == metric].itertuples():
        people.setdefault(row.person_id, []).append(row)
    return [
        (
            person, len(rows), len({row.campaign_id for row in rows}),
            min(row.delivered_at for row in rows), max(row.delivered_at for row in rows), metric,
            sum(row.n_baseline for row in rows), sum(row.baseline_days for row in rows),
            sum(row.n_post for row in rows), sum(row.post_hours / 24 for row in rows),
        )
        for person, rows in sorted(people.items())
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["str", "category"])
def test_users_table_is_what_a_plain_reckoning_gives(kind):
    counts = examples.window_counts(60)
    texts = ["campaign_id", "person_id", "metric"]
    found = users_table(counts.astype(dict.fromkeys(texts, kind)), "sessions")
    assert [tuple(row) for row in found.itertuples(index=False)] == _reckoned(counts, "sessions")
    assert list(found.columns) == USERS.names


def test_users_table_of_nobody_is_empty():
    assert users_table(WINDOW_COUNTS.empty(), "sessions").empty


def _campaigns():
    return examples.campaigns().assign(
        n_sent=[300, 300, 250, 250, 260, 260], n_failed=[10, 0, 3, 0, 1, 0],
        n_duplicates=[4, 0, 0, 2, 0, 0], n_unmapped=[7, 8, 0, 0, 1, 2],
        n_same_person=[0, 1, 0, 0, 0, 0], n_holdout=[20, 0, 0, 0, 30, 0],
        n_other_status=[0, 0, 5, 0, 0, 0], n_unresolved=0, n_incomplete=0,
    )  # fmt: skip


def test_excluded_table_adds_up_to_the_ledger():
    campaigns = _campaigns()
    found = excluded_table(campaigns, examples.lifts())
    sums = found[found["what"] != "campaign"].groupby("step")["n"].sum()
    ledger = mapping_ledger(campaigns).set_index("step")["n"]
    steps = ("failed", "duplicates", "unmapped", "same_person", "holdout")
    assert {step: sums[step] for step in steps} == {step: ledger[step] for step in steps}
    assert sums["not_delivered"] == ledger["sent"] - ledger["delivered"] - ledger["failed"]
    assert ledger["delivered"] - sums["duplicates"] == ledger["recipients"]
    assert sums["other_status"] == 5


def test_excluded_table_says_why_of_every_row():
    found = excluded_table(_campaigns(), examples.lifts())
    assert EXCLUDED.checked(found) is not None
    assert found["why"].str.len().min() > 5
    left = found[found["what"] == "campaign"].set_index("step")
    assert left.loc["too_few_users", "n"] == 12
    assert left.loc["window_open", "why"] == "no verdict and in no layer: window still open"


def test_excluded_table_names_users_the_outlier_rule_took():
    lifts = examples.lifts().assign(n_dropped=0)
    lifts.loc[[0, 4], "n_dropped"] = [3, 2]
    found = excluded_table(_campaigns(), lifts)
    rows = found[found["step"] == "outliers"]
    keys = zip(rows["campaign_id"], rows["metric"], rows["n"], strict=True)
    assert list(keys) == [("c00", "confirmed_trades", 3), ("c01", "sessions", 2)]


def test_excluded_table_of_nobody_left_out_is_empty():
    campaigns = examples.campaigns().assign(status="ok", n_sent=lambda f: f["n_delivered"])
    campaigns = campaigns.astype({"status": "str"})
    assert excluded_table(campaigns, examples.lifts().assign(n_dropped=0)).empty
