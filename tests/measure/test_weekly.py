"""The lift by week, against pooling each week's campaigns by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.activity.source import silent
from core.connect import wire
from core.demo import World, write_demo
from core.loading import Loaded, load
from core.measure.panel import Rules
from core.measure.weekly import weekly_lifts
from core.pipeline import measure
from core.sections import Database, Events, Folder
from core.settings import Settings
from core.span import span_of

ZONE = "America/New_York"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder: Path = tmp_path_factory.mktemp("weekly")
    files = write_demo(folder / "demo", World(n_users=400, n_days=21))
    settings = Settings(
        database=Database(url=files.database_url),  # type: ignore[arg-type]
        events=Events(path=files.events, persons=files.persons),
        automations=Folder(dir=files.automations),
    )
    span = span_of(since=None, until=None, as_of=files.as_of, timezone=ZONE)
    return load(wire(settings, silent, clock=lambda: files.as_of), span, Rules().lengths)


def test_weekly_lifts_equals_all_layers_of_each_weeks_campaigns(loaded: Loaded) -> None:
    rules = Rules(min_recipients=10)
    results = measure(loaded, rules)
    weeks = weekly_lifts(results.panel, results.campaigns, rules, timezone=ZONE)
    local = results.campaigns["first_delivered_at"].dt.tz_convert(ZONE)
    monday = (local - pd.to_timedelta(local.dt.day_of_week, unit="D")).dt.normalize()
    assert set(weeks["week"]) <= set(monday)
    assert weeks["week"].dt.day_of_week.eq(0).all()
    columns = ["effect_size", "effect_size_ci_low", "rel_effect_size", "rel_effect_size_ci_high"]
    for start in weeks["week"].unique():
        ids = pd.Index(results.campaigns["campaign_id"][monday == start])
        pooled = measure(loaded, rules, campaign_ids=ids).layers
        is_wanted = (pooled["layer"] == "all") & (pooled["method"] == "classic")
        pooled = pooled[is_wanted].set_index("metric")
        found = weeks[weeks["week"] == start].set_index("metric")
        assert found["n_users"].to_dict() == pooled["n_users"].to_dict()
        assert found["n_campaigns"].to_dict() == pooled["n_campaigns"].to_dict()
        np.testing.assert_allclose(found[columns], pooled.loc[found.index, columns], rtol=1e-9)


def test_weekly_lifts_leaves_out_what_is_open_or_too_small(loaded: Loaded) -> None:
    rules = Rules(min_recipients=10)
    results = measure(loaded, rules)
    counted = results.campaigns["qualifies"] & results.campaigns["window_complete"]
    weeks = weekly_lifts(results.panel, results.campaigns, rules, timezone=ZONE)
    first = weeks[weeks["metric"] == results.panel.metric_names[0]]
    assert 0 < first["n_campaigns"].sum() == counted.sum() < len(results.campaigns)


def test_weekly_lifts_says_why_a_number_is_missing(loaded: Loaded) -> None:
    rules = Rules(min_recipients=10)
    results = measure(loaded, rules)
    strict = replace(rules, min_recipients=10_000)
    weeks = weekly_lifts(results.panel, results.campaigns, strict, timezone=ZONE)
    assert set(weeks["status"]) == {"too_few_users"}


def test_weekly_lifts_of_nothing_has_no_rows(loaded: Loaded) -> None:
    results = measure(loaded, Rules(), campaign_ids=pd.Index([], dtype="str"))
    weeks = weekly_lifts(results.panel, results.campaigns, Rules(), timezone=ZONE)
    assert weeks.empty
    assert {"week", "metric", "effect_size"} <= set(weeks.columns)
