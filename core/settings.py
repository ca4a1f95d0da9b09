"""What to connect to and how to measure: one validated object.

Read from a TOML file (``.streamlit/secrets.toml`` or the one named) with ``PUSHLIFT_*``
environment variables above it. Nothing configured means the demo; half configured is an error.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit
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
POSTHOG_HOSTS = ("us.posthog.com", "eu.posthog.com", "app.posthog.com")
_SECTIONS = (
    "database", "posthog", "events", "automations", "cache", "analysis", "metrics", "access",
    "log", "export",
)  # fmt: skip
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


class Settings(BaseSettings):
    """Everything that can be set. Build it with `read_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="ignore", frozen=True
    )

    database: Database | None = None
    posthog: PostHog | None = None
    events: Events | None = None
    automations: Folder = Folder(dir=Path(".automations"))
    cache: Cache = Cache()
    access: Access | None = None
    log: Log = Log()
    export: Export = Export()
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
        settings = Settings(**known)
    except ValidationError as error:
        raise ConfigError(_in_words(error, origin)) from None  # the cause would print secrets
    except ValueError as error:  # an environment variable that is not JSON where it must be
        raise ConfigError(
            f"A {ENV_PREFIX}* environment variable cannot be read: {type(error).__name__}. "
            'Lists are written as JSON, such as ["Trade Confirmed"].'
        ) from None
    _refuse_misspelt(content, origin)
    return settings


def _refuse_misspelt(content: dict[str, Any], origin: str) -> None:
    """Refuse sections that nearly have a name of ours: [acces] would leave everything open."""
    for name in set(content) - set(_SECTIONS):
        meant = difflib.get_close_matches(name.lower(), _SECTIONS, n=1, cutoff=0.8)
        if meant:
            raise ConfigError(
                f"Settings ({origin}): {name} is not a section; write [{meant[0]}], or give it "
                "another name."
            )


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


__all__ = [
    "DEFAULT_METRICS",
    "Access",
    "Analysis",
    "Database",
    "Events",
    "Export",
    "Log",
    "Outliers",
    "PostHog",
    "Settings",
    "is_loopback",
    "read_settings",
]
