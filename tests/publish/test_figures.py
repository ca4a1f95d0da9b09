from __future__ import annotations

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from core.errors import DataError
from core.publish import figures
from core.publish.dots import effect_rows, span
from core.publish.theme import COLOURS, SYMBOLS, TEMPLATES
from tests.publish import examples

NAN = float("nan")


def _campaigns():
    frame = examples.lifts()
    names = examples.campaigns()[["campaign_id", "name", "window_complete"]]
    return frame[frame["metric"] == "confirmed_trades"].merge(names, on="campaign_id")


def _one_campaign():
    frame = examples.lifts()
    return frame[frame["campaign_id"] == "c00"]


def _weeks():
    start = pd.date_range("2026-09-07", periods=6, freq="7D", tz="UTC")
    return _campaigns().assign(week=start)


def _activity():
    offset = np.arange(-48, 48)
    expected = np.where(offset >= 0, 0.04, NAN)
    return pd.DataFrame(
        {
            "offset": offset,
            "rate": np.where(offset >= 0, 0.06, 0.04),
            "expected": expected,
            "expected_low": expected - 0.01,
            "expected_high": expected + 0.01,
        }
    )


def _ledger():
    return pd.DataFrame(
        {
            "step": ["rows", "delivered", "measured"],
            "n": [104_000, 99_321, 96_950],
            "reason": [None, "failed: 4,679", "not found in PostHog"],
        }
    )


def _all(theme="light", title="Trades rose"):
    return {
        "forest": figures.forest(_campaigns(), theme=theme, title=title),
        "metrics_dots": figures.metrics_dots(_one_campaign(), theme=theme, title=title),
        "lift_by_week": figures.lift_by_week(_weeks(), theme=theme, title=title),
        "activity_around": figures.activity_around(_activity(), theme=theme, title=title),
        "ledger_bars": figures.ledger_bars(_ledger(), theme=theme, title=title),
    }


def _texts(figure):
    return [note.text for note in figure.layout.annotations]


def _trace(figure, name):
    (found,) = [trace for trace in figure.data if trace.name == name]
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_carry_their_own_template_whatever_the_default_is(theme, monkeypatch):
    placeholder = go.layout.Template(
        layout={"colorway": ["#000001"], "paper_bgcolor": "#000002"},
        data={"scatter": [{"marker": {"color": "#000003"}}], "bar": [{"opacity": 0.123}]},
    )
    pio.templates["placeholder"] = placeholder
    monkeypatch.setattr(pio.templates, "default", "placeholder")
    for name, figure in _all(theme).items():
        assert figure.layout.template == TEMPLATES[theme], name
        text = figure.to_json()
        assert "#00000" not in text, name
        assert "0.123" not in text, name
        assert figure.layout.title.text == "Trades rose"
        assert figure.layout.height > 0


def test_figures_set_the_colour_of_every_mark():
    for name, figure in _all().items():
        for trace in figure.data:
            is_line = trace.type == "scatter" and trace.mode == "lines"
            assert (trace.line if is_line else trace.marker).color is not None, name


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", '<a href="x">$x$</a> %{x}'])
def test_figures_keep_hostile_text_as_text(title):
    frame = _campaigns().assign(name=title)
    shown = figures.forest(frame, theme="light", title=title)
    ledger = figures.ledger_bars(_ledger().assign(step=title, reason=title), theme="dark", title="")
    week = figures.lift_by_week(_weeks(), theme="light", title=title)
    for figure in (shown, ledger, week):
        content = json.loads(figure.to_json())
        content["layout"].pop("template")
        for trace in content["data"]:
            trace.pop("hovertemplate", None)
        text = json.dumps(content).replace("<br>", "")
        assert "<" not in text
        assert "$" not in text
        assert "%{" not in text


def test_forest_colours_and_shapes_say_status():
    frame = _campaigns()
    low, high = "rel_effect_size_ci_low", "rel_effect_size_ci_high"
    frame.loc[0, ["rel_effect_size", low, high]] = [0.2, 0.1, 0.3]
    frame.loc[1, ["rel_effect_size", low, high]] = [-0.2, -0.3, -0.1]
    frame.loc[2, ["rel_effect_size", low, high]] = [0.05, -0.1, 0.2]
    figure = figures.forest(frame.head(3), theme="light", title="t")
    for side, name in (
        ("above", "interval above zero"),
        ("below", "interval below zero"),
        ("unclear", "interval includes zero"),
    ):
        trace = _trace(figure, name)
        assert len(trace.x) == 1
        assert trace.marker.color == COLOURS[side]
        assert trace.error_x.color == COLOURS[side]
        assert trace.error_x.width == 0
        assert trace.marker.symbol == (SYMBOLS[side],)


def test_forest_draws_the_numbers_of_the_frame():
    frame = _campaigns().head(1)
    figure = figures.forest(frame, theme="light", title="t")
    trace = _trace(figure, "interval above zero")
    row = frame.iloc[0]
    ahead = row["rel_effect_size_ci_high"] - row["rel_effect_size"]
    assert trace.x[0] == pytest.approx(100 * row["rel_effect_size"])
    assert trace.error_x.array[0] == pytest.approx(100 * ahead)
    assert "n" in _texts(figure)
    assert "180" in _texts(figure)
    assert any(text.startswith("+") and "[" in text for text in _texts(figure))
    assert "effect [95 % interval]" in _texts(figure)


def test_forest_sorts_as_it_says_and_keeps_missing_rows_last():
    figure = figures.forest(_campaigns(), theme="light", title="t", order="effect")
    assert "sorted by effect, largest first" in figure.layout.title.subtitle.text
    labels = list(figure.layout.yaxis.ticktext)
    rel = _campaigns().sort_values("rel_effect_size", ascending=False)
    assert labels == rel["name"].tolist()
    assert labels[-1] == "Drop 4"
    assert "— too few users" in _texts(figure)
    given = figures.forest(_campaigns(), theme="light", title="t", order="given")
    assert list(given.layout.yaxis.ticktext) == [f"Drop {n}" for n in range(6)]
    assert "sorted" not in given.layout.title.subtitle.text


def test_forest_by_lower_end_sorts_by_it():
    rows = effect_rows(_campaigns(), scale="relative", order="lower")
    assert rows["low"].dropna().is_monotonic_decreasing


def test_forest_row_is_24_pixels_high():
    heights = [
        figures.forest(_campaigns().head(n), theme="light", title="t", order="given").layout.height
        for n in (2, 3)
    ]
    assert heights[1] - heights[0] == 24


def test_forest_provisional_rows_are_hollow_and_explained():
    figure = figures.forest(_campaigns(), theme="light", title="t")
    symbols = [symbol for trace in figure.data for symbol in trace.marker.symbol]
    assert sum(symbol.endswith("-open") for symbol in symbols) == 1
    assert "hollow" in figure.layout.title.subtitle.text


@pytest.mark.parametrize(
    ("end", "head", "edge"), [("high", "triangle-right", 1), ("low", "triangle-left", 0)]
)
def test_forest_interval_without_bound_is_an_arrow_to_the_edge(end, head, edge):
    frame = _campaigns().head(4)
    frame.loc[2, f"rel_effect_size_ci_{end}"] = NAN
    figure = figures.forest(frame, theme="light", title="t", order="given")
    (arrow,) = [trace for trace in figure.data if trace.marker.symbol == head]
    assert list(arrow.y) == [2]
    assert arrow.x[0] == figure.layout.xaxis.range[edge]
    assert f"no {'upper' if end == 'high' else 'lower'} bound" in " ".join(_texts(figure))
    assert "arrow" in figure.layout.title.subtitle.text


def test_forest_one_wide_interval_does_not_crush_the_others():
    frame = _campaigns().head(4)
    frame.loc[1, "rel_effect_size_ci_high"] = 90.0
    figure = figures.forest(frame, theme="light", title="t")
    assert figure.layout.xaxis.range[1] < 150
    assert "9,000.0]" in " ".join(_texts(figure)) or "9,000]" in " ".join(_texts(figure))


def test_forest_without_any_interval_draws_the_dot_alone():
    frame = _campaigns().head(2)
    names = [f"{n}_ci_{e}" for n in ("effect_size", "rel_effect_size") for e in ("low", "high")]
    frame[names] = NAN
    figure = figures.forest(frame, theme="light", title="t")
    trace = _trace(figure, "interval includes zero")
    assert list(trace.error_x.array) == [0, 0]
    assert "arrow" not in figure.layout.title.subtitle.text


def test_forest_absolute_scale_is_in_events():
    figure = figures.forest(_campaigns(), theme="light", title="t", scale="absolute")
    assert figure.layout.xaxis.title.text == "events per user per day"
    assert not figure.layout.xaxis.ticksuffix
    assert max(abs(bound) for bound in figure.layout.xaxis.range) < 1


def test_forest_of_layers_names_them():
    frame = examples.layers()
    frame = frame[frame["metric"] == "confirmed_trades"]
    figure = figures.forest(frame, theme="dark", title="t", order="given")
    assert list(figure.layout.yaxis.ticktext)[2] == "Layer 3, activity-responsive"
    assert figure.layout.xaxis.range[0] < 0 < figure.layout.xaxis.range[1]


def test_metrics_dots_names_metrics_and_says_intervals_are_unadjusted():
    figure = figures.metrics_dots(_one_campaign(), theme="light", title="t")
    assert list(figure.layout.yaxis.ticktext) == ["confirmed trades", "sessions", "wishlist adds"]
    assert "unadjusted" in figure.layout.title.subtitle.text


def test_lift_by_week_orders_weeks_and_gives_reasons():
    figure = figures.lift_by_week(_weeks()[::-1], theme="light", title="t")
    assert figure.layout.xaxis.ticktext[0] == "Sep 7<br>n 180"
    assert "— too few users" in _texts(figure)
    assert sum(len(trace.y) for trace in figure.data if trace.error_y.array is not None) == 5


def test_activity_around_splits_at_the_push_and_shows_the_expectation():
    figure = figures.activity_around(_activity(), theme="light", title="t")
    before, after = _trace(figure, "before the push"), _trace(figure, "after the push")
    assert max(before.x) == -0.5
    assert min(after.x) == 0.5
    assert before.marker.color != after.marker.color
    assert set(_trace(figure, "expected without the push").y) == {0.04}
    assert figure.layout.shapes[0].x0 == 0
    band = _trace(figure, "interval of the expectation")
    assert (min(band.y), max(band.y)) == (pytest.approx(0.03), pytest.approx(0.05))


def test_activity_around_without_expectation_has_bars_alone():
    bare = _activity()[["offset", "rate"]]
    figure = figures.activity_around(bare, theme="light", title="t", unit="day")
    assert [trace.type for trace in figure.data] == ["bar", "bar"]
    assert figure.layout.xaxis.title.text == "days from the push"
    line = figures.activity_around(
        _activity().drop(columns=["expected_low", "expected_high"]), theme="light", title="t"
    )
    assert [trace.type for trace in line.data] == ["bar", "bar", "scatter"]


def test_ledger_bars_say_number_share_and_reason():
    figure = figures.ledger_bars(_ledger(), theme="light", title="t")
    assert _texts(figure) == [
        "104,000 · 100 %",
        "99,321 · 95.5 % failed: 4,679",
        "96,950 · 93.2 % not found in PostHog",
    ]
    assert list(figure.data[0].x) == [104_000, 99_321, 96_950]


def test_figures_of_nothing_are_figures():
    nothing = _campaigns().head(0)
    assert figures.forest(nothing, theme="light", title="t").layout.height > 0
    assert figures.lift_by_week(_weeks().head(0), theme="light", title="t").layout.height > 0
    assert figures.ledger_bars(_ledger().head(0), theme="light", title="t").layout.height > 0
    assert span(effect_rows(nothing, scale="relative", order="given")) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("draw", "frame", "lacking"),
    [
        (figures.forest, _campaigns().drop(columns="status"), "status"),
        (figures.metrics_dots, _one_campaign().drop(columns="metric"), "metric"),
        (figures.lift_by_week, _campaigns(), "week"),
        (figures.activity_around, _activity().drop(columns="rate"), "rate"),
        (figures.ledger_bars, _ledger().drop(columns="n"), "n"),
    ],
)
def test_figures_lacking_a_column_raise(draw, frame, lacking):
    with pytest.raises(DataError, match=f"lacks the column {lacking}"):
        draw(frame, theme="light", title="t")


def test_export_config_keeps_charts_on_this_machine():
    html = _all()["forest"].to_html(
        config=dict(figures.EXPORT_CONFIG), include_plotlyjs=False, full_html=False
    )
    assert '"showSendToCloud": false' in html
    assert '"displaylogo": false' in html
