"""The results as an Excel workbook: real numbers, no formulas, no links, nothing cut in silence."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from core.frames import CAMPAIGNS, CHECKS, LAYER_CONTRASTS, LAYER_LIFTS, LIFTS, Column, Table
from core.publish import formats, words
from core.publish.theme import UNCLEAR, flat

EXCEL_ROWS = 1_048_576
EXCEL_TEXT = 32_767
_LARGE = 20_000
_DAY = np.timedelta64(1, "D")
_EXCEL_ZERO = np.datetime64("1899-12-30T00:00:00", "ms")
_OPTIONS = {
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "in_memory": False,
}
_NUMBER_FORMATS = {
    "count": "#,##0",
    "relative": "+0.0%;−0.0%;0.0%",
    "level": "0.##%",
    "rate": "0.0000",
    "effect": "+0.0000;−0.0000;0.0000",
    "plain": "#,##0.000",
    "instant": "yyyy-mm-dd hh:mm:ss",
}
_SHEETS = {
    "Campaigns": CAMPAIGNS,
    "Layers": LAYER_LIFTS,
    "Lifts": LIFTS,
    "Contrasts": LAYER_CONTRASTS,
    "Checks": CHECKS,
}
# Halves of characters, which UTF-8 cannot hold and xlsxwriter does not escape.
_HALVES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheets:
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
    """Return the workbook: README, Campaigns, Layers with a chart, Lifts, Contrasts, Checks.

    Args:
        campaigns: One row per campaign, as CAMPAIGNS.
        layers: One row per layer x metric x method, as LAYER_LIFTS.
        lifts: One row per campaign x metric x method, as LIFTS.
        contrasts: One row per two layers and metric, as LAYER_CONTRASTS.
        checks: One row per layer and method that was checked, as CHECKS.
        metric: The metric the chart on Layers shows.
        made_at: When it was made, with a zone.
        about: What the README says of period, settings, sources and versions, line by line.
        max_rows: Rows a worksheet holds, its header included.

    Raises:
        DataError: A frame is not what is declared.
    """
    sink = io.BytesIO()
    is_large = len(campaigns) + len(layers) + len(lifts) > _LARGE
    book = xlsxwriter.Workbook(sink, {**_OPTIONS, "constant_memory": is_large})
    book.set_properties({"title": "Pushlift results", "created": made_at.replace(tzinfo=None)})
    sheets = _Sheets(book=book, max_rows=max_rows, looks=_looks(book))
    readme = book.add_worksheet("README")
    _table(sheets, "Campaigns", CAMPAIGNS, campaigns)
    ordered, n_drawn = _chart_first(LAYER_LIFTS.checked(layers), metric)
    sheet = _table(sheets, "Layers", LAYER_LIFTS, ordered)
    _chart(sheets, sheet, ordered, n_drawn, metric)
    _table(sheets, "Lifts", LIFTS, lifts)
    _table(sheets, "Contrasts", LAYER_CONTRASTS, contrasts)
    _table(sheets, "Checks", CHECKS, checks)
    _readme(sheets, readme, about, made_at)
    book.close()
    return sink.getvalue()


def _looks(book: Workbook) -> dict[str, Format]:
    looks = {name: book.add_format({"num_format": code}) for name, code in _NUMBER_FORMATS.items()}
    looks["text"] = book.add_format({"quote_prefix": True})
    looks["wrapped"] = book.add_format({"quote_prefix": True, "text_wrap": True, "valign": "top"})
    looks["header"] = book.add_format({"bold": True, "bottom": 1})
    looks["flag"] = book.add_format()
    return looks


def _table(sheets: _Sheets, name: str, table: Table, frame: pd.DataFrame) -> Worksheet:
    """Write one declared table on a sheet of its own, or why it is not there."""
    sheet = sheets.book.add_worksheet(name)
    checked = table.checked(frame)
    if len(checked) + 1 > sheets.max_rows:
        said = (
            f"{name} has {formats.count(len(checked))} rows; a worksheet holds "
            f"{formats.count(sheets.max_rows - 1)} below its header. None are shown here: "
            f"take {table.name}.csv instead."
        )
        sheet.write_string(0, 0, said)
        sheets.remarks.append(said)
        return sheet
    for at, column in enumerate(table.columns):
        width = _width(column, checked[column.name])
        sheet.set_column(at, at, width)
        sheet.write_string(0, at, _header(column), sheets.looks["header"])
    columns = [_cells(sheets, name, c, checked[c.name]) for c in table.columns]
    for row in range(len(checked)):
        for at, (write, values, look) in enumerate(columns):
            if values[row] is not None:
                write(sheet, row + 1, at, values[row], look)
    sheet.freeze_panes(1, 1)
    sheet.autofilter(0, 0, max(1, len(checked)), len(table.columns) - 1)
    return sheet


def _cells(
    sheets: _Sheets, name: str, column: Column, values: pd.Series
) -> tuple[Callable[..., int], list[object], Format]:
    """Return how a column is written, its values (None: an empty cell) and its look."""
    look = sheets.looks[_look(column)]
    if column.kind == "text":
        texts = [None if pd.isna(text) else str(text) for text in values]
        where = f"{name}, column {column.name}"
        return Worksheet.write_string, list(_fitting(sheets, where, texts)), look
    if column.kind == "flag":
        return Worksheet.write_boolean, values.tolist(), look
    if column.kind == "instant":
        values = (values.dt.tz_convert(None) - _EXCEL_ZERO) / _DAY
    numbers = values.to_numpy(dtype=float)
    kept: list[object] = [number if np.isfinite(number) else None for number in numbers.tolist()]
    return Worksheet.write_number, kept, look


def _fitting(sheets: _Sheets, where: str, texts: list[str | None]) -> list[str | None]:
    """Return texts as a cell can hold them; what had to be shortened is remarked."""
    fitted = [None if text is None else _cell_text(text) for text in texts]
    too_long = sum(text is not None and _units(text) > EXCEL_TEXT for text in texts)
    if too_long:
        cells = "cell was" if too_long == 1 else "cells were"
        sheets.remarks.append(
            f"{where}: {formats.count(too_long)} {cells} shortened to the "
            f"{formats.count(EXCEL_TEXT)} characters Excel holds; the JSON has the whole text."
        )
    return fitted


def _cell_text(text: str) -> str:
    """Return text that arrives in a cell as text and nothing else."""
    whole = text.translate(_HALVES)
    if _units(whole) > EXCEL_TEXT:
        ending = f" … [shortened from {formats.count(_units(whole))} characters]"
        room = EXCEL_TEXT - _units(ending)
        whole = whole.encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore") + ending
    # xlsxwriter takes such text for rich text and writes it into the file unescaped.
    is_taken_for_xml = whole.startswith("<r>") and whole.endswith("</r>")
    return f"{whole} " if is_taken_for_xml else whole


def _units(text: str) -> int:
    """Return the length as Excel counts it, in UTF-16 units."""
    return len(text) + sum(ord(char) > 0xFFFF for char in text)


def _header(column: Column) -> str:
    return f"{column.name} (UTC)" if column.kind == "instant" else column.name


def _look(column: Column) -> str:
    """Return the name of the look of a column's cells."""
    if column.kind in {"text", "flag", "instant"}:
        return column.kind
    if column.kind == "integer":
        return "count"
    if _is_relative(column.name):
        return "relative"
    if column.name == "confidence_level":
        return "level"
    if column.name.endswith("_rate") or column.name in {"pvalue", "qvalue", "standard_error"}:
        return "rate"
    return "effect" if "effect" in column.name else "plain"


def _is_relative(name: str) -> bool:
    starts = ("rel_", "shrunk_rel_", "typical_rel_", "difference", "prediction", "false_positive")
    return name.startswith(starts) or name in {"heterogeneity", "support", "p_best", "p_top10"}


def _width(column: Column, values: pd.Series) -> int:
    """Return a column's width in characters: its header, and most of its texts."""
    header = len(_header(column)) + 4
    if column.kind == "text" and values.notna().any():
        longest = int(values.dropna().str.len().quantile(0.9))
        return min(max(header, longest + 2), 48)
    return max(header, 20 if column.kind == "instant" else 10)


def _chart_first(layers: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, int]:
    """Return the rows with those the chart draws on top, and how many these are.

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


def _chart(
    sheets: _Sheets, sheet: Worksheet, layers: pd.DataFrame, n_drawn: int, metric: str
) -> None:
    """Put a chart of dots and intervals under the table, of its first rows."""
    drawn, n_rows = layers.head(n_drawn), len(layers)
    if drawn.empty or n_rows + 1 > sheets.max_rows:
        return
    at = LAYER_LIFTS.names.index("rel_effect_size")
    middle = drawn["rel_effect_size"]
    chart = sheets.book.add_chart({"type": "line"})
    chart.add_series(
        {
            "name": f"Lift in {flat(words.label(metric))}",
            "categories": ["Layers", 1, 0, len(drawn), 0],
            "values": ["Layers", 1, at, len(drawn), at],
            "line": {"none": True},
            "marker": {"type": "circle", "size": 8, "fill": {"color": UNCLEAR}},
            "y_error_bars": {
                "type": "custom",
                "plus_values": (drawn["rel_effect_size_ci_high"] - middle).tolist(),
                "minus_values": (middle - drawn["rel_effect_size_ci_low"]).tolist(),
                "end_style": 0,
            },
        }
    )
    chart.set_title({"name": f"Lift in {flat(words.label(metric))} by layer, with intervals"})
    chart.set_x_axis({"name": "layer", "label_position": "low"})
    chart.set_y_axis({"name": "lift", "num_format": "0%"})
    chart.set_legend({"none": True})
    chart.show_hidden_data()  # a filter on the table must not empty the chart
    sheet.insert_chart(n_rows + 2, 1, chart, {"x_scale": 1.2, "y_scale": 1.2})


def _readme(sheets: _Sheets, sheet: Worksheet, about: Mapping[str, str], made_at: datetime) -> None:
    """Write what the workbook holds, how it was made, and what each column means."""
    said = {"Pushlift results": "", "Made": formats.instant(made_at), **about}
    rows = list(said.items())
    rows += [("Instants", "UTC, without a zone in the cell, because Excel has none.")]
    rows += [("Empty cells", "No number could be computed; the column status says why.")]
    rows += [("Remark", remark) for remark in sheets.remarks]
    for name, table in _SHEETS.items():
        rows += [("", ""), (f"Columns of {name}", "")]
        rows += [(_header(column), _meaning(column)) for column in table.columns]
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, 1, 100)
    for row, (name, value) in enumerate(rows):
        sheet.write_string(
            row, 0, _cell_text(name), sheets.looks["header" if not value else "text"]
        )
        sheet.write_string(row, 1, _cell_text(value), sheets.looks["wrapped"])


def _meaning(column: Column) -> str:
    return f"{column.meaning}; empty: {column.missing}" if column.missing else column.meaning
