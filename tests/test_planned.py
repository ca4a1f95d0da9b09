"""Plans of automations, and the table of planned sends."""

from datetime import UTC, datetime, time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from core.frames import INSTANT
from core.insight.frames import CADENCE
from core.insight.groups import Sample
from core.insight.labels import NO_LABEL
from core.planned import cadence_table, plan_labels, weekly_plans
from core.publish import insight_words
from core.sources.automations import Automation
from core.span import Span

WEEKLY = Automation(
    id="hot", schedule={"weekday": "tuesday", "time": "09:00", "timezone": "America/New_York"}
)


def loaded(first, *, automations=(WEEKLY,), ids=None):
    """Return as much of a load as plans look at: sends of September 2026, in UTC."""
    n = len(first)
    return SimpleNamespace(
        wiring=SimpleNamespace(settings=SimpleNamespace(analysis=SimpleNamespace(timezone="UTC"))),
        automations={one.id: one for one in automations},
        campaigns=pd.DataFrame(
            {
                "campaign_id": pd.array([f"c{i}" for i in range(n)], dtype="str"),
                "automation_id": pd.array(ids or ["hot"] * n, dtype="str"),
                "first_delivered_at": pd.Series(pd.to_datetime(first, utc=True)).astype(INSTANT),
            }
        ),
        span=Span(
            since=datetime(2026, 9, 1, tzinfo=UTC), until=datetime(2026, 10, 1, tzinfo=UTC),
            as_of=datetime(2026, 10, 1, tzinfo=UTC),
        ),
    )  # fmt: skip


def sample(values):
    n = len(values)
    return Sample(
        values=np.array(values), covariance=1e-4 * np.eye(n), campaigns=np.arange(n),
        n_pushes=np.full(n, 100), expected=np.full(n, 100.0),
    )  # fmt: skip


def table(one, values):
    plans = weekly_plans(one)
    return cadence_table(
        one, plans, [sample(values)], codes=np.arange(len(one.campaigns)),
        kinds=plan_labels(one, plans), confidence_level=0.95, say=insight_words.cost_why,
    )  # fmt: skip


def test_weekly_plans_are_those_with_a_weekday():
    daily = Automation(id="daily", schedule={"time": "08:00"})
    plain = Automation(id="plain", schedule={"weekday": "sunday"})
    found = weekly_plans(loaded([], automations=(WEEKLY, daily, plain)))
    assert set(found) == {"hot", "plain"}
    assert (found["hot"].weekday, found["hot"].at) == (1, time(9))
    assert (found["plain"].weekday, found["plain"].at, found["plain"].timezone) == (6, None, "UTC")


def test_plan_labels_are_of_sends_with_a_plan_alone():
    one = loaded(
        ["2026-09-08 13:01", "2026-09-16 13:00", "2026-09-08 13:01"], ids=["hot", "hot", "free"]
    )
    found = plan_labels(one, weekly_plans(one))
    assert found.codes.tolist() == [0, 1, NO_LABEL]


def test_cadence_table_tells_what_straying_cost():
    one = loaded(["2026-09-01 13:00", "2026-09-09 13:00", "2026-09-22 13:00", "2026-09-30 15:00"])
    found = table(one, np.log([1.3, 1.1, 1.3, 1.1]))
    assert found["state"].tolist() == ["on_plan", "moved", "missed", "on_plan", "moved"]
    assert found["campaign_id"].fillna("").tolist() == ["c0", "c1", "", "c2", "c3"]
    assert found["cost_events"].to_numpy() == pytest.approx([0, 20, 30, 0, 20], abs=0.01)
    assert (found["cost_events_ci_low"] <= found["cost_events"]).all()
    assert found["why"][1].startswith("2 sends on plan against 2 off it: +20.0 pp [")
    assert found["why"][2].startswith("nothing was sent; 2 measured sends on plan did +30.0 % [")


def test_cadence_table_begins_with_the_first_send():
    found = table(loaded(["2026-09-15 13:00", "2026-09-22 13:00"]), np.log([1.2, 1.2]))
    assert found["state"].tolist() == ["on_plan", "on_plan", "open"]


def test_cadence_table_without_plans_or_sends_is_empty_and_declared():
    assert len(CADENCE.checked(table(loaded([]), []))) == 0
    other = loaded(["2026-09-15 13:00"], automations=(Automation(id="other"),))
    assert len(CADENCE.checked(table(other, [0.1]))) == 0


def test_cadence_table_of_unmeasured_sends_gives_no_cost_and_says_why():
    found = table(loaded(["2026-09-01 13:00", "2026-09-16 13:00"]), [])
    assert found["state"].tolist()[:3] == ["on_plan", "missed", "moved"]
    assert found["cost_events"].isna().tolist()[:3] == [False, True, True]
    assert found["why"].str.contains("no basis").tolist()[:3] == [False, True, True]
