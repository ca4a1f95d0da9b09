"""What was read through PostHog's API against PostHog's own totals, in another zone than UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest

from core.activity.source import Hole, Usage
from core.activity.timelines import MS_PER_DAY
from core.cross_check import cross_check, in_words
from core.errors import ConfigError, PostHogDenied
from core.loading import Loaded
from core.quality.frames import NATIVE
from tests.posthog_standin import PostHogStandIn
from tests.test_loading import loaded_from
from tests.worlds import METRICS, SmallWorld, random_world

ZONE = "America/Los_Angeles"
EVENTS = sorted({event for events in METRICS.values() for event in events})


@dataclass(frozen=True, slots=True, eq=False)
class Both:
    """A world behind a stand-in, and what was read of it through the API."""

    world: SmallWorld
    posthog: PostHogStandIn
    loaded: Loaded
    root: Path


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    root = tmp_path_factory.mktemp("cross-check")
    world = random_world(3)
    # many copies of one day's events, as an importer run twice leaves them
    day = [e for e in world.events if e["timestamp"].date().isoformat() == "2026-09-20"]
    world.events += [dict(event) for event in day] * 2
    world.write(root)
    files = {"events": f"{root}/events/**/*.parquet", "persons": f"{root}/persons/*.parquet"}
    with PostHogStandIn(timezone=ZONE, **files) as posthog:
        section = (
            f'[posthog]\nhost = "{posthog.url}"\nproject_id = {posthog.project_id}\n'
            f'api_key = "{posthog.api_key}"\nslice_days = 31'
        )
        settings = world.write(
            root, database_url=f"sqlite:///{root}/pushes.sqlite", activity=section
        )
        yield Both(world, posthog, loaded_from(settings), root)


@pytest.fixture(scope="module")
def found(both: Both) -> pd.DataFrame:
    both.posthog.reset()
    return cross_check(replace(both.loaded, usage=Usage()))


def counted(world: SmallWorld, *, once: bool) -> pd.Series:
    """Return each event's rows by local midnight, straight from the export."""
    rows = pd.DataFrame(world.events)
    rows = rows.drop_duplicates("uuid") if once else rows
    local = rows["timestamp"].dt.tz_convert(ZONE).dt.normalize().dt.tz_convert("UTC")
    return rows.groupby([rows["event"], local.dt.as_unit("ms")]).size()


def test_cross_check_counts_both_sides_by_the_projects_days(
    both: Both, found: pd.DataFrame
) -> None:
    index = pd.MultiIndex.from_frame(found[["event", "day"]])
    ours = counted(both.world, once=True).reindex(index, fill_value=0)
    native = counted(both.world, once=False).reindex(index, fill_value=0)
    assert found["ours"].tolist() == ours.tolist()
    assert found["native"].tolist() == native.tolist()
    assert (found["native"] > found["ours"]).any()


def test_cross_check_is_of_the_newest_whole_days(both: Both, found: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, NATIVE.checked(found))
    assert set(found["event"]) >= set(EVENTS)
    local = found["day"].dt.tz_convert(ZONE)
    assert (local == local.dt.normalize()).all()
    assert local.max().date().isoformat() == "2026-09-29"  # the last one before 1 October UTC
    assert found["day"].nunique() == 30


def test_cross_check_names_copies_as_the_reason(found: pd.DataFrame) -> None:
    differs = found[~found["agrees"]]
    days = set(differs["day"].dt.tz_convert(ZONE).dt.date.astype(str))
    assert days & {"2026-09-19", "2026-09-20"}
    settled = differs[differs["day"] < pd.Timestamp("2026-09-25", tz="UTC")]
    assert len(settled)
    assert settled["why"].str.contains("copies of events recorded more than once").all()


def test_cross_check_costs_two_requests_at_most(both: Both, found: pd.DataFrame) -> None:
    both.posthog.reset()
    usage = Usage()
    cross_check(replace(both.loaded, usage=usage))
    asked = both.posthog.requests()
    assert [one["kind"] for one in asked] == ["TrendsQuery", "HogQLQuery"]
    assert usage.requests == 2


def test_cross_check_goes_without_reasons_where_they_are_not_told(
    both: Both, found: pd.DataFrame
) -> None:
    both.posthog.reset()
    both.posthog.script([{"match": "arrayCount", "status": 400, "body": {"detail": "no"}}])
    again = cross_check(replace(both.loaded, usage=Usage()))
    pd.testing.assert_frame_equal(again.drop(columns="why"), found.drop(columns="why"))
    assert again["why"].dropna().str.contains("Not known|had not settled").all()


def test_cross_check_of_a_hole_says_so(both: Both) -> None:
    end = both.loaded.span.as_of_ms - 5 * MS_PER_DAY
    hole = Hole(start=end - MS_PER_DAY, end=end, why="It broke.")
    timelines = both.loaded.timelines
    # what a hole leaves: nothing of that time
    is_in = (timelines.instants >= hole.start) & (timelines.instants < hole.end)
    moved = timelines.instants.copy()
    moved[is_in] = both.loaded.span.as_of_ms - 1
    torn = replace(
        both.loaded, holes=(hole,), usage=Usage(), timelines=replace(timelines, instants=moved)
    )
    found = cross_check(torn)
    assert found["why"].dropna().str.contains("could not be read").any()


def test_cross_check_that_is_denied_says_why(both: Both) -> None:
    both.posthog.reset()
    both.posthog.script([{"status": 403, "body": {"detail": "no", "code": "permission_denied"}}])
    with pytest.raises(PostHogDenied, match="query:read"):
        cross_check(replace(both.loaded, usage=Usage()))


def test_cross_check_of_an_export_says_that_it_cannot_be_had(both: Both) -> None:
    settings = both.loaded.wiring.settings.model_copy(update={"posthog": None})
    wiring = replace(both.loaded.wiring, settings=settings)
    with pytest.raises(ConfigError, match="read from an export"):
        cross_check(replace(both.loaded, wiring=wiring))


def test_in_words_counts_and_names_the_largest_differences(found: pd.DataFrame) -> None:
    first, *named = in_words(found)
    n = int(found["agrees"].sum())
    assert f"{n:,} of {len(found):,} totals" in first
    assert 0 < len(named) <= 5
    assert all("read" in line and "by PostHog" in line for line in named)
    assert in_words(NATIVE.empty())[0].endswith("none can be compared.")
