"""Scores of quality: what is damaged drops, nothing else does, and missing is missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from core.quality.evidence import Evidence
from core.quality.scores import WEIGHTS, scores, share
from tests.quality.sound import LAYERS, N_RECIPIENTS, campaigns, checks, evidence, gapped

ONE = [True, False, False, False]
"""Which campaigns are damaged: the first of layer 1."""


def of(table: pd.DataFrame, group: str) -> pd.Series:
    own = table[table["of"] == group]
    return own.set_index(own["side"] + "." + own["part"])["score"]


def counted(n: int = 40, **names: str) -> Evidence:
    return evidence(campaigns=campaigns(**{name: np.where(ONE, n, 0) for name in names.values()}))


def with_campaigns(**changes: object) -> Evidence:
    return evidence(campaigns=campaigns(**changes))


def with_pushes(**changes: object) -> Evidence:
    sound = evidence()
    return dataclasses.replace(sound, pushes=dataclasses.replace(sound.pushes, **changes))


def with_baselines(**changes: object) -> Evidence:
    sound = evidence()
    return dataclasses.replace(sound, baselines=dataclasses.replace(sound.baselines, **changes))


def first_pushes(n: int) -> np.ndarray:
    return np.arange(len(LAYERS) * N_RECIPIENTS) >= n


def half_seen(n: int) -> np.ndarray:
    return np.where(np.arange(N_RECIPIENTS) < n, 0, 10)


DAMAGES: dict[str, tuple[Callable[[], Evidence], str, float]] = {
    "not found": (
        lambda: with_campaigns(n_mapped=np.where(ONE, 60, 100)), "database.mapping", 360 / 400,
    ),
    "no delivered_at": (lambda: counted(a="n_sent_at_used"), "database.timestamps", 0.9),
    "delivered before sent": (lambda: counted(a="n_early"), "database.timestamps", 0.9),
    "delivered before sign-up": (lambda: counted(a="n_before_sign_up"), "database.timestamps", 0.9),
    "no sign-up": (lambda: counted(a="n_no_sign_up"), "database.completeness", 1 - 40 / 1300),
    "no trigger": (lambda: counted(a="n_no_trigger"), "database.completeness", 1 - 40 / 1300),
    "no message": (
        lambda: with_campaigns(title=[None, "a", "b", "c"], body=[None, "a", "b", "c"]),
        "database.completeness", 1 - 100 / 1300,
    ),
    "odd ids": (lambda: counted(a="n_odd_id"), "database.identifiers", 0.9),
    "shared ids": (lambda: counted(a="n_shared_id"), "database.identifiers", 0.9),
    "persons without events": (
        lambda: with_pushes(n_events=half_seen(40)), "activity.user_coverage", 0.6,
    ),
    "gaps": (
        lambda: evidence(event_days=gapped(range(10, 20), "no events")),
        "activity.event_completeness", 1 - 10 / (3 * 46),
    ),
    "days not read": (
        lambda: evidence(event_days=gapped(range(10, 20), "not read", events=3)),
        "activity.event_completeness", 1 - 30 / (3 * 46),
    ),
    "open windows": (
        lambda: with_pushes(is_closed=first_pushes(40)), "activity.temporal_accuracy", 0.9,
    ),
    "windows cut": (
        lambda: with_pushes(is_whole=first_pushes(40)), "activity.temporal_accuracy", 0.9,
    ),
    "impossible instants": (
        lambda: with_pushes(n_impossible=np.full(N_RECIPIENTS, 1)),
        "activity.temporal_accuracy", 0.9,
    ),
    "too few for a test": (
        lambda: evidence(is_ready=np.array([[False, False], *[[True, True]] * 3])),
        "activity.significance_readiness", 6 / 8,
    ),
    "drift": (
        lambda: with_baselines(slope_ci_low=np.where(ONE, 0.2, -0.1), slope_ci_high=np.ones(4)),
        "activity.consistency", (7 / 8 + 1) / 2,
    ),
    "other pushes in the baseline": (
        lambda: with_baselines(contamination=np.where(ONE, 0.2, 0.0)),
        "activity.consistency", (7.5 / 8 + 1) / 2,
    ),
    "self-checks find effects": (
        lambda: evidence(checks=checks(false_positive_share_ci_low=0.1)),
        "activity.consistency", 0.5,
    ),
}  # fmt: skip


def test_scores_of_a_sound_world_are_whole_and_weighted_as_declared():
    table = scores(evidence())
    assert (table["score"] == 1).all()
    assert (table["status"] == "ok").all()
    assert set(table["of"]) == {"all", "1", "2", "3", "c0", "c1", "c2", "c3"}
    parts = table[(table["of"] == "all") & (table["part"] != "total")]
    for side, weights in WEIGHTS.items():
        own = parts[parts["side"] == side].set_index("part")["weight"]
        assert own.to_dict() == weights
        assert sum(weights.values()) == pytest.approx(1)
    assert WEIGHTS["activity"] == {
        "user_coverage": 0.3, "event_completeness": 0.2, "temporal_accuracy": 0.2,
        "significance_readiness": 0.2, "consistency": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_scores_drop_where_damaged_and_only_there(damage):
    make, name, expected = DAMAGES[damage]
    side, part = name.split(".")
    found = of(scores(make()), "all")
    assert found[name] == pytest.approx(expected)
    others = found.drop([name, f"{side}.total", "combined.total"])
    assert (others == 1).all()
    lost = (1 - expected) * WEIGHTS[side][part]
    assert found[f"{side}.total"] == pytest.approx(1 - lost)
    assert found["combined.total"] == pytest.approx(1 - lost / 2)


@pytest.mark.parametrize(
    "damage",
    ["not found", "no delivered_at", "no message", "odd ids", "open windows", "drift",
     "too few for a test"],
)  # fmt: skip
def test_scores_of_one_campaign_leave_other_campaigns_and_layers_alone(damage):
    make, name, expected = DAMAGES[damage]
    table = scores(make())
    own, layer, everywhere = (of(table, group)[name] for group in ("c0", "1", "all"))
    assert own < layer < everywhere < 1
    assert everywhere == pytest.approx(expected)
    for group in ("2", "3", "c1", "c2", "c3"):
        assert (of(table, group) == 1).all()


def test_scores_leave_out_what_cannot_be_told_and_count_the_rest_for_more():
    nothing = np.full(4, np.nan)
    sound = with_baselines(
        slope_ci_low=nothing, slope_ci_high=nothing, contamination=nothing,
        placebo_pvalues=np.full((4, 2), np.nan),
    )  # fmt: skip
    table = scores(
        dataclasses.replace(
            sound,
            checks=checks().iloc[:0],
            pushes=dataclasses.replace(sound.pushes, n_events=half_seen(40)),
        )
    )
    found = of(table, "all")
    assert np.isnan(found["activity.consistency"])
    assert found["activity.total"] == pytest.approx((0.3 * 0.6 + 0.6) / 0.9)
    row = table[(table["of"] == "all") & (table["part"] == "consistency")].iloc[0]
    assert row["status"] == "no_data"
    total = table[(table["of"] == "all") & (table["part"] == "total")].iloc[1]
    assert "without consistency, which cannot be told" in total["inputs"]


def test_scores_of_a_campaign_nobody_received_are_missing_and_harm_no_other():
    counts = ("n_delivered", "n_mapped", "n_measured", "n_direct")
    table = campaigns(**{name: np.where(ONE, 0, 100) for name in counts})
    sound = evidence(campaigns=table)
    kept = sound.pushes.campaigns > 0
    pushes = dataclasses.replace(
        sound.pushes,
        **{
            name: getattr(sound.pushes, name)[kept]
            for name in ("campaigns", "persons", "is_closed", "is_whole")
        },
    )
    starts = np.where(ONE, 0, sound.window_starts)
    told = scores(
        dataclasses.replace(
            sound,
            pushes=pushes,
            window_starts=starts,
            window_ends=np.where(ONE, 0, sound.window_ends),
            baselines=dataclasses.replace(
                sound.baselines,
                slope_ci_low=np.where(ONE, np.nan, 0.0),
                slope_ci_high=np.where(ONE, np.nan, 0.0),
                contamination=np.where(ONE, np.nan, 0.0),
                placebo_pvalues=np.where(np.array(ONE)[:, None], np.nan, np.full((4, 2), 0.5)),
            ),
        )
    )
    assert of(told, "c0").isna().all()
    missing = told[told["of"] == "c0"].set_index("part")["status"]
    assert missing["mapping"] == "no_recipients"
    assert missing["event_completeness"] == "too_few_days"
    for group in ("all", "1", "c1"):
        assert (of(told, group) == 1).all()


def test_user_coverage_expects_as_many_quiet_persons_as_those_nearly_quiet_suggest():
    n_events = np.repeat([0, 1, 2, 10], [10, 20, 18, 52])
    table = scores(with_pushes(n_events=n_events))
    row = table[(table["of"] == "all") & (table["part"] == "user_coverage")].iloc[0]
    assert (row["n"], row["n_of"]) == (100, 100)  # 20 x 19 / (2 x 19) = 10 are to be expected
    assert "90 of 100 measured persons" in row["inputs"]
    rarer = np.repeat([0, 1, 2, 10], [30, 20, 18, 32])
    assert of(scores(with_pushes(n_events=rarer)), "all")["activity.user_coverage"] == 0.8


def test_self_checks_of_a_campaign_fail_where_chance_would_hardly_find_as_many():
    rng = np.random.default_rng(1)
    n = 7
    honest = rng.uniform(0.06, 1, (4, n))
    once = np.where(np.arange(n) < 1, 0.01, honest)
    often = np.where(np.arange(n) < 3, 0.01, honest)
    mixed = np.stack([often[0], once[1], honest[2], honest[3]])
    sound = evidence(is_ready=np.ones((4, n), dtype=bool))
    baselines = dataclasses.replace(sound.baselines, placebo_pvalues=mixed)
    table = scores(dataclasses.replace(sound, baselines=baselines))
    consistency = {group: of(table, group)["activity.consistency"] for group in ("c0", "c1", "c2")}
    assert consistency == {"c0": pytest.approx((1 + 4 / 7) / 2), "c1": 1.0, "c2": 1.0}


def test_scores_are_held_against_the_thresholds_given():
    table = scores(evidence(), threshold=0.8, mapped_threshold=0.99)
    limits = table.groupby("part")["threshold"].unique()
    assert limits["mapping"].tolist() == [0.99]
    assert limits["completeness"].tolist() == [0.8]
    low = scores(with_campaigns(n_mapped=np.where(ONE, 60, 100)), mapped_threshold=0.85)
    total = low[(low["of"] == "all") & (low["side"] == "database") & (low["part"] == "total")]
    assert total["n"].tolist() == [4]


def test_scores_say_their_numbers_in_words():
    table = scores(DAMAGES["not found"][0]())
    row = table[(table["of"] == "c0") & (table["part"] == "mapping")].iloc[0]
    assert row["inputs"] == (
        "60 of 100 recipients found in PostHog: 100 by distinct id, 0 by e-mail"
    )


def test_scores_of_no_campaigns_are_missing():
    empty = evidence()
    table = scores(
        dataclasses.replace(
            empty,
            campaigns=empty.campaigns.iloc[:0],
            checks=empty.checks.iloc[:0],
            pushes=dataclasses.replace(
                empty.pushes,
                **{
                    name: getattr(empty.pushes, name)[:0]
                    for name in ("campaigns", "persons", "is_closed", "is_whole")
                },
            ),
            window_starts=empty.window_starts[:0],
            window_ends=empty.window_ends[:0],
            is_ready=empty.is_ready[:0],
            baselines=dataclasses.replace(
                empty.baselines,
                slope_ci_low=np.empty(0), slope_ci_high=np.empty(0), contamination=np.empty(0),
                placebo_pvalues=np.empty((0, 2)),
            ),
        )
    )  # fmt: skip
    assert set(table["of"]) == {"all"}
    assert table["score"].isna().all()


def test_share_never_rounds_up_to_a_threshold_it_does_not_reach():
    assert share(0.9499) == "94.9 %"
    assert share(0.95) == "95.0 %"
    assert share(1.0) == "100.0 %"
