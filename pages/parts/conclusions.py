"""What can be concluded, drawn: what stands out, what to do, patterns, plans, history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd
import streamlit as st

from core.findings import Insight
from core.insight.decisions import decisions
from core.publish import (
    alttext_insight,
    figures_cadence,
    figures_grids,
    figures_insight,
    insight_words,
    takeaways,
    words,
)
from core.publish.standing_out import standing_out
from pages.parts import data, further, insight_tables, show, tables, waiting
from pages.parts.data import Screen
from pages.parts.plain import plain

_ICONS = {
    "decisions": ":material/checklist:",
    "rankings": ":material/trophy:",
    "patterns": ":material/insights:",
    "what_if": ":material/rule:",
    "history": ":material/history:",
    "correlations": ":material/link:",
}
_DECISION_ICONS = {
    "repeat": ":material/repeat:",
    "stop": ":material/block:",
    "retest": ":material/science:",
    "wait": ":material/hourglass_empty:",
}


def found_or_wait(screen: Screen) -> Insight | None:
    """Return what was concluded, or draw that it is being looked for."""
    jobs, key, view = further.insight_view(screen)
    if view.result is None:
        waiting.in_place(jobs, key, view)
    return view.result


def standing(screen: Screen, found: Insight) -> None:
    """Draw what stands out, a sentence each, with a link where it is about one campaign."""
    names = names_of(screen)
    for at, point in enumerate(standing_out(found, names=names, zone=screen.zone)):
        sentence = f"{_ICONS.get(point.table, ':material/notes:')} {plain(point.text)}"
        if point.campaign_id is None:
            st.markdown(sentence)
            continue
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(sentence)
            if st.button("Open", key=f"open_{at}", type="tertiary"):
                show.open_campaign(point.campaign_id)


def what_next(screen: Screen, found: Insight) -> None:
    """Draw what would change if recommendations were followed, and every decision."""
    metric = screen.choices.metric
    brought = found.what_if[found.what_if["metric"] == metric].reset_index(drop=True)
    if brought.empty:
        st.write(insight_tables.NOTHING["what_if"])
    else:
        _figure(
            screen, "what_if", metric,
            lambda theme, title: figures_insight.what_if_ranges(
                brought, theme=theme, title=title, currency=found.currency
            ),
            takeaways.what_if(brought),
            lambda title: alttext_insight.what_if_ranges(brought, title=title),
        )  # fmt: skip
        table = insight_tables.what_if_table(brought, found.currency)
        show.table(table, "What would change if recommendations were followed", key="what_if")
    own = insight_tables.decisions_in_order(found.decisions, metric)
    with st.expander(f"What to do with each campaign, by {words.label(metric)}"):
        frame = insight_tables.decision_table(own, names_of(screen), screen.zone)
        show.table(frame, "What to do with each campaign", key="decisions", height="auto")


def against_before(screen: Screen, found: Insight) -> None:
    """Draw the period against the one before."""
    rows = found.history[found.history["metric"] == screen.choices.metric].reset_index(drop=True)
    if rows["difference"].isna().all():
        st.write(insight_tables.NOTHING["history"])
        return
    _figure(
        screen, "history", screen.choices.metric,
        lambda theme, title: figures_insight.history_dots(rows, theme=theme, title=title),
        takeaways.history(rows),
        lambda title: alttext_insight.history_dots(rows, title=title),
    )  # fmt: skip
    show.table(insight_tables.history_table(rows), "Now against before", key="history")


def patterns(screen: Screen, found: Insight) -> None:
    """Draw what effects depend on: found first, then the kinds compared, then what was not."""
    metric = screen.choices.metric
    rows = found.patterns[found.patterns["metric"] == metric]
    clear = rows[rows["is_found"]]
    for _, row in clear.iterrows():
        st.markdown(f":material/insights: {plain(insight_words.pattern_sentence(row))}")
    if clear.empty:
        st.write(insight_tables.NOTHING["found"])
    groups = found.pattern_groups[found.pattern_groups["metric"] == metric]
    for layer in sorted(set(groups["layer"])):
        own = groups[groups["layer"] == layer].reset_index(drop=True)
        mine = rows[rows["layer"] == layer]
        _figure(
            screen, f"groups {layer}", metric,
            lambda theme, title, own=own: figures_insight.pattern_groups(
                own, theme=theme, title=title
            ),
            f"{words.layer(layer)}: {takeaways.patterns(mine)}",
            lambda title, own=own: alttext_insight.pattern_groups(own, title=title),
        )  # fmt: skip
    with st.expander("Everything that was looked for, found or not"):
        for name, frame in (
            ("Found", insight_tables.found_table(rows)),
            ("Not found, or not to be told", insight_tables.not_found_table(rows)),
        ):
            st.markdown(f"**{name}**")
            show.table(frame, name, key=f"patterns_{name[:3]}", height="auto")
    st.caption(
        "One model of all sends of a layer, the same method for every kind, so single numbers "
        "differ a little from those above. Differences are associated with the kind of send: what "
        "is sent when was not randomised. “Found” means q at most 5 % within the patterns of the "
        "primary metric, or of the others."
    )


def plan(screen: Screen, found: Insight) -> None:
    """Draw planned against real sends."""
    if found.cadence.empty:
        st.write(insight_tables.NOTHING["cadence"])
        return
    labelled = found.cadence.assign(label=_automations(screen, found.cadence["automation_id"]))
    _figure(
        screen, "cadence", "",
        lambda theme, title: figures_cadence.cadence_calendar(
            labelled, theme=theme, title=title, zone=screen.zone
        ),
        takeaways.cadence(found.cadence),
        lambda title: alttext_insight.cadence_calendar(labelled, title=title, zone=screen.zone),
    )  # fmt: skip
    names = dict(zip(labelled["automation_id"], labelled["label"], strict=True))
    frame = insight_tables.cadence_table(found.cadence, names, names_of(screen), screen.zone)
    show.table(frame, "Planned against real sends", key="cadence", height="auto")


def together(screen: Screen, found: Insight) -> None:
    """Draw which metrics' effects go together over campaigns."""
    layers = list(dict.fromkeys(found.correlations["layer"]))
    if not layers:
        st.write(insight_tables.NOTHING["correlations"])
        return
    layer = "all" if "all" in layers else layers[-1]
    own = found.correlations[found.correlations["layer"] == layer].reset_index(drop=True)
    _figure(
        screen, f"together {layer}", "",
        lambda theme, title: figures_grids.correlation_grid(own, theme=theme, title=title),
        f"{words.layer(layer)}: {takeaways.correlations(own)}",
        lambda title: alttext_insight.correlation_grid(own, title=title),
    )  # fmt: skip
    with st.expander("Every pair and layer"):
        frame = insight_tables.correlation_table(found.correlations)
        show.table(frame, "Metrics that go together", key="correlations", height="auto")


def over_time(screen: Screen, found: Insight) -> None:
    """Draw the same automations over time."""
    rows = found.trends[found.trends["metric"] == screen.choices.metric].reset_index(drop=True)
    if rows.empty:
        st.write(insight_tables.NOTHING["trends"])
        return
    labelled = rows.assign(label=_automations(screen, rows["automation_id"]))
    _figure(
        screen, "trends", screen.choices.metric,
        lambda theme, title: figures_insight.trend_lines(labelled, theme=theme, title=title),
        takeaways.trends(rows),
        lambda title: alttext_insight.trend_lines(labelled, title=title),
    )  # fmt: skip


def decision(screen: Screen, campaign_id: str) -> None:
    """Draw what to do with one campaign, by the chosen metric; of another period, nothing."""
    control = screen.settings.analysis.negative_control

    def build() -> pd.DataFrame:
        say = partial(insight_words.decision_why, zone=screen.zone)
        return decisions(screen.whole.lifts, screen.whole.campaigns, say=say, control=control)

    every = data.kept(f"decisions {screen.whole.key}", build)
    own = every[every["campaign_id"] == campaign_id]
    row = own[own["metric"] == screen.choices.metric]
    if row.empty:
        return
    first = row.iloc[0]
    icon = _DECISION_ICONS.get(str(first["decision"]), ":material/checklist:")
    st.markdown(f"{icon} **{str(first['decision']).capitalize()}.** {plain(str(first['why']))}")


def names_of(screen: Screen) -> Mapping[str, str]:
    """Return campaign id -> what tells it from other sends."""
    campaigns = screen.loaded.campaigns

    def build() -> Mapping[str, str]:
        labels = [tables.label(row, screen.zone) for _, row in campaigns.iterrows()]
        return dict(zip(campaigns["campaign_id"], labels, strict=True))

    return data.kept(f"names {screen.number}", build)


def _automations(screen: Screen, ids: pd.Series) -> list[str]:
    known = screen.loaded.automations
    return [known[one].name if one in known else str(one) for one in ids]


def _figure(
    screen: Screen,
    of: str,
    metric: str,
    draw: Callable[..., object],
    title: str,
    alt: Callable[[str], str],
) -> None:
    show.chart(
        lambda theme: draw(theme, ""),
        alt=lambda: alt(title),
        title=title,
        of=f"{of} {metric} {further.key_of(screen)}",
    )
