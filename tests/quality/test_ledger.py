"""The ledger from rows to measured users."""

import math

import pandas as pd

from core import frames
from core.quality.ledger import mapped_share, mapping_ledger


def campaigns(*rows):
    empty = frames.CAMPAIGNS.empty()
    counts = [c.name for c in frames.CAMPAIGNS.columns if c.kind == "integer"]
    table = pd.DataFrame([{**dict.fromkeys(counts, 0), **row} for row in rows])
    return table.reindex(columns=empty.columns)


def test_mapping_ledger_adds_up():
    table = campaigns(
        {"n_sent": 110, "n_delivered": 104, "n_failed": 6, "n_duplicates": 4, "n_direct": 80,
         "n_email": 15, "n_unmapped": 5, "n_mapped": 95, "n_same_person": 1, "n_measured": 94},
        {"n_sent": 10, "n_delivered": 10, "n_direct": 10, "n_mapped": 10, "n_measured": 10},
    )  # fmt: skip
    ledger = mapping_ledger(table).set_index("step")
    n = ledger["n"]
    assert n["recipients"] == 110
    assert n["direct"] + n["email"] + n["unmapped"] == n["recipients"]
    assert n["measured"] == n["direct"] + n["email"] - n["same_person"]
    assert ledger.loc["delivered", "share"] == 114 / 120
    assert mapped_share(table) == 105 / 110


def test_mapping_ledger_without_campaigns_has_no_shares():
    ledger = mapping_ledger(campaigns({}))
    assert ledger["n"].sum() == 0
    assert ledger["share"].isna().all()
    assert math.isnan(mapped_share(campaigns({})))


def test_mapping_ledger_names_what_could_not_be_read_only_where_there_was_such():
    steps = mapping_ledger(campaigns({"n_delivered": 5}))["step"].tolist()
    assert "unresolved" not in steps
    table = campaigns(
        {"n_delivered": 9, "n_unresolved": 3, "n_direct": 6, "n_measured": 6, "n_incomplete": 2}
    )
    ledger = mapping_ledger(table).set_index("step")
    assert ledger.loc["unresolved", ["n", "share"]].tolist() == [3, 3 / 9]
    assert ledger.loc["incomplete", ["n", "share"]].tolist() == [2, 2 / 6]
