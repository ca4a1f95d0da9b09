"""What to connect to and how to measure: one validated object.

Read from a TOML file (``.streamlit/secrets.toml`` or the one named) with ``PUSHLIFT_*``
environment variables above it. Nothing configured means the demo; half configured is an error.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from core.errors import ConfigError

DEFAULT_FILE = Path(".streamlit/secrets.toml")
ENV_PREFIX = "PUSHLIFT_"
Outliers = Literal["keep", "winsorize", "iqr", "zscore"]
PUSH_COLUMNS = (
    "id", "user_id", "automation_id", "campaign_id", "title", "body", "status",
    "sent_at", "delivered_at", "trigger_at",
)  # fmt: skip
USER_COLUMNS = ("id", "email", "posthog_distinct_id", "created_at")
DEFAULT_METRICS = {
    "confirmed_trades": ["Trade Confirmed"],
    "offers_created": ["Offer Created"],
    "offers_accepted": ["Offer Accepted"],
    "sessions": ["$pageview"],
    "closet_adds": ["PDP add to closet"],
    "wishlist_adds": ["PDP add to wishlist"],
    "trade_machine_clicks": ["Trade machine clicked"],
}
_SECTIONS = ("database", "posthog", "events", "automations", "cache", "analysis", "metrics")


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

    @field_validator("host")
    @classmethod
    def _is_safe(cls, host: str) -> str:
        parts = urlsplit(host.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("is not an address such as https://us.posthog.com")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("must start with https://, so that the key is not sent in the clear")
        if parts.username or parts.path.strip("/") or parts.query:
            raise ValueError("must be the bare address, such as https://us.posthog.com")
        if parts.hostname.endswith(".i.posthog.com"):
            raise ValueError("is the ingestion address; read from it without the '.i'")
        return f"{parts.scheme}://{parts.netloc}"

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


class Settings(BaseSettings):
    """Everything that can be set. Build it with `read_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="ignore", frozen=True
    )

    database: Database | None = None
    posthog: PostHog | None = None
    events: Events | None = None
    automations: Folder = Folder(dir=Path(".automations"))
    cache: Folder = Folder(dir=Path("cache"))
    analysis: Analysis = Analysis()
    metrics: dict[str, list[Name]] = DEFAULT_METRICS

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic names it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment above the file, whose content arrives as init arguments."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _control_is_a_metric(self) -> Settings:
        control = self.analysis.negative_control
        if control is not None and control not in self.metrics:
            raise ValueError(f"analysis.negative_control names no metric: {control!r}")
        if control is not None and control == next(iter(self.metrics)):
            raise ValueError("analysis.negative_control is the primary metric; name another one")
        return self

    @field_validator("metrics")
    @classmethod
    def _has_events(cls, metrics: dict[str, list[str]]) -> dict[str, list[str]]:
        if not metrics:
            raise ValueError("needs at least one metric, the first is the primary one")
        for name, events in metrics.items():
            if not name or not events or len(set(events)) != len(events):
                raise ValueError(f"{name!r} needs at least one event, each named once")
        return metrics

    @model_validator(mode="after")
    def _whole_or_nothing(self) -> Settings:
        if self.posthog and self.events:
            raise ValueError("posthog and events are both set; remove one of the two sections")
        if self.database and not (self.posthog or self.events):
            raise ValueError(
                "database is set but neither posthog nor events; add [posthog] host, project_id "
                "and api_key, or [events] path"
            )
        if (self.posthog or self.events) and not self.database:
            which = "posthog" if self.posthog else "events"
            raise ValueError(f"{which} is set but database.url is not; add [database] url")
        return self

    @property
    def is_demo(self) -> bool:
        """Say whether nothing is configured, so that the demo marketplace is used."""
        return self.database is None

    @property
    def database_label(self) -> str:
        """Return the database's name and host, without user or password."""
        if self.database is None:
            return ""
        url = make_url(self.database.url.get_secret_value())
        name = Path(url.database or "").name or "database"
        return f"{name} on {url.host}" if url.host else name

    @property
    def tracked_events(self) -> list[str]:
        """Return every event any metric needs, sorted, each once."""
        return sorted({event for events in self.metrics.values() for event in events})


def read_settings(file: Path | None = None) -> Settings:
    """Return the validated settings from a file and the environment.

    Args:
        file: The TOML file; else the one named by PUSHLIFT_SETTINGS; else
            .streamlit/secrets.toml where there is one.

    Raises:
        ConfigError: A file cannot be read, or a key is missing, unknown or wrong.
    """
    named = file or (Path(os.environ["PUSHLIFT_SETTINGS"]) if _env_names_file() else None)
    path = named or DEFAULT_FILE
    content = _toml(path) if named or path.exists() else {}
    origin = str(path) if content else "the settings"
    known = {key: value for key, value in content.items() if key in _SECTIONS}
    try:
        return Settings(**known)
    except ValidationError as error:
        raise ConfigError(_in_words(error, origin)) from None  # the cause would print secrets
    except ValueError as error:  # an environment variable that is not JSON where it must be
        raise ConfigError(
            f"A {ENV_PREFIX}* environment variable cannot be read: {type(error).__name__}. "
            'Lists are written as JSON, such as ["Trade Confirmed"].'
        ) from None


def _env_names_file() -> bool:
    return bool(os.environ.get(f"{ENV_PREFIX}SETTINGS"))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"The settings file {path} cannot be read ({error.strerror}). Check its name."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        where = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "not UTF-8"
        raise ConfigError(f"The settings file {path} is not valid TOML: {where}.") from None


def _in_words(error: ValidationError, origin: str) -> str:
    """Name each key and what is wrong with it, never its value."""
    said = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(part) for part in item["loc"]) or "they"
        text = item["msg"].removeprefix("Value error, ")
        text = {"missing": "is missing", "extra_forbidden": "is not a setting"}.get(
            item["type"], text[:1].lower() + text[1:]
        )
        said.append(text if key == "they" else f"{key} {text}")
    return f"Settings ({origin}): {'; '.join(said)}."


def _is_loopback(hostname: str) -> bool:
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


__all__ = [
    "DEFAULT_METRICS",
    "Analysis",
    "Database",
    "Events",
    "Outliers",
    "PostHog",
    "Settings",
    "read_settings",
]
