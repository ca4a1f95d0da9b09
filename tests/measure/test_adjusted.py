"""The lifts table's rows of every method."""

import dataclasses

import numpy as np
import pytest

from core.activity.timelines import MS_PER_DAY
from core.measure.adjusted import with_adjusted
from core.measure.contrasts import infer, missing, moments
from core.measure.estimates import ORDER, estimate
from core.measure.lifts import classic_lifts
from core.measure.panel import Rules, all_rates
from tests.measure.studies import steady, study_of
from tests.measure.test_estimates import IDS, estimated
from tests.measure.worlds import campaigns_frame

BLANK = ["effect_size", "pvalue", "standard_error", "rel_effect_size", "statistic", "post_rate"]


@pytest.fixture(scope="module")
def estimates():
    return estimated((0, 1, 2))


def lifts_of(estimates, *, rules=None, layers=("1", "2", "3"), ids=IDS):
    panel, rules = estimates.study.panel, rules or Rules()
    n = [rows.stop - rows.start for rows in panel.segments]
    campaigns = campaigns_frame(list(ids)[: len(n)], list(layers)[: len(n)], n)
    classic = classic_lifts(panel, all_rates(panel, "keep"), campaigns, rules)
    return with_adjusted(classic, estimates, np.arange(len(n)), rules)


def rows_of(lifts, method, campaign):
    rows = lifts[(lifts["method"] == method) & (lifts["campaign_code"] == campaign)]
    return rows.sort_values("metric_code")


def test_with_adjusted_has_every_method_and_one_headline_of_each_campaign_and_metric(estimates):
    lifts = lifts_of(estimates)
    assert len(lifts) == 3 * 2 * len(ORDER)
    assert not lifts.duplicated(["campaign_id", "metric", "method"]).any()
    heads = lifts[lifts["headline"]]
    assert heads.groupby(["campaign_id", "metric"]).size().tolist() == [1] * 6
    assert heads.groupby("campaign_code")["method"].first().tolist() == [
        "holdout", "holdout", "comparison",
    ]  # fmt: skip
    assert heads.groupby("campaign_code")["evidence"].first().tolist() == ["A", "A", "B"]


@pytest.mark.parametrize("method", ORDER[:-1])
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_with_adjusted_rows_are_what_follows_from_the_contrast(estimates, method, level):
    lifts = lifts_of(estimates, rules=Rules(confidence_level=level))
    for campaign, one in enumerate(estimates.contrasts[method]):
        rows = rows_of(lifts, method, campaign)
        assert rows["n_users"].tolist() == [one.n_users] * 2
        assert rows["n_comparison"].tolist() == [one.n_comparison] * 2
        if not one.is_known:
            assert rows["status"].tolist() == [one.status] * 2
            assert rows[BLANK].isna().all(axis=None)
            continue
        var_post, var_expected, cov = moments([one])
        said = infer(
            one.post, one.expected, var_post=var_post[0], var_expected=var_expected[0],
            cov=cov[0], df=one.df, confidence_level=level,
        )  # fmt: skip
        for column in ("effect_size", "standard_error", "pvalue", "statistic"):
            assert rows[column].tolist() == pytest.approx(getattr(said, column).tolist())
        assert rows["effect_size_ci_low"].tolist() == pytest.approx(said.ci_low.tolist())
        assert rows["rel_effect_size"].tolist() == pytest.approx(said.relative.estimate.tolist())
        assert rows["expected_rate"].tolist() == pytest.approx(one.expected.tolist())


def test_with_adjusted_never_contradicts_its_pvalue(estimates):
    lifts = lifts_of(estimates)
    known = lifts[lifts["status"] == "ok"]
    is_called = known["pvalue"] < 0.05
    for part in ("effect_size", "rel_effect_size"):
        low, high = known[f"{part}_ci_low"], known[f"{part}_ci_high"]
        assert (((low > 0) | (high < 0)) == is_called).all()


def test_with_adjusted_widens_by_what_the_self_checks_found(estimates):
    plain = lifts_of(estimates)
    scales = {("3", "comparison"): 1.5}
    wide = lifts_of(dataclasses.replace(estimates, se_scales=scales))
    one, other = rows_of(plain, "comparison", 2), rows_of(wide, "comparison", 2)
    error = one["standard_error"].to_numpy()
    assert other["standard_error"].tolist() == pytest.approx((1.5 * error).tolist())
    assert other["effect_size"].tolist() == one["effect_size"].tolist()
    assert other["evidence"].tolist() == ["C", "C"]
    assert other["se_scale"].tolist() == [1.5, 1.5]
    assert (other["pvalue"].to_numpy() >= one["pvalue"].to_numpy()).all()
    calm = rows_of(wide, "comparison", 0)
    assert (
        calm["standard_error"].tolist()
        == rows_of(plain, "comparison", 0)["standard_error"].tolist()
    )


def test_with_adjusted_counts_the_events_because_of_the_push(estimates):
    lifts = lifts_of(estimates)
    known = lifts[lifts["status"] == "ok"]
    expected = known["effect_size"] * known["n_measured"] * 2
    assert known["incremental_events"].tolist() == pytest.approx(expected.tolist())


def test_with_adjusted_of_few_recipients_has_no_number_but_says_so(estimates):
    lifts = lifts_of(estimates, rules=Rules(min_recipients=5000))
    assert set(lifts.loc[lifts["method"] != "classic", "status"]) == {"too_few_users"}
    assert lifts[["effect_size", "pvalue", "incremental_events"]].isna().all(axis=None)


def without(estimates, campaign, *methods):
    contrasts = {
        method: [
            missing(method, "no_support", n_metrics=2)
            if method in methods and code == campaign
            else one
            for code, one in enumerate(found)
        ]
        for method, found in estimates.contrasts.items()
    }
    return dataclasses.replace(estimates, contrasts=contrasts)


def test_with_adjusted_triggered_without_sound_comparison_has_no_headline_number(estimates):
    lifts = lifts_of(without(estimates, 2, "comparison", "self_control"))
    heads = lifts[lifts["headline"] & (lifts["campaign_code"] == 2)]
    assert heads["method"].tolist() == ["comparison"] * 2
    assert heads["status"].tolist() == ["no_support"] * 2
    assert heads["effect_size"].isna().all()
    classic = rows_of(lifts, "classic", 2)
    assert classic["effect_size"].notna().all()
    assert not classic["headline"].any()


def test_with_adjusted_scheduled_without_a_comparison_falls_back_step_by_step(estimates):
    gone, best = [], []
    for method in ("holdout", "comparison", "joint", "window"):
        gone.append(method)
        lifts = lifts_of(without(estimates, 0, *gone))
        heads = lifts[lifts["headline"] & (lifts["campaign_code"] == 0)]
        best.append(heads["method"].iloc[0])
    known = [m for m in ("comparison", "joint", "window") if estimates.contrasts[m][0].is_known]
    assert best[0] == "comparison"
    assert best[-1] == "classic"
    assert [m for m in best if m != "classic"] == [m for m in known if m in best]


def test_with_adjusted_of_open_windows_is_provisional():
    rng = np.random.default_rng(2)
    pushes = (np.zeros(60), np.arange(60), np.zeros(60))
    study = study_of(steady(rng, 240, rate=2.0), pushes, n_seen=240, as_of=MS_PER_DAY)
    lifts = lifts_of(estimate(study, all_rates(study.panel, "keep")), layers=("1",), ids=("c0",))
    rows = rows_of(lifts, "comparison", 0)
    assert rows["status"].tolist() == ["window_open"] * 2
    assert rows["effect_size"].notna().all()
    assert rows["incremental_events"].isna().all()
    assert rows_of(lifts, "joint", 0)["status"].tolist() == ["window_open"] * 2


def test_with_adjusted_of_no_campaign_is_empty(estimates):
    panel = estimates.study.panel
    campaigns = campaigns_frame(list(IDS), ["1", "2", "3"], [60, 60, 60])
    classic = classic_lifts(panel, all_rates(panel, "keep"), campaigns, Rules())
    found = with_adjusted(classic.iloc[:0], estimates, np.empty(0, dtype=np.int64), Rules())
    assert len(found) == 0
    assert {"campaign_code", "headline", "n_measured"} <= set(found.columns)
