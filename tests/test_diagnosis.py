"""What a number rests on, against the published tables and plain reckoning."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from core.activity.source import silent
from core.connect import wire
from core.diagnosis import placebos_of_campaign, robustness, trust, trust_table
from core.loading import load
from core.measure.panel import Rules
from core.measure.windows import WindowLengths
from core.pipeline import estimates_of, measure
from core.settings import read_settings
from core.span import span_of
from tests.worlds import AS_OF, random_world

RULES = Rules(min_recipients=5)
HOURS_48 = timedelta(hours=48)


def loaded_of(tmp_path, **dates):
    wiring = wire(read_settings(random_world(3, n_users=160).write(tmp_path)), silent)
    named = {"since": None, "until": None, **dates}
    return load(wiring, span_of(**named, as_of=AS_OF, timezone="UTC"), RULES.lengths)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return loaded_of(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def estimates(loaded):
    return estimates_of(loaded, RULES.lengths, "keep")


@pytest.fixture(scope="module")
def lifts(loaded, estimates):
    return measure(loaded, RULES, estimates=estimates).lifts


def overlap_by_hand(pushes, campaign_id):
    """Return the share with another push close by and the hours of it, person by person."""
    at = {who: list(rows["delivered_at"]) for who, rows in pushes.groupby("person_id")}
    near, hours = [], []
    for row in pushes[pushes["campaign_id"] == campaign_id].itertuples():
        away = [t - row.delivered_at for t in at[row.person_id] if t != row.delivered_at]
        near.append(any(-HOURS_48 <= one < HOURS_48 for one in away))
        taken = sum(((HOURS_48 - abs(one)) for one in away if abs(one) < HOURS_48), timedelta())
        hours.append(min(taken, HOURS_48) / timedelta(hours=1))
    return np.mean(near), np.mean(hours)


def test_trust_overlap_is_that_of_plain_reckoning(loaded, estimates):
    pushes = loaded.pushes.copy()
    moved = pushes["campaign_id"] == "c4"  # a day after c5: their windows meet
    pushes.loc[moved, "delivered_at"] += pd.Timedelta(days=4)
    study = estimates.study
    instants = pd.DatetimeIndex(pushes["delivered_at"]).as_unit("ms").asi8
    panel = replace(study.panel, sends=replace(study.panel.sends, instants=instants))
    shifted = replace(estimates, study=replace(study, panel=panel))
    for campaign_id in ("c4", "c5", "c1"):
        found = trust(loaded, shifted, RULES, campaign_id, "trades").overlap
        share, hours = overlap_by_hand(pushes, campaign_id)
        assert found.share == pytest.approx(share)
        assert found.hours == pytest.approx(hours)
    assert share == 0
    assert trust(loaded, shifted, RULES, "c4", "trades").overlap.share > 0.5


def test_trust_contamination_is_unknown_where_pushes_were_not_read(tmp_path):
    late = loaded_of(tmp_path, since=date(2026, 9, 8))
    told = estimates_of(late, RULES.lengths, "keep")
    first, last = (trust(late, told, RULES, c, "trades") for c in ("c1", "c7"))
    assert np.isnan(first.overlap.contamination)
    assert first.overlap.contamination_known < 0.25
    assert not first.overlap.is_complete
    assert "other_pushes_unknown" in first.baseline.reasons
    assert first.baseline.grade != "green"
    assert last.overlap.contamination > 0.1
    assert last.overlap.is_complete
    assert "other_pushes" in last.baseline.reasons


def test_trust_agrees_with_the_table_and_the_lifts(loaded, estimates, lifts):
    table = trust_table(loaded, estimates, RULES).set_index(["campaign_id", "metric"])
    assert len(table) == len(loaded.campaigns) * 2
    heads = lifts[lifts["headline"]].set_index(["campaign_id", "metric"])
    for campaign_id, metric in table.index:
        row, found = (
            table.loc[(campaign_id, metric)],
            trust(loaded, estimates, RULES, campaign_id, metric),
        )
        told = {
            "method": found.method, "overlap_share": found.overlap.share,
            "overlap_hours": found.overlap.hours, "grade": found.baseline.grade,
            "contamination_share": found.overlap.contamination, "slope": found.baseline.slope,
            "slope_ci_high": found.baseline.slope_ci_high, "cv": found.baseline.cv,
            "short_tenure_share": found.baseline.short_tenure_share, "test": found.test,
            "test_reason": found.test_reason, "n_expected": found.n_expected,
            "detectable_rel_effect": found.power.rel_effect,
        }  # fmt: skip
        for name, value in told.items():
            assert row[name] == (
                value if isinstance(value, str) else pytest.approx(value, nan_ok=True)
            )
        head = heads.loc[(campaign_id, metric)]
        assert found.method == head["method"]
        if head["status"] == "ok":
            detectable = head["detectable_effect_size"] / head["expected_rate"]
            assert found.power.rel_effect == pytest.approx(detectable)


def test_trust_reasons_follow_from_the_numbers(loaded, estimates):
    for campaign_id in loaded.campaigns["campaign_id"]:
        found = trust(loaded, estimates, RULES, campaign_id, "trades")
        reasons = set(found.baseline.reasons) - {"many_newcomers"}
        assert (found.baseline.grade == "green") == (not reasons)
        assert ("trend" in reasons) == (abs(found.baseline.slope) >= 0.02)
        assert ("other_pushes" in reasons) == (found.overlap.contamination >= 0.1)
        own = found.placebos[found.placebos["method"] == "comparison"]
        least = (own["pvalue"] * len(own)).min()
        assert ("self_check_found_effect" in reasons) == (least <= 0.05)
        assert ("no_self_check" in reasons) == own.empty


def test_trust_permutation_is_offered_where_the_t_test_is_not_enough(loaded, estimates):
    found = trust(loaded, estimates, RULES, "c1", "trades")
    assert (found.test, found.permutation_reason) == ("permutation", "ok")
    assert found.permutation is not None
    assert found.permutation.n_windows == 1 + RULES.lengths.n_blocks
    assert 0 < found.permutation.pvalue <= 1
    triggered = trust(loaded, estimates, RULES, "c2", "trades")
    assert (triggered.permutation, triggered.permutation_reason) == (None, "triggered_sends")


def test_trust_outliers_keep_is_the_classic_row(loaded, estimates, lifts):
    for campaign_id in ("c1", "c8"):  # c8 is still open
        found = trust(loaded, estimates, RULES, campaign_id, "interest")
        keep = next(view for view in found.outliers if view.rule == "keep")
        row = lifts[
            (lifts["campaign_id"] == campaign_id)
            & (lifts["metric"] == "interest")
            & (lifts["method"] == "classic")
        ].iloc[0]
        assert keep.effect_size == pytest.approx(row["effect_size"])
        assert keep.n_users == row["n_users"]
        assert {view.rule for view in found.outliers} == {"keep", "iqr", "zscore", "winsorize"}


def test_trust_needs_more_recipients_for_a_smaller_effect(loaded, estimates):
    large, small = (
        trust(loaded, estimates, RULES, "c1", "trades", wanted_rel_effect=w).power
        for w in (0.2, 0.05)
    )
    assert small.recipients_needed > 10 * large.recipients_needed > 0
    same = trust(loaded, estimates, RULES, "c1", "trades", wanted_rel_effect=large.rel_effect).power
    assert same.recipients_needed == pytest.approx(same.n_users, rel=0.1)


def test_placebos_of_campaign_are_those_of_the_estimates(loaded, estimates):
    every = estimates.placebos
    code = int(every.campaigns[0])
    table = placebos_of_campaign(estimates, code, 1)
    assert len(table) == (every.campaigns == code).sum()
    assert sorted(table["pvalue"]) == sorted(every.pvalues[every.campaigns == code, 1])


def test_trust_refuses_other_windows_and_names(loaded, estimates):
    other = replace(RULES, lengths=WindowLengths(baseline_days=14))
    with pytest.raises(ValueError, match="The estimates were made for"):
        trust(loaded, estimates, other, "c1", "trades")
    with pytest.raises(ValueError, match="'nothing' is not among"):
        trust(loaded, estimates, RULES, "nothing", "trades")
    with pytest.raises(ValueError, match="not both among"):
        robustness(loaded, estimates, RULES, "c1", "nothing")


def test_robustness_own_windows_are_the_published_rows(loaded, estimates, lifts):
    for campaign_id in loaded.campaigns["campaign_id"]:
        table = robustness(loaded, estimates, RULES, campaign_id, "trades")
        own = (table["post_hours"] == 48) & (table["outliers"] == "keep")
        own &= table["baseline_days"].isna() | (table["baseline_days"] == 30)
        found = table[own].set_index("method")
        rows = lifts[(lifts["campaign_id"] == campaign_id) & (lifts["metric"] == "trades")]
        rows = rows.set_index("method").loc[found.index]
        for name in ("rel_effect_size", "rel_effect_size_ci_low", "effect_size", "pvalue"):
            assert found[name].to_numpy() == pytest.approx(
                rows[name].to_numpy(), rel=1e-6, nan_ok=True
            )
        identified = rows["status"].where(rows["status"] != "not_identified", found["status"])
        assert found["status"].tolist() == identified.tolist()
        assert table.loc[table["is_chosen"], "method"].tolist() == [rows["headline"].idxmax()]


def test_robustness_classic_rows_are_those_of_the_pipeline(loaded, estimates):
    table = robustness(loaded, estimates, RULES, "c1", "interest")
    table = table[table["method"] == "classic"]
    assert len(table) == 3 * 3 * 4
    for post, days, rule in ((24, 7, "keep"), (72, 14, "winsorize"), (24, 30, "iqr")):
        lengths = WindowLengths(baseline_days=days, post_hours=post)
        rules = replace(RULES, lengths=lengths, outliers=rule)
        told = measure(loaded, rules, campaign_ids=pd.Index(["c1"])).lifts
        row = told[(told["method"] == "classic") & (told["metric"] == "interest")].iloc[0]
        found = table[
            (table["post_hours"] == post)
            & (table["baseline_days"] == days)
            & (table["outliers"] == rule)
        ].iloc[0]
        assert found["rel_effect_size"] == pytest.approx(row["rel_effect_size"], nan_ok=True)
        assert found["effect_size"] == pytest.approx(row["effect_size"])
        assert np.isnan(found["pvalue"]) == (rule == "iqr") == found["is_descriptive"]
        if rule != "iqr":
            assert found["rel_effect_size_ci_high"] == pytest.approx(
                row["rel_effect_size_ci_high"], nan_ok=True
            )


def test_robustness_flips_only_where_an_interval_contradicts(loaded, estimates):
    table = robustness(loaded, estimates, RULES, "c5", "trades")
    chosen = table.loc[table["is_chosen"], "effect_size"].iloc[0]
    sure = np.where(chosen > 0, table["effect_size_ci_high"] < 0, table["effect_size_ci_low"] > 0)
    assert table["flips"].tolist() == sure.tolist()
    assert not table.loc[table["is_chosen"], "flips"].any()


def test_robustness_says_what_was_not_loaded_and_what_is_open(tmp_path, loaded, estimates):
    early = loaded_of(tmp_path, until=date(2026, 9, 25))
    told = estimates_of(early, RULES.lengths, "keep")
    table = robustness(early, told, RULES, "all:2026-09-24", "trades")
    assert (table.loc[table["post_hours"] == 72, "status"] == "not_loaded").all()
    assert table.loc[table["status"] == "not_loaded", "effect_size"].isna().all()
    assert "not_loaded" not in set(table.loc[table["post_hours"] <= 48, "status"])
    is_open = robustness(loaded, estimates, RULES, "c8", "trades")
    assert "window_open" in set(is_open["status"])
    assert "not_loaded" not in set(is_open["status"])


def test_robustness_takes_the_rules_own_windows_in(loaded, estimates):
    rules = replace(RULES, lengths=WindowLengths(baseline_days=21, post_hours=36))
    table = robustness(loaded, estimates, rules, "c1", "trades")
    assert {24, 36, 48, 72} == set(table["post_hours"])
    assert {7, 14, 21, 30} == set(table["baseline_days"].dropna())
    assert table["is_chosen"].sum() == 1
    assert table.loc[table["is_chosen"], "post_hours"].item() == 36


def test_diagnoses_of_a_campaign_nobody_was_measured_in_have_no_numbers(loaded):
    pushes = loaded.pushes[loaded.pushes["campaign_id"] != "c1"].reset_index(drop=True)
    campaigns = loaded.campaigns.copy()
    campaigns.loc[campaigns["campaign_id"] == "c1", "n_measured"] = 0
    empty = replace(loaded, pushes=pushes, campaigns=campaigns)
    estimates = estimates_of(empty, RULES.lengths, "keep")
    found = trust(empty, estimates, RULES, "c1", "trades")
    assert (found.test, found.test_reason) == ("none", "too_few_users")
    assert (found.permutation, found.permutation_reason) == (None, "too_little_data")
    assert np.isnan(found.overlap.share)
    assert found.baseline.grade == "amber"
    assert len(trust_table(empty, estimates, RULES)) == 2 * len(campaigns)
    table = robustness(empty, estimates, RULES, "c1", "trades")
    assert set(table["status"]) == {"no_recipients"}
    assert table["effect_size"].isna().all()
