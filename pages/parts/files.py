"""What can be taken away: what each file holds, and the file itself once it is asked for."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

import core
from core import outputs, partial
from core.publish import formats, words
from core.publish import tables as writers
from core.publish.workbook import workbook_bytes
from pages.parts.data import Screen
from pages.parts.measured import Measured

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file on offer.

    Attributes:
        name: With a part that changes whenever its content may.
        label: What the button says.
        mime: Its media type.
        holds: What is in it.
        build: Makes it.
    """

    name: str
    label: str
    mime: str
    holds: str
    build: Callable[[], bytes]


def of_screen(screen: Screen) -> list[File]:
    """Return the files of what is chosen, the ZIP of all of them last."""
    part = screen.chosen
    stem = f"pushlift-{_days(screen)}-{digest(part)}"
    n_metrics = part.lifts["metric"].nunique()
    single = [
        File(
            name=f"{stem}-campaigns.csv", label="Campaigns, CSV", mime="text/csv",
            holds=f"{_n(part.campaigns)} campaigns: message, instants, counts from sent to "
            "measured, status",
            build=lambda: writers.campaigns_csv(part.campaigns),
        ),
        File(
            name=f"{stem}-lifts.csv", label="Lifts, CSV", mime="text/csv",
            holds=f"{_n(part.lifts)} rows: every campaign, {n_metrics} metrics, every method; "
            "rates, effects, intervals, p and q",
            build=lambda: writers.lifts_csv(part.lifts),
        ),
        File(
            name=f"{stem}-layers.csv", label="Layers, CSV", mime="text/csv",
            holds=f"{_n(part.layers)} rows: every layer and all of them, pooled, {n_metrics} "
            "metrics, every method",
            build=lambda: writers.layers_csv(part.layers),
        ),
        File(
            name=f"{stem}-contrasts.csv", label="Layer contrasts, CSV", mime="text/csv",
            holds=f"{_n(part.contrasts)} rows: how far each two layers differ, shared people "
            "counted",
            build=lambda: writers.contrasts_csv(part.contrasts),
        ),
        File(
            name=f"{stem}-checks.csv", label="Self-checks, CSV", mime="text/csv",
            holds=f"{_n(part.checks)} rows: how often each layer's methods found an effect where "
            "nothing was sent",
            build=lambda: writers.checks_csv(part.checks),
        ),
        *_whole(screen, part, stem),
    ]  # fmt: skip
    return [*single, _zip(stem, single)]


def of_campaign(screen: Screen, part: Measured, campaign_id: str) -> list[File]:
    """Return the files of one campaign alone."""
    stem = f"pushlift-campaign-{_short(campaign_id)}-{digest(part)}"
    csv = File(
        name=f"{stem}.csv", label="CSV", mime="text/csv",
        holds=f"{_n(part.lifts)} rows: every metric and method of this campaign",
        build=lambda: writers.lifts_csv(part.lifts),
    )  # fmt: skip
    return [csv, *_whole(screen, part, stem)]


def offer(files: list[File], *, key: str) -> None:
    """Draw what each file holds, and a button that makes and hands it over."""
    for place, file in enumerate(files):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.download_button(
                file.label, file.build, file_name=file.name, mime=file.mime, width=190,
                icon=":material/download:", on_click="ignore", key=f"{key}_{place}",
            )  # fmt: skip
            st.caption(file.holds, width="stretch")


def digest(part: Measured) -> str:
    """Return eight letters that change whenever a number in the tables does."""
    sums = hashlib.sha256()
    for frame in (part.campaigns, part.lifts, part.layers, part.contrasts, part.checks):
        sums.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return sums.hexdigest()[:8]


def analysis(screen: Screen, part: Measured) -> dict[str, object]:
    """Return everything that is shown, with settings, sources, quality and versions."""
    return outputs.analysis(
        screen.loaded,
        part,
        screen.rules,
        since=screen.period.since,
        until=screen.period.until,
        layers=screen.choices.layers,
    )


def _whole(screen: Screen, part: Measured, stem: str) -> list[File]:
    """Return JSON and Excel, which hold every table of a part."""
    return [
        File(
            name=f"{stem}.json", label="Everything, JSON", mime="application/json",
            holds="The same tables with settings, definitions, sources, quality and versions",
            build=lambda: writers.json_bytes(analysis(screen, part)),
        ),
        File(
            name=f"{stem}.xlsx", label="Everything, Excel", mime=_XLSX,
            holds="README, Campaigns, Layers with a chart, Lifts, Contrasts, Checks; typed, with "
            "filters",
            build=lambda: _workbook(screen, part),
        ),
    ]  # fmt: skip


def _zip(stem: str, files: list[File]) -> File:
    def build() -> bytes:
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.writestr(zipfile.ZipInfo(file.name, _ZIP_TIME), file.build())
        return sink.getvalue()

    return File(
        name=f"{stem}.zip", label="All files, ZIP", mime="application/zip",
        holds=f"The {len(files)} files above", build=build,
    )  # fmt: skip


def _workbook(screen: Screen, part: Measured) -> bytes:
    return workbook_bytes(
        campaigns=part.campaigns,
        layers=part.layers,
        lifts=part.lifts,
        contrasts=part.contrasts,
        checks=part.checks,
        metric=screen.choices.metric,
        made_at=datetime.now(UTC),
        about=about(screen),
    )


def about(screen: Screen) -> dict[str, str]:
    """Return what a reader of a file has to know, line by line."""
    choices, loaded, lengths = screen.choices, screen.loaded, screen.rules.lengths
    return {
        **{
            f"Missing {place}": said
            for place, said in enumerate(partial.sentences(loaded, screen.chosen.campaigns), 1)
        },
        "Source": f"{loaded.wiring.label}; activity: {loaded.source_label}",
        "Data until": formats.instant(loaded.span.as_of, screen.zone),
        "Sends": f"{screen.period.text}, days of {screen.zone}",
        "Layers": ", ".join(choices.layers),
        "Windows": f"{lengths.baseline_days} days before, {lengths.post_hours} h after",
        "Confidence level": formats.confidence(choices.confidence_level),
        "Fewest measured users": formats.count(choices.min_recipients),
        "Extreme users": choices.outliers,
        "Primary metric": words.label(next(iter(screen.settings.metrics))),
        "q-values": "Benjamini-Hochberg within all campaigns of the period, whatever layers",
        "Methods": "every method in every row; `headline` marks each campaign's best evidence",
        "Evidence": "A randomised holdout, B users not pushed, C adjusted and widened or own "
        "earlier triggers, D own earlier weeks, E plain before and after",
        "Pushlift": core.__version__,
    }


def _days(screen: Screen) -> str:
    return screen.period.text.replace(" to ", "_")


def _short(campaign_id: str) -> str:
    """Return an id as part of a file name: letters, digits and hyphens."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in campaign_id)
    return kept.strip("-")[:40] or "one"


def _n(frame: pd.DataFrame) -> str:
    return formats.count(len(frame))
