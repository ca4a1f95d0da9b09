"""Bodies of answers: the fields PostHog sends beside the rows, and the rows themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .engine import Rows
from .faults import Fault, change_fields, change_rows
from .printer import Printed
from .results import is_verbatim, rows_of
from .schema import HogQLQuery


def hogql_fields(query: HogQLQuery, printed: Printed, rows: Rows) -> dict[str, Any]:
    """Return the fields of an answer to a HogQL query, without its rows.

    `hasMore`, `limit` and `offset` are told only where the query had no LIMIT of its own.
    """
    names = printed.columns or rows.names
    page = printed.page
    return {
        "columns": list(names),
        "types": [list(pair) for pair in zip(names, rows.types, strict=True)],
        "query": query.query,
        "hogql": query.query,
        "clickhouse": printed.template,
        "hasMore": None if page is None else rows.count > page,
        "limit": page,
        "offset": None if page is None else 0,
        "modifiers": query.modifiers.model_dump(exclude_none=True) if query.modifiers else {},
        "metadata": None,
        "explain": None,
        "error": None,
        "query_status": None,
    }


def cache_fields(key: str, *, is_cached: bool) -> dict[str, Any]:
    """Return the fields that tell where an answer came from and how old it is."""
    now = datetime.now(UTC).replace(microsecond=0)
    stamp = now.isoformat().replace("+00:00", "Z")
    later = (now + timedelta(hours=6)).isoformat().replace("+00:00", "Z")
    return {
        "is_cached": is_cached,
        "cache_key": f"cache_{key[:32]}",
        "cache_target_age": later,
        "last_refresh": stamp,
        "next_allowed_client_refresh": stamp,
    }


def encode(fields: Mapping[str, Any], rows: Rows | None, fault: Fault) -> tuple[bytes, int]:
    """Return the body and how many rows it carries."""
    if rows is None:
        changed = change_fields(fault, dict(fields))
        return json.dumps(changed, ensure_ascii=False).encode(), len(fields["results"])
    page = fields["limit"]
    is_cut = page is not None and rows.count > page
    if not is_cut and not fault.changes_rows and is_verbatim(rows.types):
        rest = change_fields(fault, dict(fields))
        text = json.dumps(rest, ensure_ascii=False).encode()
        if "results" in rest or "results" in fault.drop_fields:
            return text, rows.count
        return b'{"results":' + rows.data + b"," + text[1:], rows.count
    results = rows_of(rows)[:page] if is_cut else rows_of(rows)
    results = change_rows(fault, results)
    changed = change_fields(fault, {**fields, "results": results})
    return json.dumps(changed, ensure_ascii=False).encode(), len(results)
