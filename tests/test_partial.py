"""Part of the data missing: what rests on it is withheld and named, the rest is as it would be."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from core import loading, partial
from core.activity.source import Hole
from core.activity.timelines import from_rows
from core.errors import PostHogBusy
from core.measure.panel import Rules
from core.measure.state import HISTORY_DAYS
from core.outputs import files, summary
from core.pipeline import estimates_of, measure, window_counts
from core.robustness import robustness
from core.sources.exports import ExportSource
from core.span import to_ms
from tests.test_loading import loaded_from, world_with_triggers
from tests.worlds import AS_OF

RULES = Rules(min_recipients=5)
WHY = "PostHog was busy. Try again later."
NUMBERS = ["effect_size", "rel_effect_size", "pvalue", "baseline_rate", "post_rate"]
KEYS = ["campaign_id", "metric", "method"]


def holed(holes):
    """Return a source of the export that cannot read some stretches of time."""

    class Holed(ExportSource):
        def fetch(self, period, events, *, refresh=False, on_progress):
            whole = super().fetch(period, events, refresh=refresh, on_progress=on_progress)
            lines = whole.timelines
            keep = np.ones(len(lines), dtype=bool)
            for hole in holes:
                keep &= (lines.instants < hole.start) | (lines.instants >= hole.end)
            left = from_rows(
                lines.person_ids, lines.persons[keep], lines.instants[keep], lines.events[keep],
                event_names=lines.event_names,
            )  # fmt: skip
            return type(whole)(
                timelines=left, seen=whole.seen, notices=whole.notices, holes=tuple(holes)
            )

    return Holed


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return world_with_triggers().write(tmp_path_factory.mktemp("partial"))


@pytest.fixture(scope="module")
def whole(root):
    loaded = loaded_from(root)
    return loaded, measure(loaded, RULES)


def middle(loaded):
    """Return a hole of six hours that some campaigns' windows touch and others' do not."""
    first = loaded.campaigns["first_delivered_at"].dropna().sort_values()
    start = first.iloc[0] - pd.Timedelta(days=HISTORY_DAYS + 2, hours=3)
    return Hole(
        start=to_ms(start.to_pydatetime()),
        end=to_ms((start + pd.Timedelta(days=3)).to_pydatetime()),
        why=WHY,
    )


@pytest.fixture(scope="module")
def part(root, whole):
    hole = middle(whole[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "open_activity", lambda settings: holed([hole])(settings.events))
        loaded = loaded_from(root)
    return loaded, measure(loaded, RULES), hole


def lacking(results):
    return set(results.campaigns["campaign_id"][results.campaigns["status"] == "incomplete"])


def test_campaigns_are_incomplete_where_their_windows_touch_a_hole(whole, part):
    loaded, results, hole = part
    before = max(RULES.lengths.baseline_ms, HISTORY_DAYS * 86_400_000)
    rows = pd.concat(
        [
            loaded.pushes.rename(columns={"delivered_at": "at"}),
            loaded.others.rename(columns={"assigned_at": "at"}),
        ]
    ).groupby("campaign_id")["at"]
    expected = {
        str(campaign)
        for campaign, at in rows
        if to_ms(at.min()) - before < hole.end
        and hole.start < to_ms(at.max()) + RULES.lengths.post_ms
    }
    assert lacking(results) == expected
    assert 0 < len(expected) < len(results.campaigns)
    assert lacking(whole[1]) == set()


def test_numbers_of_incomplete_campaigns_are_missing_with_the_reason(part):
    _, results, _ = part
    rows = results.lifts[results.lifts["campaign_id"].isin(lacking(results))]
    assert len(rows)
    assert rows[NUMBERS].isna().all(axis=None)
    assert (rows["status"] == "incomplete").all()
    assert (rows[["n_events_baseline", "n_events_post"]] == 0).all(axis=None)
    assert rows.groupby(["campaign_id", "metric"])["headline"].sum().eq(1).all()


def test_numbers_of_the_others_are_as_without_the_hole(whole, part):
    complete = set(part[1].campaigns["campaign_id"]) - lacking(part[1])

    def known(results):
        lifts = results.lifts
        own = lifts["campaign_id"].isin(complete)
        own &= lifts["method"].isin(["holdout", "comparison", "classic"])
        table = lifts[own].sort_values(KEYS, ignore_index=True)
        # widening comes from placebos, of which those that touch the hole are gone
        return table[[*KEYS, "effect_size", "baseline_rate", "post_rate", "n_users"]]

    pd.testing.assert_frame_equal(known(part[1]), known(whole[1]))


def test_methods_that_need_the_whole_period_are_left_out(part):
    _, results, _ = part
    rows = results.lifts[results.lifts["method"].isin(["joint", "window", "self_control"])]
    assert rows["effect_size"].isna().all()  # the hole lies before every campaign
    assert not (rows["status"] == "ok").any()


def test_methods_that_look_back_stand_where_nothing_before_is_missing(root, whole):
    loaded, results = whole
    end = Hole(start=to_ms(AS_OF) - 1, end=to_ms(AS_OF), why=WHY)
    later = measure(dataclasses.replace(loaded, holes=(end,)), RULES)
    ended = results.campaigns["last_delivered_at"] + pd.Timedelta(hours=48) < AS_OF
    ids = results.campaigns["campaign_id"][ended & (later.campaigns["status"] != "incomplete")]
    both = [
        found.lifts[found.lifts["campaign_id"].isin(ids) & (found.lifts["method"] == "window")]
        for found in (results, later)
    ]
    assert len(both[1])
    assert (both[1]["status"] != "incomplete").all()
    pd.testing.assert_frame_equal(
        both[1][[*KEYS, "effect_size", "status"]], both[0][[*KEYS, "effect_size", "status"]]
    )
    joint = later.lifts[later.lifts["method"] == "joint"]
    assert joint["effect_size"].isna().all()


def test_layers_pool_complete_campaigns_only(part):
    _, results, _ = part
    classic = results.layers[results.layers["method"] == "classic"]
    good = results.campaigns[results.campaigns["status"] == "ok"]
    counts = classic[classic["layer"] == "all"]["n_campaigns"]
    assert (counts == len(good)).all()
    assert len(good)


def test_window_counts_leave_out_what_was_not_wholly_read(whole, part):
    loaded, results, hole = part
    table = window_counts(loaded, results).astype({"campaign_id": "str", "person_id": "str"})
    full = window_counts(*whole).astype({"campaign_id": "str", "person_id": "str"})
    at = full["delivered_at"].astype("int64")
    touched = (at - RULES.lengths.baseline_ms < hole.end) & (
        hole.start < (at + RULES.lengths.post_ms).clip(upper=to_ms(AS_OF))
    )
    pd.testing.assert_frame_equal(table, full[~touched].reset_index(drop=True))
    assert 0 < touched.sum() < len(full)
    n = results.campaigns.set_index("campaign_id")["n_incomplete"]
    assert n.sum() == touched.sum() / full["metric"].nunique()


def test_files_and_summary_say_what_is_missing(part, tmp_path):
    loaded, results, hole = part
    writers = files(loaded, results)
    path = tmp_path / "analysis.json"
    writers["analysis.json"](path)
    missing = json.loads(path.read_text())["missing"]
    assert missing["is_partial"] is True
    assert set(missing["campaigns"]) == lacking(results)
    (stretch,) = missing["activity"]
    assert stretch["why"] == WHY
    since = datetime.fromisoformat(stretch["since"])
    assert since == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=hole.start)
    said = summary(loaded, results)
    assert f"{since:%Y-%m-%d %H:%M}" in said
    assert WHY in said
    assert f"{len(lacking(results))} campaign" in said


def test_described_of_everything_is_not_partial(whole):
    loaded, results = whole
    assert partial.described(loaded, results.campaigns)["is_partial"] is False
    assert partial.sentences(loaded, results.campaigns) == []
    assert "PARTIAL" not in summary(loaded, results)


def test_robustness_withholds_choices_that_touch_a_hole(part):
    loaded, results, _ = part
    estimates = estimates_of(loaded, RULES.lengths, RULES.outliers)
    campaign = min(lacking(results))
    table = robustness(loaded, estimates, RULES, campaign, results.panel.metric_names[0])
    assert table["effect_size"].isna().all()
    assert set(table["status"]) <= {"incomplete", "not_loaded"}


def test_a_user_who_cannot_be_looked_up_withholds_their_campaigns(root, whole):
    class Forgetful(ExportSource):
        def fetch(self, period, events, *, refresh=False, on_progress):
            found = super().fetch(period, events, refresh=refresh, on_progress=on_progress)
            return type(found)(
                timelines=found.timelines, seen=found.seen.assign(is_current=True),
                notices=found.notices,
            )  # fmt: skip

        def persons_with(self, emails):
            raise PostHogBusy(WHY)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "open_activity", lambda settings: Forgetful(settings.events))
        loaded = loaded_from(root)
    results = measure(loaded, RULES)
    assert loaded.is_partial
    assert loaded.n_unresolved > 0
    by_email = whole[1].campaigns["n_email"] + whole[1].campaigns["n_unmapped"] > 0
    named = set(whole[1].campaigns["campaign_id"][by_email])
    assert named >= lacking(results) > set()
    assert WHY in summary(loaded, results)
    gone = set(results.lifts["campaign_id"][results.lifts["effect_size"].notna()])
    assert not gone & lacking(results)
