"""The results as an Excel workbook: real numbers, no formulas, no links, nothing cut in silence."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from core.frames import CAMPAIGNS, CHECKS, LAYER_CONTRASTS, LAYER_LIFTS, LIFTS, Column, Table
from core.publish import formats, words
from core.publish.sheets import EXCEL_ROWS, Rows, RowSheet, cells
from core.publish.theme import UNCLEAR, flat

EXCEL_TEXT = 32_767
_OPTIONS = {
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "in_memory": False,
}
_NUMBER_FORMATS = {
    "count": "#,##0",
    "relative": "+0.0%;−0.0%;0.0%",
    "share": "0.0%",
    "level": "0.##%",
    "rate": "0.0000",
    "effect": "+0.0000;−0.0000;0.0000",
    "plain": "#,##0.000",
    "instant": "yyyy-mm-dd hh:mm:ss",
}
# Halves of characters, which UTF-8 cannot hold and xlsxwriter does not escape.
_HALVES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_RELATIVE = frozenset({"heterogeneity", "now", "before"})
_SHARES = frozenset({"support", "p_best", "p_top10", "score", "threshold", "weight"})
_RATES = frozenset({"pvalue", "qvalue", "standard_error", "correlation", "observed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A declared table that goes on a worksheet of its own, or on several where it is long."""

    name: str
    table: Table
    frame: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """A workbook being written, and what its reader has to be told."""

    book: Workbook
    max_rows: int
    looks: dict[str, Format]
    remarks: list[str] = field(default_factory=list)


def workbook_bytes(
    *,
    campaigns: pd.DataFrame,
    layers: pd.DataFrame,
    lifts: pd.DataFrame,
    contrasts: pd.DataFrame,
    checks: pd.DataFrame,
    metric: str,
    made_at: datetime,
    about: Mapping[str, str],
    max_rows: int = EXCEL_ROWS,
) -> bytes:
    """Return a workbook: README, Campaigns, Layers with charts, Lifts, Contrasts, Checks.

    Args:
        campaigns: One row per campaign, as CAMPAIGNS.
        layers: One row per layer x metric x method, as LAYER_LIFTS.
        lifts: One row per campaign x metric x method, as LIFTS.
        contrasts: One row per two layers and metric, as LAYER_CONTRASTS.
        checks: One row per layer and method that was checked, as CHECKS.
        metric: The metric the charts on Layers show.
        made_at: What the file says of when it was made, with a zone.
        about: What the README says of period, settings, sources and versions, line by line.
        max_rows: Rows a worksheet holds, its header included.

    Raises:
        DataError: A frame is not what is declared.
    """
    sink = io.BytesIO()
    sheets = main_sheets(
        campaigns=campaigns, layers=layers, lifts=lifts, contrasts=contrasts, checks=checks
    )
    write_workbook(sink, sheets, metric=metric, made_at=made_at, about=about, max_rows=max_rows)
    return sink.getvalue()


def main_sheets(
    *,
    campaigns: pd.DataFrame,
    layers: pd.DataFrame,
    lifts: pd.DataFrame,
    contrasts: pd.DataFrame,
    checks: pd.DataFrame,
) -> list[Sheet]:
    """Return the sheets every workbook has, in their order."""
    return [
        Sheet(name="Campaigns", table=CAMPAIGNS, frame=campaigns),
        Sheet(name="Layers", table=LAYER_LIFTS, frame=layers),
        Sheet(name="Lifts", table=LIFTS, frame=lifts),
        Sheet(name="Contrasts", table=LAYER_CONTRASTS, frame=contrasts),
        Sheet(name="Checks", table=CHECKS, frame=checks),
    ]


def write_workbook(
    sink: Path | io.BytesIO,
    sheets: Sequence[Sheet],
    *,
    metric: str,
    made_at: datetime,
    about: Mapping[str, str],
    max_rows: int = EXCEL_ROWS,
) -> None:
    """Write a README and tables as a workbook; a sheet Layers gets charts.

    A table longer than a worksheet goes on: "Users", "Users 2", ... No cell is a formula.

    Args:
        sink: The file, or where its bytes go.
        sheets: The tables in their order.
        metric: The metric the charts on Layers show.
        made_at: What the file says of when it was made, with a zone.
        about: What the README says of period, settings, sources and versions, line by line.
        max_rows: Rows a worksheet holds, its header included.

    Raises:
        DataError: A frame is not what is declared.
    """
    book = xlsxwriter.Workbook(sink if isinstance(sink, io.BytesIO) else str(sink), _OPTIONS)
    book.set_properties({"title": "Pushlift results", "created": made_at.replace(tzinfo=None)})
    made = _Book(book=book, max_rows=max_rows, looks=_looks(book))
    readme = book.add_worksheet("README")
    for sheet in sheets:
        checked = sheet.table.checked(sheet.frame)
        if sheet.name == "Layers":
            ordered, n_drawn = _chart_first(checked, metric)
            _charts(made, _table(made, sheet, ordered), ordered, n_drawn, metric)
        else:
            _table(made, sheet, checked)
    _readme(made, readme, sheets, about)
    book.close()


def _looks(book: Workbook) -> dict[str, Format]:
    looks = {name: book.add_format({"num_format": code}) for name, code in _NUMBER_FORMATS.items()}
    looks["text"] = book.add_format({"quote_prefix": True})
    looks["wrapped"] = book.add_format({"quote_prefix": True, "text_wrap": True, "valign": "top"})
    looks["header"] = book.add_format({"bold": True, "bottom": 1})
    looks["flag"] = book.add_format()
    return looks


def _table(made: _Book, sheet: Sheet, checked: pd.DataFrame) -> Worksheet:
    """Write one declared table, on as many worksheets as it needs; return the first."""
    room = made.max_rows - 1
    parts = [checked.iloc[at : at + room] for at in range(0, max(1, len(checked)), room)]
    names = [sheet.name, *[f"{sheet.name} {number}" for number in range(2, len(parts) + 1)]]
    if len(parts) > 1:
        made.remarks.append(
            f"{sheet.name} has {formats.count(len(checked))} rows; a worksheet holds "
            f"{formats.count(room)} below its header, so they go on to {names[-1]}."
        )
    written = [
        _worksheet(made, name, sheet.table, part) for name, part in zip(names, parts, strict=True)
    ]
    return written[0]


def _worksheet(made: _Book, name: str, table: Table, frame: pd.DataFrame) -> Worksheet:
    """Put rows of a table on one worksheet, with a frozen header and a filter."""
    worksheet = made.book.add_worksheet(name, RowSheet)
    for at, column in enumerate(table.columns):
        worksheet.set_column(at, at, _width(column, frame[column.name]))
    columns = [
        cells(
            column.kind,
            _fit(made, f"{name}, column {column.name}", column, frame[column.name]),
            style=_style(made.looks[_look(column)]),
        )
        for column in table.columns
    ]
    worksheet.hold(
        Rows(
            header=tuple(_header(column) for column in table.columns),
            header_style=_style(made.looks["header"]),
            columns=tuple(columns),
            n=len(frame),
        )
    )
    worksheet.freeze_panes(1, 1)
    worksheet.autofilter(0, 0, max(1, len(frame)), len(table.columns) - 1)
    return worksheet


def _style(look: Format) -> int:
    return int(look._get_xf_index())  # noqa: SLF001 - what every write_* of xlsxwriter does


def _fit(made: _Book, where: str, column: Column, values: pd.Series) -> pd.Series:
    """Return a column whose texts a cell can hold, each distinct one looked at once."""
    if column.kind != "text":
        return values
    codes, texts = pd.factorize(values)
    fitted = _fitting(made, where, [str(text) for text in texts], np.bincount(codes[codes >= 0]))
    table = pd.array([*fitted, None], dtype=object)
    return pd.Series(table[codes], dtype=object)


def _fitting(
    made: _Book, where: str, texts: list[str], times: Sequence[int] | np.ndarray
) -> list[str]:
    """Return texts as a cell can hold them; what had to be shortened is remarked."""
    fitted = [_cell_text(text) for text in texts]
    too_long = sum(
        int(n) for text, n in zip(texts, times, strict=True) if _units(text) > EXCEL_TEXT
    )
    if too_long:
        said = "cell was" if too_long == 1 else "cells were"
        made.remarks.append(
            f"{where}: {formats.count(too_long)} {said} shortened to the "
            f"{formats.count(EXCEL_TEXT)} characters Excel holds; the JSON has the whole text."
        )
    return fitted


def _cell_text(text: str) -> str:
    """Return text that arrives in a cell as text and nothing else."""
    whole = text.translate(_HALVES) if not text.isascii() else text
    if _units(whole) > EXCEL_TEXT:
        ending = f" … [shortened from {formats.count(_units(whole))} characters]"
        room = EXCEL_TEXT - _units(ending)
        whole = whole.encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore") + ending
    # xlsxwriter takes such text for rich text and writes it into the file unescaped.
    is_taken_for_xml = whole.startswith("<r>") and whole.endswith("</r>")
    return f"{whole} " if is_taken_for_xml else whole


def _units(text: str) -> int:
    """Return the length as Excel counts it, in UTF-16 units."""
    return len(text) if text.isascii() else len(text) + sum(ord(char) > 0xFFFF for char in text)


def _header(column: Column) -> str:
    return f"{column.name} (UTC)" if column.kind == "instant" else column.name


def _look(column: Column) -> str:
    """Return the name of the look of a column's cells."""
    name = column.name
    if column.kind in {"text", "flag", "instant"}:
        return column.kind
    if column.kind == "integer":
        return "count"
    if _is_relative(name):
        return "relative"
    if name in _SHARES or name.endswith("_share"):
        return "share"
    if name == "confidence_level":
        return "level"
    if name.endswith("_rate") or name.removesuffix("_ci_low").removesuffix("_ci_high") in _RATES:
        return "rate"
    return "effect" if "effect" in name else "plain"


def _is_relative(name: str) -> bool:
    starts = (
        "rel_", "shrunk_rel_", "typical_rel_", "difference", "prediction", "false_positive",
        "slope_",
    )  # fmt: skip
    return name.startswith(starts) or name in _RELATIVE


def _width(column: Column, values: pd.Series) -> int:
    """Return a column's width in characters: its header, and most of its texts."""
    header = len(_header(column)) + 4
    if column.kind == "text" and values.notna().any():
        longest = int(values.dropna().str.len().quantile(0.9))
        return min(max(header, longest + 2), 48)
    return max(header, 20 if column.kind == "instant" else 10)


def _chart_first(layers: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, int]:
    """Return the rows with those the charts draw on top, and how many these are.

    Drawn is the headline of each layer for the metric, else its best evidence, where its
    interval has both ends.
    """
    ends = layers[["rel_effect_size", "rel_effect_size_ci_low", "rel_effect_size_ci_high"]]
    is_bounded = np.isfinite(ends.to_numpy()).all(axis=1)
    drawable = layers[is_bounded & (layers["metric"] == metric)]
    marked = drawable.assign(is_other=drawable["method"] != "headline")
    best = marked.sort_values(["layer", "is_other", "evidence"], kind="stable")
    best = best.drop_duplicates("layer").drop(columns="is_other")
    return pd.concat([best, layers.drop(index=best.index)]), len(best)


def _charts(
    made: _Book, worksheet: Worksheet, layers: pd.DataFrame, n_drawn: int, metric: str
) -> None:
    """Put charts of dots and intervals under the table, of its first rows."""
    drawn, below = layers.head(n_drawn), len(layers) + 2
    if drawn.empty or n_drawn + 1 > made.max_rows:
        return
    name = flat(words.label(metric))
    title = f"Lift in {name} by layer, with intervals"
    chart = _dots(made, drawn, "rel_effect_size", title=title, unit="lift", code="0%")
    worksheet.insert_chart(below, 1, chart, {"x_scale": 1.2, "y_scale": 1.2})
    single = drawn[(drawn["layer"] != "all") & drawn["incremental_events"].notna()]
    if len(single) and (single.index == drawn.index[: len(single)]).all():
        title = f"Incremental {name} by layer, with intervals"
        chart = _dots(made, single, "incremental_events", title=title, unit="events", code="#,##0")
        worksheet.insert_chart(below, 8, chart, {"x_scale": 1.2, "y_scale": 1.2})


def _dots(
    made: _Book, drawn: pd.DataFrame, column: str, *, title: str, unit: str, code: str
) -> object:
    """Return a chart of the first rows of Layers: a dot and its interval a layer."""
    at, middle = LAYER_LIFTS.names.index(column), drawn[column]
    chart = made.book.add_chart({"type": "line"})
    chart.add_series(
        {
            "name": title,
            "categories": ["Layers", 1, 0, len(drawn), 0],
            "values": ["Layers", 1, at, len(drawn), at],
            "categories_data": drawn["layer"].tolist(),
            "values_data": middle.tolist(),
            "line": {"none": True},
            "marker": {"type": "circle", "size": 8, "fill": {"color": UNCLEAR}},
            "y_error_bars": {
                "type": "custom",
                "plus_values": (drawn[f"{column}_ci_high"] - middle).fillna(0).tolist(),
                "minus_values": (middle - drawn[f"{column}_ci_low"]).fillna(0).tolist(),
                "end_style": 0,
            },
        }
    )
    chart.set_title({"name": title})
    chart.set_x_axis({"name": "layer", "label_position": "low"})
    chart.set_y_axis({"name": unit, "num_format": code})
    chart.set_legend({"none": True})
    chart.show_hidden_data()  # a filter on the table must not empty the chart
    return chart


def _readme(
    made: _Book, sheet: Worksheet, sheets: Sequence[Sheet], about: Mapping[str, str]
) -> None:
    """Write what the workbook holds, how it was made, and what each column means."""
    rows = [("Pushlift results", ""), *about.items()]
    rows += [("Instants", "UTC, without a zone in the cell, because Excel has none.")]
    rows += [("Empty cells", "No number could be computed; the column status says why.")]
    rows += [("Remark", remark) for remark in made.remarks]
    rows += [("", ""), ("Sheets", "")]
    rows += [(one.name, f"{formats.count(len(one.frame))} rows") for one in sheets]
    for one in sheets:
        rows += [("", ""), (f"Columns of {one.name}", "")]
        rows += [(_header(column), _meaning(column)) for column in one.table.columns]
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, 1, 100)
    for row, (name, value) in enumerate(rows):
        look = made.looks["text" if value else "header"]
        sheet.write_string(row, 0, _cell_text(name), look)
        sheet.write_string(row, 1, _cell_text(value), made.looks["wrapped"])


def _meaning(column: Column) -> str:
    return f"{column.meaning}; empty: {column.missing}" if column.missing else column.meaning
