"""One request from its head to its answer, in PostHog's order.

Access, request rate, body, cache, read budget, a place, the query: posthog/api/query.py@001cc8a
and hogql_query_runner.py@00f113d.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from .access import check_access
from .answers import cache_fields, encode, hogql_fields
from .downloads import FILE_PATH, PATH, Downloads
from .engine import Engine, Rows
from .errors import Refusal, parse_error, query_error
from .expressions import Dialect
from .faults import NO_FAULT, Fault, Script, read_fault
from .ledger import Entry, Ledger, size_of
from .limits import Budget, Limits, Places, Throttle
from .parsing import fill_placeholders, parse_select, refuse_offset
from .printer import Printer
from .schema import HogQLQuery, QueryRequest, TrendsQuery, read_request
from .trends import answer_trends
from .views import DEFAULT_MODE, views_for

_QUERY_PATH: Final = re.compile(
    r"^/api/(?P<alias>projects|environments)/(?P<project>\d+|@current)/query"
    r"(?:/(?P<kind>[A-Za-z]+))?/?$"
)
_DEPRECATED: Final = {
    "Deprecation": "true",
    "Sunset": "Thu, 31 Dec 2026 00:00:00 GMT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The project the stand-in plays."""

    id: int = 1
    timezone: str = "UTC"
    property_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came in.

    Attributes:
        method: HTTP method.
        path: path, with the query string.
        authorization: the Authorization header.
        body: the body; None where it is over the limit.
    """

    method: str
    path: str
    authorization: str | None
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back.

    Attributes:
        status: HTTP status; None for a connection closed without a word.
        headers: headers beside those of the body.
        body: the body.
        fault: how it is to be sent.
    """

    status: int | None
    headers: Mapping[str, str]
    body: bytes
    fault: Fault = NO_FAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Computed:
    """A computed answer, as the cache keeps it."""

    fields: Mapping[str, Any]
    rows: Rows | None
    bytes_read: int
    stored_at: float


class Service:
    """PostHog's query endpoint over a loaded world, with faults on order."""

    def __init__(self, engine: Engine, project: Project, limits: Limits) -> None:
        self.ledger = Ledger()
        self.script = Script()
        self.downloads = Downloads(engine)
        self._engine = engine
        self._project = project
        self._own_limits = limits
        self._cache: dict[str, _Computed] = {}
        self.set_limits(limits)

    # --- control -----------------------------------------------------------------------------

    def set_limits(self, limits: Limits) -> None:
        """Work under these limits from now on, with fresh counters."""
        self.limits = limits
        self._throttles: dict[str, Throttle] = {}
        self._other_throttles: dict[str, Throttle] = {}
        self._places = Places(limits.places, limits.place_wait)
        self._budget = Budget(limits.budget_per_hour, limits.budget_hours)

    def reset(self) -> None:
        """Forget requests, faults, cached answers and counters; merges stay."""
        self.ledger.clear()
        self.script.clear()
        self._cache.clear()
        self.downloads.reset()
        self.set_limits(self._own_limits)

    def control(self, action: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what a test asks through the side door.

        Raises:
            Refusal: 404 for an unknown action, 400 for arguments it does not take.
        """
        match action:
            case "requests":
                return {"requests": self.ledger.dump()}
            case "reset":
                self.reset()
            case "faults":
                self.script.add([read_fault(fault) for fault in given["faults"]])
            case "exports":
                self.downloads.script(given.get("scripts", ()))
                self.downloads.most_under_way = given.get("most", self.downloads.most_under_way)
                return {"orders": self.downloads.orders()}
            case "merge":
                self._merge(given)
            case "limits":
                self.set_limits(self._limits_with(given))
            case _:
                raise Refusal(404, "invalid_request", code="not_found", detail=action)
        return {"ok": True}

    def _limits_with(self, given: Mapping[str, Any]) -> Limits:
        try:
            return replace(self._own_limits, **given)
        except TypeError as error:
            raise parse_error(str(error)) from None

    def _merge(self, given: Mapping[str, Any]) -> None:
        self._engine.merge(given["distinct_id"], given["person_id"])

    # --- a request ---------------------------------------------------------------------------

    def answer(self, asked: Asked, entry: Entry) -> Answer:
        """Return the answer to a request, and write it into its ledger entry."""
        path = asked.path.partition("?")[0]
        matched = _QUERY_PATH.match(path)
        entry.has_authorization = asked.authorization is not None
        fault = NO_FAULT
        if matched is None and (PATH.match(path) or FILE_PATH.match(path)):
            fault = self.script.next_for(f"{asked.method} {path}")
            entry.fault = None if fault is NO_FAULT else fault.name or "fault"
        elif matched and asked.method == "POST":
            fault = self.script.next_for(_peek(asked.body, entry))
            entry.fault = None if fault is NO_FAULT else fault.name or "fault"
        try:
            reply = self._faulty(asked, matched, entry, fault)
        except Refusal as refusal:
            reply = _refused(refusal, entry)
        alias = _DEPRECATED if matched and matched["alias"] == "environments" else {}
        headers = {**alias, **reply.headers, **(fault.headers or {})}
        entry.status = reply.status
        entry.response_bytes = len(reply.body)
        return replace(reply, headers=headers, fault=fault)

    def _faulty(
        self, asked: Asked, matched: re.Match[str] | None, entry: Entry, fault: Fault
    ) -> Answer:
        if fault.delay:
            time.sleep(fault.delay)
        if fault.leaves == "before":
            return Answer(status=None, headers={}, body=b"")
        if fault.status is not None and not fault.run_anyway:
            return _scripted(fault, entry)
        reply = self._checked(asked, matched, entry, fault)
        if fault.leaves == "after":
            return replace(reply, status=None)
        return reply if fault.status is None else _scripted(fault, entry)

    def _checked(
        self, asked: Asked, matched: re.Match[str] | None, entry: Entry, fault: Fault
    ) -> Answer:
        if matched is None:
            return self._of_exports(asked)
        key = check_access(
            asked.authorization, asked=matched["project"], project_id=self._project.id
        )
        self._throttles.setdefault(key, Throttle(self.limits.rates)).admit()
        if asked.method != "POST":
            detail = f'Method "{asked.method}" not allowed.'
            raise Refusal(405, "invalid_request", code="method_not_allowed", detail=detail)
        if asked.body is None:
            return Answer(status=413, headers={}, body=b"Request Entity Too Large")
        request = read_request(asked.body)
        if matched["kind"] not in {None, request.query.kind}:
            raise parse_error(f"The query kind in the path is not {request.query.kind}")
        return self._run(request, entry, fault)

    def _of_exports(self, asked: Asked) -> Answer:
        """Answer what is about exports; their files ask for no key, only for the link."""
        path = asked.path.partition("?")[0]
        if file := FILE_PATH.match(path):
            content = self.downloads.file(file["token"])
            if content is None or asked.method != "GET":
                return Answer(status=403, headers={}, body=b"<Error>AccessDenied</Error>")
            headers = {"Content-Type": "application/octet-stream"}
            return Answer(status=200, headers=headers, body=content)
        found = PATH.match(path)
        if found is None:
            raise Refusal(404, "invalid_request", code="not_found", detail="Endpoint not found.")
        is_order = found["run"] is None
        scope = "batch_export:write" if is_order else "batch_export:read"
        key = check_access(
            asked.authorization, asked=found["project"], project_id=self._project.id, scope=scope
        )
        self._other_throttles.setdefault(key, Throttle(self.limits.other_rates)).admit()
        if asked.method != ("POST" if is_order else "GET"):
            detail = f'Method "{asked.method}" not allowed.'
            raise Refusal(405, "invalid_request", code="method_not_allowed", detail=detail)
        if is_order:
            status, fields = self.downloads.create(asked.body)
        elif found["action"] is None:
            status, fields = 200, self.downloads.retrieve(found["run"])
        else:
            link = self.downloads.link(found["run"], found["part"])
            return Answer(status=302, headers={"Location": link}, body=b"")
        return Answer(status=status, headers={}, body=json.dumps(fields).encode())

    def _run(self, request: QueryRequest, entry: Entry, fault: Fault) -> Answer:
        if request.is_async:
            raise query_error("The stand-in does not cover asynchronous queries")
        key = hashlib.sha256(request.query.model_dump_json().encode()).hexdigest()
        found = self._cache.get(key)
        fresh = found and time.monotonic() - found.stored_at < self.limits.cache_seconds
        if found and fresh and not request.is_forced:
            entry.is_cached = True
            return self._reply(found, entry, fault, key)
        self._budget.check()
        asked_at = time.monotonic()
        with self._places.taken():
            entry.waited = time.monotonic() - asked_at
            if fault.hold:
                time.sleep(fault.hold)
            if fault.merge:
                self._merge(fault.merge)
            computed = self._compute(request)
        self._cache[key] = computed
        return self._reply(computed, entry, fault, key)

    def _compute(self, request: QueryRequest) -> _Computed:
        started = time.monotonic()
        if isinstance(request.query, TrendsQuery):
            fields, rows, bytes_read = self._trends(request.query)
        else:
            fields, rows, bytes_read = self._hogql(request.query)
        fields["timings"] = [{"k": ".", "t": time.monotonic() - started}]
        return _Computed(
            fields=fields, rows=rows, bytes_read=bytes_read, stored_at=time.monotonic()
        )

    def _trends(self, query: TrendsQuery) -> tuple[dict[str, Any], None, int]:
        zone = self._zone(query)
        results, bytes_read = answer_trends(
            query, self._engine, timezone=zone, seconds=self.limits.seconds
        )
        return {"results": results, "timezone": zone, "hasMore": False}, None, bytes_read

    def _hogql(self, query: HogQLQuery) -> tuple[dict[str, Any], Rows, int]:
        zone = self._zone(query)
        tree = fill_placeholders(parse_select(query.query), query.values)
        refuse_offset(tree)
        printed = Printer(self._dialect(query, zone), query.query).print_query(tree)
        rows = self._engine.query(printed.sql, seconds=self.limits.seconds)
        return hogql_fields(query, printed, rows) | {"timezone": zone}, rows, rows.bytes_read

    def _zone(self, query: HogQLQuery | TrendsQuery) -> str:
        modifiers = query.modifiers
        is_off = modifiers is not None and modifiers.convertToProjectTimezone is False
        return "UTC" if is_off else self._project.timezone

    def _dialect(self, query: HogQLQuery, zone: str) -> Dialect:
        mode = query.modifiers.person_mode if query.modifiers else DEFAULT_MODE
        return Dialect(
            timezone=zone,
            views=views_for(zone, mode),
            max_rows=self.limits.max_rows,
            default_rows=self.limits.default_rows,
            property_types=self._project.property_types,
        )

    def _reply(self, computed: _Computed, entry: Entry, fault: Fault, key: str) -> Answer:
        cost = 0 if entry.is_cached else computed.bytes_read
        remaining = self._budget.charge(cost)
        entry.bytes_read = cost
        headers = {"X-PostHog-Query-Bytes-Read": str(cost)}
        if remaining is not None:
            headers["X-PostHog-Query-Budget-Remaining-Bytes"] = str(int(remaining))
        fields = {**computed.fields, **cache_fields(key, is_cached=entry.is_cached)}
        body, entry.rows = encode(fields, computed.rows, fault)
        return Answer(status=200, headers=headers, body=body)


def _peek(body: bytes | None, entry: Entry) -> str:
    """Write what can be read of the body into the ledger; return the query's text."""
    entry.request_bytes = len(body or b"")
    try:
        parsed = json.loads(body or b"")
        query = parsed["query"]
        entry.kind = query.get("kind")
        entry.query = query.get("query")
        entry.values = size_of(query.get("values"))
        entry.refresh = parsed.get("refresh")
        entry.name = parsed.get("name") or query.get("name")
        entry.client_query_id = parsed.get("client_query_id")
    except (ValueError, TypeError, KeyError, AttributeError):
        # Whatever it is, the schema check answers it; the ledger just knows less of it.
        entry.kind = None
    return entry.query if isinstance(entry.query, str) else ""


def _refused(refusal: Refusal, entry: Entry) -> Answer:
    entry.code, entry.cause = refusal.code, refusal.cause
    body = json.dumps(refusal.body, ensure_ascii=False).encode()
    return Answer(status=refusal.status, headers=refusal.headers, body=body)


def _scripted(fault: Fault, entry: Entry) -> Answer:
    body = fault.body
    if isinstance(body, dict):
        entry.code = body.get("code")
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(status=fault.status, headers={}, body=text.encode())
