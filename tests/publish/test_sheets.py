from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from core.frames import INSTANT, Column, Table
from core.publish.sheets import _CHUNK
from core.publish.workbook import Sheet, write_workbook
from tests.publish import examples

TABLE = Table(
    "mixed",
    (),
    (
        Column("words", "text", "a text", "none"),
        Column("count", "integer", "a count"),
        Column("rate", "number", "a rate", "none"),
        Column("flag", "flag", "a flag"),
        Column("at", "instant", "an instant", "none"),
    ),
)
MADE = pd.Timestamp("2026-10-31T04:00:00Z")


def _frame(words):
    n = len(words)
    at = pd.Series(pd.Timestamp("2026-09-01T13:00:00.250Z") + pd.to_timedelta(range(n), unit="h"))
    return pd.DataFrame(
        {
            "words": pd.Series(words, dtype="str"),
            "count": np.arange(n) - 3,
            "rate": np.where(np.arange(n) % 3 == 1, np.nan, np.arange(n) / 7),
            "flag": np.arange(n) % 2 == 0,
            "at": at.where(np.arange(n) % 4 > 0).astype(INSTANT),
        }
    )


def _written(frame):
    sink = io.BytesIO()
    sheet = Sheet(name="Mixed", table=TABLE, frame=frame)
    write_workbook(sink, [sheet], metric="x", made_at=MADE, about={})
    return sink.getvalue()


def _rows(content):
    return list(openpyxl.load_workbook(io.BytesIO(content))["Mixed"].values)


def test_row_sheet_holds_every_kind_over_many_chunks():
    frame = _frame([f"text {at}" for at in range(2 * _CHUNK + 5)])
    header, *rows = _rows(_written(frame))
    assert header == ("words", "count", "rate", "flag", "at (UTC)")
    found = pd.DataFrame(rows, columns=TABLE.names)
    assert found["words"].tolist() == frame["words"].tolist()
    assert found["count"].tolist() == frame["count"].tolist()
    assert found["flag"].tolist() == frame["flag"].tolist()
    np.testing.assert_array_equal(found["rate"].to_numpy(dtype=float), frame["rate"].to_numpy())
    at = pd.to_datetime(found["at"]).dt.round("ms").dt.tz_localize("UTC").astype(INSTANT)
    pd.testing.assert_series_equal(at, frame["at"], check_names=False)


def test_row_sheet_of_no_rows_has_its_header():
    assert _rows(_written(_frame([]))) == [("words", "count", "rate", "flag", "at (UTC)")]


def test_row_sheet_leaves_missing_cells_out():
    frame = _frame(["a", None, "c"])
    with zipfile.ZipFile(io.BytesIO(_written(frame))) as archive:
        xml = archive.read("xl/worksheets/sheet2.xml").decode()
    assert 'r="A3"' not in xml
    assert 'r="C3"' not in xml
    assert 'r="E2"' not in xml
    assert re.search(r'<c r="C2" s="\d+"><v>0.0</v></c>', xml)


@pytest.mark.parametrize(
    "text",
    ["a & b", "<b>", "]]>", "tab\there", "line\nend", "  blanks  ", "é ✓ 😀", "=1+1", "_y0041_"],
)
def test_row_sheet_texts_arrive_as_they_were(text):
    assert _rows(_written(_frame([text, "x"])))[1][0] == text


def test_row_sheet_escapes_what_xml_cannot_hold():
    with zipfile.ZipFile(io.BytesIO(_written(_frame(["a\x0bb", "_x0041_"])))) as archive:
        xml = archive.read("xl/worksheets/sheet2.xml").decode()
    assert "a_x000B_b" in xml
    assert "_x005F_x0041_" in xml


def test_row_sheet_hostile_texts_are_neither_formulas_nor_markup():
    texts = [one.encode("utf-8", "replace").decode() for one in examples.HOSTILE]
    content = _written(_frame(texts))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        xml = archive.read("xl/worksheets/sheet2.xml").decode()
    assert "<f" not in xml
    assert xml.count("<is>") == len(texts) + len(TABLE.columns)
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert {cell.data_type for cell in book["Mixed"]["A"]} <= {"s", "inlineStr"}
