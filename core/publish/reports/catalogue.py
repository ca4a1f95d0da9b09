"""Every file there is to take away: its name, what is in it, and how it is made when asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import pandas as pd

from core.frames import Table
from core.publish import formats, keys
from core.publish.columnar import window_counts_parquet
from core.publish.files import Writer, write_zip
from core.publish.reports import documents, html, summaries
from core.publish.reports.material import Material, about, folder_of, stems
from core.publish.reports.summaries import STRATEGIC, SUMMARIES
from core.publish.tables import declared_csv, json_bytes
from core.publish.users import EXCLUDED, USERS, excluded_table, users_table
from core.publish.workbook import Sheet, main_sheets, write_workbook

JSON = "json-data"
FOLDERS = (SUMMARIES, JSON, STRATEGIC)
"""Folders that hold nothing but files of ours, and are replaced as a whole."""
_MIMES = MappingProxyType(
    {
        ".csv": "text/csv",
        ".html": "text/html",
        ".json": "application/json",
        ".md": "text/markdown",
        ".parquet": "application/vnd.apache.parquet",
        ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".zip": "application/zip",
    }
)
_SHEETS = MappingProxyType(
    {
        "quality_scores": "Quality",
        "quality_advice": "Quality advice",
        "event_days": "Event days",
        "push_days": "Push days",
        "decisions": "Decisions",
        "rankings": "Rankings",
        "patterns": "Patterns",
        "pattern_groups": "Pattern groups",
        "correlations": "Correlations",
        "cadence": "Cadence",
        "what_if": "What if",
        "history": "History",
        "automation_trends": "Trends",
    }
)
_HOLDS = MappingProxyType(
    {
        "campaigns": "every campaign: message, instants, counts from sent to measured, status",
        "lifts": "every campaign, metric and method: rates, effects, intervals, p and q",
        "layers": "every layer and all of them, pooled, every metric and method",
        "layer_contrasts": "how far each two layers differ, shared people counted",
        "checks": "how often each method found an effect where nothing was sent",
        "users": "every measured person: pushes, campaigns, events before and after",
        "excluded": "every campaign and group of users left out, with why",
        "quality_scores": "scores of the data with their inputs, whole, by layer and campaign",
        "quality_advice": "what is short in the data, where, and what to do about it",
        "event_days": "events read by day, with gaps",
        "push_days": "push records held against events, by layer and day",
        "decisions": "repeat, stop, retest or wait, by campaign and metric, with why",
        "rankings": "the ten best of each layer and of all, by metric, with rank intervals",
        "patterns": "every pattern looked for, found or not",
        "pattern_groups": "the effect of each kind of send that patterns compare",
        "correlations": "metrics whose effects go together over campaigns",
        "cadence": "planned sends against real ones, and what a miss cost",
        "what_if": "what would change if recommendations were followed",
        "history": "the period against the one before",
        "automation_trends": "the same automation over time",
    }
)
_STRATEGIC = MappingProxyType(
    {
        "executive-summary": (summaries.executive_summary, "the finding and what to do"),
        "top-performers": (summaries.top_performers, "the ten best of each layer and metric"),
        "recommendations": (summaries.recommendations, "what to do, campaign by campaign"),
        "methodology": (summaries.methodology, "how the numbers come about"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file on offer.

    Attributes:
        name: Its path below the folder or within the ZIP.
        label: What a button for it says.
        holds: What is in it.
        write: Makes it at a path, when asked for.
    """

    name: str
    label: str
    holds: str
    write: Writer

    @property
    def mime(self) -> str:
        """Return its media type."""
        return _MIMES[PurePosixPath(self.name).suffix]

    def build(self) -> bytes:
        """Return its content."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            self.write(path)
            return path.read_bytes()


def items(
    material: Material,
    *,
    analysis: Callable[[], Mapping[str, object]],
    counts: Callable[[], pd.DataFrame],
) -> list[Item]:
    """Return every file of a run, in the order they are written.

    Args:
        material: What they say.
        analysis: Makes the content of analysis.json.
        counts: Makes frames.WINDOW_COUNTS, its person ids fit to leave.
    """
    users = cache(lambda: users_table(counts(), material.setting.primary))
    return [*_whole(material, analysis, counts, users), *_csvs(material, users),
            *_strategic(material), *_of_campaigns(material)]  # fmt: skip


def offers(every: Sequence[Item]) -> list[Item]:
    """Return what a page offers: single files, a ZIP for each folder, and one of everything."""
    single = [one for one in every if "/" not in one.name]
    folders = [_zip(f"{name}.zip", _within(every, name)) for name in FOLDERS]
    whole = Item(
        name="pushlift.zip", label="All files, ZIP",
        holds=f"all {formats.count(len(every))} files, as `analyze --out` writes them",
        write=partial(write_zip, files=writers(every)),
    )  # fmt: skip
    reports = [one for one in every if one.name.startswith(f"{STRATEGIC}/")]
    top = [one for one in reports if one.name.count("/") == 1]
    return [*single, *top, *folders, whole]


def writers(every: Sequence[Item]) -> dict[str, Writer]:
    """Return what writes each file, by name."""
    return {one.name: one.write for one in every}


def sheets(material: Material, users: pd.DataFrame) -> list[Sheet]:
    """Return every sheet of the workbook but its README."""
    drawn = [
        Sheet(name=_SHEETS[name], table=table, frame=frame)
        for name, table in documents.DRAWN_TABLES.items()
        if (frame := material.table(name)) is not None
    ]
    main = main_sheets(
        campaigns=material.campaigns, layers=material.layers, lifts=material.lifts,
        contrasts=material.contrasts, checks=material.checks,
    )  # fmt: skip
    left = excluded_table(material.campaigns, material.lifts)
    return [
        *main,
        Sheet(name="Users", table=USERS, frame=users),
        *drawn,
        Sheet(name="Excluded", table=EXCLUDED, frame=left),
    ]


def _whole(
    material: Material,
    analysis: Callable[[], Mapping[str, object]],
    counts: Callable[[], pd.DataFrame],
    users: Callable[[], pd.DataFrame],
) -> list[Item]:
    """Return the files that hold everything."""
    setting = material.setting

    def excel(path: Path) -> None:
        write_workbook(
            path, sheets(material, users()), metric=setting.primary, made_at=setting.as_of,
            about=about(setting),
        )  # fmt: skip

    def parquet(path: Path) -> None:
        window_counts_parquet(path, counts(), metrics=list(setting.metrics))

    return [
        Item(
            name="report.html", label="Report, one page",
            holds="summary, layers, campaigns, rankings, patterns, quality and method with "
            "figures; needs no network", write=_saving(lambda: html.report_html(material)),
        ),
        Item(
            name="pushlift.xlsx", label="Everything, Excel",
            holds="README, campaigns, layers with charts, lifts, users, quality, decisions, "
            "patterns, excluded; typed, with filters", write=excel,
        ),
        Item(
            name="analysis.json", label="Everything, JSON",
            holds="every table but users and window counts, with settings, definitions, sources "
            "and versions", write=_saving(lambda: json_bytes(analysis())),
        ),
        Item(
            name="window_counts.parquet", label="Window counts, Parquet",
            holds="one row per measured push and metric: events before and after", write=parquet,
        ),
    ]  # fmt: skip


def _csvs(material: Material, users: Callable[[], pd.DataFrame]) -> list[Item]:
    """Return every table as CSV."""
    made = [
        _csv(name, table, partial(documents.main_table, material, name))
        for name, table in documents.MAIN_TABLES.items()
    ]
    made.append(_csv("users", USERS, users))
    left = partial(excluded_table, material.campaigns, material.lifts)
    made.append(_csv("excluded", EXCLUDED, left))
    return made + [
        _csv(name, table, partial(material.rows, name))
        for name, table in documents.DRAWN_TABLES.items()
        if material.table(name) is not None
    ]


def _titled(name: str) -> str:
    return name.replace("_", " ").capitalize()  # a file's own name, not what is in its rows


def _csv(name: str, table: Table, frame: Callable[[], pd.DataFrame]) -> Item:
    return Item(
        name=f"{name}.csv", label=f"{_titled(name)}, CSV", holds=_HOLDS[name],
        write=_saving(lambda: declared_csv(table, frame())),
    )  # fmt: skip


def _strategic(material: Material) -> list[Item]:
    """Return the strategic reports, and a deep dive of each layer."""
    made = [
        _markdown(f"{STRATEGIC}/{name}.md", holds, partial(write, material))
        for name, (write, holds) in _STRATEGIC.items()
    ]
    for layer in material.shown_layers:
        path = f"{STRATEGIC}/{folder_of(layer)}/deep-dive.md"
        write = partial(summaries.deep_dive, material, layer)
        made.append(_markdown(path, "one layer in full", write))
    return made


def _of_campaigns(material: Material) -> list[Item]:
    """Return a summary and a JSON a campaign, and an index and a JSON a layer."""
    names = stems(list(material.campaigns["campaign_id"]))
    made = []
    for layer in material.shown_layers:
        folder = folder_of(layer)
        index = partial(summaries.layer_index, material, layer)
        made.append(_markdown(f"{SUMMARIES}/{folder}/index.md", "a layer's campaigns", index))
        whole = partial(documents.layer_json, material, layer)
        made.append(_json(f"{JSON}/{folder}/layer.json", "one layer in full", whole))
    for one, layer in zip(
        material.campaigns["campaign_id"], material.campaigns["layer"], strict=True
    ):
        folder, stem = folder_of(layer), names[one]
        text = partial(summaries.campaign_summary, material, one)
        data = partial(documents.campaign_json, material, one)
        made.append(_markdown(f"{SUMMARIES}/{folder}/{stem}.md", "one campaign", text))
        made.append(_json(f"{JSON}/{folder}/{stem}.json", "one campaign", data))
    return made


def _markdown(name: str, holds: str, make: Callable[[], bytes]) -> Item:
    title = keys.titled(PurePosixPath(name).stem.replace("-", " "))
    return Item(name=name, label=f"{title}, Markdown", holds=holds, write=_saving(make))


def _json(name: str, holds: str, make: Callable[[], Mapping[str, object]]) -> Item:
    stem = PurePosixPath(name).stem
    write = _saving(lambda: json_bytes(make()))
    return Item(name=name, label=f"{stem}, JSON", holds=holds, write=write)


def _zip(name: str, within: Sequence[Item]) -> Item:
    title = keys.titled(PurePosixPath(name).stem.replace("-", " "))
    return Item(
        name=name, label=f"{title}, ZIP", holds=f"{formats.count(len(within))} files",
        write=partial(write_zip, files=writers(within)),
    )  # fmt: skip


def _within(every: Sequence[Item], folder: str) -> list[Item]:
    return [one for one in every if one.name.startswith(f"{folder}/")]


def _saving(make: Callable[[], bytes]) -> Writer:
    def write(path: Path) -> None:
        path.write_bytes(make())

    return write
