"""What can be taken away: what each file holds, and the file itself once it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from core import outputs
from core.outputs import material_of
from core.publish.reports import material
from core.publish.reports.catalogue import Item, offers
from core.publish.reports.material import Insight, Quality
from core.publish.reports.summaries import SUMMARIES
from pages.parts import further
from pages.parts.data import Screen
from pages.parts.measured import Measured

_OF_CAMPAIGN = ("lifts.csv", "analysis.json", "pushlift.xlsx")


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
    return [
        _file(stem, item, partial(_offered, screen, item.name))
        for item in offers(_items(screen, part, further.NO_QUALITY, further.no_insight(screen)))
    ]


def of_campaign(screen: Screen, part: Measured, campaign_id: str) -> list[File]:
    """Return the files of one campaign alone."""
    stem = f"pushlift-campaign-{_short(campaign_id)}-{digest(part)}"
    every = _items(screen, part, further.NO_QUALITY, further.no_insight(screen))
    wanted = [one for one in every if one.name in _OF_CAMPAIGN or _is_summary(one)]
    return [_file(stem, item, partial(_of_campaign, screen, part, item.name)) for item in wanted]


def parted(files: list[File]) -> tuple[list[File], list[File]]:
    """Return single tables and, apart from them, what holds more than one."""
    single = [file for file in files if file.mime == "text/csv"]
    return single, [file for file in files if file.mime != "text/csv"]


def offer(files: list[File], *, key: str) -> None:
    """Draw what each file holds, and a button that makes and hands it over."""
    for place, file in enumerate(files):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.download_button(
                file.label, file.build, file_name=file.name, mime=file.mime, width=230,
                icon=":material/download:", on_click="ignore", key=f"{key}_{place}",
            )  # fmt: skip
            st.caption(file.holds, width="stretch")


def digest(part: Measured) -> str:
    """Return eight letters that change whenever a number in the tables does."""
    sums = hashlib.sha256()
    for frame in (part.campaigns, part.lifts, part.layers, part.contrasts, part.checks):
        sums.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return sums.hexdigest()[:8]


def about(screen: Screen) -> dict[str, str]:
    """Return what every file states about itself, line by line."""
    period = screen.period
    made = material_of(
        screen.loaded, screen.chosen, screen.rules, since=period.since, until=period.until,
        layers=screen.choices.layers,
    )  # fmt: skip
    return material.about(made.setting)


def _items(screen: Screen, part: Measured, quality: Quality, insight: Insight) -> list[Item]:
    return outputs.items(
        screen.loaded, part, screen.rules, quality=quality, insight=insight,
        since=screen.period.since, until=screen.period.until, layers=screen.choices.layers,
    )  # fmt: skip


def _made(screen: Screen, part: Measured) -> list[Item]:
    """Return the files with everything in them; what they are offered by has empty tables."""
    return _items(screen, part, further.quality_of(screen), further.insight_of(screen))


def _offered(screen: Screen, name: str) -> bytes:
    return _named(offers(_made(screen, screen.chosen)), name)


def _of_campaign(screen: Screen, part: Measured, name: str) -> bytes:
    return _named(_made(screen, part), name)


def _named(items: list[Item], name: str) -> bytes:
    return next(one for one in items if one.name == name).build()


def _file(stem: str, item: Item, build: Callable[[], bytes]) -> File:
    return File(
        name=f"{stem}-{item.name.replace('/', '-')}",
        label=item.label,
        mime=item.mime,
        holds=item.holds,
        build=build,
    )


def _is_summary(item: Item) -> bool:
    return item.name.startswith(f"{SUMMARIES}/") and not item.name.endswith("/index.md")


def _days(screen: Screen) -> str:
    return screen.period.text.replace(" to ", "_")


def _short(campaign_id: str) -> str:
    """Return an id as part of a file name: letters, digits and hyphens."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in campaign_id)
    return kept.strip("-")[:40] or "one"
