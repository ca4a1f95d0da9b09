"""The request body, as far as it is known; what does not fit is refused as pydantic words it.

Shape: posthog frontend schema-general.ts and posthog/api/test/test_query.py@00cc694.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import parse_error
from .views import DEFAULT_MODE, PersonMode

RefreshMode = Literal[
    "blocking",
    "async",
    "lazy_async",
    "async_except_on_cache_miss",
    "force_blocking",
    "force_async",
    "force_cache",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Modifiers(_Strict):
    """`query.modifiers`."""

    convertToProjectTimezone: bool | None = None  # noqa: N815
    personsOnEventsMode: PersonMode | None = None  # noqa: N815

    @property
    def person_mode(self) -> PersonMode:
        """How persons are told; PostHog's default follows merges."""
        return self.personsOnEventsMode or DEFAULT_MODE


class DateRange(_Strict):
    """`dateRange`."""

    date_from: str | None = None
    date_to: str | None = None
    explicitDate: bool | None = None  # noqa: N815


class HogQLFilters(_Strict):
    """`query.filters`, which act only where `{filters}` stands in the text."""

    dateRange: DateRange | None = None  # noqa: N815
    properties: list[Any] | None = None
    filterTestAccounts: bool | None = None  # noqa: N815


class HogQLQuery(_Strict):
    """A query in HogQL."""

    kind: Literal["HogQLQuery"]
    query: str
    values: dict[str, Any] | None = None
    filters: HogQLFilters | None = None
    variables: dict[str, Any] | None = None
    modifiers: Modifiers | None = None
    name: str | None = None
    explain: bool | None = None
    tags: dict[str, Any] | None = None


class EventsNode(_Strict):
    """One series of a trend."""

    kind: Literal["EventsNode"]
    event: str | None = None
    name: str | None = None
    custom_name: str | None = None
    math: Literal["total", "dau"] | None = None


class TrendsQuery(_Strict):
    """A native trends insight."""

    kind: Literal["TrendsQuery"]
    series: list[EventsNode]
    interval: Literal["day"] = "day"
    dateRange: DateRange | None = None  # noqa: N815
    filterTestAccounts: Literal[False] | None = None  # noqa: N815
    modifiers: Modifiers | None = None
    tags: dict[str, Any] | None = None


class QueryRequest(_Strict):
    """The whole body."""

    query: Annotated[HogQLQuery | TrendsQuery, Field(discriminator="kind")]
    refresh: RefreshMode | bool | None = None
    client_query_id: str | None = None
    name: str | None = None
    limit_context: Literal["posthog_ai"] | None = None
    async_: bool | None = Field(default=None, alias="async")

    @property
    def is_forced(self) -> bool:
        """Whether a cached answer is out of the question."""
        return self.refresh in {"force_blocking", "force_async", True}

    @property
    def is_async(self) -> bool:
        """Whether an answer by polling was asked for."""
        return bool(self.async_) or self.refresh in {"async", "force_async"}


def read_request(body: bytes) -> QueryRequest:
    """Return the body, checked.

    Raises:
        Refusal: 400 `parse_error`.
    """
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise parse_error(f"JSON parse error - {error}") from None
    try:
        return QueryRequest.model_validate(parsed)
    except ValidationError as error:
        raise parse_error(f"JSON parse error - {error}") from None
