"""Quality as rows."""

from __future__ import annotations

import pandas as pd

from core.publish import formats
from pages.parts import quality_tables as tables
from tests.publish import found
from tests.publish.examples import HOSTILE

CAMPAIGNS = pd.DataFrame(
    {
        "campaign_id": ["drop-00", "drop-01", "unscored"],
        "label": ["Drop, 2026-10-13", "Later drop", "None"],
        "layer": ["1", "unclassified", "2"],
    }
)


def test_score_matrix_has_a_column_a_layer_and_marks_what_is_short() -> None:
    table = tables.score_matrix(found.scores())
    assert table.columns.tolist() == ["What", "Side", "Weight", "Mark", "All", "Layer 1", "Layer 2"]
    rows = table.set_index("What")
    assert rows.loc["Mapping", ["All", "Layer 1", "Layer 2"]].tolist() == [
        "97.2 %", "96.2 %", "95.2 %",
    ]  # fmt: skip
    assert rows.loc["Completeness", "All"] == "▼ 91.3 %"
    assert rows.loc["Consistency", "All"] == "— too few days were read"
    assert rows.loc["Both sides", "Side"] == "Both sides"
    assert rows["Weight"].tolist()[:4] == ["", "", "40.0 %", "20.0 %"]


def test_score_matrix_says_nothing_of_a_layer_without_a_part() -> None:
    scores = found.scores()
    is_gone = (scores["of"] == "2") & (scores["part"] == "mapping")
    table = tables.score_matrix(scores[~is_gone]).set_index("What")
    assert table.loc["Mapping", "Layer 2"] == formats.MISSING
    assert table.loc["Timestamps", "Layer 2"] == "97.0 %"


def test_score_parts_show_their_inputs() -> None:
    scores = found.scores()
    table = tables.score_parts(scores, "campaign", "drop-01")
    own = scores[scores["of"] == "drop-01"]
    assert sorted(table["Score"].dropna()) == sorted(own["score"].dropna())
    row = table.set_index("What").loc["Significance readiness"]
    assert row["Result"] == "25.0 pp short"
    assert row["Numbers behind it"] == "2,100 of 3,000 recipients"
    assert (row["Good"], row["Of"]) == (2100, 3000)
    assert table.set_index("What").loc["Consistency", "Result"] == "— too few days were read"


def test_campaign_scores_begin_with_the_lowest() -> None:
    table = tables.campaign_scores(found.scores(), CAMPAIGNS)
    assert table["Campaign"].tolist() == ["Later drop", "Drop, 2026-10-13"]
    assert table["Layer"].tolist() == ["Unclassified", "Layer 1"]
    assert table["Quality"].is_monotonic_increasing
    assert table["Weakest part"].iloc[1] == "Significance readiness, 71.0 %, 24.0 pp short"
    fine = found.scores().assign(score=0.99)
    assert set(tables.campaign_scores(fine, CAMPAIGNS)["Weakest part"]) == {"none is short"}


def test_advice_table_names_the_place_by_its_name() -> None:
    names = {"drop-00": "Drop, 2026-10-13"}
    table = tables.advice_table(found.advice(), names)
    assert table["Where"].tolist() == ["Drop, 2026-10-13", "users.email"]
    assert table["Of"].tolist() == ["Drop, 2026-10-13", "All"]
    assert table["Short by"].tolist() == [0.21, 0.037]
    assert tables.advice_table(found.advice().iloc[:0]).empty


def test_gap_table_holds_gaps_only_in_local_days() -> None:
    days = found.event_days()
    table = tables.gap_table(days, found.ZONE)
    assert len(table) == days["is_gap"].sum()
    assert table["Day"].tolist() == ["2026-09-24", "2026-09-24", "2026-09-23", "2026-09-23"]
    assert set(table["Remark"]) == {"gap: none, where 900 are usual"}
    every = tables.event_day_table(days, found.ZONE)
    assert len(every) == len(days)
    assert (every["Read"] == "not whole").sum() == (~days["is_whole"]).sum()


def test_push_day_table_marks_odd_days() -> None:
    days = found.push_days()
    table = tables.push_day_table(days, found.ZONE)
    assert (table["Remark"] == "odd").sum() == days["is_odd"].sum()
    assert table["Share"].tolist() == days["active_share"].tolist()


def test_native_table_begins_with_what_differs() -> None:
    table = tables.native_table(found.native(), found.ZONE)
    assert table["Result"].tolist()[:3] == ["differs", "differs", "agrees"]
    assert (table["More or less"] == table["Pushlift"] - table["PostHog"]).all()
    assert table["Known reason"].tolist()[:2] == ["", "the day is not settled"]


def test_tables_of_nothing_have_no_rows() -> None:
    zone = found.ZONE
    for table in (
        tables.score_matrix(found.scores().iloc[:0]),
        tables.score_parts(found.scores().iloc[:0]),
        tables.campaign_scores(found.scores().iloc[:0], CAMPAIGNS),
        tables.gap_table(found.event_days().iloc[:0], zone),
        tables.push_day_table(found.push_days().iloc[:0], zone),
        tables.native_table(found.native().iloc[:0], zone),
    ):
        assert table.empty


def test_texts_from_outside_hold_no_control_characters() -> None:
    hostile = [text for text in HOSTILE if any(ord(char) < 32 for char in text)]
    assert hostile
    for text in hostile:
        table = tables.advice_table(found.advice(text).assign(words=text), {text: text})
        said = " ".join(table[["Where", "Of", "What to do"]].to_numpy().ravel())
        assert all(ord(char) >= 32 for char in said)
