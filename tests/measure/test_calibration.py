"""Error rates of the shipped estimators on small worlds of known truth (see benchmarks)."""

import numpy as np
import pytest

from benchmarks import worlds
from benchmarks.calibration import cases, measured, run
from benchmarks.histories import Activity, History, Send
from benchmarks.judging import Draw, judged, lines_of, summarised
from core.measure.comparison import comparison
from core.measure.contrasts import missing


def by_method(name, n, subject="a"):
    return {line.method: line for line in measured(name, n) if line.subject == subject}


@pytest.fixture(scope="module")
def triggered():
    return by_method("2 triggered, rule recorded", 140)


def test_classic_under_a_trigger_finds_what_is_not_there(triggered):
    assert triggered["classic"].rejected > 0.9
    assert triggered["classic"].error > 0.2


def test_comparison_under_a_trigger_holds_its_level(triggered):
    line = triggered["comparison"]
    assert line.n_known == line.n
    assert 0.01 <= line.rejected <= 0.1
    assert abs(line.error) < 0.04


def test_headline_under_a_trigger_is_the_comparison(triggered):
    assert triggered["headline"].rejected == triggered["comparison"].rejected
    assert triggered["window"].n_known == triggered["joint"].n_known == 0


def test_comparison_under_a_trigger_covers_a_real_effect():
    line = by_method("2 triggered, rule recorded, +20%", 50)["comparison"]
    assert line.covered >= 0.87
    assert line.rejected > 0.3


def test_holdout_under_a_trigger_holds_its_level():
    lines = by_method("2 triggered, all pushed or held 15 %", 60)
    assert lines["holdout"].rejected <= 0.11
    assert abs(lines["holdout"].error) < 0.06
    assert lines["headline"].rejected == lines["holdout"].rejected


def test_self_control_where_all_were_pushed_holds_its_level():
    lines = by_method("2 triggered, all pushed", 60)
    assert lines["self_control"].rejected <= 0.11
    assert lines["self_control"].n_known == 60


def test_tuesday_sends_comparison_and_joint_hold_their_level_and_classic_does_not():
    lines = by_method("3 all three, hot observed", 80)
    assert lines["comparison"].rejected <= 0.11
    assert lines["joint"].rejected <= 0.13
    assert lines["classic"].rejected > 0.3


def test_follow_up_pushes_are_not_credited_to_the_first():
    lines = by_method("4 overlap, follow-up", 50)
    assert lines["comparison"].rejected <= 0.13
    assert lines["joint"].rejected <= 0.13
    assert lines["classic"].error > 0.08


def test_few_recipients_get_no_comparison_below_the_least_arm():
    lines = by_method("6 small n 20, 1.0/day", 10)
    assert lines["comparison"].n_known == 0
    assert lines["comparison"].reasons == "too_few_users"


def test_open_windows_are_compared_over_the_same_hours():
    lines = by_method("7 open 6 h", 40)
    assert lines["classic"].rejected <= 0.15
    assert abs(lines["comparison"].error) < 0.1


def test_ranks_of_a_layer_hold_the_true_rank():
    lines = {(s.subject, s.method): s for s in measured("8, 9 layer, mean +10% sd 15%", 10)}
    assert lines["rank", "comparison"].covered >= 0.93
    assert lines["campaigns", "comparison"].covered >= 0.85


def test_history_effect_on_events_is_the_one_asked_for():
    rng = np.random.default_rng(1)
    n = 4000
    base = Activity(
        persons=np.repeat(np.arange(n), 10), hours=rng.uniform(0, 96, n * 10), n_persons=n
    )
    history = History(rng, base)
    pushed, hours = np.arange(0, n, 2), np.full(n // 2, 24.0)
    history.send(Send(name="up", layer="1", persons=pushed, hours=hours, effect=0.3))
    history.send(Send(name="down", layer="1", persons=pushed + 1, hours=hours, effect=-0.3))
    starts = np.full(n, 24.0)
    before, after = base.counts(starts, 48.0), history.now.counts(starts, 48.0)
    assert after[::2].sum() / before[::2].sum() == pytest.approx(1.3, abs=0.02)
    assert after[1::2].sum() / before[1::2].sum() == pytest.approx(0.7, abs=0.02)
    assert history.truth(history.sends[0]) == pytest.approx(0.3)


def test_history_truth_of_overlapping_pushes_is_relative_to_the_other_one():
    rng = np.random.default_rng(2)
    base = Activity(persons=np.zeros(500, np.int64), hours=rng.uniform(0, 96, 500), n_persons=1)
    history = History(rng, base)
    for name in ("a", "b"):
        history.send(
            Send(name=name, layer="1", persons=np.array([0]), hours=np.array([24.0]), effect=0.5)
        )
    assert history.truth(history.sends[0]) == pytest.approx(0.5 / 1.5)


def test_triggered_sends_follow_their_trigger_by_2_to_6_hours():
    world = worlds.triggered(np.random.default_rng(3), rule="recorded")
    lag = (world.study.panel.sends.instants - world.study.triggered_at) / 3_600_000
    assert lag.min() >= 2
    assert lag.max() <= 6


def test_rule_unknown_is_recognised_in_the_data():
    world = worlds.triggered(np.random.default_rng(4), rule="data")
    assert world.study.triggers[0].source == "data"


def test_scheduled_sends_are_not_recognised_as_triggered():
    world = worlds.tuesday(np.random.default_rng(5))
    assert world.study.triggers == (None,)


def test_run_draw_does_not_depend_on_what_else_is_drawn():
    name = "2 triggered, rule known"
    assert run(name, first=1, n=1) == run(name, n=2)[len(run(name, n=1)) :]


def test_everything_at_once_gives_every_layer_a_number():
    found = run("5 everything, +0%", n=1)
    headline = [draw for draw in found if draw.method == "headline"]
    assert {draw.subject for draw in headline} == {"layer 1", "layer 2", "layer 3"}
    assert any(draw.status == "ok" for draw in headline)


def test_judged_truth_outside_the_interval_is_not_covered():
    world = worlds.independent(np.random.default_rng(6), n=300, effect=0.0)
    contrast = comparison(world.study, 0)
    assert judged("a", "comparison", contrast, 0.0).status == "ok"
    assert not judged("a", "comparison", contrast, 9.0).is_covered


def test_judged_without_a_number_says_why():
    draw = judged("a", "joint", missing("joint", "window_open", n_metrics=1), 0.0)
    assert draw == Draw(subject="a", method="joint", status="window_open")


def test_summary_far_from_its_nominal_rate_is_starred():
    wrong = [Draw(subject="a", method="classic", is_rejected=True, post=2.0, ideal=1.0)] * 50
    right = [Draw(subject="a", method="window", status="too_few_users")]
    found = summarised("w", [*wrong, *right], is_null=True)
    assert found[0].is_off
    assert found[0].error == pytest.approx(1.0)
    lines = lines_of(found)
    assert "*" in lines[0]
    assert lines[1] == "  no number: window (too_few_users)"


def test_cases_name_every_world_of_the_design():
    assert {name[0] for name in cases()} == set("12345678")
