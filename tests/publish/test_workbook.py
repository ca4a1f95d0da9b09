from __future__ import annotations

import io
import zipfile

import openpyxl
import pandas as pd
import pytest

from core.errors import DataError
from core.frames import CAMPAIGNS, CHECKS, LAYER_CONTRASTS, LAYER_LIFTS, LIFTS
from core.publish.workbook import EXCEL_TEXT, workbook_bytes
from tests.publish import examples

MADE = pd.Timestamp("2026-10-31T04:00:00Z")
TABLES = {
    "Campaigns": CAMPAIGNS,
    "Layers": LAYER_LIFTS,
    "Lifts": LIFTS,
    "Contrasts": LAYER_CONTRASTS,
    "Checks": CHECKS,
}
HOSTILE = examples.HOSTILE


def _made(**changes):
    parts = {
        "campaigns": examples.campaigns(),
        "layers": examples.layers(),
        "lifts": examples.lifts(),
        "contrasts": examples.contrasts(),
        "checks": examples.checks(),
        "metric": "confirmed_trades",
        "made_at": MADE,
        "about": {"Period": "2026-09-01 to 2026-10-31", "Time zone": "America/New_York"},
    }
    return workbook_bytes(**{**parts, **changes})


def _opened(content):
    return openpyxl.load_workbook(io.BytesIO(content))


def _column(sheet, name):
    header = [cell.value for cell in sheet[1]]
    at = header.index(name) + 1
    return [sheet.cell(row, at).value for row in range(2, sheet.max_row + 1)]


def _xml(content):
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name).decode() for name in file.namelist() if name.endswith("xml")}


def test_workbook_bytes_has_its_sheets_with_frozen_headers_and_filters():
    book = _opened(_made())
    assert book.sheetnames == ["README", *TABLES]
    for name, table in TABLES.items():
        sheet = book[name]
        assert sheet.freeze_panes == "B2"
        assert sheet.auto_filter.ref == sheet.dimensions
        header = [cell.value.removesuffix(" (UTC)") for cell in sheet[1]]
        assert header == table.names


def test_workbook_bytes_numbers_are_numbers():
    frame = examples.lifts()
    sheet = _opened(_made(lifts=frame))["Lifts"]
    values = pd.Series(_column(sheet, "rel_effect_size"), dtype=float, name="rel_effect_size")
    pd.testing.assert_series_equal(values, frame["rel_effect_size"], rtol=1e-15)
    assert _column(sheet, "n_users") == frame["n_users"].tolist()
    assert _column(sheet, "headline") == [True] * len(frame)
    assert sheet.cell(2, LIFTS.names.index("rel_effect_size") + 1).number_format.startswith("+0.0%")
    assert sheet.cell(2, LIFTS.names.index("n_users") + 1).number_format == "#,##0"


def test_workbook_bytes_missing_numbers_are_empty_cells():
    sheet = _opened(_made())["Lifts"]
    pairs = zip(_column(sheet, "status"), _column(sheet, "effect_size"), strict=True)
    assert {effect for status, effect in pairs if status == "too_few_users"} == {None}


def test_workbook_bytes_instants_are_naive_utc():
    sheet = _opened(_made())["Campaigns"]
    frame = examples.campaigns()
    expected = frame["first_delivered_at"].dt.tz_convert(None).dt.to_pydatetime().tolist()
    found = _column(sheet, "first_delivered_at (UTC)")
    assert [pd.Timestamp(value).round("ms") for value in found] == expected


def test_workbook_bytes_hostile_text_stays_text():
    frame = examples.campaigns(len(HOSTILE), name=list(HOSTILE))
    about = {text: text for text in HOSTILE}
    content = _made(campaigns=frame, about=about, metric=HOSTILE[0])
    parts = _xml(content)
    sheets = {name: text for name, text in parts.items() if "worksheets/sheet" in name}
    assert len(sheets) == 1 + len(TABLES)
    for text in sheets.values():
        assert "<f" not in text
        assert "hyperlink" not in text
    assert not any("externalLink" in name for name in parts)
    assert not any('TargetMode="External"' in text for text in parts.values())
    names = _column(_opened(content)["Campaigns"], "name")
    kept = [text.translate(dict.fromkeys(range(32))).strip() for text in HOSTILE]
    found = [name.replace("\n", "").replace("\t", "").replace("\r", "") for name in names]
    assert sum(a.strip() == b for a, b in zip(found, kept, strict=True)) > 0.9 * len(HOSTILE)
    book = _opened(content)
    types = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert types <= {"s", "n", "b", "d", "inlineStr"}


def test_workbook_bytes_chart_draws_each_layer_once():
    drawn = _opened(_made())["Layers"]._charts
    assert len(drawn) == 1  # these have no incremental events to draw
    (series,) = drawn[0].series
    assert series.val.numRef.f == "Layers!$N$2:$N$5"
    sheet = _opened(_made())["Layers"]
    assert _column(sheet, "layer")[:4] == ["1", "2", "3", "all"]
    assert _column(sheet, "metric")[:4] == ["confirmed_trades"] * 4
    plus = [point.v for point in series.errBars.plus.numLit.pt]
    assert [float(value) for value in plus] == pytest.approx([0.03, 0.05, 0.02, 0.0255])


def test_workbook_bytes_draws_incremental_events_beside_the_lift():
    frame = examples.layers().assign(
        incremental_events=100.0, incremental_events_ci_low=80.0, incremental_events_ci_high=130.0
    )
    drawn = _opened(_made(layers=frame))["Layers"]._charts
    assert len(drawn) == 2
    (series,) = drawn[1].series
    at = LAYER_LIFTS.names.index("incremental_events")
    letter = openpyxl.utils.get_column_letter(at + 1)
    assert series.val.numRef.f == f"Layers!${letter}$2:${letter}$4"
    assert [float(p.v) for p in series.errBars.minus.numLit.pt] == [20.0, 20.0, 20.0]


def test_workbook_bytes_chart_takes_the_best_evidence():
    both = pd.concat(
        [examples.layers(), examples.layers(evidence="B", method="comparison")], ignore_index=True
    )
    sheet = _opened(_made(layers=both))["Layers"]
    assert _column(sheet, "evidence")[:4] == ["B"] * 4
    assert len(_column(sheet, "layer")) == 16


def test_workbook_bytes_chart_takes_the_headline_before_better_single_methods():
    both = pd.concat(
        [
            examples.layers(evidence="A", method="holdout"),
            examples.layers(evidence="C", method="headline"),
        ],
        ignore_index=True,
    )
    sheet = _opened(_made(layers=both))["Layers"]
    assert _column(sheet, "method")[:4] == ["headline"] * 4


def test_workbook_bytes_unbounded_or_no_rows_are_not_drawn():
    frame = examples.layers()
    frame["rel_effect_size_ci_high"] = float("nan")
    assert not _opened(_made(layers=frame))["Layers"]._charts
    assert not _opened(_made(layers=LAYER_LIFTS.empty()))["Layers"]._charts


def test_workbook_bytes_readme_says_settings_and_definitions():
    sheet = _opened(_made())["README"]
    said = {sheet.cell(row, 1).value: sheet.cell(row, 2).value for row in range(1, sheet.max_row)}
    assert said["Lifts"] == "18 rows"
    assert said["Time zone"] == "America/New_York"
    assert said["qvalue"].startswith("Benjamini-Hochberg")
    assert "status" in said["Empty cells"]


def test_workbook_bytes_long_tables_go_on_on_further_sheets():
    book = _opened(_made(max_rows=10))
    assert [name for name in book.sheetnames if name.startswith("Lifts")] == ["Lifts", "Lifts 2"]
    rows = [_column(book[name], "rel_effect_size") for name in ("Lifts", "Lifts 2")]
    assert [len(part) for part in rows] == [9, 9]
    found = pd.Series([*rows[0], *rows[1]], dtype=float, name="rel_effect_size")
    pd.testing.assert_series_equal(found, examples.lifts()["rel_effect_size"], rtol=1e-15)
    assert book["Lifts 2"].freeze_panes == "B2"
    readme = " ".join(str(cell.value) for cell in book["README"]["B"])
    assert "Lifts has 18 rows; a worksheet holds 9 below its header, so they go on to" in readme
    assert book["Campaigns"].max_row == 7


@pytest.mark.parametrize("char", ["x", "😀"])
def test_workbook_bytes_long_text_is_shortened_and_said(char):
    frame = examples.campaigns()
    frame.loc[0, "body"] = char * 40_000
    book = _opened(_made(campaigns=frame))
    body = _column(book["Campaigns"], "body")[0]
    assert len(body.encode("utf-16-le")) // 2 <= EXCEL_TEXT
    assert "[shortened from" in body
    readme = " ".join(str(cell.value) for cell in book["README"]["B"])
    assert "Campaigns, column body: 1 cell was shortened" in readme


def test_workbook_bytes_same_input_same_bytes():
    assert _made() == _made()


def test_workbook_bytes_undeclared_frame_raises():
    with pytest.raises(DataError, match="lacks the column"):
        _made(lifts=examples.lifts().drop(columns="metric"))
