"""Quality put together from a run on a small world with every trouble in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import loading
from core.assessment import NEAR_MS, Quality, assess
from core.frames import CAMPAIGNS
from core.loading import Loaded
from core.measure.estimates import Estimates
from core.measure.panel import Rules
from core.measure.windows import WindowLengths
from core.partial import holes_of
from core.pipeline import Results, estimates_of, measure
from core.quality.frames import ADVICE, EVENT_DAYS, PUSH_DAYS, SCORES
from tests.test_loading import loaded_from, world_with_triggers
from tests.test_partial import holed, middle
from tests.worlds import METRICS, SmallWorld

RULES = Rules(min_recipients=5)
TRACKED = {event for events in METRICS.values() for event in events}


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    loaded: Loaded
    estimates: Estimates
    results: Results
    quality: Quality


def run_of(settings: Path) -> Run:
    loaded = loaded_from(settings)
    estimates = estimates_of(loaded, RULES.lengths, RULES.outliers)
    results = measure(loaded, RULES, estimates=estimates)
    return Run(loaded, estimates, results, assess(loaded, estimates, results))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world_with_triggers().write(tmp_path_factory.mktemp("assessment"))


@pytest.fixture(scope="module")
def run(root: Path) -> Run:
    return run_of(root)


def of(quality: Quality, group: str) -> pd.DataFrame:
    own = quality.scores[quality.scores["of"] == group]
    return own.set_index("part")[["score", "n", "n_of", "inputs", "side"]]


def parts(quality: Quality, group: str = "all") -> pd.Series:
    own = of(quality, group)
    return own.loc[own.index != "total", "score"]


def test_assess_makes_the_declared_tables(run):
    for table, frame in (
        (SCORES, run.quality.scores), (ADVICE, run.quality.advice),
        (EVENT_DAYS, run.quality.event_days), (PUSH_DAYS, run.quality.push_days),
    ):  # fmt: skip
        assert len(table.checked(frame))
    campaigns = set(run.results.campaigns["campaign_id"])
    levels = run.quality.scores.groupby("level")["of"].agg(set)
    assert levels["campaign"] == campaigns
    assert levels["layer"] == set(run.results.campaigns["layer"])
    assert run.quality.scores["score"].dropna().between(0, 1).all()


def test_assess_counts_the_database_as_its_rows_say(run):
    pushes = run.loaded.campaigns
    n_recipients = (pushes["n_delivered"] - pushes["n_duplicates"]).sum()
    found = of(run.quality, "all")
    assert found.loc["mapping", ["n", "n_of"]].tolist() == [pushes["n_mapped"].sum(), n_recipients]
    assert 0 < found.loc["timestamps", "score"] < 1
    lost = pushes[["n_sent_at_used", "n_early", "n_before_sign_up"]].sum().sum()
    assert found.loc["timestamps", "n"] == n_recipients - lost
    assert found.loc["identifiers", "n_of"] == n_recipients - pushes["n_no_id"].sum()


def test_assess_counts_the_activity_as_a_plain_reckoning_does(run):
    loaded = run.loaded
    lines, names = loaded.timelines, np.array(loaded.timelines.event_names)
    tracked = np.isin(names[lines.events], list(TRACKED))
    active = set(lines.person_ids[np.unique(lines.persons[tracked])])
    measured = set(loaded.pushes["person_id"])
    inputs = of(run.quality, "all").loc["user_coverage", "inputs"]
    assert inputs.startswith(f"{len(measured & active):,} of {len(measured):,} measured persons")
    ends = loaded.pushes["delivered_at"] + timedelta(hours=RULES.lengths.post_hours)
    is_closed = ends <= loaded.span.as_of
    timing = of(run.quality, "all").loc["temporal_accuracy", ["n", "n_of"]].tolist()
    assert timing == [is_closed.sum(), len(loaded.pushes)]
    days = run.quality.event_days
    assert set(days["event"]) == set(names)
    assert days["n_events"].sum() == len(lines)


def test_assess_holds_push_records_against_events(run):
    loaded, table = run.loaded, run.quality.push_days
    lines, pushes = loaded.timelines, loaded.pushes
    assert table["n_pushes"].sum() == len(pushes)
    happened = {
        str(person): lines.instants[lines.offsets[i] : lines.offsets[i + 1]]
        for i, person in enumerate(lines.person_ids)
    }
    n_active = sum(
        bool(((own >= t - NEAR_MS) & (own < t + NEAR_MS)).any())
        for person, t in zip(
            pushes["person_id"], pushes["delivered_at"].astype("int64"), strict=True
        )
        for own in [happened.get(person, np.empty(0))]
    )
    assert table["n_active"].sum() == n_active


def test_assess_of_some_campaigns_gives_each_the_same_scores(run):
    wanted = pd.Index(run.loaded.campaigns["campaign_id"].iloc[[5, 2]])
    results = measure(run.loaded, RULES, campaign_ids=wanted, estimates=run.estimates)
    some = assess(run.loaded, run.estimates, results)
    assert set(some.scores.loc[some.scores["level"] == "campaign", "of"]) == set(wanted)
    for campaign in wanted:
        pd.testing.assert_frame_equal(of(some, campaign), of(run.quality, campaign))
    pd.testing.assert_frame_equal(some.event_days, run.quality.event_days)
    assert some.push_days["n_pushes"].sum() < run.quality.push_days["n_pushes"].sum()
    every = of(some, "all").loc["mapping", "n_of"]
    assert every == sum(of(some, one).loc["mapping", "n_of"] for one in wanted)


def _sent_late(world: SmallWorld) -> None:
    for row in world.pushes[::3]:
        if row["delivered_at"]:
            row["sent_at"] = row["delivered_at"] + timedelta(hours=2)


def _without_sign_up(world: SmallWorld) -> None:
    for row in world.users:
        row["created_at"] = None


def _on_the_hour(world: SmallWorld) -> None:
    for row in world.events:
        row["timestamp"] = row["timestamp"].replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize(
    ("damage", "dropped", "same"),
    [
        (_sent_late, "timestamps", ["mapping", "completeness", "identifiers", "user_coverage"]),
        (_without_sign_up, "completeness", ["mapping", "identifiers", "user_coverage"]),
        (_on_the_hour, "temporal_accuracy",
         ["mapping", "timestamps", "completeness", "identifiers", "user_coverage"]),
    ],
)  # fmt: skip
def test_assess_reacts_to_damage_in_the_sources(
    run: Run, tmp_path: Path, damage: Callable[[SmallWorld], None], dropped: str, same: list[str]
):
    world = world_with_triggers()
    damage(world)
    before, after = parts(run.quality), parts(run_of(world.write(tmp_path)).quality)
    assert after[dropped] < before[dropped] - 0.1
    assert after[same].tolist() == before[same].tolist()


def test_assess_of_a_hole_lowers_what_rests_on_it_and_says_to_run_again(run, root):
    hole = middle(run.loaded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "open_activity", lambda settings: holed([hole])(settings.events))
        part = run_of(root)
    assert len(holes_of(part.loaded)) == 1
    days = part.quality.event_days
    unread = days[days["why"] == "not read"]
    assert unread["day"].nunique() == 4
    assert not unread["is_whole"].any()
    assert part.results.campaigns["n_incomplete"].sum()
    before, after = parts(run.quality), parts(part.quality)
    for name in ("event_completeness", "temporal_accuracy"):
        assert after[name] < before[name]
    for name in ("mapping", "timestamps", "completeness", "identifiers"):
        assert after[name] == before[name]
    advice = part.quality.advice
    own = advice[(advice["level"] == "all") & (advice["part"] == "temporal_accuracy")]
    assert "posthog" in set(own["about"])


def test_assess_refuses_estimates_of_other_windows(run):
    other = replace(RULES, lengths=WindowLengths(post_hours=24))
    with pytest.raises(ValueError, match="were made for"):
        assess(run.loaded, run.estimates, replace(run.results, rules=other))


def test_campaigns_count_doubts_of_recipients_alone(run):
    table = CAMPAIGNS.checked(run.loaded.campaigns)
    recipients = table["n_delivered"] - table["n_duplicates"]
    names = [column.name for column in CAMPAIGNS.columns[CAMPAIGNS.names.index("n_sent_at_used") :]]
    assert names[-1] == "n_shared_id"
    assert (table[names].le(recipients, axis=0)).all(axis=None)
    assert (table.loc[table["layer"] != "3", "n_no_trigger"] == 0).all()
    assert table["n_no_trigger"].sum()
