"""Texts that something, somewhere, would run, through every way out: CSV, Excel, JSON, markup.

A trial is one text in one format. It is exact where the text arrives as it was, declared where what
the format cannot hold was taken out, and broken where anything in it would come to life.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import time
import zipfile
from collections.abc import Callable, Iterable

import openpyxl
import pandas as pd

from core.publish import tables
from core.publish.theme import safe
from core.publish.workbook import EXCEL_TEXT, workbook_bytes
from pages.parts.plain import plain
from tests.faults.hostile import BREAKERS, MARKUP, QUERIES
from tests.faults.tally import Tally
from tests.publish import examples

_BLANK = r"[\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff]"
_FORMULA = re.compile(rf"{_BLANK}*[=+\-@＝＋－＠﹦﹢﹣﹫]")
_BARE_SIGN = re.compile(r"(?<!\\)(?:\\\\)*[!-/:-@\[-`{-~]")
_ADDRESS = re.compile(r"(?:https?|ftp|www|mailto|xmpp)\\?[:.]|[^\u2060]@[^\u2060]", re.IGNORECASE)
_SIGNS = re.compile(r"<-|->|--|>=|<=|~=|:streamlit:")
_TAG = re.compile(r"[<>${}]")


def payloads() -> list[str]:
    """Return every text, each once."""
    return list(dict.fromkeys((*examples.HOSTILE, *MARKUP, *BREAKERS, *QUERIES)))


def run(*, size: int, seed: int) -> Tally:
    """Try texts in four formats.

    Args:
        size: How many texts, drawn at random; at most all.
        seed: Of the drawing.
    """
    started, every = time.perf_counter(), payloads()
    chosen = random.Random(seed).sample(every, min(size, len(every)))
    tally = Tally(what="hostile texts in CSV, Excel, JSON, markup")
    for name, judge in _FORMATS.items():
        for text, verdict in zip(chosen, judge(chosen), strict=True):
            tally.runs += 1
            tally.exact += verdict == "exact"
            tally.declared += verdict == "declared"
            if verdict not in {"exact", "declared"}:
                tally.broken.append(f"{name}: {text[:60]!r} {verdict}")
    tally.figures = {"texts": len(chosen), "formats": len(_FORMATS)}
    tally.seconds = time.perf_counter() - started
    return tally


def _csv(texts: list[str]) -> Iterable[str]:
    for text in texts:
        # behind another cell, where a spreadsheet with another separator sees no quote at its start
        cells = pd.Series([text, "x"], dtype=object)
        frame = pd.DataFrame({"first": ["a", "b"], "text": cells, "n": [-1, 2]})
        frame.columns = pd.Index(["first", text, "n"], dtype=object)
        content = tables.csv_bytes(frame).decode()
        rows = list(csv.reader(io.StringIO(content, newline="")))
        live = [
            cell
            for delimiter in ",;\t"
            for row in csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
            for cell in row
            if _FORMULA.match(cell) and cell != "-1"
        ]
        if live or [len(row) for row in rows] != [3, 3, 3]:
            yield "is a formula, or breaks the row"
        elif rows[1][1].replace("'", "") == text.replace("'", ""):
            yield "exact"
        else:
            yield "declared" if not _is_unicode(text) else "arrives changed"


def _json(texts: list[str]) -> Iterable[str]:
    for text in texts:
        content = tables.json_bytes({"a": text, text: [text]})
        said = json.loads(content, parse_constant=_refuse)
        is_inert = content.isascii() and not set(b"<>&") & set(content)
        yield "exact" if is_inert and said == {"a": text, text: [text]} else "is live or changed"


def _excel(texts: list[str]) -> Iterable[str]:
    whole = [text for text in texts if _is_unicode(text)]
    content = workbook_bytes(
        campaigns=examples.campaigns(max(len(whole), 3), name=whole if len(whole) >= 3 else None),
        layers=examples.layers(),
        lifts=examples.lifts(),
        contrasts=examples.contrasts(),
        checks=examples.checks(),
        metric="=1+1",
        made_at=pd.Timestamp("2026-10-31T04:00:00Z"),
        about={f"about {at}": text for at, text in enumerate(texts)},
    )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        sheets = [archive.read(name).decode() for name in names if "worksheets/" in name]
    live = any("<f" in text or "<hyperlink" in text for text in sheets)
    live = live or any("external" in name.lower() for name in names)
    book = openpyxl.load_workbook(io.BytesIO(content))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    live = live or any(cell.data_type == "f" or cell.hyperlink for cell in cells)
    said = {row[0].value: row[1].value or "" for row in book["README"].iter_rows()}
    for at, text in enumerate(texts):
        found = str(said.get(f"about {at}"))
        if live:
            yield "is a formula or a link"
        elif found == text:
            yield "exact"
        else:
            is_too_long = len(text.encode("utf-16-le", "replace")) // 2 > EXCEL_TEXT
            yield "declared" if _loose(found) == _loose(text) or is_too_long else "arrives changed"


def _markup(texts: list[str]) -> Iterable[str]:
    for text in texts:
        shown, drawn = plain(text), safe(text)
        bare = [found[0] for found in _BARE_SIGN.finditer(shown) if not found[0].startswith("\\")]
        read = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown)
        if bare or _ADDRESS.search(shown) or _SIGNS.search(read) or "\n" in shown:
            yield "is markup on a page"
        elif _TAG.search(drawn) or "\n" in drawn:
            yield "is markup in a figure"
        else:
            yield "exact" if read.replace("\u2060", "") == text else "declared"


_FORMATS: dict[str, Callable[[list[str]], Iterable[str]]] = {
    "CSV": _csv,
    "Excel": _excel,
    "JSON": _json,
    "markup": _markup,
}


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _loose(text: str) -> str:
    """Return text without what a cell of a worksheet cannot hold."""
    text = re.sub(r"_x[0-9A-Fa-f]{4}_", "", text)
    return re.sub(r"[\x00-\x20\x7f\ud800-\udfff\ufffd-\uffff\u2028\u2029\ufdd0\x85\xa0]", "", text)


def _refuse(name: str) -> float:
    raise ValueError(name)
