"""What the pages show: read in the background, computed once per choice, shared by all sessions."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pandas as pd
import streamlit as st

from core import pipeline
from core.activity.source import Progress
from core.connect import Wiring, wire
from core.errors import ConfigError
from core.frames import LAYERS
from core.measure.panel import Rules
from core.measure.windows import WindowLengths
from core.pipeline import Loaded
from core.publish import words
from core.settings import Outliers, Settings, read_settings
from core.span import Span, span_of, to_ms
from pages.parts import measured, tables, waiting
from pages.parts.choices import Choices, Period, period_of, span_around
from pages.parts.jobs import Jobs, View
from pages.parts.measured import Measured

T = TypeVar("T")
_FRESH_SECONDS = 15 * 60.0
"""Live data older than this is read again in the background while the old is shown."""
_WIRING = threading.Lock()
"""The demo marketplace is built by one at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screen:
    """Everything a page needs to show what was chosen.

    Attributes:
        loaded: What was read; never changed by anybody.
        number: Which load it is.
        choices: What the filters say.
        period: The chosen period.
        whole: The campaigns of the period, all layers: what q-values were corrected within.
        chosen: The same, only the chosen layers.
    """

    loaded: Loaded
    number: int
    choices: Choices
    period: Period
    whole: Measured
    chosen: Measured

    @property
    def settings(self) -> Settings:
        """Return the settings, the demo's put in where it is used."""
        return self.loaded.wiring.settings

    @property
    def zone(self) -> str:
        """Return the business time zone."""
        return self.settings.analysis.timezone

    @property
    def rules(self) -> Rules:
        """Return how it was measured."""
        return measured.rules_of(self.loaded, self.choices)


def settings_or_none() -> Settings | None:
    """Return the settings, None where they are wrong, which every page says."""
    try:
        return read_settings()
    except ConfigError:
        return None


def settings_or_stop() -> Settings:
    """Return the settings, or say what is wrong with them and draw nothing else."""
    try:
        return read_settings()
    except ConfigError as error:
        waiting.sentence(str(error))
        st.caption("Nothing can be shown until the settings are right; then reload this page.")
        st.stop()


def screen_or_stop(settings: Settings, choices: Choices) -> Screen:
    """Return what was chosen, or show how far reading it has come and draw nothing else."""
    key, view = _recent(settings)
    if view.failure is not None and view.result is None and choices.is_far:
        key = ("far", fingerprint(settings), choices.period, choices.dates)
        view = _jobs().view(key, partial(_read_far, settings, choices))
    loaded = _loaded_or_stop(view, key)
    waiting.renewal(_jobs(), key, view)
    period = _period_or_stop(loaded, choices)
    number = view.number
    if not period.is_within(loaded.span):
        loaded, number = _further_or_stop(loaded, number, period)
    return _screen(loaded, number, choices, period)


def previous(screen: Screen) -> Measured | None:
    """Return the period of the same length before, None where what was read does not hold it."""
    before = screen.period.before()
    if before.since < screen.loaded.span.since:
        return None
    ids = measured.ids_in(screen.loaded, before, screen.choices.layers)
    return _measured(screen, ids) if len(ids) else None


def one(screen: Screen, campaign_id: str, *, outliers: Outliers) -> Measured:
    """Return one campaign measured by itself under an outlier rule."""
    rules = measured.rules_of(screen.loaded, screen.choices, outliers=outliers)
    return _compute(
        screen.loaded, screen.number, (campaign_id,),
        rules.confidence_level, rules.min_recipients, rules.outliers,
    )  # fmt: skip


def everything(screen: Screen) -> Measured:
    """Return every campaign that was read, whatever period and layers are chosen."""
    return _measured(screen, pd.Index(screen.loaded.campaigns["campaign_id"]))


def around(screen: Screen, campaign_id: str, metric: str, *, bin_hours: int) -> pd.DataFrame:
    """Return what a campaign's recipients did around their push, a row a bin."""
    return _around(screen.loaded, screen.number, campaign_id, metric, bin_hours)


def judged(screen: Screen, part: Measured) -> pd.DataFrame:
    """Return campaigns with their lift and verdict, as `tables.judged`."""
    metric = screen.choices.metric
    return kept(
        f"judged {part.key} {metric}",
        lambda: tables.judged(
            part.campaigns,
            part.lifts,
            metric,
            as_of=pd.Timestamp(screen.loaded.span.as_of),
            min_recipients=part.min_recipients,
            zone=screen.zone,
        ),
    )


def layers(screen: Screen, metric: str) -> pd.DataFrame:
    """Return the chosen layers' pooled rows for a metric, as `tables.best_layers`."""
    part, is_whole = screen.chosen, screen.choices.has_all_layers
    return kept(
        f"layers {part.key} {metric}",
        lambda: tables.best_layers(part.layers, metric, is_whole=is_whole),
    )


def finding(screen: Screen) -> str:
    """Return the one sentence about what is chosen."""
    part, metric = screen.chosen, screen.choices.metric
    hours = screen.rules.lengths.post_hours
    return kept(
        f"finding {part.key} {metric}",
        lambda: words.finding(part.layers, metric, post_hours=hours),
    )


def kept(of: str, build: Callable[[], T]) -> T:
    """Return what was built once for everybody; nobody may change it.

    Args:
        of: What tells it from everything else that is kept, numbers and choices included.
        build: Makes it.
    """
    built: T = _kept(build, of)
    return built


def read_again(settings: Settings) -> None:
    """Begin to read everything anew, past what is stored and may have changed."""
    key = ("recent", fingerprint(settings))
    _jobs().again(key, partial(_read_recent, settings, refresh=True))


def fingerprint(settings: Settings) -> int:
    """Return what tells two settings apart within this process; no secret can be read from it."""
    secrets = [
        settings.database.url.get_secret_value() if settings.database else "",
        settings.posthog.api_key.get_secret_value() if settings.posthog else "",
    ]
    return hash((settings.model_dump_json(), *secrets))  # salted anew in every process


@st.cache_resource(show_spinner=False)
def _jobs() -> Jobs[Loaded]:
    return Jobs[Loaded](workers=2, keep=3)


@st.cache_resource(max_entries=32, show_spinner="Measuring the campaigns")
def _compute(
    _loaded: Loaded,
    number: int,
    campaign_ids: tuple[str, ...],
    confidence_level: float,
    min_recipients: int,
    outliers: Outliers,
) -> Measured:
    rules = Rules(
        lengths=_loaded.lengths,
        confidence_level=confidence_level,
        min_recipients=min_recipients,
        outliers=outliers,
    )
    of = hashlib.sha256("\n".join(campaign_ids).encode()).hexdigest()
    key = f"{number} {of} {confidence_level} {min_recipients} {outliers}"
    return measured.measure(_loaded, rules, pd.Index(campaign_ids), key=key)


@st.cache_resource(max_entries=64, show_spinner="Counting what happened around the push")
def _around(
    _loaded: Loaded,
    number: int,  # noqa: ARG001
    campaign_id: str,
    metric: str,
    bin_hours: int,
) -> pd.DataFrame:
    return measured.around(
        _loaded, Rules(lengths=_loaded.lengths), campaign_id, metric, bin_hours=bin_hours
    )


@st.cache_resource(max_entries=256, show_spinner=False)
def _kept(_build: Callable[[], T], of: str) -> T:  # noqa: ARG001
    return _build()


def _measured(screen: Screen, ids: pd.Index) -> Measured:
    return _of(screen.loaded, screen.number, screen.choices, ids)


def _of(loaded: Loaded, number: int, choices: Choices, ids: pd.Index) -> Measured:
    return _compute(
        loaded, number, tuple(ids),
        choices.confidence_level, choices.min_recipients, choices.outliers,
    )  # fmt: skip


def _recent(settings: Settings) -> tuple[Hashable, View[Loaded]]:
    """Return what there is of the last days, which every visit begins with."""
    key = ("recent", fingerprint(settings))
    max_age = None if settings.is_demo else _FRESH_SECONDS
    return key, _jobs().view(key, partial(_read_recent, settings), max_age=max_age)


def _read_recent(settings: Settings, on_progress: Progress, *, refresh: bool = False) -> Loaded:
    with _WIRING:
        wiring = wire(settings, on_progress)
    zone = wiring.settings.analysis.timezone
    span = span_of(since=None, until=None, as_of=wiring.default_as_of, timezone=zone)
    return _read(wiring, span, on_progress, refresh=refresh)


def _read_far(settings: Settings, choices: Choices, on_progress: Progress) -> Loaded:
    """Read a period that reaches further back, where the last days hold nothing."""
    with _WIRING:
        wiring = wire(settings, on_progress)
    zone = wiring.settings.analysis.timezone
    period = period_of(choices, as_of=wiring.default_as_of, timezone=zone)
    span = span_around(period, as_of=wiring.default_as_of, timezone=zone)
    return _read(wiring, span, on_progress)


def _read(wiring: Wiring, span: Span, on_progress: Progress, *, refresh: bool = False) -> Loaded:
    analysis = wiring.settings.analysis
    lengths = WindowLengths(baseline_days=analysis.baseline_days, post_hours=analysis.post_hours)
    return pipeline.load(wiring, span, lengths, on_progress=on_progress, refresh=refresh)


def _loaded_or_stop(view: View[Loaded], key: Hashable) -> Loaded:
    if view.result is None:
        waiting.progress_and_stop(_jobs(), key, view)
    return view.result


def _further_or_stop(recent: Loaded, number: int, period: Period) -> tuple[Loaded, int]:
    """Return a load that reaches as far as the period does, and which load it is."""
    zone = recent.wiring.settings.analysis.timezone
    span = span_around(period, as_of=recent.span.as_of, timezone=zone)
    key = ("span", number, to_ms(span.since), to_ms(span.until))
    view = _jobs().view(key, partial(_read, recent.wiring, span))
    return _loaded_or_stop(view, key), view.number


def _period_or_stop(loaded: Loaded, choices: Choices) -> Period:
    zone = loaded.wiring.settings.analysis.timezone
    try:
        return period_of(choices, as_of=loaded.span.as_of, timezone=zone)
    except ConfigError as error:
        waiting.sentence(str(error))
        st.stop()


def _screen(loaded: Loaded, number: int, choices: Choices, period: Period) -> Screen:
    ids = measured.ids_in(loaded, period, LAYERS)
    whole = _of(loaded, number, choices, ids)
    chosen = whole
    if not choices.has_all_layers:
        part = _of(loaded, number, choices, measured.ids_in(loaded, period, choices.layers))
        chosen = measured.narrowed(whole, part, choices.layers)
    return Screen(
        loaded=loaded, number=number, choices=choices, period=period, whole=whole, chosen=chosen
    )
