from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError
from core.frames import CAMPAIGNS, CHECKS, LAYER_CONTRASTS, LAYER_LIFTS, LIFTS
from core.publish import tables
from tests.publish import examples

_LIVE = re.compile(r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠]")
HOSTILE = examples.HOSTILE


def _parsed(content, delimiter=","):
    return list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter))


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _live(rows):
    return [c for row in rows for c in row if _LIVE.match(c) and not _is_number(c.lstrip())]


def _read(content, table):
    kinds = {"text": "str", "integer": "int64", "number": "float64", "flag": "bool"}
    dtypes = {c.name: kinds[c.kind] for c in table.columns if c.kind != "instant"}
    instants = [c.name for c in table.columns if c.kind == "instant"]
    frame = pd.read_csv(io.BytesIO(content), dtype=dtypes, keep_default_na=False, na_values=[""])
    for name in instants:
        parsed = pd.to_datetime(frame[name], format="%Y-%m-%dT%H:%M:%S.%fZ", utc=True)
        frame[name] = parsed.astype("datetime64[ms, UTC]")
    return frame


@pytest.mark.parametrize(
    ("writer", "table", "frame"),
    [
        (tables.lifts_csv, LIFTS, examples.lifts(20)),
        (tables.campaigns_csv, CAMPAIGNS, examples.campaigns(20)),
        (tables.layers_csv, LAYER_LIFTS, examples.layers()),
        (tables.contrasts_csv, LAYER_CONTRASTS, examples.contrasts()),
        (tables.checks_csv, CHECKS, examples.checks()),
    ],
    ids=["lifts", "campaigns", "layers", "contrasts", "checks"],
)
def test_declared_csv_comes_back_as_it_was(writer, table, frame):
    content = writer(frame)
    assert _parsed(content)[0] == table.names
    pd.testing.assert_frame_equal(_read(content, table), frame, check_exact=True)


def test_lifts_csv_writes_missing_as_nothing_and_flags_in_lower_case():
    header, *rows = _parsed(tables.lifts_csv(examples.lifts()))
    small = [dict(zip(header, row, strict=True)) for row in rows if "too_few_users" in row]
    assert small
    assert {row["effect_size"] for row in small} == {""}
    assert {row["headline"] for row in small} == {"true"}


def test_lifts_csv_infinite_numbers_are_missing():
    frame = examples.lifts()
    frame.loc[0, "rel_effect_size_ci_high"] = np.inf
    assert b"inf" not in tables.lifts_csv(frame).lower()


def test_campaigns_csv_instants_are_utc_with_milliseconds():
    rows = _parsed(tables.campaigns_csv(examples.campaigns()))
    first = dict(zip(rows[0], rows[1], strict=True))
    assert first["first_delivered_at"] == "2026-09-01T13:00:00.250Z"


def test_campaigns_csv_never_delivered_has_empty_instants():
    frame = examples.campaigns()
    frame.loc[0, "first_delivered_at"] = pd.NaT
    rows = _parsed(tables.campaigns_csv(frame))
    assert dict(zip(rows[0], rows[1], strict=True))["first_delivered_at"] == ""


def test_lifts_csv_undeclared_frame_raises():
    with pytest.raises(DataError, match="lacks the column metric"):
        tables.lifts_csv(examples.lifts().drop(columns="metric"))


def test_lifts_csv_empty_table_keeps_its_header():
    assert _parsed(tables.lifts_csv(LIFTS.empty())) == [LIFTS.names]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_campaigns_csv_hostile_titles_are_never_live(delimiter):
    frame = examples.campaigns(len(HOSTILE), name=list(HOSTILE))
    content = tables.campaigns_csv(frame)
    assert len(HOSTILE) >= 200
    assert _live(_parsed(content, delimiter)) == []


def test_campaigns_csv_hostile_titles_lose_nothing_but_gain_quotes():
    frame = examples.campaigns(len(HOSTILE), name=list(HOSTILE))
    header, *rows = _parsed(tables.campaigns_csv(frame))
    names = [row[header.index("name")] for row in rows]
    assert [name.replace("'", "") for name in names] == [h.replace("'", "") for h in HOSTILE]


def test_csv_bytes_hostile_headers_and_ids_are_never_live():
    frame = pd.DataFrame({text: [text, text] for text in HOSTILE})
    for delimiter in (",", ";", "\t"):
        assert _live(_parsed(tables.csv_bytes(frame), delimiter)) == []


def test_csv_bytes_takes_the_columns_of_a_screen():
    frame = pd.DataFrame(
        {
            "what": pd.Categorical(["a", "=b"]),
            "mixed": [None, Decimal("1.5")],
            "count": pd.array([1, None], dtype="Int64"),
            "share": [-0.25, np.nan],
            "sure": [True, False],
            "at": pd.to_datetime(["2026-09-01T09:00:00-04:00", None], utc=True),
        },
        index=["=x", "=y"],
    )
    assert _parsed(tables.csv_bytes(frame)) == [
        ["what", "mixed", "count", "share", "sure", "at"],
        ["a", "", "1", "-0.25", "true", "2026-09-01T13:00:00.000Z"],
        ["'=b", "1.5", "", "", "false", ""],
    ]


def test_csv_bytes_half_characters_do_not_stop_it():
    assert "?" in tables.csv_bytes(pd.DataFrame({"a": ["x\ud800"]}, dtype=object)).decode()


def test_csv_bytes_no_columns_is_empty():
    assert tables.csv_bytes(pd.DataFrame()) == b""


def test_csv_bytes_naive_instants_raise():
    with pytest.raises(DataError, match="without a time zone"):
        tables.csv_bytes(pd.DataFrame({"at": pd.to_datetime(["2026-09-01"])}))


def test_csv_bytes_repeated_header_raises():
    with pytest.raises(DataError, match="twice"):
        tables.csv_bytes(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Drop 7 is live", "Drop 7 is live"),
        ("=1+1", "'=1+1"),
        ("  =1+1", "'  =1+1"),
        ("\t=1+1", "'\t'=1+1"),
        ("\r\n", "'\r\n"),
        ("＝1+1", "'＝1+1"),
        ("-5 %", "'-5 %"),
        ("a-b", "a-b"),
        ("a;=1", "a;'=1"),
        ('a;"=1', "a;\"'=1"),
        ("list:\n- x", "list:\n'- x"),
        ("", ""),
    ],
)
def test_defused(text, safe):
    assert tables.defused(text) == safe


def test_defused_takes_long_runs_of_blanks_in_one_pass():
    text = "\n" * 500_000 + "x"
    assert tables.defused(text) == f"'{text}"


@settings(deadline=None, derandomize=True)
@given(st.text(alphabet="=+-@;\t\r\n \"',ab＝\u200b\ufeff", max_size=12))
def test_defused_is_dead_in_every_dialect(text):
    content = tables.csv_bytes(pd.DataFrame({"a": ["x"], "b": [text], "c": ["y"]}))
    for delimiter in (",", ";", "\t"):
        assert _live(_parsed(content, delimiter)) == []


def _strict(content):
    def _refuse(name):
        raise AssertionError(name)

    return json.loads(content, parse_constant=_refuse)


def test_json_bytes_hostile_text_is_kept_and_harmless_in_a_page():
    frame = examples.campaigns(len(HOSTILE), name=list(HOSTILE))
    content = tables.json_bytes({"campaigns": tables.records(CAMPAIGNS, frame)})
    assert [row["name"] for row in _strict(content)["campaigns"]] == list(HOSTILE)
    assert not set(b"<>&") & set(content)
    assert content.isascii()


def test_json_bytes_nan_raises():
    with pytest.raises(DataError, match="JSON"):
        tables.json_bytes({"a": float("nan")})


def test_plain_turns_what_runs_hold_into_json():
    value = {
        "a": (np.int64(1), np.float64(2.5), np.bool_(1)),
        "b": {"z", "y"},
        "c": np.array([1.0, np.nan]),
        "d": PurePosixPath("exports/events"),
        "e": [pd.NaT, pd.NA, None],
        4: "x",
    }
    assert tables.plain(value, where="settings") == {
        "a": [1, 2.5, True],
        "b": ["y", "z"],
        "c": [1.0, None],
        "d": "exports/events",
        "e": [None, None, None],
        "4": "x",
    }


def test_plain_other_objects_raise_with_their_place():
    with pytest.raises(DataError, match=r"settings\.database\.url.*type object"):
        tables.plain({"database": {"url": object()}}, where="settings")
