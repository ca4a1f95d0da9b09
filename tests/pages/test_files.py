"""What the pages' files say is what the command line's say, of the part that is chosen."""

import json
from datetime import date

import pandas as pd
import pytest

from core import loading, outputs, pipeline
from core.activity.source import silent
from core.assessment import assess
from core.connect import wire
from core.findings import insight
from core.health.recorder import Recorder
from core.measure.estimates import ORDER
from core.measure.panel import Rules
from core.publish.tables import json_bytes
from core.settings import read_settings
from core.span import span_of
from pages.parts import files, measured
from pages.parts.choices import DATES, choices_of, period_of
from pages.parts.data import Screen
from pages.parts.measured import Read
from tests.worlds import AS_OF, random_world


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    settings = random_world(2).write(tmp_path_factory.mktemp("world"))
    wiring = wire(read_settings(settings), silent, clock=lambda: AS_OF)
    span = span_of(since=date(2026, 8, 2), until=None, as_of=AS_OF, timezone="UTC")
    loaded = loading.load(wiring, span, Rules().lengths)
    return measured.estimated(loaded, outliers="keep", recorder=Recorder("page"))


def screen_of(read: Read, **values: object) -> Screen:
    """Return what the pages show under some choices, computed as they do."""
    loaded = read.loaded
    choices = choices_of(values, loaded.wiring.settings)
    period = period_of(choices, as_of=AS_OF, timezone="UTC")
    rules = measured.rules_of(loaded, choices)
    whole, part = (
        measured.measure(read, rules, measured.ids_in(loaded, period, layers), key="")
        for layers in (choices_of({}, loaded.wiring.settings).layers, choices.layers)
    )
    return Screen(
        read=read, number=1, choices=choices, period=period, whole=whole,
        chosen=measured.narrowed(whole, part, choices.layers) if values else whole,
    )  # fmt: skip


def built(screen: Screen) -> bytes:
    """Return the JSON of everything that the page hands over."""
    return next(one for one in files.of_screen(screen) if one.name.endswith(".json")).build()


def test_analysis_of_everything_is_the_command_lines(read):
    loaded, screen = read.loaded, screen_of(read)
    results = pipeline.measure(loaded, screen.rules, estimates=read.estimates)
    in_file = outputs.analysis(
        loaded, results, results.rules,
        quality=assess(loaded, read.estimates, results),
        insight=insight(loaded, read.estimates, results, period=loaded.span),
    )  # fmt: skip
    assert built(screen) == json_bytes(in_file)
    assert in_file["settings"]["layers"] == ["1", "2", "3", "unclassified"]
    assert in_file["settings"]["primary_metric"] == "trades"
    assert {"label", "database", "activity", "usage", "seconds"} <= set(in_file["sources"])
    assert {"pushlift", "pandas", "streamlit"} <= set(in_file["versions"])


def test_analysis_of_a_part_says_which_it_is(read):
    screen = screen_of(
        read, period=DATES, dates=(date(2026, 9, 8), date(2026, 9, 20)), layers=["2", "3"],
        confidence=0.9, outliers="iqr", min=7,
    )  # fmt: skip
    said = json.loads(built(screen))
    assert said["settings"]["layers"] == ["2", "3"]
    assert (said["settings"]["confidence_level"], said["settings"]["min_recipients"]) == (0.9, 7)
    assert said["settings"]["outliers"] == "iqr"
    assert {name: pd.Timestamp(at) for name, at in said["period"].items()} == {
        "since": screen.period.since, "until": screen.period.until,
    }  # fmt: skip
    assert len(said["campaigns"]) == len(screen.chosen.campaigns) > 0
    assert {row["layer"] for row in said["campaigns"]} <= {"2", "3"}
    assert len(said["lifts"]) == len(screen.chosen.lifts)
    assert {row["method"] for row in said["lifts"]} == set(ORDER)
    assert len(said["layer_contrasts"]) == len(screen.chosen.contrasts)
    assert {row["layer"] for row in said["checks"]} <= {"2", "3"}
