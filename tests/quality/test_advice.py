"""Advice names the campaign, day or setting behind each shortfall, the largest first."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from core.quality.advice import FEW, advice
from core.quality.causes import MOST_DAYS
from core.quality.evidence import Evidence
from core.quality.scores import scores
from tests.quality.sound import (
    LAYERS,
    METRICS,
    N_RECIPIENTS,
    campaigns,
    checks,
    event_days,
    evidence,
    gapped,
)

NONE = np.zeros(4, dtype=np.int64)


def advised(of: Evidence, *, zone: str = "UTC") -> pd.DataFrame:
    return advice(scores(of), of.campaigns, of.event_days, metrics=METRICS, zone=zone)


def of_columns(**changes: object) -> pd.DataFrame:
    return advised(evidence(campaigns=campaigns(**changes)))


def of_all(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["level"] == "all"].set_index("about")


def test_advice_of_a_sound_world_is_none():
    assert advised(evidence()).empty


def test_advice_names_the_column_behind_each_cause():
    many = NONE + 30
    every = of_all(
        of_columns(
            n_mapped=NONE + 60, n_unmapped=NONE + 40, n_no_id=NONE + 10, n_unresolved=NONE + 2,
            n_sent_at_used=many, n_early=NONE + 5, n_before_sign_up=NONE + 6, n_no_sign_up=many,
            n_no_trigger=[0, 0, 0, 30], n_odd_id=many, n_shared_id=NONE + 7, title=None, body=None,
            layer=["1", "1", "unclassified", "3"],
        )
    )  # fmt: skip
    named = {(row.part, about) for about, row in every.iterrows()}
    assert named == {
        ("mapping", "users.posthog_distinct_id"), ("mapping", "users.email"),
        ("mapping", "posthog"), ("timestamps", "push_notifications.delivered_at"),
        ("timestamps", "database.timezone"), ("timestamps", "users.created_at"),
        ("completeness", "users.created_at"), ("completeness", "push_notifications.trigger_at"),
        ("completeness", "automations.dir"), ("completeness", "push_notifications.title"),
        ("identifiers", "users.posthog_distinct_id"),
    }  # fmt: skip
    words = every.set_index("part", append=True)["words"]
    assert (
        "120 recipients have an id or e-mail that PostHog does not know"
        in words[("users.posthog_distinct_id", "mapping")]
    )
    assert "40 recipients have neither" in words[("users.email", "mapping")]
    both = words[("users.posthog_distinct_id", "identifiers")]
    assert "120 recipients' identifiers can be nobody's" in both
    assert "28 recipients share" in both
    assert "100 recipients' pushes belong to no layer" in words[("automations.dir", "completeness")]
    assert "Mapping 60.0 %, held against 95.0 %." in words[("users.email", "mapping")]


def test_advice_begins_with_the_largest_shortfall():
    table = of_columns(n_mapped=NONE + 85, n_unmapped=NONE + 15, n_sent_at_used=NONE + 70)
    assert table["shortfall"].is_monotonic_decreasing
    assert table["part"].iloc[0] == "timestamps"
    assert (table["shortfall"] > 0).all()


def test_advice_names_the_few_campaigns_that_lose_most_and_how_many_more_there_are():
    table = of_columns(n_sent_at_used=[50, 40, 30, 20])
    single = table[table["level"] == "campaign"]
    assert single["of"].tolist() == ["c0", "c1", "c2"]
    assert len(single) == FEW
    assert (single["about"] == single["of"]).all()
    assert single["words"].str.contains("campaign falls short").tolist() == [False, False, True]
    assert single["words"].iloc[2].endswith("And 1 more campaign falls short of it.")
    assert (
        "Campaign 0, timestamps 50.0 %, held against 95.0 %: 50 of 100" in single["words"].iloc[0]
    )
    few = of_columns(n_sent_at_used=[50, 0, 0, 20])
    few = few[few["level"] == "campaign"]
    assert few["of"].tolist() == ["c0", "c3"]
    assert not few["words"].str.contains("more campaign").any()


def test_advice_of_gaps_names_days_as_the_business_has_them():
    damaged = gapped(range(20, 30), "no events", events=2)
    every = of_all(advised(evidence(event_days=damaged)))
    assert len(every) == MOST_DAYS
    assert every.index[0] == "2026-08-21"
    words = every["words"].iloc[0]
    assert "2026-08-21 has Trade Confirmed 0 of about 50, $pageview 0 of about 50" in words
    assert "posthog.settle_hours" in words
    assert "5 more days have gaps." in every["words"].iloc[-1]
    assert not every["words"].iloc[:-1].str.contains("more days").any()
    tokyo = damaged.assign(day=damaged["day"] - pd.Timedelta(hours=9))
    assert of_all(advised(evidence(event_days=tokyo), zone="Asia/Tokyo")).index[0] == "2026-08-21"


def test_advice_of_an_event_that_never_shows_names_its_metric():
    damaged = gapped(range(60), "never seen").sort_values("event", ignore_index=True)
    every = of_all(advised(evidence(event_days=damaged)))
    assert every.index.tolist() == ["[metrics] trades"]
    assert "Trade Confirmed never shows" in every["words"].iloc[0]


def test_advice_of_days_not_read_says_to_run_again():
    damaged = gapped(range(20, 30), "not read", events=3)
    table = advised(evidence(event_days=damaged))
    every = of_all(table)
    assert every.index.tolist() == ["2026-08-21"]
    assert "2026-08-25 and 5 more: run again" in every["words"].iloc[0]
    layer = table[table["level"] == "layer"]
    assert sorted(layer["of"]) == ["1", "2", "3"]


def test_advice_ignores_events_of_no_metric():
    other = gapped(range(60), "no events").replace({"event": {"Trade Confirmed": "Other"}})
    low = gapped(range(20, 30), "no events")
    of = evidence(event_days=low)
    both = pd.concat([low, other[other["event"] == "Other"]], ignore_index=True)
    table = advice(scores(of), of.campaigns, both, metrics=METRICS, zone="UTC")
    assert not table["words"].str.contains("Other").any()


def test_advice_of_open_and_cut_windows_says_when_to_run_again():
    sound = evidence(campaigns=campaigns(window_complete=[True, True, True, False]))
    rows = np.arange(len(LAYERS) * N_RECIPIENTS)
    pushes = dataclasses.replace(sound.pushes, is_closed=rows < 300)
    every = of_all(advised(dataclasses.replace(sound, pushes=pushes)))
    assert every.index.tolist() == ["c3"]
    assert "run again once the last has closed, 2026-09-17 00:00 UTC" in every["words"].iloc[0]
    cut = evidence(campaigns=campaigns(n_incomplete=[90, 0, 0, 0]))
    pushes = dataclasses.replace(cut.pushes, is_whole=rows >= 90)
    every = of_all(advised(dataclasses.replace(cut, pushes=pushes)))
    assert every.index.tolist() == ["posthog"]
    assert "90 measured persons" in every["words"].iloc[0]


def test_advice_of_impossible_instants_names_the_timestamp():
    sound = evidence()
    pushes = dataclasses.replace(sound.pushes, n_impossible=np.full(N_RECIPIENTS, 2))
    every = of_all(advised(dataclasses.replace(sound, pushes=pushes)))
    assert every.index.tolist() == ["events.timestamp"]


def test_advice_of_parts_whose_causes_are_not_counted():
    sound = evidence()
    quiet = dataclasses.replace(sound.pushes, n_events=np.where(np.arange(100) < 40, 0, 10))
    table = advised(
        dataclasses.replace(
            sound, pushes=quiet, checks=checks(0.1), is_ready=np.zeros((4, 2), dtype=bool),
            campaigns=campaigns(qualifies=[True, True, True, False]),
        )
    )  # fmt: skip
    every = table[table["level"] == "all"]
    assert set(zip(every["part"], every["about"], strict=True)) == {
        ("user_coverage", "[metrics]"), ("consistency", "analysis.baseline_days"),
        ("significance_readiness", "[metrics]"),
        ("significance_readiness", "analysis.min_recipients"),
    }  # fmt: skip


def test_advice_says_nothing_of_what_cannot_be_told():
    unknown = scores(evidence()).assign(score=np.nan, status="no_data")
    table = advice(unknown, campaigns(), event_days(), metrics=METRICS, zone="UTC")
    assert table.empty
