"""Ways in which an answer of PostHog's arrives spoilt, as bytes on the wire.

Only what a transport, a proxy or a server at fault could make of a true answer. Another value of
the right type in the right place (one digit for another) is left out: without a checksum of
PostHog's nobody could tell; TLS and gzip carry one, so flips there may hit any byte. So are an
answer without any row, and the whole answer to the same question about other times.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

STRUCTURE = b'{}[],:"'
NAMES = (
    b'"columns"',
    b'"results"',
    b'"who"',
    b'"distinct_ids"',
    b'"codes"',
    b'"n_rows"',
    b'"email"',
)
WRONG: dict[type, Sequence[Any]] = {
    str: (7, 1.5, None, True, [], {}, ["x"], [["x"]]),
    int: ("7", 1.5, None, [], {}, [7], 10**30, -(10**30), 10**4000, "\ud800"),
    list: ("x", 7, None, {}, True, [], [None], [[]], [{}], [[["x"]]], [1.5], [10**30], {"a": 1}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class True_:  # noqa: N801 - True is taken
    """A true answer.

    Attributes:
        columns: Their names.
        rows: Its rows, whose last value is how many there are.
        stranger: A row nobody asked for, of the right form.
        is_proven: Whether a stranger shows even where the count of rows agrees.
    """

    columns: Sequence[str]
    rows: list[list[Any]]
    stranger: list[Any]
    is_proven: bool


Spoil = Callable[[random.Random, True_], bytes]


def said(
    body: bytes,
    *,
    status: bytes = b"HTTP/1.1 200 OK",
    headers: Sequence[bytes] = (),
    length: int | None = -1,
) -> bytes:
    """Return a whole response; the length is the body's, another, or none."""
    rows = [status, b"Content-Type: application/json", *headers]
    if length is not None:
        rows.append(b"Content-Length: %d" % (len(body) if length == -1 else length))
    return b"\r\n".join(rows) + b"\r\n\r\n" + body


def fields_of(true: True_) -> dict[str, Any]:
    """Return an answer with all the fields PostHog gives it."""
    return {
        "columns": list(true.columns),
        "types": [[name, "String"] for name in true.columns],
        "results": copy.deepcopy(true.rows),
        "query": "SELECT {x}",
        "hogql": "SELECT 'x', \"y\"",
        "clickhouse": None,
        "hasMore": None,
        "limit": None,
        "timings": [{"k": "./parse_select", "t": 0.0012}],
        "modifiers": {},
        "error": None,
        "is_cached": False,
        "last_refresh": "2026-10-01T10:00:00Z",
        "timezone": "UTC",
    }


def body_of(true: True_, **fields: Any) -> bytes:
    """Return an answer's body, some fields put in the place of its own."""
    return json.dumps({**fields_of(true), **fields}, separators=(",", ":")).encode()


def good(_: random.Random, true: True_) -> bytes:
    """Leave an answer as it is."""
    return said(body_of(true))


def cut(chance: random.Random, true: True_) -> bytes:
    """Lose the end of the body, under its whole length or none."""
    body = body_of(true)
    length = chance.choice([len(body), None])
    return said(body[: chance.randrange(len(body))], length=length)


def cut_anywhere(chance: random.Random, true: True_) -> bytes:
    """Lose the end of the response, perhaps within its head."""
    whole = said(body_of(true))
    return whole[: chance.randrange(len(whole))]


def flip(chance: random.Random, body: bytes, places: Sequence[int]) -> bytes:
    """Turn one bit at one of the places."""
    spoilt = bytearray(body)
    spoilt[chance.choice(places)] ^= 1 << chance.randrange(8)
    return bytes(spoilt)


def flipped_structure(chance: random.Random, true: True_) -> bytes:
    """Turn a bit of a bracket, comma, colon or quote."""
    body = body_of(true)
    return said(flip(chance, body, [at for at, letter in enumerate(body) if letter in STRUCTURE]))


def flipped_name(chance: random.Random, true: True_) -> bytes:
    """Turn a bit of a field's or column's name."""
    body = body_of(true)
    name = chance.choice([name for name in NAMES if name in body])
    start = body.index(name)
    return said(flip(chance, body, range(start + 1, start + len(name) - 1)))


def flipped_packed(chance: random.Random, true: True_) -> bytes:
    """Turn any bit of a compressed body."""
    packed = gzip.compress(body_of(true))
    return said(flip(chance, packed, range(len(packed))), headers=[b"Content-Encoding: gzip"])


def cut_packed(chance: random.Random, true: True_) -> bytes:
    """Lose the end of a compressed body."""
    packed = gzip.compress(body_of(true))
    length = chance.choice([len(packed), None])
    packed = packed[: chance.randrange(len(packed))]
    return said(packed, headers=[b"Content-Encoding: gzip"], length=length)


def packed_otherwise(chance: random.Random, true: True_) -> bytes:
    """Name an encoding that the body has, or has not."""
    body = body_of(true)
    packed = chance.choice(
        [body, gzip.compress(body), zlib.compress(body), gzip.compress(body) * 2]
    )
    names = [b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"x", b"", b"gzip, " * 99]
    return said(packed, headers=[b"Content-Encoding: " + chance.choice(names)])


def wrong_type(chance: random.Random, true: True_) -> bytes:
    """Put another type in the place of one value, or one of a list, or in all rows."""
    rows = copy.deepcopy(true.rows)
    column = chance.randrange(len(true.columns))
    wrong = chance.choice(WRONG[type(rows[0][column])])
    hit = rows if chance.random() < 0.3 else [chance.choice(rows)]
    for row in hit:
        value = row[column]
        if isinstance(value, list) and chance.random() < 0.5:
            place = chance.randrange(len(value))
            value[place] = chance.choice(WRONG[type(value[place])])
        else:
            row[column] = wrong
    return said(body_of(true, results=rows))


def outside(chance: random.Random, true: True_) -> bytes:
    """Put an event outside the slice, or miscount the rows."""
    rows = copy.deepcopy(true.rows)
    row = chance.choice(rows)
    if "codes" in true.columns and chance.random() < 0.7:
        row[2][chance.randrange(len(row[2]))] = chance.choice([-1, 10**15, -(10**12)])
    else:
        row[-1] += chance.choice([-1, 1, 1000])
    return said(body_of(true, results=rows))


def other_rows(chance: random.Random, true: True_) -> bytes:
    """Lose, repeat, turn round or add rows."""
    rows = copy.deepcopy(true.rows)
    n = chance.randrange(1, len(rows))
    ways = [rows[:n], rows[n:], rows + rows[:n], rows * 2, rows[::-1], [*rows, true.stranger]]
    if true.is_proven:
        more = [[*row[:-1], len(rows) + 1] for row in [*rows, true.stranger]]
        ways.append(more)
    return said(body_of(true, results=chance.choice(ways)))


def other_shape(chance: random.Random, true: True_) -> bytes:
    """Give rows or columns another shape."""
    rows, columns = copy.deepcopy(true.rows), list(true.columns)
    at = chance.randrange(len(rows))
    ways: list[dict[str, Any]] = [
        {"results": [*rows[:at], rows[at][:-1], *rows[at + 1 :]]},
        {"results": [*rows[:at], [*rows[at], 1], *rows[at + 1 :]]},
        {"results": [*rows[:at], None, *rows[at + 1 :]]},
        {"results": [dict(zip(columns, row, strict=True)) for row in rows]},
        {"results": {"rows": rows}},
        {"results": None},
        {"results": json.dumps(rows)},
        {"results": [rows]},
        {"columns": columns[::-1]},
        {"columns": columns[::-1], "results": [row[::-1] for row in rows]},
        {"columns": columns[:-1], "results": [row[:-1] for row in rows]},
        {"columns": [*columns, "x"]},
        {"columns": None},
        {"columns": "".join(columns)},
        {"columns": [[name] for name in columns]},
        {"error": "it broke"},
        {"hasMore": True},
        {"hasMore": "no"},
        {"is_cached": True, "results": [[*row[:-1], at + 1] for row in rows[: at + 1]]},
    ]
    return said(body_of(true, **chance.choice(ways)))


def other_json(chance: random.Random, true: True_) -> bytes:
    """Write what is hardly JSON, or too much of it."""
    body = body_of(true)
    deep = b"[" * 20_000 + b"]" * 20_000
    ways = [
        body.replace(b'"results":', b'"results":[],"results":', 1),
        body[:-1] + b',"results":[]}',
        body[:-1] + b',"columns":["who"]}',
        body.replace(b"0.0012", b"NaN"),
        body.replace(b"0.0012", b"-Infinity"),
        body.replace(b"0.0012", b"1e999"),
        body.replace(b"0.0012", b"9" * 5000),
        body.replace(b"0.0012", deep),
        body.replace(b'"results":[', b'"results":[' + deep + b",", 1),
        body.replace(b'"results":[[', b'"results":[[NaN,', 1),
        body.replace(b'"modifiers":{}', b'"modifiers":{"a":1,"a":2}'),
        b"\xef\xbb\xbf" + body,
        body.decode().encode("utf-16"),
        body.replace(b'"timezone":"UTC"', b'"timezone":"\xff\xfe"'),
        body + b"{}",
        body + b"\0",
        b"[" + body + b"]",
        json.dumps(body.decode()).encode(),
        b"null",
        b"",
        b"<html>" + body,
    ]
    return said(chance.choice(ways))


def other_headers(chance: random.Random, true: True_) -> bytes:
    """Add header lines that lie or make no sense."""
    body = body_of(true)
    lines = [
        b"Content-Length: -1", b"Content-Length: 5", b"Content-Length: 5, 5",
        b"Content-Length: 99999999999999999999999", b"Content-Length: x", b"Transfer-Encoding: x",
        b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", b"Set-Cookie: =;;=\xff;expires=x",
        b"Set-Cookie: a=b; domain=.com; path=" + b"/" * 3000, b"no colon here", b": no name",
        b" folded", b"X: \0\x01\x7f\xff", b"X-" + b"y" * 70_000 + b": z", b"Location: http://[::1",
        b"Retry-After: \xb2", b"X-PostHog-Query-Bytes-Read: \xb9\xb2", b"Connection: close",
        b"X-PostHog-Query-Budget-Remaining-Bytes: --5", b"Content-Type: text/html; charset=\xff",
        b"X-PostHog-Query-Bytes-Read: 1e9", b"HTTP/1.1 200 OK", b"Upgrade: h2c", b"\r\n",
    ]  # fmt: skip
    headers = [chance.choice(lines) for _ in range(chance.randrange(1, 4))]
    return said(body, headers=headers, length=chance.choice([-1, None]))


def chunked(chance: random.Random, true: True_) -> bytes:
    """Send the body in chunks, one of whose lengths is wrong, or some of which are missing."""
    body, step = body_of(true), 97
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    rows = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]
    at = chance.randrange(len(rows))
    wrong = [b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\nx\r\n", b"", b"5\r\nx\r\n", b"\r\n"]
    rows[at] = chance.choice([*wrong, rows[at]])
    head = b"Transfer-Encoding: chunked"
    return said(b"".join(rows), headers=[head], length=None)


def other_status(chance: random.Random, true: True_) -> bytes:
    """Answer with another status, the true body beside it or another."""
    lines = [b"HTTP/1.1 %d X" % number for number in (99, 100, 101, 102, 103, 199, 600, 999, 1000)]
    lines += [b"HTTP/1.1 %d X" % chance.randrange(200, 600) for _ in range(40)]
    lines += [b"HTTP/1.1 200", b"HTTP/2 200 OK", b"ICY 200 OK", b"HTTP/1.1 2OO X", b"", b"\0\xff"]
    secrets = "ann.canary@example.com phx_never_shown_to_anybody"
    words = ["\x1b[31m", secrets, "", None, ["x"], "\ud800"]
    codes = ["throttled", "too_many_bytes", None, 7]
    detail = {"code": chance.choice(codes), "detail": chance.choice(words)}
    bodies = [body_of(true), json.dumps(detail).encode(), b"<html>", b"", b"[" * 20_000]
    after = chance.choice([b"X: y", b"Retry-After: 5", b"Retry-After: 9999", b"Retry-After: x"])
    return said(chance.choice(bodies), status=chance.choice(lines), headers=[after])


def noise(chance: random.Random, _: True_) -> bytes:
    """Say anything."""
    return chance.randbytes(chance.randrange(300))


WAYS: tuple[Spoil, ...] = (
    cut, cut_anywhere, flipped_structure, flipped_name, flipped_packed, cut_packed,
    packed_otherwise, wrong_type, wrong_type, outside, other_rows, other_rows, other_shape,
    other_json, other_headers, chunked, other_status, noise,
)  # fmt: skip
