"""The lifts table: numbers against scipy, statuses, families, outlier rules, open windows."""

import numpy as np
import pytest
from scipy import stats

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.measure.lifts import with_qvalues
from core.measure.multiplicity import bh_qvalues
from core.measure.panel import Rules
from tests.measure.worlds import T, campaigns_frame, lifts_of, panel_of, poisson_rows

N = 60


@pytest.fixture(scope="module")
def panel():
    rng = np.random.default_rng(7)
    rows = poisson_rows(rng, n_users=N, rate=1.0, extra=0.6)
    rows += poisson_rows(rng, n_users=N, rate=0.5, event=1)
    pushes = [(c, u, 0) for c, n in ((0, N), (1, 40), (2, 12)) for u in range(n)]
    return panel_of(rows, [*pushes, (2, -1, 0)], n_campaigns=4)


@pytest.fixture(scope="module")
def campaigns():
    return campaigns_frame(["a", "b", "c", "d"], ["1", "2", "3", "unclassified"], [N, 40, 13, 0])


def row(table, campaign, metric):
    rows = table[(table["campaign_id"] == campaign) & (table["metric"] == metric)]
    assert len(rows) == 1
    return rows.iloc[0]


def rates(panel, campaign, metric):
    here = panel.campaigns == campaign
    counts = panel.counts
    return counts.n_baseline[here, metric] / 30, counts.n_post[here, metric] / 2


def test_classic_lifts_agree_with_scipy_and_the_definitions(panel, campaigns):
    got = row(lifts_of(panel, campaigns, Rules()), "a", "first")
    base, post = rates(panel, 0, 0)
    reference = stats.ttest_rel(post, base)
    low, high = reference.confidence_interval(0.95)
    difference = post - base
    assert got["status"] == "ok"
    assert (got["n_users"], got["df"]) == (N, N - 1)
    assert got["baseline_rate"] == pytest.approx(base.mean())
    assert got["post_rate"] == pytest.approx(post.mean())
    assert got["statistic"] == pytest.approx(reference.statistic)
    assert got["pvalue"] == pytest.approx(reference.pvalue)
    assert got["effect_size_ci_low"] == pytest.approx(low)
    assert got["effect_size_ci_high"] == pytest.approx(high)
    assert got["rel_effect_size"] == pytest.approx(post.mean() / base.mean() - 1)
    assert got["mean_user_effect"] == pytest.approx(difference.mean())
    assert got["median_user_effect"] == pytest.approx(np.median(difference))
    assert got["sd_user_effect"] == pytest.approx(difference.std(ddof=1))
    assert got["effect_size_std"] == pytest.approx(difference.mean() / difference.std(ddof=1))
    assert got["n_events_post"] == panel.counts.n_post[panel.campaigns == 0, 0].sum()


def test_classic_lifts_have_one_headline_a_campaign_and_metric(panel, campaigns):
    table = lifts_of(panel, campaigns, Rules())
    assert len(table) == 4 * 2
    assert (table.groupby(["campaign_id", "metric"])["headline"].sum() == 1).all()


def test_classic_lifts_say_why_a_number_is_missing(panel, campaigns):
    table = lifts_of(panel, campaigns, Rules())
    few, none = row(table, "c", "first"), row(table, "d", "first")
    assert (few["status"], none["status"]) == ("too_few_users", "no_recipients")
    assert few["n_users"] == 13
    assert few[["effect_size", "pvalue", "rel_effect_size", "qvalue"]].isna().all()
    assert few[["baseline_rate", "post_rate"]].notna().all()
    assert row(lifts_of(panel, campaigns, Rules(min_recipients=13)), "c", "first")["status"] == "ok"


def test_classic_lifts_at_another_confidence_level(panel, campaigns):
    wide = row(lifts_of(panel, campaigns, Rules(confidence_level=0.99)), "a", "first")
    slim = row(lifts_of(panel, campaigns, Rules(confidence_level=0.8)), "a", "first")
    for name in ("effect_size", "rel_effect_size"):
        assert wide[f"{name}_ci_low"] < slim[f"{name}_ci_low"] < slim[name]
        assert slim[name] < slim[f"{name}_ci_high"] < wide[f"{name}_ci_high"]
    assert wide["confidence_level"] == 0.99


def test_classic_lifts_without_baseline_events_have_no_percentage():
    rows = [(u, MS_PER_HOUR * (1 + u), 0) for u in range(20)]
    panel = panel_of(rows, [(0, u, 0) for u in range(40)])
    table = lifts_of(panel, campaigns_frame(["a"], ["1"], [40]), Rules())
    got = row(table, "a", "first")
    assert got["status"] == "no_baseline_events"
    assert (
        got[["rel_effect_size", "rel_effect_size_ci_low", "rel_effect_size_ci_high"]].isna().all()
    )
    assert got["effect_size"] == 0.25
    silent = row(table, "a", "second")
    assert (silent["status"], silent["effect_size"], silent["pvalue"]) == (
        "no_baseline_events", 0, 1,
    )  # fmt: skip


def test_classic_lifts_on_a_baseline_too_close_to_zero_have_no_percentage():
    rows = [(0, -MS_PER_DAY, 0)] + [(u, MS_PER_HOUR, 0) for u in range(40)]
    panel = panel_of(rows, [(0, u, 0) for u in range(40)])
    got = row(lifts_of(panel, campaigns_frame(["a"], ["1"], [40]), Rules()), "a", "first")
    assert got["status"] == "baseline_near_zero"
    assert np.isnan(got["rel_effect_size"])
    assert got["rel_effect_size_ci_low"] > 0
    assert np.isnan(got["rel_effect_size_ci_high"])


def test_classic_lifts_cut_the_baseline_at_sign_up():
    rows = [(u, -MS_PER_DAY, 0) for u in range(40)]
    sends = [(0, u, 0) for u in range(41)]
    signed_up = np.append(np.full(40, T - 2 * MS_PER_DAY), T)  # the last has no baseline at all
    panel = panel_of(rows, sends, signed_up=signed_up)
    got = row(lifts_of(panel, campaigns_frame(["a"], ["1"], [41]), Rules()), "a", "first")
    assert got["baseline_rate"] == 0.5
    assert got["n_users"] == 40


def test_classic_lifts_compare_open_windows_over_the_same_hours():
    """Everybody is active only in the six hours after the push's time of day, every day alike."""
    hours = range(-30 * 24, 6)
    rows = [(u, h * MS_PER_HOUR + u, 0) for u in range(40) for h in hours if h % 24 in {1, 4}]
    panel = panel_of(rows, [(0, u, 0) for u in range(40)], as_of=T + 6 * MS_PER_HOUR)
    got = row(lifts_of(panel, campaigns_frame(["a"], ["1"], [40]), Rules()), "a", "first")
    assert got["status"] == "window_open"
    assert got["post_rate"] == pytest.approx(8)
    assert got["expected_rate"] == pytest.approx(8)
    assert got["effect_size"] == pytest.approx(0)
    assert np.isnan(got["qvalue"])


def test_with_qvalues_corrects_primary_and_secondary_families_apart(panel, campaigns):
    table = lifts_of(panel, campaigns, Rules(min_recipients=2))
    tested = table[table["status"] == "ok"]
    primary = tested[tested["metric"] == "first"]
    assert primary["family"].tolist() == ["primary"] * len(primary)
    assert primary["qvalue"].to_numpy() == pytest.approx(bh_qvalues(primary["pvalue"].to_numpy()))
    everything = bh_qvalues(tested["pvalue"].to_numpy())
    other = (tested["metric"] == "second").to_numpy()
    assert tested.loc[other, "qvalue"].to_numpy() == pytest.approx(everything[other])
    assert set(tested.loc[other, "family"]) == {"secondary"}


def test_with_qvalues_does_not_depend_on_the_order_of_rows(panel, campaigns):
    table = lifts_of(panel, campaigns, Rules(min_recipients=2))
    shuffled = with_qvalues(table.sample(frac=1, random_state=1), primary="first")
    again = shuffled.sort_index()["qvalue"].to_numpy()
    assert again == pytest.approx(table["qvalue"].to_numpy(), nan_ok=True)


@pytest.mark.parametrize("rule", ["iqr", "zscore", "winsorize"])
def test_classic_lifts_under_an_outlier_rule_touch_the_extreme_user(rule):
    rng = np.random.default_rng(3)
    rows = poisson_rows(rng, n_users=80, rate=1.0, shape=50)
    rows += [(0, int(m), 0) for m in rng.integers(0, 2 * MS_PER_DAY, 500)]
    panel = panel_of(rows, [(0, u, 0) for u in range(80)])
    campaigns = campaigns_frame(["a"], ["1"], [80])
    kept = row(lifts_of(panel, campaigns, Rules()), "a", "first")
    got = row(lifts_of(panel, campaigns, Rules(outliers=rule)), "a", "first")
    assert kept["n_dropped"] == 0
    assert got["n_dropped"] >= 1
    assert got["n_users"] == (80 if rule == "winsorize" else 80 - got["n_dropped"])
    assert got["effect_size"] < kept["effect_size"] - 1


def test_winsorize_keeps_a_true_null_and_iqr_does_not():
    """Dropping by the difference invents an effect."""
    rejected = {"winsorize": 0, "iqr": 0}
    rng = np.random.default_rng(12)
    rows, pushes = [], []
    for campaign in range(60):
        drawn = poisson_rows(rng, n_users=100, rate=0.4, shape=0.4)
        rows += [(p + campaign * 100, at, e) for p, at, e in drawn]
        pushes += [(campaign, campaign * 100 + u, 0) for u in range(100)]
    panel = panel_of(rows, pushes)
    campaigns = campaigns_frame([str(c) for c in range(60)], ["1"] * 60, [100] * 60)
    for rule in rejected:
        table = lifts_of(panel, campaigns, Rules(outliers=rule))
        rejected[rule] = int((table.loc[table["metric"] == "first", "pvalue"] < 0.05).sum())
    assert rejected["winsorize"] <= 8
    assert rejected["iqr"] >= 30
