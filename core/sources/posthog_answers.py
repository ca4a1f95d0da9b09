"""What PostHog sends back: an answer that may be believed, or what is wrong and what follows.

Nothing of a body is believed before the whole of it was read and is of the form it must have.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import requests

from core.errors import PostHogDenied, PostHogError, QueryTooBig

ROW_LIMIT = 50_000
"""Rows PostHog gives at most, whatever LIMIT a query has."""
BODY_LIMIT = 512 * 1024**2
"""Bytes of one answer, decompressed, at most."""
LONGEST_WAIT = 60.0
"""Seconds to wait at PostHog's request; a longer wait is an error that names it."""
SHORTEST_WAIT = 0.5
_CHUNK = 1 << 16
_TOO_BIG_STATUSES = {504, 512}
_TOO_BIG_CODES = {"too_many_bytes"}
_OUT_OF_BUDGET = "api_queries_budget_exceeded"
_DENIED = {
    400: "PostHog did not accept the question, so its API may have changed. Update Pushlift, or "
    "read a batch export instead (events.path)",
    401: "PostHog does not know this key. Create a personal API key with the scope query:read "
    "and set posthog.api_key",
    402: "PostHog's quota for API queries is used up. Raise it in PostHog's billing settings, or "
    "read a batch export instead (events.path)",
    403: "This key may not read the project. Give it the scope query:read and access to the "
    "project of posthog.project_id",
    404: "There is no such project at this address. Check posthog.project_id, and that "
    "posthog.host is your region (https://us.posthog.com or https://eu.posthog.com, without '.i')",
}
_EMAIL = re.compile(r"[^\s'\"<>(),;]+@[^\s'\"<>(),;]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The rows PostHog gave, each as long as there are columns."""

    columns: tuple[str, ...]
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One response, read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What words about a reply need to know.

    Attributes:
        name: What was asked for, in a few words.
        host: Who was asked.
        secret: What must not be repeated.
    """

    name: str
    host: str
    secret: str


class Fault(Exception):  # noqa: N818 - the client alone sees it
    """Something that asking again may mend."""

    def __init__(self, words: str, *, wait: float | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.wait = wait


class Closed(Exception):  # noqa: N818 - the client alone sees it
    """PostHog wants nobody to ask for longer than is waited."""

    def __init__(self, words: str, *, seconds: float) -> None:
        super().__init__(words)
        self.words = words
        self.seconds = seconds


def read_content(response: requests.Response) -> bytes:
    """Read a body, decompressed, chunk by chunk, so that a bomb ends it early.

    Raises:
        QueryTooBig: It is larger than BODY_LIMIT.
    """
    content = bytearray()
    # read1 returns what has arrived; read would wait for a whole chunk of a drip.
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        content += chunk
        if len(content) > BODY_LIMIT:
            raise QueryTooBig(
                f"PostHog's answer is larger than {BODY_LIMIT // 1024**2} MB. Ask for a shorter "
                "time."
            )
    return bytes(content)


def read_answer(reply: Reply, asked: Asked) -> Answer:
    """Return a reply's columns and rows, once it is whole.

    Raises:
        QueryTooBig: The answer is cut or too costly.
        PostHogDenied: Asking again does not help.
        Fault: Asking again may help.
        Closed: It may, but only much later.
    """
    if reply.status != requests.codes.ok:
        raise _refusal(reply, asked)
    body = _body(reply.content)
    if body.get("is_cached"):  # a fresh one was asked for
        raise Fault("an answer that PostHog had kept from earlier")
    columns, rows, more = body.get("columns"), body.get("results"), body.get("hasMore")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise Fault("an answer without columns")
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(columns) for row in rows
    ):
        raise Fault("an answer without rows")
    if _is_cut(len(rows), more):
        raise QueryTooBig(
            f"Asking PostHog for {asked.name}: the answer has {len(rows):,} rows and PostHog has "
            "more, so some are missing. Ask for a shorter time."
        )
    return Answer(columns=tuple(columns), rows=rows)


def costs(headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Return the bytes a query read, and how many are left of the hour, where it is said."""
    read = _whole_number(headers.get("X-PostHog-Query-Bytes-Read"))
    left = (headers.get("X-PostHog-Query-Budget-Remaining-Bytes") or "").strip()
    # It may be overdrawn.
    return read or 0, int(left) if re.fullmatch(r"-?[0-9]{1,18}", left) else None


def seconds_ahead(headers: Mapping[str, str], wall: float) -> float:
    """Return how far a clock is ahead of PostHog's, 0 where no date is said.

    Args:
        headers: Of a reply that has just arrived.
        wall: What the clock shows, seconds since 1970 UTC.
    """
    try:
        return wall - parsedate_to_datetime(headers.get("Date") or "").timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _is_cut(n_rows: int, more: object) -> bool:
    """Return whether rows are missing; PostHog names more only where it set the limit itself."""
    return n_rows >= ROW_LIMIT or more not in (None, False)


def _body(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(
            content,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_repeats,
        )
    except (ValueError, RecursionError) as error:
        raise Fault("an answer that is cut or not JSON") from error
    if not isinstance(body, dict) or body.get("error"):
        raise Fault("an answer that reports an error")
    return body


def _refusal(reply: Reply, asked: Asked) -> PostHogError | Fault | Closed:
    """Return what a status other than 200 means."""
    status = reply.status
    detail, code = _error_body(reply.content)
    words = _harmless(detail, asked.secret)
    said = f" (PostHog says: {words})" if words else ""
    if status in _TOO_BIG_STATUSES or code in _TOO_BIG_CODES:
        return QueryTooBig(
            f"Asking PostHog for {asked.name} is too costly at once{said}. Ask for a shorter time."
        )
    if status == requests.codes.too_many_requests:
        return _refusal_for_now(reply, said, code)
    if status >= requests.codes.server_error or status in {
        requests.codes.accepted,
        requests.codes.request_timeout,
    }:
        return Fault(f"status {status}{said}")
    if status < requests.codes.bad_request:
        return PostHogDenied(
            f"{asked.host} answered with status {status}, not as PostHog's API does. Check "
            "posthog.host."
        )
    sentence = _DENIED.get(status, f"PostHog refused with status {status}")
    return PostHogDenied(f"Asking PostHog for {asked.name} failed: {sentence}{said}.")


def _refusal_for_now(reply: Reply, said: str, code: str) -> Fault | Closed:
    wait = _whole_number(reply.headers.get("Retry-After"))
    if wait is None:  # a date, or anything else, counts as not said
        return Fault(f"limits of requests{said}")
    if wait <= LONGEST_WAIT:
        return Fault(f"limits of requests{said}", wait=max(float(wait), SHORTEST_WAIT))
    what = (
        "The hourly read budget of the project's API queries is used up"
        if code == _OUT_OF_BUDGET
        else "PostHog's limit of requests is used up"
    )
    return Closed(f"{what}{said}", seconds=float(wait))


def _error_body(content: bytes) -> tuple[str, str]:
    """Return detail and code of PostHog's error body, empty where there is none."""
    try:
        body = json.loads(content[:_CHUNK])
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    return str(body.get("detail") or ""), str(body.get("code") or "")


def _harmless(detail: str, secret: str) -> str:
    """Return the first line of PostHog's words, short and printable, without key and e-mails."""
    line = (detail.strip().splitlines() or [""])[0]
    line = "".join(letter if letter.isprintable() else " " for letter in line)
    line = line.replace(secret, "***")
    return _EMAIL.sub("***", line)[:200].rstrip(". ")


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number too large")
    return number


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that stands twice")
    return found


def _whole_number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text.strip()) else None
