from __future__ import annotations

import math

import pandas as pd
import pytest

from core.publish import words
from tests.publish import examples

NAN = float("nan")
ANYWAY = "it cannot tell the push from what would have happened anyway"


def _changed(row, changes):
    row = row.astype(object)
    for name, value in changes.items():
        row[name] = value
    return row


def _lift(**changes):
    return _changed(examples.lifts().iloc[0], changes)


def _campaign(**changes):
    return _changed(examples.campaigns().iloc[0], changes)


def _below(**changes):
    numbers = {
        "effect_size": -0.05,
        "effect_size_ci_low": -0.08,
        "effect_size_ci_high": -0.02,
        "rel_effect_size": -0.2,
        "rel_effect_size_ci_low": -0.32,
        "rel_effect_size_ci_high": -0.08,
    }
    return _lift(**{**numbers, **changes})


def test_finding_plain_before_and_after_claims_no_cause():
    assert words.finding(examples.layers(), "confirmed_trades") == (
        "Recipients' confirmed trades were 19.7 % [17.2, 22.2] higher in the 48 h after a push "
        "than in their baseline, over 66 campaigns; highest in layer 3 (+24.1 % [22.1, 26.1]); "
        "plain before and after: associated with the push, and it cannot tell the push from what "
        "would have happened anyway."
    )


def test_finding_better_evidence_says_what_pushes_did():
    frame = pd.concat([examples.layers(), examples.layers(evidence="A", method="holdout")])
    said = words.finding(frame, "confirmed_trades")
    assert said.startswith("Pushes raised confirmed trades by 19.7 % [17.2, 22.2] in the 48 h")
    assert ANYWAY not in said


def test_finding_reads_the_pool_of_each_campaigns_best_evidence():
    frame = pd.concat(
        [
            examples.layers(evidence="A", method="holdout"),
            examples.layers(evidence="C", method="headline"),
            examples.layers(),
        ]
    )
    said = words.finding(frame, "confirmed_trades")
    assert "were 19.7 % [17.2, 22.2] higher in the 48 h after a push than expected without" in said
    assert "each campaign by its best evidence, the weakest of grade C" in said


def test_finding_takes_the_method_asked_for():
    frame = pd.concat([examples.layers(), examples.layers(evidence="A", method="holdout")])
    assert ANYWAY in words.finding(frame, "confirmed_trades", method="classic")


def test_finding_interval_over_zero_is_no_clear_difference():
    said = words.finding(examples.layers(), "sessions")
    assert "sessions in the 48 h after a push did not clearly differ from their baseline" in said
    assert "+1.0 % [−4.0, 6.0]" in said


def test_finding_lower_is_said_without_a_sign():
    frame = examples.layers()
    for name in ("effect_size", "rel_effect_size"):
        low, high = frame[f"{name}_ci_low"].copy(), frame[f"{name}_ci_high"].copy()
        frame[name] = -frame[name]
        frame[f"{name}_ci_low"], frame[f"{name}_ci_high"] = -high, -low
    said = words.finding(frame, "confirmed_trades", post_hours=24)
    assert "were 19.7 % [17.2, 22.2] lower in the 24 h after a push" in said
    assert "highest" not in said


def test_finding_without_relative_effect_uses_the_absolute_one():
    frame = examples.layers()
    frame[["rel_effect_size", "rel_effect_size_ci_low", "rel_effect_size_ci_high"]] = NAN
    said = words.finding(frame, "confirmed_trades")
    assert "were 0.00985 [0.00858, 0.01113] events per user per day higher" in said


def test_finding_nothing_measured_says_why():
    frame = examples.layers()
    frame["effect_size"] = NAN
    frame["status"] = "too_few_users"
    assert words.finding(frame, "confirmed_trades") == (
        "Confirmed trades: no finding yet (too few users)."
    )
    assert words.finding(frame, "offers") == "Offers: no finding yet (no result)."


def test_finding_layers_whose_intervals_overlap_say_so():
    frame = examples.layers()
    frame.loc[0, "rel_effect_size_ci_high"] = 0.23
    said = words.finding(frame, "confirmed_trades")
    assert "(+24.1 % [22.1, 26.1], though the layers' intervals overlap)" in said
    frame.loc[0, "rel_effect_size_ci_high"] = NAN
    assert "overlap" in words.finding(frame, "confirmed_trades")


def test_finding_one_layer_is_not_compared():
    frame = examples.layers()
    frame = frame[frame["layer"].isin(["1", "all"])]
    assert "highest" not in words.finding(frame, "confirmed_trades")


@pytest.mark.parametrize(
    ("evidence", "word"),
    [
        *zip("AB", ["works"] * 2, strict=True),
        ("C", "likely works"),
        *zip("DE", ["higher after"] * 2, strict=True),
    ],
)
def test_verdict_above_zero_depends_on_the_evidence(evidence, word):
    verdict = words.verdict(_lift(evidence=evidence), _campaign())
    assert (verdict.word, verdict.tone) == (word, "above")


@pytest.mark.parametrize(
    ("evidence", "word"), [("A", "hurts"), ("C", "likely hurts"), ("E", "lower after")]
)
def test_verdict_below_zero_depends_on_the_evidence(evidence, word):
    verdict = words.verdict(_below(evidence=evidence), _campaign())
    assert (verdict.word, verdict.tone) == (word, "below")


@pytest.mark.parametrize(
    ("evidence", "word"),
    [("B", "no clear effect"), ("C", "no clear effect"), ("E", "no clear change")],
)
def test_verdict_is_clear_only_by_q(evidence, word):
    verdict = words.verdict(_lift(evidence=evidence, pvalue=0.01, qvalue=0.08), _campaign())
    assert (verdict.word, verdict.tone) == (word, "unclear")
    assert "q = 0.080 within primary metric" in verdict.sentence


def test_verdict_small_q_with_interval_over_zero_is_not_clear():
    lift = _lift(effect_size_ci_low=-0.01, rel_effect_size_ci_low=-0.04, confidence_level=0.999)
    assert words.verdict(lift, _campaign()).word == "no clear change"


def test_verdict_of_plain_before_and_after_says_its_limits():
    verdict = words.verdict(_lift(qvalue=0.0004), _campaign())
    assert ANYWAY in verdict.sentence
    assert "clear at q < 0.001 within primary metric" in verdict.sentence
    assert "works" not in verdict.sentence


def test_verdict_says_by_how_much_the_self_checks_widened():
    lift = _lift(evidence="C", method="comparison", se_scale=1.4)
    said = words.verdict(lift, _campaign()).sentence
    assert "the interval is 1.4 times as wide as computed" in said
    assert "times as wide" not in words.verdict(_lift(), _campaign()).sentence


@pytest.mark.parametrize(
    ("status", "why", "remedy"),
    [
        ("trigger_unknown", "what exactly is not recorded", "record trigger_at"),
        ("no_comparison", "went without the message", "at random, from about one in ten"),
        ("always_on", "nearly every time", "hold the message back"),
        ("too_little_data", "too few of these events", "send to more people"),
    ],
)
def test_verdict_without_identification_says_what_would_make_it_possible(status, why, remedy):
    lift = _lift(effect_size=NAN, rel_effect_size=NAN, status=status)
    said = words.verdict(lift, _campaign())
    assert said.word == "can't tell"
    assert said.sentence.startswith("We can't tell: ")
    assert why in said.sentence
    assert remedy in said.sentence.partition("What would make it possible: ")[2]


def test_basis_names_grade_and_method():
    assert words.basis(_lift(evidence="A", method="holdout")) == "A, randomised holdout"


def test_verdict_open_window_is_too_early_and_counts_down():
    campaign = _campaign(window_complete=False)
    now = campaign["window_closes_at"] - pd.Timedelta(hours=17)
    verdict = words.verdict(_lift(status="window_open"), campaign, as_of=now)
    assert (verdict.word, verdict.tone) == ("too early", "missing")
    assert "closes in 17 h" in verdict.sentence
    assert "So far +" in verdict.sentence


def test_verdict_open_window_without_clock_names_the_instant():
    verdict = words.verdict(_lift(effect_size=NAN), _campaign(window_complete=False))
    assert "closes 2026-09-03 13:00 UTC" in verdict.sentence
    assert "So far" not in verdict.sentence


def test_verdict_small_campaign_is_too_few():
    verdict = words.verdict(
        _lift(status="too_few_users", n_users=12), _campaign(qualifies=False, n_measured=12)
    )
    assert (verdict.word, verdict.tone) == ("too few", "missing")
    assert "12 measured users; at least 30" in verdict.sentence


@pytest.mark.parametrize(
    ("lift", "campaign", "said"),
    [
        ({}, {"n_delivered": 0}, "Nothing was delivered"),
        ({"effect_size": NAN, "status": "no_baseline"}, {}, "had no time before the push"),
        ({"effect_size": NAN, "status": "ok"}, {}, "no data"),
        ({"qvalue": NAN}, {}, "not tested within a family"),
    ],
)
def test_verdict_cannot_tell(lift, campaign, said):
    verdict = words.verdict(_lift(**lift), _campaign(**campaign))
    assert (verdict.word, verdict.tone) == ("can't tell", "missing")
    assert said in verdict.sentence


@pytest.mark.parametrize(
    ("low", "high", "estimate", "side"),
    [
        (0.1, 0.2, 0.15, "above"),
        (0.1, NAN, 0.15, "above"),
        (-0.2, -0.1, -0.15, "below"),
        (NAN, -0.1, -0.15, "below"),
        (-math.inf, -0.1, -0.15, "below"),
        (-0.1, 0.1, 0.0, "unclear"),
        (0.0, 0.1, 0.05, "unclear"),
        (NAN, NAN, 0.05, "unclear"),
        (0.1, 0.2, NAN, "missing"),
    ],
)
def test_direction(low, high, estimate, side):
    assert words.direction(low, high, estimate=estimate) == side


def test_effect_falls_back_to_what_there_is():
    assert words.effect(_below()) == "−20.0 % [−32.0, −8.0]"
    assert words.effect(_below(), "absolute") == "−0.0500 [−0.0800, −0.0200] per user per day"
    assert words.effect(_below(rel_effect_size=NAN)).endswith("per user per day")
    gone = _lift(effect_size=NAN, rel_effect_size=NAN, status="no_baseline_events")
    assert words.effect(gone) == "— no events before the push"


def test_effect_without_any_interval_shows_the_number_alone():
    names = [f"{n}_ci_{end}" for n in ("effect_size", "rel_effect_size") for end in ("low", "high")]
    assert words.effect(_below(**dict.fromkeys(names, NAN))) == "−20.0 %"


@pytest.mark.parametrize(
    ("metric", "text"),
    [("confirmed_trades", "confirmed trades"), ("sessions", "sessions"), ("_", "_")],
)
def test_label(metric, text):
    assert words.label(metric) == text


def test_layer_method_evidence_and_caveat_know_the_declared_names():
    assert words.layer("3") == "Layer 3, activity-responsive"
    assert words.layer("9") == "9"
    assert words.method("classic") == "plain before and after"
    assert words.method("new_method") == "new method"
    for grade in "ABCDE":
        assert words.evidence(grade) != words.evidence("Z")
        assert words.caveat(grade) != words.caveat("Z")
