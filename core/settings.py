"""What to connect to and how to measure: one validated object.

Read from a TOML file (``.streamlit/secrets.toml`` or the one named) with ``PUSHLIFT_*``
environment variables above it. Nothing configured means the demo; half configured is an error.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import (
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

from core.errors import ConfigError
from core.sections import (
    Access,
    Alerts,
    Analysis,
    Cache,
    Database,
    Events,
    Export,
    Folder,
    Log,
    Name,
    PostHog,
    Value,
)

DEFAULT_FILE = Path(".streamlit/secrets.toml")
ENV_PREFIX = "PUSHLIFT_"
DEFAULT_METRICS = {
    "confirmed_trades": ["Trade Confirmed"],
    "offers_created": ["Offer Created"],
    "offers_accepted": ["Offer Accepted"],
    "sessions": ["$pageview"],
    "closet_adds": ["PDP add to closet"],
    "wishlist_adds": ["PDP add to wishlist"],
    "trade_machine_clicks": ["Trade machine clicked"],
}
_SECTIONS = (
    "database", "posthog", "events", "automations", "cache", "analysis", "metrics", "access",
    "log", "export", "value", "alerts",
)  # fmt: skip


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
    value: Value = Value()
    alerts: Alerts = Alerts()
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

    @model_validator(mode="after")
    def _values_are_of_metrics(self) -> Settings:
        strange = set(self.value.per_event) - set(self.metrics)
        if strange:
            raise ValueError(f"value.per_event names no metric: {min(strange)!r}")
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
