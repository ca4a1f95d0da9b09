"""Insight as rows."""

from __future__ import annotations

import pytest

from core.publish import formats
from pages.parts import insight_tables as tables
from tests.publish import found
from tests.publish.examples import HOSTILE

NAMES = {"drop-00": "Drop, 2026-10-13", "hot-tuesday": "Hot Tuesday"}


def test_decisions_in_order_begin_with_what_is_to_be_done() -> None:
    rows = tables.decisions_in_order(found.decisions(), found.METRIC)
    assert rows["decision"].tolist() == ["stop", "repeat", "retest", "wait"]
    assert tables.decisions_in_order(found.decisions(), "other").empty


def test_decision_table_says_why_and_what_a_retest_needs() -> None:
    rows = tables.decisions_in_order(found.decisions(), found.METRIC)
    table = tables.decision_table(rows, NAMES, found.ZONE)
    assert table["Campaign"].tolist() == ["drop-01", "Drop, 2026-10-13", "drop-02", "drop-03"]
    assert table["Decision"].tolist() == ["Stop", "Repeat", "Retest", "Wait"]
    assert table["A retest needs"].tolist() == ["", "", "4,200 recipients", ""]
    assert table["Can be told from"].tolist() == ["", "", "", "2026-11-26 00:00"]
    assert table["Why"].iloc[1] == "Clearly higher: +19.7 % [17.2, 22.3]."


def test_decision_matrix_has_a_column_a_metric() -> None:
    table = tables.decision_matrix(found.decisions(), [found.METRIC, "sessions"], NAMES)
    assert table.columns.tolist() == ["Campaign", "Confirmed trades", "Sessions"]
    assert table["Confirmed trades"].tolist() == ["Repeat", "Stop", "Retest", "Wait"]
    assert set(table["Sessions"]) == {formats.MISSING}


def test_decision_counts_say_how_many_of_each() -> None:
    assert tables.decision_counts(found.decisions()) == (
        "1 to repeat, 1 to stop, 1 to retest, 1 to wait"
    )
    assert tables.decision_counts(found.decisions().iloc[:0]) == (
        "There is no campaign to decide about"
    )


def test_ranking_table_shows_rank_intervals_and_money() -> None:
    rankings = found.rankings()
    table = tables.ranking_table(rankings, NAMES, "USD")
    assert table["Campaign"].tolist()[:2] == ["Drop, 2026-10-13", "drop-01"]
    assert table["Best guess"].tolist() == rankings["shrunk_rel_effect_size"].tolist()
    assert table["Rank"].tolist()[0] == "1 [1, 6]"
    assert table["Rank"].tolist()[-1] == formats.MISSING
    assert table["Clear"].tolist() == ["yes"] * 6 + [""] * 4
    assert table["Extra events, interval"].iloc[0] == "[290, 550]"
    assert table["Worth"].iloc[0] == "+12,612 USD [8,712, 16,512]"
    assert "Worth" not in tables.ranking_table(rankings, NAMES)


def test_found_table_and_not_found_table_hold_every_pattern_once() -> None:
    patterns = found.patterns()
    first, rest = tables.found_table(patterns), tables.not_found_table(patterns)
    assert (len(first), len(rest)) == (1, 2)
    assert first["Compared"].tolist() == ["drop against feature"]
    assert first["Better by"].tolist() == [0.141]
    assert first["95 % interval"].tolist() == ["[6.4, 21.8]"]
    assert first["Campaigns"].tolist() == ["8 against 5"]
    assert rest["Why not"].tolist() == [
        "not clear: q = 0.480 within patterns of confirmed trades",
        "too few comparable users",
    ]
    assert rest["Evidence"].tolist() == ["B at the weakest", formats.MISSING]


def test_patterns_per_step_of_a_scale_are_no_comparison_of_two_kinds() -> None:
    slope = found.patterns().iloc[:1].assign(pattern="audience_size", other="per doubling")
    table = tables.found_table(slope)
    assert table["Compared"].tolist() == ["drop per doubling"]
    assert table["Campaigns"].tolist() == ["8"]


def test_group_table_says_why_a_number_is_missing() -> None:
    groups = found.groups()
    table = tables.group_table(groups)
    assert len(table) == len(groups)
    missing = table[table["Lift"].isna()]
    assert set(missing["95 % interval"]) == {"— too few users"}
    assert set(missing["Evidence"]) == {formats.MISSING}


def test_correlation_table_begins_with_the_clear_ones() -> None:
    table = tables.correlation_table(found.correlations())
    assert table["Clear"].tolist() == ["yes", "yes", "", "", "", ""]
    assert table["Metrics"].iloc[0] == "confirmed trades and sessions"
    assert table["95 % interval"].tolist()[0] == "[0.52, 0.95]"
    assert "— everyone changed by the same amount" in table["95 % interval"].tolist()


def test_cadence_table_says_what_came_of_each_plan() -> None:
    cadence = found.cadence()
    table = tables.cadence_table(cadence, NAMES, {}, found.ZONE)
    assert table["Planned"].is_monotonic_decreasing
    assert set(table["Automation"]) == {"Hot Tuesday", "hot-friday"}
    missed = table[table["What came"] == "Missed"]
    assert set(missed["Sent"]) == {formats.MISSING}
    assert set(missed["Cost, interval"]) == {"[9, 53]"}
    moved = table[table["What came"] == "Moved"]
    assert set(moved["How late"]) == {"26 h late", "5 d late"}
    assert set(moved["Cost, interval"]) == {formats.MISSING}
    free = tables.cadence_table(cadence.assign(cost_events=0.0), NAMES, {}, found.ZONE)
    assert set(free["Cost, interval"]) == {""}


def test_what_if_table_says_what_has_to_hold() -> None:
    table = tables.what_if_table(found.what_if(), "USD")
    assert table["Events a week"].is_monotonic_decreasing
    assert table["95 % interval"].tolist()[0] == "[28, 88]"
    assert "— no value per event set" in table["Worth a week"].tolist()
    assert table["Holds if"].str.contains("not randomised").all()
    assert "Worth a week" not in tables.what_if_table(found.what_if())


def test_history_table_shows_both_periods() -> None:
    history = found.history()
    table = tables.history_table(history)
    assert table["Layer"].tolist() == ["Layer 1", "Layer 2", "Layer 3", "All layers"]
    assert table["Change"].tolist()[:3] == pytest.approx([0.11, -0.12, 0.02])
    assert table["95 % interval"].tolist()[-1] == "— not enough was read for it"


def test_trend_table_begins_with_the_surest() -> None:
    table = tables.trend_table(found.trends(), NAMES)
    assert table["Automation"].tolist() == ["Hot Tuesday", "wishlist-match", "hot-friday"]
    assert table["95 % interval"].tolist() == [
        "[−3.3, −0.9]", "[−0.7, 1.5]", "— too few weeks before it",
    ]  # fmt: skip


def test_tables_of_nothing_have_no_rows() -> None:
    for table in (
        tables.decision_table(found.decisions().iloc[:0], NAMES, found.ZONE),
        tables.ranking_table(found.rankings().iloc[:0], NAMES, "USD"),
        tables.found_table(found.patterns().iloc[:0]),
        tables.not_found_table(found.patterns().iloc[:0]),
        tables.correlation_table(found.correlations().iloc[:0]),
        tables.cadence_table(found.cadence().iloc[:0], NAMES, NAMES, found.ZONE),
        tables.what_if_table(found.what_if().iloc[:0], "USD"),
        tables.history_table(found.history().iloc[:0]),
        tables.trend_table(found.trends().iloc[:0], NAMES),
    ):
        assert table.empty
    assert tables.decision_matrix(found.decisions().iloc[:0], [found.METRIC], NAMES).empty


def test_texts_from_outside_hold_no_control_characters() -> None:
    for text in [one for one in HOSTILE if any(ord(char) < 32 for char in one)]:
        shown = [
            tables.found_table(found.patterns((text, "x")))["Compared"],
            tables.ranking_table(found.rankings(), {"drop-00": text})["Campaign"],
            tables.decision_table(found.decisions().assign(why=text), {}, found.ZONE)["Why"],
            tables.cadence_table(found.cadence(text), {}, {}, found.ZONE)["Automation"],
        ]
        said = " ".join(one for column in shown for one in column)
        assert all(ord(char) >= 32 for char in said)
