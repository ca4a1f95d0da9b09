"""Figures that only the pages draw."""

from __future__ import annotations

import json
import time

import pandas as pd
import pytest

from core.publish import figures, figures_pages, words
from core.publish.theme import ThemeName
from pages.parts import pools, tables
from tests.pages.conftest import HOSTILE_NAME, Expected
from tests.pages.test_tables import METRIC, judged, pooled


def grid(expected: Expected) -> pd.DataFrame:
    layers = expected.results.layers
    parts = [
        pools.pooled_layers(layers, metric, method="headline", is_whole=True)
        for metric in (METRIC, "sessions")
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_metric_layers_says_every_number(expected: Expected, theme: ThemeName) -> None:
    frame = grid(expected)
    figure = figures_pages.metric_layers(frame, theme=theme, title="x")
    said = [text.text for text in figure.layout.annotations]
    assert len(said) == len(frame) == len(figure.layout.shapes)
    for text, (_, row) in zip(said, frame.iterrows(), strict=True):
        assert text.removeprefix("▲ ").removeprefix("▼ ") == words.effect(row)
        side = figures_pages.side_of(row)
        assert text.startswith("▲") == (side == "above")
        assert text.startswith("▼") == (side == "below")
    alt = figures_pages.metric_layers_alt(frame, title="x")
    assert all(words.effect(row) in alt for _, row in frame.iterrows())


def test_grouped_forest_looks_as_forest(expected: Expected) -> None:
    lifts = tables.as_lifts(tables.grouped(judged(expected), "newest")).head(9)
    ours = figures_pages.grouped_forest(lifts, theme="light", title="x")
    theirs = figures.forest(lifts, theme="light", title="x", order="given")
    drawn = json.loads(ours.to_json())["data"]
    ticks = [one for one in drawn if "drawn towards" in one.get("name", "")]
    assert drawn[: len(drawn) - len(ticks)] == json.loads(theirs.to_json())["data"]
    assert len(ticks[0]["customdata"]) == lifts["shrunk_rel_effect_size"].notna().sum()
    assert {text.text for text in ours.layout.annotations} == {
        text.text for text in theirs.layout.annotations
    }
    assert ours.layout.xaxis.range == theirs.layout.xaxis.range
    assert ours.layout.height == theirs.layout.height
    assert ours.layout.template == theirs.layout.template


def test_grouped_forest_draws_a_line_between_layers(expected: Expected) -> None:
    lifts = tables.as_lifts(tables.grouped(judged(expected), "newest"))
    figure = figures_pages.grouped_forest(lifts, theme="dark", title="x")
    counts = lifts["layer"].value_counts()
    ends = [shape.y0 for shape in figure.layout.shapes]
    assert ends == [counts["1"] - 0.5, counts["1"] + counts["2"] - 0.5]


def test_grouped_forest_of_many_campaigns_is_drawn_at_once(expected: Expected) -> None:
    lifts = tables.as_lifts(tables.grouped(judged(expected), "newest"))
    many = pd.concat([lifts] * 5).sort_values("layer", kind="stable")
    began = time.process_time()
    figures_pages.grouped_forest(many, theme="light", title="x")
    assert time.process_time() - began < 5


def test_grouped_forest_shows_hostile_names_as_text(expected: Expected) -> None:
    rows = judged(expected)
    ours = rows[rows["name"].str.contains("onerror")]
    assert HOSTILE_NAME.split()[0] in ours["name"].iloc[0]
    figure = figures_pages.grouped_forest(tables.as_lifts(ours), theme="light", title="x")
    assert not any("<" in label for label in figure.layout.yaxis.ticktext)


def test_untitled_moves_the_quieter_line_up(expected: Expected) -> None:
    lifts = tables.in_order(
        expected.results.lifts.query("campaign_id == 'drop-08'"), [METRIC], "headline"
    )
    figure = figures_pages.untitled(figures.metrics_dots(lifts, theme="light", title=""))
    assert "unadjusted" in figure.layout.title.text
    assert not figure.layout.title.subtitle.text


def test_takeaway_counts_the_sides(expected: Expected) -> None:
    best = pooled(expected)
    sides = [figures_pages.side_of(row) for _, row in best.iterrows()]
    n_above, n_below = sides.count("above") or "none", sides.count("below") or "none"
    assert figures_pages.takeaway(best, "layers") == (
        f"{n_above} of 4 layers with an interval above zero, {n_below} below"
    )
    blank = best.assign(effect_size=float("nan"), rel_effect_size=float("nan"))
    assert figures_pages.takeaway(blank, "layers") == "No number yet for any of the 4 layers"


def test_layers_sentence_begins_with_the_highest(expected: Expected) -> None:
    best = pooled(expected)
    single = best[best["layer"] != "all"]
    said = figures_pages.layers_sentence(single, METRIC)
    highest = single.loc[single["rel_effect_size"].idxmax()]
    assert said.startswith(f"Confirmed trades because of the pushes: layer {highest['layer']} ")
    assert all(words.effect(row) in said for _, row in single.iterrows())
