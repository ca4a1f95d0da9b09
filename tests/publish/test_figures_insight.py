from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.errors import DataError
from core.publish import (
    alttext_insight,
    figures_cadence,
    figures_grids,
    figures_insight,
    figures_pages,
    takeaways,
)
from core.publish.theme import ABOVE, BELOW, COLOURS, TEMPLATES
from tests.publish import found
from tests.publish.drawn import assert_narrow, assert_no_markup, hovers, status_colours, texts
from tests.publish.examples import HOSTILE

DRAWN = {
    "pattern_groups": (figures_insight.pattern_groups, found.groups, {}),
    "ranking_dots": (figures_insight.ranking_dots, found.rankings, {}),
    "what_if_ranges": (figures_insight.what_if_ranges, found.what_if, {}),
    "history_dots": (figures_insight.history_dots, found.history, {}),
    "trend_lines": (figures_insight.trend_lines, found.trends, {}),
    "cadence_calendar": (figures_cadence.cadence_calendar, found.cadence, {"zone": found.ZONE}),
    "correlation_grid": (figures_grids.correlation_grid, found.correlations, {}),
    "weekday_hours": (figures_grids.weekday_hours, found.groups, {}),
}
NOTHING = {**figures_insight.NOTHING, **figures_cadence.NOTHING, **figures_grids.NOTHING}


def draw(name, frame=None, *, theme="light", title="A takeaway", **more):
    make, of, own = DRAWN[name]
    return make(of() if frame is None else frame, theme=theme, title=title, **own, **more)


def alt(name, frame=None, title="A takeaway"):
    _, of, more = DRAWN[name]
    return getattr(alttext_insight, name)(of() if frame is None else frame, title=title, **more)


def dots(figure):
    """Return where marks of status lie, in the order of rows."""
    traces = [one for one in figure.data if one.name and one.error_x.color is not None]
    pairs = [(y, x) for one in traces for x, y in zip(one.x, one.y, strict=True)]
    return [x for _, x in sorted(pairs)]


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
def test_figures_of_nothing_say_so_in_a_sentence(name):
    empty = DRAWN[name][1]().iloc[:0]
    figure = draw(name, empty)
    assert not figure.data
    assert " ".join(texts(figure)) == NOTHING[name]
    assert alt(name, empty, title="") == NOTHING[name]


@pytest.mark.parametrize("name", DRAWN)
def test_alt_texts_begin_with_the_takeaway_and_hold_numbers(name):
    said = alt(name)
    assert said.startswith("A takeaway. ")
    assert sum(char.isdigit() for char in said) > 8
    assert "nan" not in said.lower()


@pytest.mark.parametrize("name", DRAWN)
def test_figures_name_the_column_that_is_missing(name):
    column = {"cadence_calendar": "planned_at", "trend_lines": "slope_per_week"}.get(name, "metric")
    with pytest.raises(DataError, match=column):
        draw(name, DRAWN[name][1]().drop(columns=column))


def test_pattern_groups_stand_in_order_of_their_scale_with_numbers_beside():
    frame = found.groups().query("pattern == 'hours_since_trigger'")
    figure = draw("pattern_groups", frame)
    assert dots(figure) == pytest.approx([12.0, 25.1, -8.0])
    said = texts(figure)
    hours = [text for text in said if text.endswith(("h", "more"))]
    assert hours == ["0 to 2 h", "2 to 6 h", "6 to 12 h", "12 h and more"]
    assert "+25.1 % [19.1, 31.1]" in said
    assert "46 campaigns, 2,840 pushes, grade B" in said
    assert "— too few users" in said
    assert "bars: 95 % intervals" in said
    assert status_colours(figure) == {ABOVE, BELOW}


def test_pattern_groups_of_several_patterns_stand_apart():
    said = texts(draw("pattern_groups"))
    assert "<b>Kind of content, Layer 1</b>" in said
    assert "<b>Hours since the trigger, Layer 3</b>" in said
    with pytest.raises(DataError, match="one metric"):
        draw("pattern_groups", found.groups().assign(metric=[*"abcdefghijklmnopq"]))


def test_ranking_dots_show_rank_intervals_and_money_where_it_is_known():
    figure = draw("ranking_dots", currency="USD")
    said = texts(figure)
    assert "1. drop-00" in said
    assert "rank 1 [1, 6] · ✓ · +12,612 USD" in said
    assert "not ranked · +2,352 USD" in said
    assert "rank 1 [1, 6] · ✓ · +420 events" in texts(draw("ranking_dots"))
    assert dots(figure) == pytest.approx(100 * found.rankings()["shrunk_rel_effect_size"])
    with pytest.raises(DataError, match="one layer"):
        draw("ranking_dots", found.rankings(2).assign(layer=["1", "2"]))


def test_ranking_dots_keep_the_dates_of_long_names_apart():
    names = [f"Trade machine follow-up, 2026-09-{day:02d}" for day in range(10, 20)]
    figure = draw("ranking_dots", found.rankings().assign(label=names))
    assert all(any(name in text for text in texts(figure)) for name in names)
    assert_narrow(figure)


def test_ranking_dots_colour_only_intervals_that_leave_out_zero():
    frame = found.rankings()
    traces = [one for one in draw("ranking_dots", frame).data if len(one.x) and one.name]
    blue = [x for one in traces if one.marker.color == ABOVE for x in one.x]
    lows = frame["shrunk_rel_effect_size_ci_low"]
    assert len(blue) == (lows > 0).sum()


def test_what_if_ranges_count_events_a_week():
    said = texts(draw("what_if_ranges", currency="USD"))
    assert "+31 [12, 51]" in said
    assert "+4.20 [1.10, 7.30]" in said
    assert "Send on plan" in said
    assert "Layer 2 · 5 campaigns · +942 USD" in said
    assert "each by itself: they do not add up" in said


def test_history_dots_lead_from_before_to_now():
    frame = found.history()
    figure = draw("history_dots", frame)
    lines = [one for one in figure.data if one.mode == "lines"]
    assert [(*one.x,) for one in lines] == [
        pytest.approx((100 * row["before"], 100 * row["now"]))
        for _, row in frame.iterrows()
        if np.isfinite(row["before"])
    ]
    assert [one.line.color for one in lines] == [ABOVE, BELOW, COLOURS["unclear"]]
    assert "+11.0 pp [6.0, 16.0]" in texts(figure)
    assert "— not enough was read for it" in texts(figure)
    low, high = figure.layout.xaxis.range
    ends = 100 * pd.concat([frame["now"], frame["before"]])
    assert low < ends.min() < ends.max() < high


def test_trend_lines_say_the_change_a_week():
    figure = draw("trend_lines", found.trends().assign(label=["Hot Tuesday", "Wish", "Hot Friday"]))
    said = texts(figure)
    assert "Hot Tuesday" in said
    assert "−2.1 pp [−3.3, −0.9]" in said
    assert "9 sends, q 0.009" in said
    assert "— too few weeks before it" in said


def test_cadence_calendar_puts_plan_and_send_on_their_local_days():
    frame = found.cadence().query("automation_id == 'hot-tuesday'")
    figure = draw("cadence_calendar", frame)
    marks = {one.name: one for one in figure.data}
    assert marks["on plan"].x == pytest.approx([1 + 9.1 / 24] * 4)
    assert marks["missed"].x == pytest.approx([1 + 9 / 24])
    # the second is 120 hours late, over the change of clocks
    assert marks["moved"].x == pytest.approx([2 + 11 / 24, 6 + 8 / 24])
    arrows = [note for note in figure.layout.annotations if note.showarrow]
    assert len(arrows) == 2
    assert "4 on plan, 2 moved, 1 missed, 1 still to come" in texts(figure)


def test_cadence_calendar_leads_a_send_into_the_next_week():
    frame = found.cadence().query("automation_id == 'hot-friday'")
    figure = draw("cadence_calendar", frame)
    arrows = [note for note in figure.layout.annotations if note.showarrow]
    out = [note for note in arrows if note.x == 7.0]
    into = [note for note in arrows if note.ax == 0.0]
    assert len(out) == len(into) == 1
    assert into[0].y - out[0].y == pytest.approx(26)
    assert any("5 d late" in text for text in hovers(figure))


def test_cadence_calendar_keeps_local_time_over_the_change_of_clocks():
    plan = pd.Series(pd.to_datetime(["2026-10-31T13:00Z", "2026-11-07T14:00Z"]))
    frame = (
        found.cadence()
        .iloc[:2]
        .assign(planned_at=plan.astype("datetime64[ms, UTC]"), state="missed", hours_late=np.nan)
    )
    (missed,) = [one for one in draw("cadence_calendar", frame).data if one.name == "missed"]
    assert missed.x == pytest.approx([5 + 9 / 24] * 2)


def test_correlation_grid_says_each_pair_once_below_the_diagonal():
    frame = found.correlations()
    figure = draw("correlation_grid", frame)
    said = texts(figure)
    assert "<b>0.84</b>" in said
    assert "<b>−0.61</b>" in said
    assert "0.12" in said
    assert "—" in said
    assert len(figure.layout.shapes) == len(frame) == 6
    (points,) = figure.data
    assert all(y / 52 > x for x, y in zip(points.x, points.y, strict=True))
    tints = [shape.fillcolor for shape in figure.layout.shapes]
    assert sum("0,114,178" in tint for tint in tints) == 1
    assert sum("213,94,0" in tint for tint in tints) == 1
    with pytest.raises(DataError, match="one layer"):
        draw("correlation_grid", frame.assign(layer=[*"112233"]))


def test_correlation_grid_of_many_metrics_leaves_intervals_to_the_table():
    said = texts(draw("correlation_grid", found.correlations(5)))
    assert not any(text.startswith("[") for text in said)
    assert any(text.startswith("[") for text in texts(draw("correlation_grid")))


def test_weekday_hours_have_a_cell_each_with_n():
    figure = draw("weekday_hours")
    said = texts(figure)
    assert {"Mon", "▲ Tue", "▼ Thu", "Sat"} <= set(said)
    assert {"0–6 h", "▲ 18–24 h"} <= set(said)
    assert "n 4" in said
    assert len(figure.layout.shapes) == 11
    assert any("+19.0 % [11.0, 27.0]" in text for text in hovers(figure))


@pytest.mark.parametrize("text", HOSTILE[::9])
def test_texts_from_outside_stay_text(text):
    groups = found.groups().query("pattern == 'content'").assign(group=[text, "x"])
    figures = [
        draw("pattern_groups", groups),
        draw("ranking_dots", found.rankings().assign(label=text)),
        draw("trend_lines", found.trends().assign(label=text)),
        draw("cadence_calendar", found.cadence(text).assign(why=text)),
        draw("weekday_hours", groups.assign(pattern="weekday")),
    ]
    for figure in figures:
        assert_no_markup(figure)
        assert_narrow(figure)


@pytest.mark.parametrize("name", DRAWN)
def test_figures_keep_their_size_under_a_title_of_the_page(name):
    alone = draw(name, title="")
    plot = alone.layout.height - alone.layout.margin.t - alone.layout.margin.b
    shown = figures_pages.untitled(draw(name, title=""))
    assert shown.layout.height - shown.layout.margin.t - shown.layout.margin.b == plot
    assert shown.layout.margin.t == 8
    assert not shown.layout.title.text


@pytest.mark.parametrize("name", DRAWN)
def test_long_titles_stay_within_a_phone(name):
    figure = draw(name, title="A takeaway that says much more than fits into one line of it " * 3)
    assert all(len(line) <= 44 for line in figure.layout.title.text.split("<br>"))
    assert figure.layout.margin.t > 60


@pytest.mark.parametrize(
    ("value", "said"), [(531.6, "+532"), (-12.4, "−12"), (4.2, "+4.20"), (np.nan, "—")]
)
def test_event_count_is_whole_unless_there_are_few(value, said):
    assert figures_insight.event_count(value) == said


def test_takeaways_call_nothing_found_that_is_not_clear():
    frame = found.patterns()
    assert takeaways.patterns(frame) == (
        "1 of 2 comparisons clear: drop over feature, +14.1 pp [6.4, 21.8]"
    )
    assert takeaways.patterns(frame.iloc[1:]) == "No clear difference in 1 comparison"
    assert takeaways.patterns(frame.iloc[2:]).startswith("No kind of send can be compared")
    assert takeaways.correlations(found.correlations().iloc[2:]).startswith("No clear correlation")
    assert takeaways.trends(found.trends().assign(qvalue=0.2)) == "No clear trend in 2 automations"
    assert takeaways.history(found.history().iloc[2:3]).startswith("Nothing clearly changed")


def test_takeaways_say_the_numbers_they_rest_on():
    assert takeaways.rankings(found.rankings()) == (
        "6 of the 10 best are clear above zero; first is drop-00, whose rank lies in 1 to 6"
    )
    two = found.rankings(2)
    assert takeaways.rankings(two).startswith(
        "All of the 2 best are clear above zero; first is drop"
    )
    assert takeaways.cadence(found.cadence()) == "8 of 14 sends on plan, 4 moved, 2 missed"
    assert takeaways.what_if(found.what_if()) == (
        "3 of 4 recommendations clear; most: send at the best time after the trigger, "
        "+58 [28, 88] confirmed trades a week"
    )
    assert takeaways.history(found.history()) == (
        "Against the period before: Layer 1 rose, +11.0 pp [6.0, 16.0]; "
        "Layer 2 fell, −12.0 pp [−19.0, −5.0]"
    )
    assert takeaways.trends(found.trends()) == (
        "1 of 2 automations with a clear trend: hot-tuesday falls, −2.1 pp [−3.3, −0.9] a week"
    )
    assert takeaways.correlations(found.correlations()).startswith(
        "2 of 5 pairs of metrics clear: confirmed trades and sessions 0.84 [0.52, 0.95]"
    )
