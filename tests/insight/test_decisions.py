"""Decisions: every rule by hand, and what a retest needs."""

import numpy as np
import pandas as pd
import pytest

from core.insight.decisions import DECISION_OF, cases, decisions, is_clear
from core.publish import words
from tests.insight.rows import campaign, campaigns, lift, lifts

NAN = float("nan")
BY_HAND = {
    "nothing_sent": (lift(status="no_recipients"), campaign(n_delivered=0, n_measured=0)),
    "incomplete": (lift(status="incomplete"), campaign(status="incomplete")),
    "open": (lift(status="window_open", qvalue=NAN), campaign(window_complete=False)),
    "too_few_users": (lift(status="too_few_users"), campaign(qualifies=False, n_measured=12)),
    "no_number": (lift(rel=NAN, status="no_comparison"), campaign()),
    "descriptive": (lift(evidence="D", method="window"), campaign()),
    "not_tested": (lift(qvalue=NAN), campaign()),
    "clear_gain": (lift(), campaign()),
    "clear_harm": (lift(rel=-0.2), campaign()),
    "too_small": (lift(rel=0.0, half=0.04, qvalue=0.9), campaign()),
    "unclear": (lift(rel=0.02, half=0.1, qvalue=0.6), campaign()),
}


def decided(row, send, **options):
    return decisions(lifts(row), campaigns(send), say=lambda case: case["metric"], **options)


@pytest.mark.parametrize("reason", BY_HAND)
def test_decisions_follow_the_first_rule_that_holds(reason):
    row, send = BY_HAND[reason]
    found = decided(row, send).iloc[0]
    assert (found["reason"], found["decision"]) == (reason, DECISION_OF[reason])


@pytest.mark.parametrize("reason", BY_HAND)
def test_decisions_never_contradict_the_verdict(reason):
    row, send = BY_HAND[reason]
    found = decided(row, send).iloc[0]
    word = words.verdict(lifts(row).iloc[0], campaigns(send).iloc[0]).word
    assert (word in {"works", "likely works"}) == (found["decision"] == "repeat")
    assert (word in {"hurts", "likely hurts"}) == (found["reason"] == "clear_harm")
    assert (word == "too early") == (found["reason"] == "open")


def test_decisions_wait_until_the_window_closes_and_for_nothing_else():
    for reason, (row, send) in BY_HAND.items():
        until = decided(row, send).iloc[0]["until"]
        assert until == send["window_closes_at"] if reason == "open" else pd.isna(until)


@pytest.mark.parametrize("q", [0.051, 0.2])
def test_decisions_of_an_interval_above_zero_with_a_larger_q_are_to_test_again(q):
    assert decided(lift(qvalue=q), campaign()).iloc[0]["reason"] == "unclear"


def test_decisions_of_grade_c_may_repeat_and_stop():
    found = [decided(lift(rel=rel, evidence="C"), campaign()).iloc[0] for rel in (0.2, -0.2)]
    assert [row["decision"] for row in found] == ["repeat", "stop"]


def test_decisions_without_an_upper_bound_are_to_test_again():
    row = lift(rel=0.0, half=0.04, qvalue=0.9, rel_effect_size_ci_high=NAN)
    assert decided(row, campaign()).iloc[0]["reason"] == "unclear"


@pytest.mark.parametrize(("worth", "reason"), [(0.03, "unclear"), (0.05, "too_small")])
def test_decisions_stop_by_the_smallest_effect_worth_having(worth, reason):
    row = lift(rel=0.0, half=0.04, qvalue=0.9)
    assert decided(row, campaign(), worth=worth).iloc[0]["reason"] == reason


def test_decisions_say_how_many_recipients_a_retest_needs():
    # the error per recipient is five times the effect looked for, d = 0.2: 198.15 users (R: 199)
    error = 0.25 * 0.5 / np.sqrt(400)
    row = lift(rel=0.02, qvalue=0.6, standard_error=error)
    assert decided(row, campaign()).iloc[0]["n_needed"] == 199


def test_decisions_need_nothing_where_nothing_is_tested_again():
    for reason in ("clear_gain", "clear_harm", "too_small", "open", "incomplete"):
        assert decided(*BY_HAND[reason]).iloc[0]["n_needed"] == 0


def test_cases_borrow_the_typical_error_of_the_layer_where_a_send_has_none():
    error = 0.25 * 0.5 / np.sqrt(400)
    sends = campaigns(
        campaign(),
        campaign(campaign_id="c2", qualifies=False),
        campaign(campaign_id="c3", layer="2"),
    )
    rows = lifts(
        lift(standard_error=error, qvalue=0.6, rel=0.02),
        lift(campaign_id="c2", status="too_few_users", standard_error=NAN),
        lift(campaign_id="c3", layer="2", status="too_few_users", standard_error=NAN),
    )
    found = cases(rows, sends, worth=0.05).set_index("campaign_id")
    assert found["n_needed"].to_dict() == {"c1": 199, "c2": 199, "c3": 0}
    assert found["is_borrowed"].to_dict() == {"c1": False, "c2": True, "c3": False}


def test_decisions_leave_the_negative_control_out():
    rows = lifts(lift(), lift(metric="noise"))
    found = decisions(rows, campaigns(campaign()), say=lambda _: "", control="noise")
    assert found["metric"].tolist() == ["trades"]


def test_decisions_read_headlines_alone():
    rows = lifts(lift(), lift(method="classic", evidence="E", headline=False))
    assert len(decisions(rows, campaigns(campaign()), say=lambda _: "")) == 1


def test_decisions_of_nothing_are_an_empty_table():
    found = decisions(lifts(), campaigns(), say=lambda _: "")
    assert found.empty


def test_is_clear_needs_q_interval_and_grade():
    rows = lifts(
        lift(), lift(campaign_id="c2", qvalue=0.06), lift(campaign_id="c3", half=0.3),
        lift(campaign_id="c4", evidence="D"), lift(campaign_id="c5", rel=-0.2),
    )  # fmt: skip
    assert is_clear(rows, sign=1).tolist() == [True, False, False, False, False]
    assert is_clear(rows, sign=-1).tolist() == [False, False, False, False, True]
