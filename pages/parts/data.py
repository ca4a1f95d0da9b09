"""What the pages show: read in the background, computed once per choice, shared by all sessions."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

import pandas as pd
import streamlit as st

from core import loading
from core.activity.source import Progress
from core.connect import Wiring, wire
from core.errors import ConfigError, PushliftError
from core.frames import LAYERS
from core.health.recorder import Recorder
from core.loading import Loaded
from core.measure.panel import Rules
from core.measure.windows import WindowLengths
from core.publish import words
from core.runs import failed_record, leave
from core.sections import Outliers
from core.settings import Settings, read_settings
from core.span import Span, span_of, to_ms
from pages.parts import access, measured, pools, tables, waiting
from pages.parts.choices import Choices, Period, period_of, span_around
from pages.parts.jobs import Jobs, View
from pages.parts.measured import Measured, Read

T = TypeVar("T")
_PARTIAL_SECONDS = 5 * 60.0
"""The same where a part could not be had; the sources may answer again."""
_FRESH_SECONDS = 15 * 60.0
"""Live data older than this is read again in the background while the old is shown."""
_WIRING = threading.Lock()
"""The demo marketplace is built by one at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screen:
    """Everything a page needs to show what was chosen.

    Attributes:
        read: What was read and estimated; never changed by anybody.
        number: Which reading it is.
        choices: What the filters say.
        period: The chosen period.
        whole: The campaigns of the period, all layers: what q-values were corrected within.
        chosen: The same, only the chosen layers.
    """

    read: Read
    number: int
    choices: Choices
    period: Period
    whole: Measured
    chosen: Measured

    @property
    def loaded(self) -> Loaded:
        """Return what was read."""
        return self.read.loaded

    @property
    def settings(self) -> Settings:
        """Return the settings, the demo's put in where it is used."""
        return self.loaded.wiring.settings

    @property
    def zone(self) -> str:
        """Return the business time zone."""
        return self.settings.analysis.timezone

    @property
    def weeks(self) -> float:
        """Return how many weeks of the period have passed, a day at least."""
        until = min(self.period.until, self.loaded.span.as_of)
        return max((until - self.period.since) / timedelta(days=7), 1 / 7)

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
    """Return the settings, or say what is wrong with them and draw nothing else.

    Whoever they do not admit gets no further either: no page has anything to show without them.
    """
    try:
        settings = read_settings()
    except ConfigError as error:
        waiting.sentence(str(error))
        st.caption("Nothing can be shown until the settings are right; then reload this page.")
        st.stop()
    access.admit_or_stop(settings)
    return settings


def screen_or_stop(settings: Settings, choices: Choices) -> Screen:
    """Return what was chosen, or show how far reading it has come and draw nothing else."""
    key, view = _recent(settings)
    if view.failure is not None and view.result is None and choices.is_far:
        key = ("far", fingerprint(settings), choices.period, choices.dates)
        view = _jobs().view(key, partial(_read_far, settings, choices))
    read = _read_or_stop(view, key)
    waiting.renewal(_jobs(), key, view)
    period = _period_or_stop(read.loaded, choices)
    number = view.number
    if not period.is_within(read.loaded.span):
        read, number = _further_or_stop(read, number, period)
    if read.is_capped != measured.is_capping(choices.outliers):
        read, number = _other_or_stop(read, number, choices.outliers)
    return _screen(read, number, choices, period)


def previous(screen: Screen) -> Measured | None:
    """Return the period of the same length before, None where what was read does not hold it."""
    before = screen.period.before()
    if before.since < screen.loaded.span.since:
        return None
    ids = measured.ids_in(screen.loaded, before, screen.choices.layers)
    return _measured(screen, ids) if len(ids) else None


def everything(screen: Screen) -> Measured:
    """Return every campaign that was read, whatever period and layers are chosen."""
    return _measured(screen, pd.Index(screen.loaded.campaigns["campaign_id"]))


def around(screen: Screen, campaign_id: str, metric: str, *, bin_hours: int) -> pd.DataFrame:
    """Return what a campaign's recipients did around their push, a row a bin."""
    return _around(screen.read, screen.number, campaign_id, metric, bin_hours)


def judged(screen: Screen, part: Measured) -> pd.DataFrame:
    """Return campaigns with their lift and verdict, as `tables.judged`."""
    metric, method = screen.choices.metric, screen.choices.method
    return kept(
        f"judged {part.key} {metric} {method}",
        lambda: tables.judged(
            part.campaigns,
            part.lifts,
            metric,
            as_of=pd.Timestamp(screen.loaded.span.as_of),
            min_recipients=part.min_recipients,
            zone=screen.zone,
            method=method,
        ),
    )


def layers(screen: Screen, metric: str) -> pd.DataFrame:
    """Return the chosen layers' pooled rows for a metric, as `pools.pooled_layers`."""
    part, method = screen.chosen, screen.choices.method
    is_whole = screen.choices.has_all_layers
    return kept(
        f"layers {part.key} {metric} {method}",
        lambda: pools.pooled_layers(part.layers, metric, method=method, is_whole=is_whole),
    )


def finding(screen: Screen) -> str:
    """Return the one sentence about what is chosen."""
    part, metric, method = screen.chosen, screen.choices.metric, screen.choices.method
    hours = screen.rules.lengths.post_hours
    return kept(
        f"finding {part.key} {metric} {method}",
        lambda: words.finding(part.layers, metric, method=method, post_hours=hours),
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
def _jobs() -> Jobs[Read]:
    return Jobs[Read](workers=2, keep=4)


@st.cache_resource(max_entries=32, show_spinner="Measuring the campaigns")
def _compute(
    _read: Read,
    number: int,
    campaign_ids: tuple[str, ...],
    confidence_level: float,
    min_recipients: int,
    outliers: Outliers,
) -> Measured:
    rules = Rules(
        lengths=_read.loaded.lengths,
        confidence_level=confidence_level,
        min_recipients=min_recipients,
        outliers=outliers,
    )
    of = hashlib.sha256("\n".join(campaign_ids).encode()).hexdigest()
    key = f"{number} {of} {confidence_level} {min_recipients} {outliers}"
    return measured.measure(_read, rules, pd.Index(campaign_ids), key=key)


@st.cache_resource(max_entries=64, show_spinner="Counting what happened around the push")
def _around(
    _read: Read,
    number: int,  # noqa: ARG001
    campaign_id: str,
    metric: str,
    bin_hours: int,
) -> pd.DataFrame:
    rules = Rules(lengths=_read.loaded.lengths)
    return measured.around(_read, rules, campaign_id, metric, bin_hours=bin_hours)


@st.cache_resource(max_entries=256, show_spinner=False)
def _kept(_build: Callable[[], T], of: str) -> T:  # noqa: ARG001
    return _build()


def _measured(screen: Screen, ids: pd.Index) -> Measured:
    return _of(screen.read, screen.number, screen.choices, ids)


def _of(read: Read, number: int, choices: Choices, ids: pd.Index) -> Measured:
    return _compute(
        read, number, tuple(ids),
        choices.confidence_level, choices.min_recipients, choices.outliers,
    )  # fmt: skip


def _recent(settings: Settings) -> tuple[Hashable, View[Read]]:
    """Return what there is of the last days, which every visit begins with."""
    key = ("recent", fingerprint(settings))
    max_age = None if settings.is_demo else _FRESH_SECONDS
    known = _jobs().look(key).result
    if known is not None and known.loaded.is_partial:
        max_age = _PARTIAL_SECONDS
    return key, _jobs().view(key, partial(_read_recent, settings), max_age=max_age)


def _read_recent(settings: Settings, on_progress: Progress, *, refresh: bool = False) -> Read:
    with _recording(settings, on_progress) as recorder:
        with _WIRING:
            wiring = wire(settings, recorder)
        zone = wiring.settings.analysis.timezone
        span = span_of(since=None, until=None, as_of=wiring.default_as_of, timezone=zone)
        return _read(wiring, span, recorder, refresh=refresh)


def _read_far(settings: Settings, choices: Choices, on_progress: Progress) -> Read:
    """Read a period that reaches further back, where the last days hold nothing."""
    with _recording(settings, on_progress) as recorder:
        with _WIRING:
            wiring = wire(settings, recorder)
        zone = wiring.settings.analysis.timezone
        period = period_of(choices, as_of=wiring.default_as_of, timezone=zone)
        span = span_around(period, as_of=wiring.default_as_of, timezone=zone)
        return _read(wiring, span, recorder)


def _read_around(wiring: Wiring, span: Span, on_progress: Progress) -> Read:
    with _recording(wiring.settings, on_progress) as recorder:
        return _read(wiring, span, recorder)


def _read(wiring: Wiring, span: Span, recorder: Recorder, *, refresh: bool = False) -> Read:
    analysis = wiring.settings.analysis
    lengths = WindowLengths(baseline_days=analysis.baseline_days, post_hours=analysis.post_hours)
    loaded = loading.load(wiring, span, lengths, on_progress=recorder, refresh=refresh)
    return measured.estimated(loaded, outliers=analysis.outliers, recorder=recorder)


@contextmanager
def _recording(settings: Settings, on_progress: Progress) -> Iterator[Recorder]:
    """Time a reading; one that fails leaves its record here, the others where they are shown."""
    recorder = Recorder("page", then=on_progress)
    try:
        yield recorder
    except PushliftError as error:
        leave(failed_record(recorder, settings, error), settings)
        raise


def _read_or_stop(view: View[Read], key: Hashable) -> Read:
    if view.result is None:
        waiting.progress_and_stop(_jobs(), key, view)
    return view.result


def _further_or_stop(recent: Read, number: int, period: Period) -> tuple[Read, int]:
    """Return a reading that reaches as far as the period does, and which one it is."""
    wiring, as_of = recent.loaded.wiring, recent.loaded.span.as_of
    span = span_around(period, as_of=as_of, timezone=wiring.settings.analysis.timezone)
    key = ("span", number, to_ms(span.since), to_ms(span.until))
    view = _jobs().view(key, partial(_read_around, wiring, span))
    return _read_or_stop(view, key), view.number


def _other_or_stop(read: Read, number: int, outliers: Outliers) -> tuple[Read, int]:
    """Return the same load with estimates under another outlier rule, and which one it is."""
    key = ("estimates", number, measured.is_capping(outliers))

    def work(on_progress: Progress) -> Read:
        recorder = Recorder("page", then=on_progress)
        return measured.estimated(read.loaded, outliers=outliers, recorder=recorder)

    view = _jobs().view(key, work)
    return _read_or_stop(view, key), view.number


def _period_or_stop(loaded: Loaded, choices: Choices) -> Period:
    zone = loaded.wiring.settings.analysis.timezone
    try:
        return period_of(choices, as_of=loaded.span.as_of, timezone=zone)
    except ConfigError as error:
        waiting.sentence(str(error))
        st.stop()


def _screen(read: Read, number: int, choices: Choices, period: Period) -> Screen:
    ids = measured.ids_in(read.loaded, period, LAYERS)
    whole = _of(read, number, choices, ids)
    chosen = whole
    if not choices.has_all_layers:
        ids = measured.ids_in(read.loaded, period, choices.layers)
        part = _of(read, number, choices, ids)
        chosen = measured.narrowed(whole, part, choices.layers)
    return Screen(
        read=read, number=number, choices=choices, period=period, whole=whole, chosen=chosen
    )
