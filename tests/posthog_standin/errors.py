"""The refusals PostHog answers with: status, body, headers; and what ClickHouse errors become.

Bodies are `{"type", "code", "detail", "attr"}` as drf-exceptions-hog@67de19b writes them; the
mapping of ClickHouse codes follows posthog/errors.py@00cc694.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from .wordlist import words

TIMEOUT_DETAIL: Final = (
    "Query has hit the max execution time before completing. See our docs for how to improve "
    "your query performance. You may need to materialize."
)
MEMORY_DETAIL: Final = (
    "Query has reached the max memory limit before completing. See our docs for how to improve "
    "your query memory footprint. You may need to narrow date range or materialize."
)
BUSY_DETAIL: Final = (
    "Queries are a little too busy right now. We're working to free up resources. "
    "Please try again later."
)
CONCURRENCY_DETAIL: Final = "Too many queries are running right now — please try again in a moment."

# Codes whose message PostHog shows to the user; all others become a bare 500.
_SHOWN: Final = words(
    "TOO_MANY_ARGUMENTS_FOR_FUNCTION TOO_FEW_ARGUMENTS_FOR_FUNCTION BAD_ARGUMENTS "
    "NUMBER_OF_ARGUMENTS_DOESNT_MATCH ILLEGAL_TYPE_OF_ARGUMENT ILLEGAL_COLUMN UNKNOWN_FUNCTION "
    "UNKNOWN_TYPE TYPE_MISMATCH ILLEGAL_TYPE_OF_COLUMN_FOR_FILTER UNKNOWN_AGGREGATE_FUNCTION "
    "INCORRECT_QUERY INCOMPATIBLE_COLUMNS ZERO_ARRAY_OR_TUPLE_INDEX ILLEGAL_DIVISION "
    "CYCLIC_ALIASES ILLEGAL_AGGREGATION AMBIGUOUS_IDENTIFIER EMPTY_QUERY NOT_AN_AGGREGATE "
    "INCOMPATIBLE_TYPE_OF_JOIN VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE "
    "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN AMBIGUOUS_COLUMN_NAME "
    "INDEX_OF_POSITIONAL_ARGUMENT_IS_OUT_OF_RANGE ILLEGAL_SYNTAX_FOR_DATA_TYPE NO_COMMON_TYPE "
    "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO WITH_TIES_WITHOUT_ORDER_BY INVALID_IDENTIFIER "
    "TOO_MANY_BYTES"
)
# Codes that PostHog shows with a sentence of its own, because the raw text holds data.
_SHOWN_AS: Final = {
    "CANNOT_PARSE_TEXT": "Cannot parse a value as the requested type. "
    "Check your input formats and type conversions.",
    "CANNOT_PARSE_DATE": "Cannot parse a date. Check your date values and their format.",
    "CANNOT_PARSE_DATETIME": "Cannot parse a date and time. "
    "Check your datetime values and their format.",
    "ARGUMENT_OUT_OF_BOUND": "An argument is out of bounds.",
    "CANNOT_CONVERT_TYPE": "Cannot convert one type to another in the query. "
    "Check the types in your comparisons and IN clauses.",
    "CANNOT_PARSE_NUMBER": "Cannot parse a number. "
    "Check for non-numeric values in your type conversions.",
    "CANNOT_PARSE_UUID": "Cannot parse a UUID. Check the format of the values converted to UUIDs.",
    "SIZES_OF_ARRAYS_DONT_MATCH": "Array sizes do not match. "
    "Make sure arrays used together have the same number of elements.",
    "INVALID_LIMIT_EXPRESSION": "Invalid LIMIT or OFFSET expression. "
    "Use a constant number in the supported range.",
    "UNION_ALL_RESULT_STRUCTURES_MISMATCH": "Mismatched number of columns in UNION ALL.",
}
_CODE: Final = re.compile(r"\(([A-Z0-9_]+)\)\s*$")
_QUOTED: Final = re.compile(r"[`']([^`']+)[`']")


class Refusal(Exception):  # noqa: N818  (an HTTP answer, not a fault of this program)
    """An error answer: HTTP status, the four body fields, extra headers and body fields.

    `cause` is for the ledger alone: what ClickHouse said, which PostHog does not pass on.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        *,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.kind = kind
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        self.cause = cause

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body."""
        body = {"type": self.kind, "code": self.code, "detail": self.detail, "attr": None}
        return body | ({"extra": self.extra} if self.extra else {})


def syntax_error(message: str) -> Refusal:
    """Return the 400 for text that is no HogQL."""
    return Refusal(400, "validation_error", code="hogql_syntax_error", detail=message)


def query_error(message: str) -> Refusal:
    """Return the 400 for HogQL that parses and means nothing permitted."""
    return Refusal(400, "validation_error", code="hogql_query_error", detail=message)


def invalid_value(message: str) -> Refusal:
    """Return the 400 for a value of a kind that HogQL cannot print."""
    return Refusal(400, "validation_error", code="invalid_input", detail=message)


def parse_error(message: str) -> Refusal:
    """Return the 400 for a body that is no JSON or does not fit the schema."""
    return Refusal(400, "invalid_request", code="parse_error", detail=message)


def server_error(detail: str, *, status: int = 500) -> Refusal:
    """Return a fault of the server: 500, or the 503, 504 and 512 of the query engine."""
    return Refusal(status, "server_error", code="error", detail=detail)


def throttled(wait: float) -> Refusal:
    """Return the 429 of the request rate, with `Retry-After` in whole seconds."""
    seconds = math.ceil(wait)
    unit = "second" if seconds == 1 else "seconds"
    return Refusal(
        429,
        "throttled_error",
        code="throttled",
        detail=f"Request was throttled. Expected available in {seconds} {unit}.",
        headers={"Retry-After": str(seconds)},
    )


def too_many_running() -> Refusal:
    """Return the 429 of concurrency, which carries no `Retry-After`."""
    return Refusal(429, "throttled_error", code="throttled", detail=CONCURRENCY_DETAIL)


def over_budget(wait: int, remaining: float) -> Refusal:
    """Return the 429 of the hourly read budget."""
    return Refusal(
        429,
        "throttled_error",
        code="api_queries_budget_exceeded",
        detail="Query budget exceeded.",
        headers={
            "Retry-After": str(wait),
            "X-PostHog-Query-Budget-Remaining-Bytes": str(math.floor(remaining)),
        },
    )


def refused_by_clickhouse(message: str) -> Refusal:
    """Return what PostHog makes of a ClickHouse error text.

    Unknown fields become HogQL's own refusal: PostHog's resolver finds them before ClickHouse
    would, and this stand-in has no resolver.
    """
    refusal = _translated(message)
    refusal.cause = message[:2_000]
    return refusal


def _translated(message: str) -> Refusal:
    found = _CODE.search(message)
    name = found.group(1) if found else "UNKNOWN_EXCEPTION"
    text = _own_words(message)
    if name == "TIMEOUT_EXCEEDED":
        return server_error(TIMEOUT_DETAIL, status=504)
    if name == "MEMORY_LIMIT_EXCEEDED":
        return server_error(MEMORY_DETAIL, status=504)
    if name in {"TOO_MANY_SIMULTANEOUS_QUERIES", "CANNOT_SCHEDULE_TASK"}:
        return server_error(BUSY_DETAIL, status=503)
    if name == "TOO_SLOW":
        return server_error(_too_slow_detail(text), status=512)
    if name == "SYNTAX_ERROR" and "query size exceeded" in message:
        return server_error("Query size exceeded.")
    if name == "UNKNOWN_IDENTIFIER":
        return query_error(_unknown_field(text))
    if name in _SHOWN or name in _SHOWN_AS:
        detail = _SHOWN_AS.get(name, text)
        return Refusal(400, "validation_error", code=name.lower(), detail=detail)
    return server_error("ClickHouse error while executing query.")


def _own_words(message: str) -> str:
    # The text repeats the whole statement, with every value in it and this stand-in's views.
    text = message.split("DB::Exception:", 1)[-1]
    for tail in (
        ": In scope",
        ". In scope",
        ". In query",
        ": while executing",
        ": While processing",
        ". Stack trace",
    ):
        text = text.split(tail, 1)[0]
    return _CODE.sub("", text).strip().rstrip(".")[:500]


def _too_slow_detail(text: str) -> str:
    found = re.search(r"Estimated query execution time \(.* seconds\) is too long", text)
    stem = found.group(0) if found else "Estimated query execution time is too long"
    return f"{stem}. Try reducing its scope by changing the time range."


def _unknown_field(text: str) -> str:
    found = _QUOTED.search(text)
    name = found.group(1) if found else "?"
    head, _, last = name.rpartition(".")
    return f"Field not found: {last}" if head else f"Unable to resolve field: {name}"
