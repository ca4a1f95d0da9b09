"""Loading: who was sent, held out or left without a campaign, the same from either source."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from core.activity.source import silent
from core.connect import wire
from core.errors import DataError, NothingSent
from core.loading import Loaded, load, person_codes
from core.measure.panel import Rules
from core.pipeline import measure, window_counts
from core.settings import read_settings
from core.span import span_of
from tests import worlds
from tests.posthog_standin import PostHogStandIn
from tests.worlds import AS_OF, SmallWorld, random_world

TRIGGER = "Untracked"
"""An event that no metric needs and that people do."""
RANKS = {"delivered": 0, "holdout": 1, "sent": 2, "failed": 2}
STATUS = {1: "holdout", 2: "undelivered"}
OF_PUSHES = ["campaign_id", "person_id", "delivered_at", "trigger_at", "signed_up_at"]
OF_OTHERS = ["campaign_id", "person_id", "status", "assigned_at", "trigger_at", "signed_up_at"]


def world_with_triggers() -> SmallWorld:
    """Return a world that also has sent rows, triggers, and two accounts treated differently."""
    world = random_world(6)
    for i, push in enumerate(world.pushes):
        if push["status"] == "failed" and i % 2:
            push["status"] = " Sent"
        if push["automation_id"] == "reply" and i % 7:
            push["trigger_at"] = push["sent_at"] - timedelta(hours=3, milliseconds=i)
    second = [push for push in world.pushes if push["user_id"] == "second-account"]
    for push in second[::2]:
        push.update(status="holdout", delivered_at=None)
    world.automations["reply"]["trigger"]["event"] = TRIGGER
    return world


def reckon(world: SmallWorld) -> dict[tuple[str, str], tuple]:
    """Return (campaign, person) -> (rank, instant, trigger_at, signed_up_at), push by push."""
    owner = worlds._owner_of_distinct_ids(world)
    by_email: dict[str, set[str]] = {}
    for row in world.persons:
        email = worlds.json.loads(row["properties"]).get("email")
        if email:
            by_email.setdefault(email.strip().casefold(), set()).add(owner[row["distinct_id"]])
    one = worlds._one_person_per_email(world, by_email)
    users = {user["id"]: user for user in world.users}
    best: dict[tuple[str, str], tuple] = {}
    for push in world.pushes:
        user = users[push["user_id"]]
        person = worlds._person_of(user, owner, by_email)
        rank = RANKS[push["status"].strip().lower()]
        first, second = ("sent_at", "delivered_at") if rank else ("delivered_at", "sent_at")
        told = (rank, push[first] or push[second], push["id"])
        key = (worlds._campaign(push), one.get(person, person))
        if person and (key not in best or told < best[key][0]):
            best[key] = (told, push["trigger_at"], user["created_at"])
    return {key: (*told[:2], *rest) for key, (told, *rest) in best.items()}


def loaded_from(settings: Path, *, since: date = date(2026, 8, 20)) -> Loaded:
    wiring = wire(read_settings(settings), silent, clock=lambda: AS_OF)
    span = span_of(since=since, until=None, as_of=AS_OF, timezone="UTC")
    return load(wiring, span, Rules().lengths)


def rows_of(frame: pd.DataFrame, at: str) -> dict[tuple[str, str], tuple]:
    columns = [frame[name].astype(object).where(frame[name].notna(), None) for name in
               (at, "trigger_at", "signed_up_at")]  # fmt: skip
    keys = zip(frame["campaign_id"], frame["person_id"], strict=True)
    return dict(zip(keys, zip(*columns, strict=True), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """One world read from the export, through the API, and from files without triggers."""

    root: Path
    export: Loaded
    api: Loaded
    untriggered: Loaded
    untriggered_api: Loaded


@pytest.fixture(scope="module")
def world() -> SmallWorld:
    return world_with_triggers()


@pytest.fixture(scope="module")
def ways(world: SmallWorld, tmp_path_factory: pytest.TempPathFactory) -> Ways:
    root, bare_root = tmp_path_factory.mktemp("with"), tmp_path_factory.mktemp("without")
    automations = {
        key: {name: part for name, part in one.items() if name != "trigger"}
        for key, one in world.automations.items()
    }
    automations["reply"] |= {"layer": 3, "content": TRIGGER}
    bare = replace(world, automations=automations)
    export, untriggered = loaded_from(world.write(root)), loaded_from(bare.write(bare_root))
    files = {"events": f"{root}/events/**/*.parquet", "persons": f"{root}/persons/*.parquet"}
    with PostHogStandIn(timezone="America/Los_Angeles", **files) as posthog:
        section = (
            f'[posthog]\nhost = "{posthog.url}"\nproject_id = {posthog.project_id}\n'
            f'api_key = "{posthog.api_key}"\nslice_days = 31'
        )
        api, untriggered_api = (
            loaded_from(
                one.write(where, database_url=f"sqlite:///{where}/pushes.sqlite", activity=section)
            )
            for one, where in ((world, root), (bare, bare_root))
        )
    return Ways(root, export, api, untriggered, untriggered_api)


def test_load_pushes_and_others_are_as_a_plain_reckoning_says(world, ways):
    expected = reckon(world)
    loaded = ways.export
    assert list(loaded.pushes) == OF_PUSHES
    assert list(loaded.others) == OF_OTHERS
    assert rows_of(loaded.pushes, "delivered_at") == {
        key: tuple(rest) for key, (rank, *rest) in expected.items() if rank == 0
    }
    assert rows_of(loaded.others, "assigned_at") == {
        key: tuple(rest) for key, (rank, *rest) in expected.items() if rank
    }
    statuses = loaded.others.set_index(["campaign_id", "person_id"])["status"].to_dict()
    assert statuses == {key: STATUS[rank] for key, (rank, *_) in expected.items() if rank}
    assert set(statuses.values()) == {"holdout", "undelivered"}
    assert loaded.pushes["trigger_at"].notna().any()
    assert loaded.others["trigger_at"].notna().any()


def test_load_others_hold_no_person_delivered_through_another_user(world, ways):
    held = {
        worlds._campaign(push)
        for push in world.pushes
        if (push["user_id"], push["status"]) == ("second-account", "holdout")
    }
    pushes, others = (
        frame[frame["person_id"] == str(UUID(int=1001))]  # of users u1 and second-account
        for frame in (ways.export.pushes, ways.export.others)
    )
    assert held & set(pushes["campaign_id"])
    assert not set(others["campaign_id"]) & set(pushes["campaign_id"])


@pytest.mark.parametrize("name", ["pushes", "others"])
def test_load_rows_are_typed_and_sorted_by_campaign_then_person(ways, name):
    frame = getattr(ways.export, name)
    place = pd.Index(ways.export.campaigns["campaign_id"]).get_indexer(frame["campaign_id"])
    keys = list(zip(place, frame["person_id"], strict=True))
    assert keys == sorted(set(keys))
    for column in frame:
        kind = "datetime64[ms, UTC]" if column.endswith("_at") else "str"
        assert str(frame[column].dtype) == kind


@pytest.mark.parametrize("name", ["pushes", "others", "campaigns"])
def test_load_export_and_api_give_the_same(ways, name):
    pd.testing.assert_frame_equal(getattr(ways.export, name), getattr(ways.api, name))


def test_load_timelines_and_codes_are_the_same_from_both_sources(ways):
    first, second = ways.export.timelines, ways.api.timelines
    pd.testing.assert_index_equal(first.person_ids, second.person_ids)
    for name in ("offsets", "instants", "events"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (np.diff(first.offsets) > 0).all()
    pd.testing.assert_index_equal(ways.export.person_ids, ways.api.person_ids)


def test_load_reads_the_events_that_trigger_automations_after_the_metrics(world, ways):
    tracked = ways.export.wiring.settings.tracked_events
    for loaded in (ways.export, ways.api):
        assert loaded.timelines.event_names == (*tracked, TRIGGER)
        assert (loaded.timelines.events == len(tracked)).sum() > 100
    assert ways.untriggered.timelines.event_names == tuple(tracked)


def test_load_keeps_automations_by_id(ways):
    automations = ways.export.automations
    assert set(automations) == {"hot", "all", "reply"}
    assert automations["reply"].trigger.event == TRIGGER


@pytest.mark.parametrize("kind", ["export", "api"])
def test_load_triggers_change_no_count_and_no_lift(ways, kind):
    with_them, without = {
        "export": (ways.export, ways.untriggered), "api": (ways.api, ways.untriggered_api),
    }[kind]  # fmt: skip
    first, second = (measure(loaded, Rules(min_recipients=5)) for loaded in (with_them, without))
    pd.testing.assert_frame_equal(window_counts(with_them, first), window_counts(without, second))
    pd.testing.assert_frame_equal(first.campaigns, second.campaigns)
    # the rule that sets a campaign off matters to every method but the classic one
    lifts = [found.lifts[found.lifts["method"] == "classic"] for found in (first, second)]
    columns = ["campaign_id", "metric", "n_users", "effect_size", "pvalue", "rel_effect_size"]
    pd.testing.assert_frame_equal(*(one[columns].reset_index(drop=True) for one in lifts))


def test_load_triggers_cost_no_further_request(ways):
    assert ways.api.usage.requests <= ways.untriggered_api.usage.requests
    assert ways.api.usage.requests > 0


def test_person_codes_are_places_in_the_timelines_then_beyond_them(ways):
    loaded = ways.export
    ids = loaded.timelines.person_ids
    codes = {}
    for frame in (loaded.pushes, loaded.others):
        found = person_codes(loaded, frame["person_id"])
        codes |= dict(zip(frame["person_id"], found, strict=True))
        assert (found >= 0).all()
    unseen = sorted(set(codes) - set(ids))
    assert len(unseen) > 3
    assert {one: codes[one] for one in unseen} == {
        one: len(ids) + i for i, one in enumerate(unseen)
    }
    assert all(ids[code] == one for one, code in codes.items() if one not in unseen)
    assert len(loaded.person_ids) == len(ids) + len(unseen)
    assert person_codes(loaded, pd.Series(["nobody"], dtype="str")).tolist() == [-1]


def test_person_codes_stand_in_the_panel_of_some_campaigns(ways):
    loaded = ways.export
    some = pd.Index(loaded.campaigns["campaign_id"][1:3])
    panel = measure(loaded, Rules(), campaign_ids=some).panel
    pushes = loaded.pushes[loaded.pushes["campaign_id"].isin(some)]
    n_seen = len(loaded.timelines.person_ids)
    np.testing.assert_array_equal(panel.persons, person_codes(loaded, pushes["person_id"]))
    np.testing.assert_array_equal(
        panel.sends.persons, np.where(panel.persons < n_seen, panel.persons, -1)
    )


def test_load_of_a_period_without_pushes_says_so_for_page_and_command_line(ways):
    wiring = ways.export.wiring
    span = span_of(
        since=date(2025, 1, 1), until=date(2025, 2, 1), as_of=AS_OF, timezone="UTC"
    )  # fmt: skip
    with pytest.raises(NothingSent, match="No push was sent between 2025-01-01") as caught:
        load(wiring, span, Rules().lengths)
    assert isinstance(caught.value, DataError)
    assert "--" not in str(caught.value)
