"""From what was read to what the estimators look at."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.activity.timelines import MS_PER_HOUR, Int64
from core.loading import Loaded, milliseconds, person_codes
from core.measure.panel import Panel
from core.measure.state import Moments
from core.measure.study import Study, Trigger, Unsent, first_events, person_sign_ups
from core.measure.triggers import recognise
from core.partial import holes_of, incomplete_campaigns
from core.sources.recipients import HOLDOUT, positions
from core.span import to_ms


def study_of(loaded: Loaded, panel: Panel, *, is_capped: bool = False) -> Study:
    """Return everything the estimators look at.

    Args:
        loaded: What was read.
        panel: The measured pushes of all its campaigns.
        is_capped: Cap windows at one common value, pushed and others alike.
    """
    campaigns, timelines = loaded.campaigns, loaded.timelines
    n_persons = len(loaded.person_ids)
    triggered_at = milliseconds(loaded.pushes["trigger_at"])
    both = pd.concat([loaded.pushes, loaded.others], ignore_index=True)
    return Study(
        panel=panel,
        campaign_ids=tuple(campaigns["campaign_id"]),
        layers=tuple(campaigns["layer"]),
        triggers=_triggers(loaded, panel, triggered_at),
        triggered_at=triggered_at,
        unsent=_unsent(loaded),
        signed_up=person_sign_ups(
            person_codes(loaded, both["person_id"]), milliseconds(both["signed_up_at"]), n_persons
        ),
        first_event=first_events(timelines.offsets, timelines.instants, n_persons),
        n_seen=len(timelines.person_ids),
        n_events=len(timelines.event_names),
        offsets_ms=_offsets(loaded),
        data_since=to_ms(loaded.span.since) - loaded.lengths.baseline_ms,
        is_capped=is_capped,
        holes=holes_of(loaded),
        is_incomplete=incomplete_campaigns(loaded, panel.lengths),
    )


def _triggers(loaded: Loaded, panel: Panel, triggered_at: Int64) -> tuple[Trigger | None, ...]:
    """Return what sets each campaign off: by its automation, its records, or the data."""
    place = {name: i for i, name in enumerate(loaded.timelines.event_names)}
    found = []
    for rows, automation_id in zip(panel.segments, loaded.campaigns["automation_id"], strict=True):
        automation = loaded.automations.get(automation_id)
        named = automation.trigger if automation else None
        delay = named.delay_hours if named else None
        found.append(
            recognise(
                panel.index,
                Moments(persons=panel.persons[rows], instants=panel.sends.instants[rows]),
                triggered_at[rows],
                event=place.get(named.event) if named else None,
                delay_ms=(
                    (round(delay[0] * MS_PER_HOUR), round(delay[1] * MS_PER_HOUR))
                    if delay
                    else None
                ),
                n_events=len(place),
            )
        )
    return tuple(found)


def _unsent(loaded: Loaded) -> Unsent:
    others = loaded.others
    return Unsent(
        campaigns=positions(loaded.campaigns["campaign_id"], others["campaign_id"]),
        moments=Moments(
            persons=person_codes(loaded, others["person_id"]),
            instants=milliseconds(others["assigned_at"]),
        ),
        is_held=(others["status"] == HOLDOUT).to_numpy(dtype=bool),
    )


def _offsets(loaded: Loaded) -> Int64:
    """Return the business time zone less UTC at each campaign's first delivery."""
    zone = loaded.wiring.settings.analysis.timezone
    at = loaded.campaigns["first_delivered_at"].fillna(pd.Timestamp(loaded.span.since))
    local = at.dt.tz_convert(zone).dt.tz_localize(None)
    away = local - at.dt.tz_localize(None)
    offsets: Int64 = (away / pd.Timedelta(milliseconds=1)).to_numpy().astype(np.int64)
    return offsets
