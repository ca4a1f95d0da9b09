"""Worksheets of any length: rows are written as they are made, and none is kept.

xlsxwriter takes about 16 microseconds a cell, so that 100,000 users would take a third of a minute;
rows put together column by column take a tenth of that. Everything else of a worksheet is its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from core.frames import Kind

EXCEL_ROWS = 1_048_576
_CHUNK = 8_192
_DAY = np.timedelta64(1, "D")
_EXCEL_ZERO = np.datetime64("1899-12-30T00:00:00", "ms")
_LIVE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_NEEDS_CARE = re.compile(r"[&<>\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_HALVES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One column as it goes on a worksheet.

    Attributes:
        kind: What it holds.
        values: Texts (None: an empty cell), flags, instants or numbers (NaN: an empty cell).
        style: Index of its format in the workbook.
    """

    kind: Kind
    values: Sequence[str | None] | NDArray[np.generic]
    style: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A header and the rows below it."""

    header: tuple[str, ...]
    header_style: int
    columns: tuple[Cells, ...]
    n: int


class RowSheet(Worksheet):  # type: ignore[misc]  # xlsxwriter names no types
    """A worksheet whose cells are those of `held`, set once, and nothing else."""

    held: Rows | None = None

    def hold(self, rows: Rows) -> None:
        """Take what the worksheet shall hold; it is read when the workbook is closed."""
        self.held = rows
        self.dim_rowmin, self.dim_colmin = 0, 0
        self.dim_rowmax, self.dim_colmax = rows.n, len(rows.columns) - 1

    def _write_sheet_data(self) -> None:
        self._write_rows()

    def _write_optimized_sheet_data(self) -> None:
        self._write_rows()

    def _write_rows(self) -> None:
        if self.held is None:
            self._xml_empty_tag("sheetData")
            return
        self._xml_start_tag("sheetData")
        for text in _rows_xml(self.held):
            self.fh.write(text)
        self._xml_end_tag("sheetData")


def cells(kind: Kind, values: pd.Series, *, style: int) -> Cells:
    """Return a column as a worksheet takes it; texts must be fit for a cell already."""
    if kind == "text":
        return Cells(kind=kind, values=values.tolist(), style=style)
    if kind == "instant":
        days = (values.dt.tz_convert(None).to_numpy() - _EXCEL_ZERO) / _DAY
        return Cells(kind=kind, values=days, style=style)
    return Cells(kind=kind, values=values.to_numpy(), style=style)


def _rows_xml(rows: Rows) -> Iterator[str]:
    """Yield the rows as the cells of a worksheet's XML, some thousands at a time."""
    names = [xl_col_to_name(at) for at in range(len(rows.header))]
    heads = [
        f'<c r="{name}1" s="{rows.header_style}" {_inline(text)}</c>'
        for name, text in zip(names, rows.header, strict=True)
    ]
    yield f'<row r="1">{"".join(heads)}</row>'
    for start in range(0, rows.n, _CHUNK):
        stop = min(start + _CHUNK, rows.n)
        numbers = range(start + 2, stop + 2)
        written = [
            _WRITERS[column.kind](column.values[start:stop], name, column.style, numbers)
            for name, column in zip(names, rows.columns, strict=True)
        ]
        lines = zip(numbers, *written, strict=True)
        yield "".join([f'<row r="{line[0]}">{"".join(line[1:])}</row>' for line in lines])


def _texts(values: Sequence[str | None], name: str, style: int, rows: Sequence[int]) -> list[str]:
    head = f'" s="{style}" '
    return [
        "" if text is None else f'<c r="{name}{row}{head}{_inline(text)}</c>'
        for row, text in zip(rows, values, strict=True)
    ]


def _numbers(values: NDArray[np.generic], name: str, style: int, rows: Sequence[int]) -> list[str]:
    head = f'" s="{style}"><v>'
    if values.dtype.kind == "i":
        pairs = zip(rows, values.tolist(), strict=True)
        return [f'<c r="{name}{row}{head}{value}</v></c>' for row, value in pairs]
    triples = zip(rows, values.tolist(), np.isfinite(values.astype(float)).tolist(), strict=True)
    return [
        f'<c r="{name}{row}{head}{value!r}</v></c>' if is_there else ""
        for row, value, is_there in triples
    ]


def _flags(values: NDArray[np.generic], name: str, style: int, rows: Sequence[int]) -> list[str]:
    head = f'" s="{style}" t="b"><v>'
    pairs = zip(rows, values.astype(int).tolist(), strict=True)
    return [f'<c r="{name}{row}{head}{value}</v></c>' for row, value in pairs]


_WRITERS: dict[Kind, Callable[..., list[str]]] = {
    "text": _texts,
    "integer": _numbers,
    "number": _numbers,
    "instant": _numbers,
    "flag": _flags,
}


def _inline(text: str) -> str:
    return f't="inlineStr"><is><t xml:space="preserve">{_inert(text)}</t></is>'


def _inert(text: str) -> str:
    """Return text as XML holds it: no sign of it is markup, and what XML cannot hold is escaped."""
    if not _NEEDS_CARE.search(text):
        return text
    marked = _LOOKS_ESCAPED.sub("_x005F_", text)
    whole = _CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", _HALVES.sub("\ufffd", marked))
    return whole.translate(_LIVE)
