"""How the pages draw what they share: titles, numbers, figures, tables, links to campaigns."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from pandas.io.formats.style import Styler

from core import partial
from core.publish import formats, words
from core.publish.figures_grids import coefficient
from core.publish.figures_insight import event_count
from core.publish.figures_pages import untitled
from core.publish.theme import COLOURS, EXPORT_CONFIG, ThemeName
from core.publish.words import Direction
from core.quality.ledger import mapped_share
from pages.parts import data, tables
from pages.parts.data import Screen
from pages.parts.numbers import Card
from pages.parts.plain import plain

Height = Literal["auto", "content"]
_CHART_WIDTH = 640
_CARD_WIDTH = 165
_STEP_WIDTH = 110
_TONES: dict[ThemeName, Mapping[Direction, str]] = {
    "light": COLOURS,
    # for letters rather than marks the dark theme needs more contrast
    "dark": {"above": "#3C9BD3", "below": "#E8813A", "unclear": "#9AA3AE", "missing": "#9AA3AE"},
}
_HELP = {
    "Evidence": "A: randomised holdout. B: compared with users not pushed at the time. C: adjusted "
    "and widened, or recipients against themselves. D: own earlier weeks. E: plain before and "
    "after. D and E only describe.",
    "Best guess": "The lift drawn towards the mean of its layer, the more so the less sure the "
    "campaign itself is. Rankings go by it.",
    "Rank": "Median rank and its interval, over all ranked campaigns of the period.",
    "In top ten": "The probability that the true effect is among the ten largest.",
    "As measured": "The lift by itself, not drawn towards its layer.",
    "q": "Benjamini-Hochberg within the family; clear at 5 % or less.",
    "Next campaign may land": "Where the true lift of the next campaign of the layer lies.",
    "Stands out": "Clear within a campaign that the primary metric selected.",
    "Expected": "Events per user per day expected without the push.",
    "Mark": "What the score is held against.",
    "Short by": "The mark less the score.",
    "Better by": "Difference of the lifts, in percentage points.",
    "As estimated": "The correlation of the estimates, their noise included.",
    "Usual": "What the same weekday around it holds.",
    "Cost, events": "Primary events it cost, the best guess.",
    "From the store": "Slices and answers that did not have to be asked for again.",
}
_FORMATS: dict[str, Callable[[Any], str]] = {
    "Lift": formats.percent,
    "Best guess": formats.percent,
    "As measured": formats.percent,
    "In top ten": formats.share,
    "False alarms": formats.share,
    "Expected": formats.rate,
    "Other pushes before": formats.share,
    "Also pushed within 48 h": formats.share,
    "Self-checks, p": formats.pvalue,
    "Smallest effect seen": formats.percent,
    "Standard errors from zero": "{:.2f}".format,
    "Spread": "{:.2f}".format,
    "Widened x": "{:.2f}".format,
    "q": formats.pvalue,
    "p": formats.pvalue,
    "Before": formats.rate,
    "After": formats.rate,
    "Rate": formats.rate,
    "Share": formats.share,
    "Pushes a person": "{:.1f}".format,
    "Seconds": "{:,.1f}".format,
    **dict.fromkeys(
        ("Quality", "Database", "Activity", "Score", "Mark", "Usual share", "Mapped"),
        formats.share,
    ),
    **dict.fromkeys(("Short by", "Change", "Change a week", "Better by"), formats.points),
    **dict.fromkeys(("Lift before", "Lift now"), formats.percent),
    **dict.fromkeys(("Extra events", "Events a week", "Cost, events"), event_count),
    **dict.fromkeys(("Correlation", "As estimated"), coefficient),
    **dict.fromkeys(("Usual", "Tolerance"), "{:,.1f}".format),
}


def theme() -> ThemeName:
    """Return the theme the visitor looks at."""
    return "dark" if st.context.theme.type == "dark" else "light"


def source(screen: Screen) -> None:
    """Draw, quietly, where the numbers come from, how fresh they are, and what was chosen."""
    loaded, mapped = screen.loaded, mapped_share(screen.chosen.campaigns)
    said = [
        loaded.wiring.label,
        f"data until {formats.instant(loaded.span.as_of, screen.zone)}",
        f"sends {screen.period.text}{_layers(screen)}",
        f"{formats.share(mapped)} of recipients mapped" if not formats.is_missing(mapped) else "",
        f"{formats.confidence(screen.choices.confidence_level)} intervals",
    ]
    st.caption(" · ".join(plain(text) for text in said if text))
    missing = partial.sentences(loaded, screen.chosen.campaigns)
    if missing:
        _incomplete(missing)


def _incomplete(sentences: Sequence[str]) -> None:
    """Draw what could not be had, on every page, before any number."""
    first = (
        "**Partial: part of the data could not be read, and nothing is shown that rests on it.**"
    )
    listed = "\n".join(f"- {plain(sentence)}" for sentence in sentences)
    st.warning(f"{first}\n\n{listed}", icon=":material/incomplete_circle:")


def finding(sentence: str) -> None:
    """Draw the one sentence a page says first; it may hold anything."""
    st.subheader(plain(sentence), anchor=False)


def caution(rows: pd.DataFrame) -> None:
    """Say, where any number rests on D or E, what it cannot tell."""
    known = rows[rows["effect_size"].notna()]
    if not known["evidence"].isin(["D", "E"]).any():
        return
    if (known["method"] == "classic").all():
        said = (
            "These numbers are associated with the pushes; they do not show that the pushes "
            "caused them. Plain before and after cannot tell a push from what would have happened "
            "anyway, above all in layer 3, whose recipients had just been active. Choose “Best "
            "evidence” above for numbers that can."
        )
    else:
        said = (
            "Numbers of grade D and E describe what came after a push; they are associated with "
            "it and cannot tell it from what would have happened anyway. No ranking and no pooled "
            "number leans on them."
        )
    st.caption(f":material/info: {said}")


def cards(numbers: Sequence[Card], *, border: bool = True) -> None:
    """Draw figures side by side, equally tall; grey, since only an interval may be coloured."""
    with st.grid(len(numbers), min_column_width=_CARD_WIDTH if border else _STEP_WIDTH):
        for card in numbers:
            st.metric(
                card.label, card.value, card.beside or None, delta_color="off", delta_arrow="off",
                delta_description=card.note or None, help=card.meaning or None, border=border,
                height="stretch",
            )  # fmt: skip


def chart(
    draw: Callable[[ThemeName], go.Figure],
    *,
    alt: Callable[[], str],
    title: str,
    of: str,
    width: int = _CHART_WIDTH,
) -> None:
    """Draw a figure below its takeaway, with the words that say the same.

    Args:
        draw: Makes the figure for a theme.
        alt: Makes the words.
        title: The takeaway.
        of: What tells the figure from every other one, numbers and choices included; for the
            same one nothing is made twice.
        width: Pixels it needs; a narrower screen scrolls it sideways rather than crush it.
    """
    st.markdown(f"**{plain(title)}**")
    look = theme()
    figure = data.kept(f"figure {of} {look}", lambda: untitled(draw(look)))
    said = data.kept(f"words {of} {title}", alt)
    config = {"displayModeBar": False, **EXPORT_CONFIG}
    with st.grid(1, min_column_width=width, wrap=False):
        st.plotly_chart(figure, theme=None, height="content", config=config, alt=said)


def table(frame: pd.DataFrame, alt: str, *, key: str, height: Height = "content") -> None:
    """Draw a table that can be sorted and searched."""
    is_text = frame.select_dtypes("number").empty
    shown = frame if is_text else styled(frame)
    st.dataframe(
        shown, hide_index=True, height=height, alt=alt, key=key,
        placeholder=formats.MISSING, column_config=_helped(frame),
    )  # fmt: skip


def as_table(build: Callable[[], pd.DataFrame], alt: str, *, key: str) -> None:
    """Offer what a figure shows as a table, made only once it is opened."""
    folded = st.expander("The same as a table", key=key, on_change="rerun", type="compact")
    if folded.open:
        with folded:
            table(build(), alt, key=f"{key}_table", height="auto")


def campaigns(
    rows: pd.DataFrame, zone: str, alt: str, *, key: str, of: str, height: Height = "auto"
) -> None:
    """Draw campaigns, rows of `tables.judged`; choosing one opens it."""
    frame = data.kept(f"table {of}", lambda: tables.campaign_table(rows, zone))
    chooser(frame, rows, alt, key=key, height=height)


def chooser(
    frame: pd.DataFrame, rows: pd.DataFrame, alt: str, *, key: str, height: Height = "content"
) -> None:
    """Draw a table of campaigns, choosing one opens it.

    Args:
        frame: What is shown.
        rows: The campaigns, rows of `tables.judged` in the same order.
        alt: What the table is.
        key: Its name in the session.
        height: All rows, or some and a scrollbar.
    """
    event = st.dataframe(
        styled(frame, tones=rows["tone"].tolist()),
        hide_index=True, height=height, alt=alt, key=key, placeholder=formats.MISSING,
        column_config=_helped(frame), on_select="rerun", selection_mode="single-row",
    )  # fmt: skip
    chosen = event.selection.rows
    if chosen:
        open_campaign(rows["campaign_id"].iloc[chosen[0]])


def open_campaign(campaign_id: str) -> None:
    """Go to a campaign's page, with the filters as they are."""
    st.switch_page("pages/campaign.py", query_params={"id": campaign_id})


def styled(frame: pd.DataFrame, *, tones: list[Direction] | None = None) -> Styler:
    """Return a table whose numbers read as everywhere else and sort as numbers.

    Args:
        frame: The table.
        tones: Status of each row, the colour of its verdict.
    """
    counts: dict[Hashable, Callable[[Any], str]] = dict.fromkeys(
        frame.select_dtypes("integer").columns, formats.count
    )
    known = {name: form for name, form in _FORMATS.items() if name in frame}
    style = frame.reset_index(drop=True).style.format({**counts, **known}, na_rep=formats.MISSING)
    if tones is None:
        return style
    colours = [f"color: {_TONES[theme()][tone]}; font-weight: 600" for tone in tones]
    return style.apply(lambda _: colours, subset=["Verdict"])


def _helped(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what hovering over a table's headers says."""
    return {
        name: st.column_config.Column(help=said) for name, said in _HELP.items() if name in frame
    }


def nothing(screen: Screen) -> bool:
    """Say so where no campaign is in what was chosen, and tell whether that is the case."""
    if len(screen.chosen.campaigns):
        return False
    layers = f" in {_layers(screen).removeprefix(' · ')}" if _layers(screen) else ""
    st.info(
        f"No campaign was sent {screen.period.text}{layers}. Choose a longer period or other "
        "layers above.",
        icon=":material/search_off:",
    )
    return True


def verdict_icon(tone: str) -> str:
    """Return the sign that goes with a verdict's colour."""
    return {
        "above": ":material/trending_up:",
        "below": ":material/trending_down:",
        "unclear": ":material/trending_flat:",
    }.get(tone, ":material/hourglass_empty:")


def metric_name(screen: Screen) -> str:
    """Return the chosen metric as people say it."""
    return words.label(screen.choices.metric)


def _layers(screen: Screen) -> str:
    if screen.choices.has_all_layers:
        return ""
    return " · " + ", ".join(tables.layer_name(name) for name in screen.choices.layers)
