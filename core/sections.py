"""The sections of the settings: each validated by itself."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

Outliers = Literal["keep", "winsorize", "iqr", "zscore"]
PUSH_COLUMNS = (
    "id", "user_id", "automation_id", "campaign_id", "title", "body", "status",
    "sent_at", "delivered_at", "trigger_at",
)  # fmt: skip
USER_COLUMNS = ("id", "email", "posthog_distinct_id", "created_at")
POSTHOG_HOSTS = ("us.posthog.com", "eu.posthog.com", "app.posthog.com")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_SHORTEST_KEY = 16


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is not a time zone; write one such as UTC or America/New_York") from error
    return name


TimeZoneName = Annotated[str, BeforeValidator(_known_zone)]
Name = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tables(_Section):
    """Names of the two tables, with a schema where needed ("app.users")."""

    push_notifications: Name = "push_notifications"
    users: Name = "users"


class Columns(_Section):
    """Names of columns that differ from the contract: expected name -> name in the database."""

    push_notifications: dict[str, Name] = {}
    users: dict[str, Name] = {}

    @model_validator(mode="after")
    def _only_expected(self) -> Columns:
        known = {"push_notifications": PUSH_COLUMNS, "users": USER_COLUMNS}
        for table, names in known.items():
            strange = set(getattr(self, table)) - set(names)
            if strange:
                raise ValueError(f"{table} has no column {min(strange)!r} to rename")
        return self


class Database(_Section):
    """Where pushes and users are read from."""

    url: SecretStr
    tables: Tables = Tables()
    columns: Columns = Columns()
    timezone: TimeZoneName | None = None
    """Zone of timestamps that carry none; without it they are refused."""
    connect_timeout: int = Field(default=15, ge=1, le=300)
    statement_timeout: int = Field(default=120, ge=1)
    read_timeout: int = Field(default=900, ge=1)
    """Seconds the whole reading of pushes may take, every try included."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: SecretStr) -> SecretStr:
        try:
            make_url(url.get_secret_value().strip())
        except (ArgumentError, ValueError) as error:
            raise ValueError("is not a database URL such as postgresql+psycopg2://...") from error
        return SecretStr(url.get_secret_value().strip())


class PostHog(_Section):
    """PostHog's query API."""

    host: Name
    project_id: int
    api_key: SecretStr
    requests_per_minute: int = Field(default=240, ge=1)
    requests_per_hour: int = Field(default=2400, ge=1)
    max_in_flight: int = Field(default=3, ge=1, le=3)
    min_spacing_ms: int = Field(default=500, ge=500)
    timeout: int = Field(default=60, ge=1)
    """Seconds one request may take."""
    slice_days: int = Field(default=7, ge=1, le=31)
    settle_hours: int = Field(default=72, ge=0)
    """A slice that ended longer before it was fetched is never fetched again."""
    allowed_hosts: tuple[Name, ...] = POSTHOG_HOSTS
    """Who may be sent the key, besides this machine."""
    download_hosts: tuple[Name, ...] = ("amazonaws.com", "posthog.com")
    """Ends of the names of hosts that files of an export may come from."""

    @field_validator("host")
    @classmethod
    def _is_safe(cls, host: str) -> str:
        parts = urlsplit(host.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("is not an address such as https://us.posthog.com")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("must start with https://, so that the key is not sent in the clear")
        if "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must be the bare address, such as https://us.posthog.com")
        if parts.hostname.endswith(".i.posthog.com"):
            raise ValueError("is the ingestion address; read from it without the '.i'")
        if not _has_port_or_none(parts):
            raise ValueError("has a port that is no number")
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _is_allowed(self) -> PostHog:
        name = urlsplit(self.host).hostname or ""
        if not _is_known(name, self.allowed_hosts):
            raise ValueError(
                f"host is {name}, which is none of {', '.join(POSTHOG_HOSTS)}; if that is your "
                f'own PostHog, add allowed_hosts = ["{name}"], so that the key goes nowhere else'
            )
        return self

    @field_validator("download_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _DOMAIN.fullmatch(one.strip()) or "." not in one for one in hosts):
            raise ValueError("holds what is no end of a name such as amazonaws.com, without *")
        return tuple(one.strip().lower() for one in hosts)

    @field_validator("api_key")
    @classmethod
    def _is_key(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value().strip()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("is not a key; create a personal API key with the scope query:read")
        return SecretStr(text)


class Events(_Section):
    """A PostHog batch export in Parquet."""

    path: Name
    persons: Name | None = None


class Folder(_Section):
    """A section that names one folder."""

    dir: Path


class Cache(Folder):
    """Where answers are kept between runs."""

    dir: Path = Path("cache")
    size_mb: int = Field(default=4096, ge=1)
    """What answers may take up; those read least recently go first."""


class Access(_Section):
    """Who may see the dashboard, once signed in; without this section everybody who reaches it."""

    emails: tuple[Name, ...] = ()
    domains: tuple[Name, ...] = ()
    """What stands after the last @, exactly: example.com does not admit sub.example.com."""
    is_verified_only: bool = True
    """Whether the provider has to say that it verified the address; some never say either."""
    hours: int = Field(default=12, ge=1, le=24 * 30)
    """How long a sign-in holds."""

    @field_validator("emails")
    @classmethod
    def _are_addresses(cls, emails: tuple[str, ...]) -> tuple[str, ...]:
        if any(" " in one or not all(one.strip().rpartition("@")) for one in emails):
            raise ValueError("holds what is no address such as someone@example.com")
        return tuple(one.strip() for one in emails)

    @field_validator("domains")
    @classmethod
    def _are_domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _DOMAIN.fullmatch(one.strip()) for one in domains):
            raise ValueError("holds what is no domain such as example.com, without @ or *")
        return tuple(one.strip() for one in domains)

    @model_validator(mode="after")
    def _admits_somebody(self) -> Access:
        if not (self.emails or self.domains):
            raise ValueError("admits nobody; name emails or domains, or remove the section")
        return self


class Log(_Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "warning"


class Export(_Section):
    """What files tell of people."""

    person_ids: Literal["plain", "hashed"] = "plain"
    """Ids that hold an e-mail are hashed in any case."""
    key: SecretStr | None = None
    """What ids are hashed with; a file in the cache folder, made once, where left out."""

    @field_validator("key")
    @classmethod
    def _is_long(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < _SHORTEST_KEY:
            raise ValueError(f"is shorter than {_SHORTEST_KEY} characters; make a random one")
        return key


class Analysis(_Section):
    """How to measure."""

    timezone: TimeZoneName = "UTC"
    baseline_days: int = Field(default=30, ge=1, le=365)
    post_hours: int = Field(default=48, ge=1, le=24 * 28)
    confidence_level: float = Field(default=0.95, gt=0.5, lt=1)
    min_recipients: int = Field(default=30, ge=2)
    outliers: Outliers = "keep"
    negative_control: Name | None = None
    """A metric that pushes cannot move: what is found in it is false, and is counted as such."""


class Value(_Section):
    """What one event is worth, where money is to be spoken of."""

    currency: Name = "USD"
    per_event: dict[str, float] = {}
    """Metric -> what one more of its events brings in."""

    @field_validator("per_event")
    @classmethod
    def _are_amounts(cls, amounts: dict[str, float]) -> dict[str, float]:
        if any(not math.isfinite(one) or one <= 0 for one in amounts.values()):
            raise ValueError("holds what is no amount above zero")
        return amounts


class Alerts(_Section):
    """When somebody has to be told, and where besides the page and the log."""

    webhook: SecretStr | None = None
    """Takes {"text": ...} as Slack's incoming webhooks do; the address is a secret."""
    mapped_share: float = Field(default=0.95, ge=0, le=1)
    """Share of recipients that are to be found in PostHog."""
    quality: float = Field(default=0.95, ge=0, le=1)
    """Combined quality score that is to be reached."""
    error_rate: float = Field(default=0.05, ge=0, le=1)
    """Share of requests that may fail."""
    data_age_hours: int = Field(default=48, ge=1)
    """How old the newest event may be."""

    @field_validator("webhook")
    @classmethod
    def _is_address(cls, webhook: SecretStr | None) -> SecretStr | None:
        if webhook is None:
            return None
        parts = urlsplit(webhook.get_secret_value().strip())
        is_safe = parts.scheme == "https" or is_loopback(parts.hostname or "")
        if parts.scheme not in {"http", "https"} or not parts.hostname or not is_safe:
            raise ValueError("is not an address that starts with https://")
        return SecretStr(webhook.get_secret_value().strip())


def _is_known(name: str, allowed: Sequence[str]) -> bool:
    return is_loopback(name) or name in {host.lower() for host in allowed}


def _has_port_or_none(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def is_loopback(hostname: str) -> bool:
    """Say whether a host name is this machine's own."""
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False
