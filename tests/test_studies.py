"""From what was read to what the estimators look at, against the tables it was read into."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR
from core.loading import milliseconds, person_codes
from core.measure.panel import Rules
from core.measure.windows import NEVER
from core.pipeline import panel_of
from core.span import to_ms
from core.studies import study_of
from tests.test_loading import loaded_from, world_with_triggers


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return loaded_from(world_with_triggers().write(tmp_path_factory.mktemp("studies")))


def study_from(loaded, **options):
    panel = panel_of(loaded, loaded.campaigns, loaded.pushes, Rules().lengths)
    return study_of(loaded, panel, **options)


@pytest.fixture(scope="module")
def study(loaded):
    return study_from(loaded)


def test_study_of_names_every_campaign_with_its_layer(loaded, study):
    assert list(study.campaign_ids) == loaded.campaigns["campaign_id"].tolist()
    assert list(study.layers) == loaded.campaigns["layer"].tolist()
    assert study.n_events == len(loaded.timelines.event_names)
    assert study.n_seen == len(loaded.timelines.person_ids)
    assert len(study.signed_up) == len(study.first_event) == len(loaded.person_ids)


def test_study_of_knows_the_recipients_of_each_campaign(loaded, study):
    for code, name in enumerate(study.campaign_ids):
        own = loaded.pushes[loaded.pushes["campaign_id"] == name]
        pushed = study.pushed(code)
        assert loaded.person_ids[pushed.persons].tolist() == own["person_id"].tolist()
        assert pushed.instants.tolist() == milliseconds(own["delivered_at"]).tolist()


def test_study_of_knows_who_was_held_out_and_not_reached(loaded, study):
    for code, name in enumerate(study.campaign_ids):
        for held, status in ((True, "holdout"), (False, "undelivered")):
            rows = loaded.others
            own = rows[(rows["campaign_id"] == name) & (rows["status"] == status)]
            found = study.unsent.of(code, held=held)
            assert loaded.person_ids[found.persons].tolist() == own["person_id"].tolist()
            assert found.instants.tolist() == milliseconds(own["assigned_at"]).tolist()
    assert len(study.unsent.moments) == len(loaded.others) > 0


def test_study_of_takes_each_persons_earliest_sign_up(loaded, study):
    both = pd.concat([loaded.pushes, loaded.others])
    earliest = both.groupby("person_id")["signed_up_at"].min()
    codes = person_codes(loaded, pd.Series(earliest.index))
    assert study.signed_up[codes].tolist() == milliseconds(earliest).tolist()
    rest = np.setdiff1d(np.arange(len(loaded.person_ids)), codes)
    assert (study.signed_up[rest] == NEVER).all()


def test_study_of_takes_each_persons_first_event(loaded, study):
    timelines = loaded.timelines
    first = pd.Series(timelines.instants).groupby(timelines.persons).min()
    assert study.first_event[first.index.to_numpy()].tolist() == first.tolist()
    rest = np.setdiff1d(np.arange(len(loaded.person_ids)), first.index)
    assert (study.first_event[rest] == np.iinfo(np.int64).max).all()


def test_study_of_knows_the_trigger_an_automation_names(loaded, study):
    event = loaded.timelines.event_names.index("Untracked")
    is_reply = (loaded.campaigns["automation_id"] == "reply").tolist()
    assert any(is_reply)
    for trigger, named in zip(study.triggers, is_reply, strict=True):
        assert (trigger is not None and trigger.source == "automation") == named
        if named:
            assert trigger.event == event
            assert (trigger.min_lag_ms, trigger.max_lag_ms) == (2 * MS_PER_HOUR, 24 * MS_PER_HOUR)
    recorded = milliseconds(loaded.pushes["trigger_at"])
    assert (study.triggered_at == recorded).all()
    assert (recorded != NEVER).any()


def test_study_of_takes_the_delay_an_automation_names(loaded):
    reply = loaded.automations["reply"]
    trigger = reply.trigger.model_copy(update={"delay_hours": (0.5, 3.0)})
    automations = {**loaded.automations, "reply": reply.model_copy(update={"trigger": trigger})}
    found = study_from(dataclasses.replace(loaded, automations=automations)).triggers
    delays = {(one.min_lag_ms, one.max_lag_ms) for one in found if one is not None}
    assert delays == {(MS_PER_HOUR // 2, 3 * MS_PER_HOUR)}


def test_study_of_reads_activity_from_the_first_baseline_on(loaded, study):
    assert study.data_since == to_ms(loaded.span.since) - 30 * MS_PER_DAY
    assert not study.is_capped
    assert study_from(loaded, is_capped=True).is_capped


def test_study_of_offsets_are_the_business_zone_less_utc(loaded, study):
    assert set(study.offsets_ms.tolist()) == {0}
    settings = loaded.wiring.settings
    analysis = settings.analysis.model_copy(update={"timezone": "America/New_York"})
    wiring = dataclasses.replace(
        loaded.wiring, settings=settings.model_copy(update={"analysis": analysis})
    )
    found = study_from(dataclasses.replace(loaded, wiring=wiring))
    assert set(found.offsets_ms.tolist()) == {-4 * MS_PER_HOUR}
