"""Layers of campaigns that share people: sums of influence values, by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from core import frames
from core.measure.adjusted import with_adjusted
from core.measure.contrasts import Contrast, missing
from core.measure.estimates import ORDER, Estimates
from core.measure.hierarchy import pool
from core.measure.layers import (
    HEADLINE,
    Member,
    every_layer,
    layer_contrasts,
    members,
    pooled_layers,
    with_clear_counts,
    with_shrinkage,
)  # fmt: skip
from core.measure.lifts import classic_lifts, with_qvalues, with_selection
from core.measure.panel import Rules, all_rates
from core.measure.placebo import collected
from tests.measure.studies import study_of
from tests.measure.test_estimates import IDS, estimated
from tests.measure.worlds import campaigns_frame

N = 200
RULES = Rules()


def contrast_of(rng, persons, *, post=1.3, expected=1.0, method="comparison", size=0.6):
    n = len(persons)
    psi = rng.normal(0, size, (2, n, 2)) / n
    psi[1] += 0.5 * psi[0]
    return Contrast(
        method=method, post=np.array([post, 2 * post]), expected=np.array([expected, 2.2]),
        df=np.full(2, n - 1.0), persons=np.asarray(persons), psi_post=psi[0].astype(np.float32),
        psi_expected=psi[1].astype(np.float32), n_users=n // 2, n_comparison=n - n // 2,
    )  # fmt: skip


def member_of(position, contrast, *, layer="1", n_users=None, evidence="B"):
    return Member(
        position=position, layer=layer, contrast=contrast, evidence=evidence,
        n_users=n_users or contrast.n_users, baseline=np.array([0.9, 1.9]) + position,
    )  # fmt: skip


@pytest.fixture(scope="module")
def nothing():
    """Return estimates of a study of N persons without a single number."""
    study = study_of(([0], [0], [0]), ([0, 1, 2], [0, 1, 2], [0, 0, 0]), n_seen=N)
    return Estimates(study=study, contrasts={}, placebos=collected([], 2), se_scales={})


@pytest.fixture
def some():
    rng = np.random.default_rng(1)
    return [
        member_of(0, contrast_of(rng, np.arange(0, 120)), n_users=50),
        member_of(1, contrast_of(rng, np.arange(60, 180), post=1.1), n_users=30),
        member_of(2, contrast_of(rng, np.arange(20, 200), post=1.6), layer="2", n_users=20,
                  evidence="C"),
    ]  # fmt: skip


def row_of(table, layer, metric="first"):
    return table[(table["layer"] == layer) & (table["metric"] == metric)].iloc[0]


def test_pooled_layers_are_means_over_pushes_with_everybody_counted_once(nothing, some):
    table = pooled_layers(some, nothing, RULES, method="comparison")
    for layer, found in (("1", some[:2]), ("2", some[2:]), ("all", some)):
        weights = np.array([one.n_users for one in found]) / sum(one.n_users for one in found)
        for metric, name in enumerate(("first", "second")):
            row = row_of(table, layer, name)
            psi = np.zeros((N, 2))
            for weight, one in zip(weights, found, strict=True):
                for place, person in enumerate(one.contrast.persons):
                    psi[person, 0] += weight * one.contrast.psi_post[place, metric]
                    psi[person, 1] += weight * one.contrast.psi_expected[place, metric]
            effect = sum(
                weight * (one.contrast.post - one.contrast.expected)[metric]
                for weight, one in zip(weights, found, strict=True)
            )
            error = np.sqrt(((psi[:, 0] - psi[:, 1]) ** 2).sum())
            n_persons = int((psi != 0).any(axis=1).sum())
            assert row["effect_size"] == pytest.approx(effect)
            assert row["standard_error"] == pytest.approx(error, rel=1e-5)
            assert row["n_users"] == n_persons
            assert row["df"] == n_persons - 1
            p = 2 * stats.t.sf(abs(effect / error), n_persons - 1)
            assert row["pvalue"] == pytest.approx(p, rel=1e-4)
            assert (row["n_campaigns"], row["status"]) == (len(found), "ok")


def test_pooled_layers_sum_what_came_of_all_pushes(nothing, some):
    row = row_of(pooled_layers(some, nothing, RULES, method="comparison"), "1")
    assert row["n_pushes"] == 80
    assert row["incremental_events"] == pytest.approx(row["effect_size"] * 80 * 2)
    assert row["baseline_rate"] == pytest.approx((50 * 0.9 + 30 * 1.9) / 80)


def test_pooled_layers_of_a_campaign_sent_again_to_the_same_people_know_no_more(nothing, some):
    once = row_of(pooled_layers(some[:1], nothing, RULES, method="comparison"), "1")
    twice = [some[0], dataclasses.replace(some[0], position=1)]
    again = row_of(pooled_layers(twice, nothing, RULES, method="comparison"), "1")
    for column in ("standard_error", "pvalue", "n_users", "effect_size"):
        assert again[column] == pytest.approx(once[column])
    assert again["n_pushes"] == 2 * once["n_pushes"]


def test_pooled_layers_of_strangers_are_as_certain_as_independent_ones(nothing):
    rng = np.random.default_rng(2)
    apart = [
        member_of(0, contrast_of(rng, np.arange(100))),
        member_of(1, contrast_of(rng, np.arange(100, 200))),
    ]
    row = row_of(pooled_layers(apart, nothing, RULES, method="comparison"), "1")
    psi = [one.contrast.psi_post[:, 0] - one.contrast.psi_expected[:, 0] for one in apart]
    assert row["standard_error"] == pytest.approx(
        np.sqrt(sum((own.astype(float) ** 2).sum() for own in psi)) / 2, rel=1e-5
    )


def test_pooled_layers_do_not_depend_on_the_order_of_campaigns(nothing, some):
    columns = [c for c in frames.LAYER_LIFTS.names if c not in ("n_above", "n_below")]
    both = [
        pooled_layers(order, nothing, RULES, method=HEADLINE)[columns]
        for order in (some, some[::-1])
    ]
    pd.testing.assert_frame_equal(*both, rtol=1e-6)


def test_pooled_layers_stand_on_the_worst_evidence_in_them(nothing, some):
    table = pooled_layers(some, nothing, RULES, method=HEADLINE)
    letters = [row_of(table, layer)["evidence"] for layer in ("1", "2", "all", "3")]
    assert letters == ["B", "C", "C", "E"]
    assert row_of(table, "3")["status"] == "no_campaigns"
    assert np.isnan(row_of(table, "3")["effect_size"])


def test_pooled_layers_model_the_typical_campaign_for_the_headline_alone(nothing, some):
    """The model sees log ratios and all that shared people make of their covariance."""
    table = pooled_layers(some, nothing, RULES, method=HEADLINE)
    logs = [np.log(one.contrast.post[0] / one.contrast.expected[0]) for one in some]
    psi = np.zeros((N, 3))
    for place, one in enumerate(some):
        c = one.contrast
        psi[c.persons, place] = c.psi_post[:, 0] / c.post[0] - c.psi_expected[:, 0] / c.expected[0]
    model = pool(np.array(logs), psi.T @ psi, confidence_level=0.95)
    row = row_of(table, "all")
    for column, expected in (
        ("typical_rel_effect_size", model.mean),
        ("typical_rel_effect_size_ci_low", model.mean_ci_low),
        ("typical_rel_effect_size_ci_high", model.mean_ci_high),
        ("prediction_low", model.prediction_low),
        ("prediction_high", model.prediction_high),
    ):
        assert row[column] == pytest.approx(np.expm1(expected), rel=1e-3)
    assert row["heterogeneity"] == pytest.approx(model.tau, rel=1e-3)
    assert np.isnan(row_of(table, "2")["typical_rel_effect_size"])
    other = pooled_layers(some, nothing, RULES, method="comparison")
    assert other["typical_rel_effect_size"].isna().all()


def test_layer_contrasts_count_shared_people(nothing, some):
    table = layer_contrasts(some, nothing, RULES)
    assert table[["layer", "other_layer"]].drop_duplicates().to_numpy().tolist() == [["1", "2"]]
    row = table[table["metric"] == "first"].iloc[0]
    psi, ratios = [], []
    for found in (some[:2], some[2:]):
        weights = np.array([one.n_users for one in found]) / sum(one.n_users for one in found)
        post, expected = (
            sum(w * getattr(one.contrast, name)[0] for w, one in zip(weights, found, strict=True))
            for name in ("post", "expected")
        )
        own = np.zeros(N)
        for weight, one in zip(weights, found, strict=True):
            c = one.contrast
            own[c.persons] += weight * (
                c.psi_post[:, 0] / expected - post / expected**2 * c.psi_expected[:, 0]
            )
        ratios.append(post / expected - 1)
        psi.append(own)
    difference, error = ratios[0] - ratios[1], np.sqrt(((psi[0] - psi[1]) ** 2).sum())
    half = stats.t.ppf(0.975, N - 1) * error
    assert row["difference"] == pytest.approx(difference)
    assert row["difference_ci_low"] == pytest.approx(difference - half, rel=1e-3)
    assert row["difference_ci_high"] == pytest.approx(difference + half, rel=1e-3)
    assert row["pvalue"] == pytest.approx(2 * stats.t.sf(abs(difference) / error, N - 1), rel=1e-3)


def test_layer_contrasts_of_one_layer_are_none(nothing, some):
    assert len(layer_contrasts(some[:2], nothing, RULES)) == 0


@pytest.fixture(scope="module")
def world():
    """Return estimates of three campaigns, one of each layer, and their lifts."""
    estimates = estimated((0, 1, 2))
    panel = estimates.study.panel
    n = [rows.stop - rows.start for rows in panel.segments]
    campaigns = campaigns_frame(IDS, ["1", "2", "3"], n)
    classic = classic_lifts(panel, all_rates(panel, "keep"), campaigns, RULES)
    lifts = with_adjusted(classic, estimates, np.arange(3), RULES)
    return estimates, campaigns, with_qvalues(lifts, primary="first")


def test_members_are_campaigns_with_a_number_that_count(world):
    estimates, campaigns, lifts = world
    codes = np.arange(3)

    def positions(method, table=campaigns):
        found = members(lifts, table, estimates, codes, method=method)
        return [one.position for one in found]

    assert positions("comparison") == [0, 1, 2]
    assert positions("holdout") == [0, 1]
    assert positions(HEADLINE) == [0, 1, 2]
    for column in ("qualifies", "window_complete"):
        table = campaigns.assign(**{column: [True, False, True]})
        assert positions("comparison", table) == [0, 2]


def test_members_of_the_headline_have_evidence_a_verdict_may_rest_on(world):
    estimates, campaigns, lifts = world
    low = lifts.assign(evidence=lifts["evidence"].where(~lifts["headline"], "D"))
    assert members(low, campaigns, estimates, np.arange(3), method=HEADLINE) == []


def test_members_carry_what_the_self_checks_widened(world):
    estimates, campaigns, lifts = world
    wide = lifts.assign(se_scale=2.0)
    for plain, other in zip(
        members(lifts, campaigns, estimates, np.arange(3), method="comparison"),
        members(wide, campaigns, estimates, np.arange(3), method="comparison"),
        strict=True,
    ):
        assert other.contrast.psi_post == pytest.approx(2 * plain.contrast.psi_post)
        assert other.contrast.psi_expected == pytest.approx(2 * plain.contrast.psi_expected)
        assert (other.contrast.post == plain.contrast.post).all()


def test_every_layer_has_each_method_that_says_something(world):
    estimates, campaigns, lifts = world
    table, heads = every_layer(lifts, campaigns, estimates, np.arange(3), RULES)
    known = {
        method for method in ORDER[:-1] if any(c.is_known for c in estimates.contrasts[method])
    }
    assert set(table["method"]) == known | {HEADLINE}
    assert [one.contrast.method for one in heads] == ["holdout", "holdout", "comparison"]


def test_with_shrinkage_draws_effects_of_a_layer_together(world):
    estimates, campaigns, lifts = world
    heads = members(lifts, campaigns, estimates, np.arange(3), method=HEADLINE)
    one_layer = [dataclasses.replace(one, layer="1") for one in heads]
    found = with_shrinkage(lifts, one_layer, estimates, RULES)
    top = found[found["headline"] & (found["metric"] == "first")].set_index("campaign_code")
    raw, shrunk = top["rel_effect_size"], top["shrunk_rel_effect_size"]
    assert shrunk.notna().all()
    assert shrunk.max() - shrunk.min() < raw.max() - raw.min()
    assert (top["shrunk_rel_effect_size_ci_low"] < shrunk).all()
    assert (top["shrunk_rel_effect_size_ci_high"] > shrunk).all()
    assert top["p_best"].sum() == pytest.approx(1)
    assert top["p_top10"].tolist() == pytest.approx([1, 1, 1])
    assert top["rank"].between(top["rank_low"], top["rank_high"]).all()
    assert found.loc[~found["headline"], "rank"].isna().all()
    alone = with_shrinkage(lifts, heads, estimates, RULES)
    assert alone["shrunk_rel_effect_size"].isna().all()


def test_with_clear_counts_by_layer_and_in_all(world):
    estimates, campaigns, lifts = world
    table, _ = every_layer(lifts, campaigns, estimates, np.arange(3), RULES)
    clear = lifts.assign(
        qvalue=np.where(lifts["campaign_code"] == 1, 0.5, 0.01),
        effect_size=np.where(lifts["campaign_code"] == 2, -1.0, 1.0),
    )
    found = with_clear_counts(table, clear)
    head = found[(found["method"] == HEADLINE) & (found["metric"] == "first")].set_index("layer")
    assert head.loc[["1", "2", "3", "all"], "n_above"].tolist() == [1, 0, 0, 1]
    assert head.loc[["1", "2", "3", "all"], "n_below"].tolist() == [0, 0, 1, 1]


def rows_with(pvalues, *, metrics=2, methods=("comparison", "classic"), head="comparison"):
    """Return lifts of campaigns x metrics x methods from p-values in that order."""
    pvalues = np.asarray(pvalues, dtype=float)
    n = pvalues.size // (metrics * len(methods))
    codes, metric, method = (part.ravel() for part in np.indices((n, metrics, len(methods))))
    names = np.array(methods)[method]
    return pd.DataFrame(
        {
            "campaign_code": codes,
            "metric": np.array(["first", "second"])[metric],
            "method": names,
            "evidence": np.where(names == "classic", "E", "B"),
            "headline": names == head,
            "status": "ok",
            "pvalue": pvalues.ravel(),
            "effect_size": 1.0,
            "standard_error": 0.1,
            "df": 50.0,
        }
    )


def test_with_qvalues_corrects_headlines_apart_from_methods():
    rng = np.random.default_rng(3)
    lifts = rows_with(rng.random((6, 2, 2)) / 4)
    lifts.loc[(lifts["campaign_code"] == 5), "headline"] = lifts["method"] == "classic"
    found = with_qvalues(lifts, primary="first")
    is_head = lifts["headline"] & (lifts["evidence"] == "B")
    first = lifts["metric"] == "first"

    def expected(members, carriers, family):
        every = stats.false_discovery_control(lifts.loc[members, "pvalue"])
        q = pd.Series(every, lifts.index[members])
        rows = found.loc[carriers]
        assert rows["qvalue"].tolist() == pytest.approx(q[carriers[carriers].index].tolist())
        assert set(rows["family"]) == {family}

    expected(is_head & first, is_head & first, "primary")
    expected(is_head, is_head & ~first, "secondary")
    for method in ("comparison", "classic"):
        own = lifts["method"] == method
        expected(own & first, own & first & ~is_head, "primary")
        expected(own, own & ~first & ~is_head, "secondary")


def test_with_qvalues_leaves_out_what_has_no_test():
    lifts = rows_with(np.full((3, 2, 2), 0.01))
    lifts.loc[lifts["campaign_code"] == 0, "status"] = "window_open"
    lifts.loc[lifts["campaign_code"] == 1, "pvalue"] = np.nan
    found = with_qvalues(lifts, primary="first")
    left = found["campaign_code"] < 2
    assert found.loc[left, "qvalue"].isna().all()
    assert found.loc[left, "family"].isna().all()
    assert found.loc[~left, "qvalue"].tolist() == pytest.approx([0.01] * 4)


def test_with_qvalues_leaves_the_negative_control_out():
    lifts = rows_with(np.random.default_rng(4).random((5, 2, 2)) / 9)
    found = with_qvalues(lifts, primary="first", control="second")
    first = lifts["metric"] == "first"
    alone = with_qvalues(lifts[first], primary="first")
    assert found.loc[~first, "qvalue"].isna().all()
    assert found.loc[first, "qvalue"].tolist() == pytest.approx(alone["qvalue"].tolist())


def test_with_selection_widens_the_intervals_of_what_was_selected():
    """Of four campaigns one is clear: its metrics are held to a quarter of the rate."""
    pvalues = np.full((4, 2, 2), 0.6)
    pvalues[0, :, 0] = [0.004, 0.012]
    pvalues[1, 1, 0] = 0.001
    found = with_selection(with_qvalues(rows_with(pvalues), primary="first"), primary="first")
    selected = found[found["is_selected"]]
    assert selected[["campaign_code", "metric"]].to_numpy().tolist() == [
        [0, "first"], [0, "second"],
    ]  # fmt: skip
    half = stats.t.ppf(1 - 0.05 * 2 / 8 / 2, 50) * 0.1
    assert selected["selected_ci_low"].tolist() == pytest.approx([1 - half] * 2)
    assert selected["selected_ci_high"].tolist() == pytest.approx([1 + half] * 2)
    assert found.loc[~found["is_selected"], "selected_ci_low"].isna().all()
    assert not found.loc[found["method"] == "classic", "is_selected"].any()


def test_with_selection_of_nothing_clear_selects_nothing():
    found = with_selection(
        with_qvalues(rows_with(np.full((4, 2, 2), 0.6)), primary="first"), primary="first"
    )
    assert not found["is_selected"].any()
    assert found["selected_ci_high"].isna().all()


def test_missing_contrasts_are_never_pooled(world):
    estimates, campaigns, lifts = world
    contrasts = {
        method: [missing(method, "window_open", n_metrics=2) for _ in range(3)] for method in ORDER
    }
    none = dataclasses.replace(estimates, contrasts=contrasts)
    assert members(lifts, campaigns, none, np.arange(3), method="comparison") == []


def test_with_selection_leaves_out_headlines_that_only_describe():
    pvalues = np.full((4, 2, 2), 0.6)
    pvalues[0, 0, 1] = 0.0001
    pvalues[3, :, 0] = 0.02
    lifts = rows_with(pvalues)
    lifts.loc[lifts["campaign_code"] < 3, "headline"] = lifts["method"] == "classic"
    found = with_selection(with_qvalues(lifts, primary="first"), primary="first")
    assert found.loc[found["is_selected"], "campaign_code"].tolist() == [3, 3]
