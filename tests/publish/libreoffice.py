"""Excel files opened by another program: python -m tests.publish.libreoffice [FILE.xlsx ...].

Opens each workbook in LibreOffice without a screen, has it say every sheet as CSV, and holds the
cells against what openpyxl reads. Without a file it makes one, of hostile texts and a table that
goes on over several sheets. Needs `soffice` (Debian: libreoffice-calc-nogui, 90 MB to fetch,
276 MB on the disk); it is no test of pytest's, which passes on machines without it.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
from openpyxl.utils.escape import unescape

from core.publish.reports.catalogue import sheets
from core.publish.users import users_table
from core.publish.workbook import write_workbook
from tests.publish import examples
from tests.publish.reports.materials import METRIC, UNTIL, material

# Comma, quote, UTF-8, from row 1, no column formats, quote all text, cells as they are and not as
# shown, no formulas, every sheet into a file of its own.
_FILTER = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,false,false,false,false,-1"
_NEAR = 1e-9


def main() -> int:
    """Check every workbook named, or one made here; return 1 where a cell differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    given = parser.parse_args()
    if shutil.which("soffice") is None:
        _say("soffice is not installed; see the first lines of this file.")
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wrong = 0
        for path in given.files or [_made(folder / "hostile.xlsx")]:
            n, found = check(path.resolve(), folder)
            _say(f"{path.name}: {n} cells, {len(found)} differ")
            _say("\n".join(found[:20]))
            wrong += len(found) or (n == 0)
    return 1 if wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def check(path: Path, folder: Path) -> tuple[int, list[str]]:
    """Return how many cells were compared, and those that differ."""
    out = folder / f"{path.stem}-csv"
    subprocess.run(
        ["soffice", "--headless", f"-env:UserInstallation={(folder / 'profile').as_uri()}",
         "--convert-to", _FILTER, "--outdir", out, path],
        check=True, timeout=300, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    n, wrong = 0, []
    for sheet in openpyxl.load_workbook(path, read_only=True):
        with (out / f"{path.stem}-{sheet.title}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        for at, values in enumerate(sheet.values):
            cells = rows[at] if at < len(rows) else []
            for place, value in enumerate(values):
                n += 1
                cell = cells[place] if place < len(cells) else ""
                if not _is_same(value, cell):
                    wrong.append(
                        f"{sheet.title}, row {at + 1}, column {place + 1}: {value!r}, {cell!r}"
                    )
    return n, wrong


def _is_same(value: object, cell: str) -> bool:
    if value is None:
        return not cell
    if isinstance(value, bool):
        return cell in {str(value).upper(), str(int(value))}
    if isinstance(value, datetime):
        return abs(pd.Timestamp(cell) - pd.Timestamp(value)) < pd.Timedelta(seconds=1)
    if isinstance(value, (int, float)):
        return abs(_number(cell) - value) <= _NEAR * max(1.0, abs(value))
    return _plain(unescape(str(value))) == _plain(cell)  # openpyxl leaves escapes in


def _number(cell: str) -> float:
    """Return a number as LibreOffice says it: shares in percent, a true minus."""
    text = cell.replace("−", "-").replace(",", "")
    return float(text.rstrip("%")) / (100 if text.endswith("%") else 1)


def _plain(text: str) -> str:
    """Return text without what the two programs read apart: line ends and signs no cell shows."""
    kept = text.replace("_x000D_", "").replace("\r", "")
    return "".join(char for char in kept if char.isprintable() or char == "\n").strip()


def _made(path: Path) -> Path:
    texts = [text.encode("utf-8", "replace").decode() for text in examples.HOSTILE]
    of = material(names=texts)
    every = sheets(of, users_table(examples.window_counts(400), METRIC))
    about = {f"about {at}": text for at, text in enumerate(texts)}
    write_workbook(path, every, metric=METRIC, made_at=UNTIL, about=about, max_rows=400)
    return path


if __name__ == "__main__":
    sys.exit(main())
