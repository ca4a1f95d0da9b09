from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.errors import DataError
from core.publish import alttext_quality, figures_days, figures_quality, formats, takeaways
from core.publish.theme import ABOVE, TEMPLATES, THEMES
from tests.publish import found
from tests.publish.drawn import assert_narrow, assert_no_markup, hovers, status_colours, texts
from tests.publish.examples import HOSTILE

ZONE = found.ZONE
DRAWN = {
    "score_bars": (figures_quality.score_bars, found.scores, {}),
    "event_days_heat": (figures_days.event_days_heat, found.event_days, {"zone": ZONE}),
    "push_days": (figures_days.push_days, found.push_days, {"zone": ZONE}),
    "native_difference": (figures_days.native_difference, found.native, {"zone": ZONE}),
    "runs_trend": (figures_quality.runs_trend, found.runs, {"zone": ZONE}),
}


def draw(name, frame=None, *, theme="light", title="A takeaway"):
    make, of, more = DRAWN[name]
    return make(of() if frame is None else frame, theme=theme, title=title, **more)


def alt(name, frame=None, title="A takeaway"):
    _, of, more = DRAWN[name]
    return getattr(alttext_quality, name)(of() if frame is None else frame, title=title, **more)


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_carry_their_template_and_fit_a_phone(name, theme):
    figure = draw(name, theme=theme)
    assert figure.layout.template == TEMPLATES[theme]
    assert figure.layout.title.text == "A takeaway"
    assert figure.layout.showlegend is False
    assert_narrow(figure)
    assert_no_markup(figure)


@pytest.mark.parametrize("name", DRAWN)
def test_figures_colour_nothing_but_the_headline(name):
    assert status_colours(draw(name)) == ({ABOVE} if name == "runs_trend" else set())


@pytest.mark.parametrize("name", DRAWN)
def test_figures_of_nothing_say_so_in_a_sentence(name):
    empty = DRAWN[name][1]().iloc[:0]
    said = {**figures_quality.NOTHING, **figures_days.NOTHING}[name]
    figure = draw(name, empty)
    assert not figure.data
    assert " ".join(texts(figure)) == said
    assert alt(name, empty, title="") == said


@pytest.mark.parametrize("name", DRAWN)
def test_figures_name_the_column_that_is_missing(name):
    frame = DRAWN[name][1]()
    column = {"score_bars": "inputs", "runs_trend": "seconds"}.get(name, "day")
    with pytest.raises(DataError, match=column):
        draw(name, frame.drop(columns=column))


@pytest.mark.parametrize("name", DRAWN)
def test_alt_texts_begin_with_the_takeaway_and_hold_numbers(name):
    said = alt(name)
    assert said.startswith("A takeaway. ")
    assert sum(char.isdigit() for char in said) > 10
    assert "nan" not in said.lower()


def test_score_bars_say_what_is_short_and_what_cannot_be_told():
    said = texts(draw("score_bars"))
    assert "91.3 %, 3.7 pp short" in said
    assert "74.0 %, 21.0 pp short" in said
    assert "— too few days were read" in said
    assert "Mapping · 40 %" in said
    assert {"<b>Database side</b>", "<b>Activity side</b>"} <= set(said)
    _, bars, marks = draw("score_bars").data
    strong = THEMES["light"].text
    assert [colour == strong for colour in bars.marker.color] == [
        bool(score < 0.95) for score in bars.x
    ]
    assert len(bars.x) == len(marks.x) == found.scores().query("of == 'all'")["score"].count()


def test_score_bars_show_the_first_numbers_of_what_is_behind_them():
    long = "2,911 of 3,000 recipients found in PostHog: 2,000 by distinct id, 911 by e-mail"
    said = texts(draw("score_bars", found.scores().assign(inputs=long)))
    assert said.count("2,911 of 3,000 recipients found in PostHog") == 12
    other = "baselines: 41 steady in 125 checks"
    assert other in texts(draw("score_bars", found.scores().assign(inputs=other)))
    assert any(
        "911 by e-mail" in text
        for text in hovers(draw("score_bars", found.scores().assign(inputs=long)))
    )


def test_score_bars_of_one_campaign_hold_its_numbers_only():
    frame = found.scores()
    figure = figures_quality.score_bars(
        frame, theme="dark", title="", level="campaign", of="drop-01"
    )
    own = frame[(frame["of"] == "drop-01") & frame["score"].notna()]
    assert sorted(figure.data[1].x) == sorted(own["score"])


def test_event_days_heat_crosses_gaps_and_hatches_what_was_not_read():
    frame = found.event_days()
    figure = draw("event_days_heat", frame)
    heats = [one for one in figure.data if one.type == "heatmap"]
    crosses = [one for one in figure.data if one.type == "scatter"]
    hatches = [one for one in figure.data if one.type == "bar"]
    assert len(heats) == 5
    assert sum(len(one.x) for one in crosses) == frame["is_gap"].sum() == 4
    assert sum(len(one.x) for one in hatches) == (~frame["is_whole"]).sum()
    assert all(one.marker.pattern.shape == "/" for one in hatches)
    assert texts(figure).count("gap: Sep 23 to Sep 24") == 2
    assert len(heats[0].x) == 92
    local = pd.Timestamp(crosses[0].x[0])
    assert (local.hour, local.tz) == (0, None)


def test_event_days_heat_keeps_a_rare_events_empty_day_near_what_is_usual():
    frame = found.event_days()
    rare = frame[frame["event"] == "Item viewed"]
    shares = figures_days.expected_share(rare)
    assert (rare["n_events"] == 0).any()
    assert shares[(rare["n_events"] == 0).to_numpy()].min() > 0.8
    full = frame[frame["event"] == "Trade Confirmed"]
    assert figures_days.expected_share(full)[full["is_gap"].to_numpy()].max() < 0.01


def test_event_days_heat_says_missing_days_of_the_range_are_no_zero():
    frame = found.event_days(12, names=("sessions",))
    figure = draw("event_days_heat", frame.drop(index=[5, 6]))
    (heat,) = [one for one in figure.data if one.type == "heatmap"]
    assert len(heat.x) == 12
    assert np.isnan(heat.z[0][5:7]).all()
    assert np.isfinite(np.delete(heat.z[0], [5, 6])).all()


def test_event_days_heat_is_shaded_by_lightness_alone():
    for theme, is_dark in (("light", False), ("dark", True)):
        scale = draw("event_days_heat", theme=theme).layout.coloraxis.colorscale
        light = [sum(int(colour[at : at + 2], 16) for at in (1, 3, 5)) for _, colour in scale]
        assert light == sorted(light, reverse=not is_dark)


def test_push_days_ring_the_odd_ones():
    frame = found.push_days()
    figure = draw("push_days", frame)
    assert "odd: Oct 24 to Oct 25" in texts(figure)
    dots = [one for one in figure.data if one.mode == "markers"]
    assert sum((np.array(one.marker.size) > 5).sum() for one in dots) == frame["is_odd"].sum()
    drawn = np.sort(np.concatenate([one.y for one in dots]))
    assert drawn == pytest.approx(np.sort(frame["active_share"]))


def test_native_difference_draws_percent_and_tolerance():
    frame = found.native()
    figure = draw("native_difference", frame)
    part = frame[frame["event"] == "$pageview"].sort_values("day")
    want = 100 * (part["ours"] - part["native"]) / part["native"]
    (dots,) = [one for one in figure.data if one.yaxis == "y2" and one.mode == "markers"]
    assert dots.y == pytest.approx(want.to_numpy())
    assert "30 of 31 days agree" in texts(figure)
    assert any("not settled" in text for text in hovers(figure))


def test_runs_trend_crosses_the_failed_run_and_says_the_last_number():
    frame = found.runs()
    figure = draw("runs_trend", frame)
    assert len({one.yaxis for one in figure.data}) == len(figures_quality.MEASURES)
    said = texts(figure)
    last = frame.sort_values("started_at").iloc[-1]
    assert formats.share(last["quality"]) in said
    ends = (last["primary_rel_effect_size_ci_low"], last["primary_rel_effect_size_ci_high"])
    assert formats.percent(last["primary_rel_effect_size"], ends) in said
    assert sum("could not be reached" in text for text in hovers(figure)) == 5


def test_runs_trend_of_failed_runs_only_says_what_is_not_known():
    frame = found.runs(12)
    figure = draw("runs_trend", frame[frame["status"] == "failed"])
    assert texts(figure).count("—") == len(figures_quality.MEASURES)


@pytest.mark.parametrize("text", HOSTILE[::9])
def test_texts_from_outside_stay_text(text):
    figures = [
        draw("score_bars", found.scores().assign(inputs=text)),
        draw("event_days_heat", found.event_days(20, names=(text, "sessions")).assign(why=text)),
        draw("native_difference", found.native(5, names=(text,)).assign(why=text)),
        draw("runs_trend", found.runs(11, error=text)),
    ]
    for figure in figures:
        assert_no_markup(figure)
        assert_narrow(figure)


def test_takeaways_of_quality_name_what_is_short_where():
    scored = takeaways.scores(found.scores())
    assert scored.startswith("Quality 95.1 %; 2 of 9 parts short of their mark, most significance")
    assert scored.endswith("1 cannot be told")
    gaps = takeaways.event_days(found.event_days(), zone=ZONE)
    assert gaps == ("4 gaps: Trade Confirmed Sep 23 to Sep 24; $pageview Sep 23 to Sep 24")
    none = found.event_days().assign(is_gap=False)
    assert takeaways.event_days(none) == "No gap on 92 days of 5 events"
    assert takeaways.push_days(found.push_days(), zone=ZONE) == (
        "2 odd days of delivery: layer 3 Oct 24 to Oct 25"
    )
    assert takeaways.native(found.native()) == (
        "PostHog's own totals agree on 91 of 93 event days, 1 of the others for a known reason"
    )
    assert takeaways.runs(found.runs()).startswith("1 of 24 runs failed; quality 9")


def test_takeaways_of_nothing_say_what_the_figures_say():
    empty = found.scores().iloc[:0]
    assert takeaways.scores(empty) == figures_quality.NOTHING["score_bars"].rstrip(".")
    assert takeaways.native(found.native().iloc[:0]) == "PostHog's own totals were not asked for"
    assert takeaways.runs(found.runs().iloc[:0]) == "No run has left a record yet"
