"""The declared tables as files: CSV, JSON and Parquet, as the contract names them.

CSV cells are safe to open in a spreadsheet (no text is taken for a formula); JSON is strict (no
NaN); Parquet is typed and ordered. JSON and Parquet hold text exactly as it came.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from core.errors import DataError
from core.frames import (
    CAMPAIGNS,
    CHECKS,
    LAYER_CONTRASTS,
    LAYER_LIFTS,
    LIFTS,
    Kind,
    Table,
)
from core.publish.formats import exact

_BLANK = r"[\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff]"
_TRIGGER = r"[=+\-@＝＋－＠﹦﹢﹣﹫]"
_LEADING = re.compile(rf"{_BLANK}*{_TRIGGER}|[\t\r\n]")
# A comma-separated file opened where the list separator is ";" splits at these even inside quotes.
_INNER = re.compile(rf'([;\t\r\n](?:{_BLANK}|")*+)({_TRIGGER}?)')


def lifts_csv(frame: pd.DataFrame) -> bytes:
    """Return lifts.csv: one row per campaign x metric x method, columns as declared in LIFTS.

    Raises:
        DataError: The frame is not what is declared.
    """
    return declared_csv(LIFTS, frame)


def campaigns_csv(frame: pd.DataFrame) -> bytes:
    """Return campaigns.csv: one row per campaign, columns as declared in CAMPAIGNS.

    Raises:
        DataError: The frame is not what is declared.
    """
    return declared_csv(CAMPAIGNS, frame)


def layers_csv(frame: pd.DataFrame) -> bytes:
    """Return layers.csv: one row per layer x metric x method, columns as declared in LAYER_LIFTS.

    Raises:
        DataError: The frame is not what is declared.
    """
    return declared_csv(LAYER_LIFTS, frame)


def contrasts_csv(frame: pd.DataFrame) -> bytes:
    """Return layer_contrasts.csv: one row per two layers and metric, as LAYER_CONTRASTS.

    Raises:
        DataError: The frame is not what is declared.
    """
    return declared_csv(LAYER_CONTRASTS, frame)


def checks_csv(frame: pd.DataFrame) -> bytes:
    """Return checks.csv: one row per layer and method that was checked, as CHECKS.

    Raises:
        DataError: The frame is not what is declared.
    """
    return declared_csv(CHECKS, frame)


def declared_csv(table: Table, frame: pd.DataFrame) -> bytes:
    """Return any declared table as CSV: its columns in their order, and no others.

    Raises:
        DataError: The frame is not what is declared.
    """
    checked = table.checked(frame)
    cells = [_cells(column.kind, checked[column.name]) for column in table.columns]
    return _csv(table.names, cells)


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Return any table of a screen as CSV, its index left out, its headers as safe as its cells.

    UTF-8; text quoted; numbers as they are; missing empty; booleans true or false; instants
    ISO 8601 UTC with milliseconds.

    Raises:
        DataError: A column of instants carries no zone, or two columns have one name.
    """
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names):
        raise DataError("The table for the CSV names a column twice; name each once.")
    kinds = [_kind(name, frame.iloc[:, at]) for at, name in enumerate(names)]
    cells = [_cells(kind, frame.iloc[:, at]) for at, kind in enumerate(kinds)]
    return _csv(names, cells)


def defused(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, with ' put before what would be one.

    A cell is caught at its start (also after blanks, also full-width signs), and at each place
    inside where a spreadsheet with another list separator would start a new cell.
    """
    inner = _INNER.sub(lambda found: f"{found[1]}'{found[2]}" if found[2] else found[1], text)
    return f"'{inner}" if _LEADING.match(text) else inner


def records(table: Table, frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return a declared table as one mapping a row; numbers that are missing are None.

    Raises:
        DataError: The frame is not what is declared.
    """
    checked = table.checked(frame)
    columns = [_values(column.kind, checked[column.name]) for column in table.columns]
    return [dict(zip(table.names, row, strict=True)) for row in zip(*columns, strict=True)]


def definitions(table: Table) -> dict[str, str]:
    """Return what each column of a declared table holds."""
    return {column.name: column.meaning for column in table.columns}


def plain(value: object, *, where: str) -> object:
    """Return a value as strict JSON knows it: NaN and infinities become None, instants text.

    Args:
        value: Text, numbers, instants, paths, and mappings and sequences of them.
        where: What the value is, for the error.

    Raises:
        DataError: The value is of a kind that has no place in a file (a secret, for one).
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (datetime, pd.Timestamp)):
        return exact(value) or None
    if isinstance(value, Mapping):
        return {str(key): plain(item, where=f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple, frozenset, set, np.ndarray)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(item, where=where) for item in items]
    return _unusual(value, where=where)


def json_bytes(content: Mapping[str, object]) -> bytes:
    """Return strict JSON in UTF-8, harmless also where it is pasted into a page.

    Raises:
        DataError: The content holds NaN, an infinity, or what JSON does not know.
    """
    try:
        text = json.dumps(content, allow_nan=False, ensure_ascii=True, indent=1)
    except (TypeError, ValueError) as error:
        raise DataError(f"The analysis cannot be written as JSON: {error}.") from error
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode()


def _csv(names: Sequence[str], cells: Sequence[pa.Array]) -> bytes:
    # Arrow quotes every text and nothing else, so that empty text and missing stay apart.
    sink = io.BytesIO()
    if names:
        headers = [defused(_encodable(name)) for name in names]
        pa_csv.write_csv(pa.table(list(cells), names=headers), sink)
    return sink.getvalue()


def _kind(name: str, values: pd.Series) -> Kind:
    """Return what a column of a screen's table holds."""
    dtype = values.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "instant"
    if pd.api.types.is_datetime64_dtype(dtype):
        raise DataError(f"The column {name} holds instants without a time zone; make them UTC.")
    if pd.api.types.is_bool_dtype(dtype):
        return "flag"
    return "number" if pd.api.types.is_numeric_dtype(dtype) else "text"


def _cells(kind: Kind, values: pd.Series) -> pa.Array:
    """Return a column as the CSV shall hold it; missing is null."""
    if kind == "instant":
        return pa.array(_instants(values), type=pa.string())
    if kind == "text":
        codes, texts = pd.factorize(values)  # each distinct text is looked at once
        safe = pa.array([defused(_encodable(str(text))) for text in texts], type=pa.string())
        return safe.take(pa.array(codes, mask=codes < 0))
    if pd.api.types.is_float_dtype(values.dtype):
        values = values.where(np.isfinite(values.to_numpy(dtype=float, na_value=np.nan)))
    return pa.array(values, from_pandas=True)


def _encodable(text: str) -> str:
    """Replace halves of characters (lone surrogates), which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def _instants(values: pd.Series) -> list[str | None]:
    """Return instants as ISO 8601 UTC with milliseconds."""
    utc = values.dt.tz_convert(None).to_numpy().astype("datetime64[ms]")
    texts = np.datetime_as_string(utc, unit="ms", timezone="UTC").tolist()
    return [None if text == "NaT" else text for text in texts]


def _values(kind: Kind, values: pd.Series) -> list[object]:
    """Return a declared column as what JSON knows."""
    if kind == "instant":
        return list(_instants(values))
    if kind == "number":
        values = values.where(np.isfinite(values))
    return [
        None if is_none else value
        for value, is_none in zip(values.tolist(), values.isna(), strict=True)
    ]


def _unusual(value: object, *, where: str) -> object:
    if isinstance(value, np.generic):
        return plain(value.item(), where=where)
    if isinstance(value, PurePath):
        return str(value)
    if value is pd.NA or value is pd.NaT:
        return None
    raise DataError(
        f"The analysis cannot hold {where}, which is of the type {type(value).__name__}; "
        "give it as text or numbers."
    )


__all__ = [
    "campaigns_csv",
    "checks_csv",
    "contrasts_csv",
    "csv_bytes",
    "declared_csv",
    "definitions",
    "defused",
    "json_bytes",
    "layers_csv",
    "lifts_csv",
    "plain",
    "records",
]
