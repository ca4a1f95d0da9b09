"""Insight in words: the number, its interval, what it rests on, and never more than that."""

import re
from datetime import UTC, datetime

import pandas as pd
import pytest

from core.insight import frames
from core.insight.cadence import MISSED, MOVED
from core.insight.costs import Ground
from core.insight.decisions import DECISION_OF, cases
from core.publish import insight_words as said
from core.span import Span
from tests.insight.rows import campaigns, lifts, table
from tests.insight.test_decisions import BY_HAND

NAN = float("nan")
PERIOD = Span(
    since=datetime(2026, 9, 15, tzinfo=UTC), until=datetime(2026, 9, 30, tzinfo=UTC),
    as_of=datetime(2026, 9, 30, tzinfo=UTC),
)  # fmt: skip
BEFORE = Span(
    since=datetime(2026, 8, 31, tzinfo=UTC), until=PERIOD.since, as_of=PERIOD.as_of
)  # fmt: skip


def case_of(reason):
    row, send = BY_HAND[reason]
    found = cases(lifts(row), campaigns(send), worth=0.05).iloc[0]
    assert found["reason"] == reason
    return found


def of(declared, **columns):
    return table(declared, [columns]).iloc[0]


WHY = {
    "nothing_sent": "Nothing was delivered, so there has been no test yet.",
    "incomplete": "read again",
    "open": "it closes 2026-09-03 13:00 UTC. So far: Trades +20.0 % [10.0, 30.0] on the "
    "0.500 expected",
    "too_few_users": "12 recipients measured, too few for a verdict.",
    "no_number": "We can't tell: too few people in the same situation went without the message.",
    "descriptive": "hold it back, at random, from about one in ten",
    "not_tested": "chance cannot be ruled out",
    "clear_gain": "Trades +20.0 % [10.0, 30.0] on the 0.500 expected per user per day, clear at "
    "q = 0.010 within the primary metric of all campaigns. Grade B: comparison with",
    "clear_harm": "Trades −20.0 % [−30.0, −10.0] on the 0.500 expected per user per day, clear at",
    "too_small": "No clear effect; at most +4.0 %, less than the 5.0 % that would be worth a push.",
    "unclear": "5.0 % or more is still possible. A retest that finds 5.0 % four times in five "
    "needs about",
}


@pytest.mark.parametrize("reason", DECISION_OF)
def test_decision_why_says_the_number_it_rests_on(reason):
    assert WHY[reason] in said.decision_why(case_of(reason))


@pytest.mark.parametrize("reason", DECISION_OF)
def test_decision_why_has_no_effect_without_its_interval(reason):
    for effect in re.findall(r"[+−]\d[\d.,]* (?:%|pp)(?! \[)", said.decision_why(case_of(reason))):
        assert effect == "+4.0 %"  # the end of an interval that stands beside it


def test_decision_why_says_where_what_a_retest_needs_is_borrowed():
    borrowed = case_of("unclear").copy()
    borrowed["is_borrowed"] = True
    assert "going by other sends of its layer" in said.decision_why(borrowed)


def test_decision_why_shows_a_closing_time_in_the_zone():
    text = said.decision_why(case_of("open"), zone="America/New_York")
    assert "it closes 2026-09-03 09:00 EDT. So far:" in text


def test_decision_sentence_leads_with_the_decision():
    row = of(frames.DECISIONS, decision="retest", why="No clear effect.")
    assert said.decision_sentence(row) == "Retest: No clear effect."


RANKED = {
    "layer": "1", "metric": "confirmed_trades", "place": 2, "campaign_id": "c7",
    "is_clear": True, "shrunk_rel_effect_size": 0.347, "shrunk_rel_effect_size_ci_low": 0.175,
    "shrunk_rel_effect_size_ci_high": 0.572, "rank": 2.0, "rank_low": 1.0, "rank_high": 6.0,
    "incremental_events": 1351.0, "incremental_events_ci_low": 848.0,
    "incremental_events_ci_high": 1854.0,
}  # fmt: skip


def test_ranking_sentence_says_effect_rank_and_events():
    assert said.ranking_sentence(of(frames.RANKINGS, **RANKED), name="Drop 4") == (
        "2. Drop 4: +34.7 % [17.5, 57.2] confirmed trades against what was expected, drawn "
        "towards its layer; rank 2 [1, 6]; +1,351 [848, 1,854] confirmed trades; clear."
    )


def test_ranking_sentence_says_money_where_there_is_a_value():
    value = {"value": 13510.0, "value_ci_low": 8480.0, "value_ci_high": 18540.0}
    text = said.ranking_sentence(of(frames.RANKINGS, **RANKED, **value), currency="USD")
    assert "c7" in text
    assert "USD +13,510 [8,480, 18,540]" in text


def test_ranking_sentence_of_what_has_no_rank_says_so():
    gone = {name: NAN for name in RANKED if name.startswith(("shrunk", "rank"))}
    text = said.ranking_sentence(of(frames.RANKINGS, **{**RANKED, **gone, "is_clear": False}))
    assert "not ranked" in text
    assert "baseline too close to zero" in text
    assert "not clear by itself" in text


PATTERN = {
    "pattern": "content", "layer": "1", "metric": "confirmed_trades", "group": "drop",
    "other": "feature", "difference": 0.098, "difference_ci_low": 0.021,
    "difference_ci_high": 0.175, "qvalue": 0.013, "family": "patterns, primary metric",
    "n_campaigns": 7, "n_other": 5, "evidence": "A", "is_found": True, "status": "ok",
    "is_found_in_sends": True, "in_sends_qvalue": 0.009,
}  # fmt: skip

NOT_FOUND = {"is_found": False, "is_found_in_sends": False}


def test_pattern_sentence_says_how_much_better_and_how_many():
    assert said.pattern_sentence(of(frames.PATTERNS, **PATTERN)) == (
        "Drops did +9.8 pp [2.1, 17.5] better than features in confirmed trades in layer 1, "
        "q = 0.013 within all patterns in the primary metric; 7 campaigns against 5, evidence of "
        "grade A at the weakest; associated: content was not randomised."
    )


def test_pattern_sentence_within_campaigns_counts_each_of_them_once():
    within = {"n_campaigns": 45, "n_other": 44, "is_within": True}
    text = said.pattern_sentence(of(frames.PATTERNS, **{**PATTERN, **within}))
    assert "within 45 campaigns" in text
    assert "against 44" not in text


def test_pattern_sentence_of_these_sends_alone_says_that_others_may_differ():
    here = {
        "is_found": False, "is_found_in_sends": True, "in_sends_ci_low": 0.05,
        "in_sends_ci_high": 0.145, "in_sends_qvalue": 0.004, "difference_ci_low": -0.03,
    }  # fmt: skip
    text = said.pattern_sentence(of(frames.PATTERNS, **{**PATTERN, **here}))
    assert text == (
        "Drops did +9.8 pp [5.0, 14.5] better than features in confirmed trades in layer 1 among "
        "these sends, q = 0.004 within all patterns in the primary metric; 7 campaigns against 5, "
        "evidence of grade A at the weakest; associated: content was not randomised. Whether "
        "other sends like them would is not clear: +9.8 pp [−3.0, 17.5]."
    )


def test_pattern_sentence_of_what_was_not_found_claims_nothing():
    text = said.pattern_sentence(of(frames.PATTERNS, **{**PATTERN, **NOT_FOUND}))
    assert text.startswith("No clear difference between drops and features in confirmed trades")
    assert "better" not in text


def test_pattern_sentence_of_a_difference_below_zero_says_worse():
    worse = {"difference": -0.098, "difference_ci_low": -0.175, "difference_ci_high": -0.021}
    text = said.pattern_sentence(of(frames.PATTERNS, **{**PATTERN, **worse}))
    assert text.startswith(
        "Drops did worse than features in confirmed trades, −9.8 pp [−17.5, −2.1]"
    )


def test_pattern_sentence_of_a_scale_is_per_step():
    steps = {"pattern": "audience_size", "group": "recipients", "other": "per doubling"}
    text = said.pattern_sentence(of(frames.PATTERNS, **{**PATTERN, **steps}))
    assert "changes by +9.8 pp [2.1, 17.5] per doubling" in text
    assert "; 7 campaigns, evidence" in text
    none = said.pattern_sentence(of(frames.PATTERNS, **{**PATTERN, **steps, **NOT_FOUND}))
    assert none.startswith(
        "Size of the audience: recipients: no clear difference in confirmed trades per doubling"
    )


def test_pattern_sentence_does_not_say_a_name_twice():
    dose = {"pattern": "fatigue_dose", "group": "pushes in the 14 days before", "other": "per push"}
    text = said.pattern_sentence(of(frames.PATTERNS, **{**PATTERN, **dose}))
    assert text.startswith("Pushes in the 14 days before: the effect on confirmed trades changes")
    none = {**dose, "difference": NAN, "status": "too_few_campaigns", "is_found": False}
    assert said.pattern_sentence(of(frames.PATTERNS, **{**PATTERN, **none})) == (
        "Pushes in the 14 days before, confirmed trades in layer 1: too few campaigns."
    )


def test_pattern_sentence_without_a_number_says_why():
    nothing = {"difference": NAN, "status": "too_few_campaigns", "is_found": False}
    text = said.pattern_sentence(of(frames.PATTERNS, **{**PATTERN, **nothing}))
    assert text == (
        "Kind of content, drops, confirmed trades in layer 1: too few campaigns."
    )  # fmt: skip


TOGETHER = {
    "layer": "all", "metric": "confirmed_trades", "other_metric": "offers_created",
    "correlation": 0.84, "correlation_ci_low": 0.61, "correlation_ci_high": 0.95,
    "n_campaigns": 63, "is_found": True, "qvalue": 0.0004, "status": "ok",
}  # fmt: skip


def test_correlation_sentence_says_what_goes_together():
    assert said.correlation_sentence(of(frames.CORRELATIONS, **TOGETHER)) == (
        "Effects on confirmed trades and offers created go together over 63 campaigns over all "
        "layers: correlation 0.840 [0.610, 0.950], noise allowed for; q < 0.001 over the pairs of "
        "metrics."
    )


def test_correlation_sentence_of_what_is_not_clear_claims_nothing():
    unclear = {"is_found": False, "correlation_ci_low": -0.2, "qvalue": 0.4}
    text = said.correlation_sentence(of(frames.CORRELATIONS, **{**TOGETHER, **unclear}))
    assert text.startswith("No clear correlation of the effects on confirmed trades and offers")
    gone = {"correlation": NAN, "status": "too_few_campaigns"}
    assert "too few campaigns" in said.correlation_sentence(
        of(frames.CORRELATIONS, **{**TOGETHER, **gone})
    )


@pytest.mark.parametrize(
    ("state", "sends", "text"),
    [
        (MISSED, "5 measured sends on plan",
         ("nothing was sent; 5 measured sends on plan did +12.0 % [3.0, 21.0] on the 1,234 events "
          "expected of an average audience")),
        (MOVED, "5 sends on plan against 2 off it",
         "5 sends on plan against 2 off it: +12.0 pp [3.0, 21.0] on 1,234 events expected"),
    ],
)  # fmt: skip
def test_cost_why_says_the_effect_with_its_interval(state, sends, text):
    ground = Ground(state=state, sends=sends, effect=0.12, low=0.03, high=0.21, events=1234.0)
    assert said.cost_why(ground) == text


SLOT = {
    "automation_id": "hot", "planned_at": pd.Timestamp("2026-09-15T13:00Z"), "state": "moved",
    "hours_late": 26.0, "cost_events": 120.0, "cost_events_ci_low": 20.0,
    "cost_events_ci_high": 220.0, "why": "5 sends on plan against 2 off it",
}  # fmt: skip


def test_cadence_sentence_says_what_a_moved_send_cost():
    text = said.cadence_sentence(
        of(frames.CADENCE, **SLOT), metric="confirmed_trades", zone="America/New_York"
    )
    assert text == (
        "hot, planned for 2026-09-15 09:00 EDT: sent 26 h later; it cost +120 [20, 220] "
        "confirmed trades (5 sends on plan against 2 off it)."
    )


@pytest.mark.parametrize(
    ("state", "words"), [("on_plan", "sent on plan"), ("open", "still to come")]
)
def test_cadence_sentence_of_what_cost_nothing_says_no_cost(state, words):
    row = of(frames.CADENCE, **{**SLOT, "state": state})
    text = said.cadence_sentence(row, metric="confirmed_trades", name="Hot inventory")
    assert text == f"Hot inventory, planned for 2026-09-15 13:00 UTC: {words}."


def test_cadence_sentence_of_a_cost_that_may_be_none_claims_nothing():
    row = of(frames.CADENCE, **{**SLOT, "cost_events_ci_low": -20.0})
    text = said.cadence_sentence(row, metric="confirmed_trades")
    assert "what it cost is not clear, +120 [−20, 220] confirmed trades (" in text


def test_cadence_sentence_without_a_cost_says_why():
    costs = {f"cost_events{end}": NAN for end in ("", "_ci_low", "_ci_high")}
    row = of(frames.CADENCE, **{**SLOT, **costs, "state": "missed", "why": "no basis"})
    text = said.cadence_sentence(row, metric="confirmed_trades")
    assert text.endswith(": missed; what it cost is not known (no basis).")


FOLLOWED = {
    "recommendation": "prefer_content", "layer": "1", "metric": "confirmed_trades",
    "events_per_week": 40.0, "events_per_week_ci_low": 8.0, "events_per_week_ci_high": 72.0,
    "n_campaigns": 12,
}  # fmt: skip


@pytest.mark.parametrize("recommendation", [
    "stop_harmful", "stop_no_effect", "scale_best", "send_on_plan", "send_at_best_lag",
    "prefer_content",
])  # fmt: skip
def test_what_if_words_hold_the_range(recommendation):
    row = pd.Series({**FOLLOWED, "recommendation": recommendation, "n_pushes": 9600.0,
                     "kind": "drop"})  # fmt: skip
    text = said.what_if_words(row)
    assert "+40.0 [8.0, 72.0] confirmed trades a week." in text
    assert "in layer 1" in text


def test_what_if_words_speak_of_one_campaign_as_one():
    row = pd.Series({**FOLLOWED, "recommendation": "stop_harmful", "n_campaigns": 1,
                     "n_pushes": 10.0, "kind": ""})  # fmt: skip
    assert said.what_if_words(row).startswith("Stop sends like the one that clearly lowers")


def test_what_if_sentence_says_money_and_what_has_to_hold():
    value = {
        "value_per_week": 80.0, "value_per_week_ci_low": 16.0, "value_per_week_ci_high": 144.0
    }  # fmt: skip
    words = {"words": "Tell more of drops: +40 [8, 72] a week.", "assumptions": "it carries over"}
    text = said.what_if_sentence(of(frames.WHAT_IF, **FOLLOWED, **value, **words), currency="EUR")
    assert text == (
        "Tell more of drops: +40 [8, 72] a week. In money: EUR +80.0 [16.0, 144.0] a week. This "
        "holds if it carries over."
    )


THEN = {
    "layer": "2", "metric": "confirmed_trades", "now": 0.1, "before": 0.3, "difference": -0.2,
    "difference_ci_low": -0.35, "difference_ci_high": -0.05, "pvalue": 0.009, "n_now": 3,
    "n_before": 1, "status": "ok",
}  # fmt: skip


def history_said(**columns):
    row = of(frames.HISTORY, **{**THEN, **columns})
    return said.history_sentence(row, period=PERIOD, before=BEFORE, zone="UTC")


def test_history_sentence_says_how_far_two_periods_are_apart():
    assert history_said() == (
        "Layer 2, hot inventory, confirmed trades: sends from 2026-09-15 to 2026-09-29 did less "
        "than those from 2026-08-31 to 2026-09-14, −20.0 pp [−35.0, −5.0] (+10.0 % against "
        "+30.0 %; p = 0.009, not corrected for the other comparisons; 3 campaigns against 1)."
    )


def test_history_sentence_of_what_is_not_clear_claims_nothing():
    assert "did nothing clearly different from those" in history_said(difference_ci_high=0.1)


def test_history_sentence_without_a_number_says_why():
    assert "(no campaign qualifies)" in history_said(difference=NAN, status="no_campaigns")
    row = of(frames.HISTORY, **THEN)
    text = said.history_sentence(row, period=PERIOD, before=None, zone="UTC")
    assert "no comparison with the period before (not enough was read for it)" in text


LINE = {
    "automation_id": "hot", "metric": "confirmed_trades", "n_campaigns": 7,
    "slope_per_week": -0.04, "slope_per_week_ci_low": -0.07, "slope_per_week_ci_high": -0.01,
    "pvalue": 0.004, "qvalue": 0.02, "status": "ok",
}  # fmt: skip


def test_trend_sentence_says_which_way_it_goes():
    assert said.trend_sentence(of(frames.TRENDS, **LINE)) == (
        "hot, confirmed trades: its effect falls over time, −4.0 pp [−7.0, −1.0] a week over "
        "7 campaigns; q = 0.020 over the automations."
    )


def test_trend_sentence_of_what_is_not_clear_claims_nothing():
    assert "no clear trend" in said.trend_sentence(of(frames.TRENDS, **{**LINE, "qvalue": 0.2}))
    gone = {"slope_per_week": NAN, "status": "too_few_campaigns"}
    text = said.trend_sentence(of(frames.TRENDS, **{**LINE, **gone}), name="Hot inventory")
    assert text == "Hot inventory, confirmed trades: no trend (too few campaigns)."


def test_tested_says_what_a_q_value_was_corrected_within():
    row = lifts(BY_HAND["clear_gain"][0]).iloc[0].copy()
    assert said.tested(row) == "q = 0.010 within the primary metric of all campaigns"
    row["family"] = "content_of_layer"
    assert said.tested(row) == "q = 0.010 within content of layer"
    row["family"] = None
    assert said.tested(row) == "q = 0.010 within its family"
