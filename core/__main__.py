"""The command line: python -m core analyze | check | demo | download."""

from __future__ import annotations

import logging
import secrets
import sys
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from pydantic import ValidationError

from core import downloading, logs
from core.check import check_all
from core.connect import Wiring, wire
from core.demo import World, read_demo, write_demo
from core.downloading import Dates
from core.errors import ConfigError, PushliftError
from core.loading import load
from core.measure.panel import Rules
from core.measure.windows import WindowLengths
from core.outputs import files, summary
from core.pipeline import measure
from core.progress import Reporter
from core.publish.files import write_all
from core.sections import Analysis
from core.settings import Settings, read_settings
from core.span import span_of

_LOG = logging.getLogger(__name__)
DONE, PARTIAL, NOTHING = 0, 1, 2
_WORLD = World()
_SETTINGS = click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A TOML file; default .streamlit/secrets.toml.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Did the push work, for whom, and how sure are we?"""


def _day(_context: click.Context, option: click.Parameter, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a date such as 2026-09-01", param=option
        ) from None


def _moment(_context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not an instant such as 2026-10-31T00:00:00Z", param=option
        ) from None


@cli.command()
@_SETTINGS
@click.option("--since", callback=_day, metavar="DATE", help="First day of sends.")
@click.option("--until", callback=_day, metavar="DATE", help="First day no longer in it.")
@click.option("--baseline-days", type=int, metavar="N", help="Days before the push; default 30.")
@click.option("--post-hours", type=int, metavar="N", help="Hours after the push; default 48.")
@click.option("--confidence-level", type=float, metavar="P", help="Of intervals; default 0.95.")
@click.option("--min-recipients", type=int, metavar="N", help="Measured users; default 30.")
@click.option(
    "--outliers",
    type=click.Choice(["keep", "winsorize", "iqr", "zscore"]),
    help="winsorize caps all windows alike; iqr and zscore drop users and only describe.",
)
@click.option(
    "--as-of",
    callback=_moment,
    metavar="INSTANT",
    help="Now, for what is still open; default the clock, on the demo its end.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write results here.")
@click.option("--refresh", is_flag=True, help="Fetch again what may have changed.")
@click.pass_context
def analyze(
    context: click.Context,
    /,
    settings_file: Path | None,
    since: date | None,
    until: date | None,
    as_of: datetime | None,
    out: Path | None,
    refresh: bool,
    **choices: float | str | None,
) -> None:
    """Measure every campaign of a period and write the results."""
    report = Reporter(sys.stderr)
    wiring = wire(_with_choices(_settings(settings_file), choices), report)
    zone = wiring.settings.analysis.timezone
    now = as_of or wiring.default_as_of
    now = now if now.tzinfo else now.replace(tzinfo=ZoneInfo(zone))
    span = span_of(since=since, until=until, as_of=now, timezone=zone)
    rules = _rules(wiring)
    loaded = load(wiring, span, rules.lengths, on_progress=report, refresh=refresh)
    results = measure(loaded, rules, on_progress=report)
    if out is not None:
        report("Writing files", 0, 1)
        write_all(out, files(loaded, results))
        report("Writing files", 1, 1)
    report.close()
    click.echo(summary(loaded, results))
    if out is not None:
        click.echo(f"Files are in {out}.")
    context.exit(PARTIAL if loaded.is_partial else DONE)


@cli.command()
@_SETTINGS
@click.pass_context
def check(context: click.Context, settings_file: Path | None) -> None:
    """Try every connection, permission, table and event name."""
    report = Reporter(sys.stderr)
    wiring = wire(_settings(settings_file), report)
    click.echo(f"Checking {wiring.label}")
    worst = DONE
    for item in check_all(wiring, report):
        report.close()
        sign = {True: "ok  ", None: "note", False: "FAIL"}[item.ok]
        click.echo(f"  {sign}  {item.what}: {item.words}")
        worst = max(worst, {True: DONE, None: PARTIAL, False: NOTHING}[item.ok])
    report.close()
    said = {
        DONE: "Everything is as it should be.",
        PARTIAL: "It works; see the notes.",
        NOTHING: "It cannot work like this; see what failed.",
    }
    click.echo(said[worst])
    context.exit(worst)


@cli.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option("--users", default=_WORLD.n_users, show_default=True, type=click.IntRange(min=1))
@click.option("--days", default=_WORLD.n_days, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=_WORLD.seed, show_default=True, type=click.IntRange(min=0))
def demo(out: Path, users: int, days: int, seed: int) -> None:
    """Write the demo marketplace; the same seed gives the same bytes."""
    world = World(n_users=users, n_days=days, seed=seed)
    report = Reporter(sys.stderr)
    made = read_demo(out, world=world) or write_demo(
        out, world, on_progress=lambda step, share: report(step, round(share * 100), 100)
    )
    report.close()
    click.echo(
        f"The demo marketplace is in {made.root}; its now is {made.as_of:%Y-%m-%d %H:%M} UTC."
    )


@cli.command()
@_SETTINGS
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.option("--since", callback=_day, metavar="DATE", help="First day of sends.")
@click.option("--until", callback=_day, metavar="DATE", help="First day no longer in it.")
@click.option(
    "--persons-since",
    callback=_day,
    metavar="DATE",
    help="Persons changed since then too; default: since the first event.",
)
@click.pass_context
def download(
    context: click.Context,
    settings_file: Path | None,
    out: Path,
    since: date | None,
    until: date | None,
    persons_since: date | None,
) -> None:
    """Fetch events and persons from PostHog, a week at a time, to be read as an export."""
    report = Reporter(sys.stderr)
    dates = Dates(since=since, until=until, persons_since=persons_since)
    done = downloading.download(_settings(settings_file), out, dates, on_progress=report)
    report.close()
    click.echo(downloading.in_words(done, out))
    context.exit(PARTIAL if done.failed else DONE)


def _settings(file: Path | None) -> Settings:
    """Return the settings, once the log knows what must never stand in it."""
    settings = read_settings(file)
    logs.configure(settings)
    return settings


def _with_choices(settings: Settings, choices: dict[str, float | str | None]) -> Settings:
    """Return settings with what the command line says put over their analysis section."""
    given = {name: value for name, value in choices.items() if value is not None}
    said = {name: getattr(settings.analysis, name) for name in settings.analysis.model_fields_set}
    try:
        return settings.model_copy(update={"analysis": Analysis.model_validate({**said, **given})})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise ConfigError(f"{option}: {first['msg'][0].lower()}{first['msg'][1:]}.") from None


def _rules(wiring: Wiring) -> Rules:
    analysis = wiring.settings.analysis
    return Rules(
        lengths=WindowLengths(baseline_days=analysis.baseline_days, post_hours=analysis.post_hours),
        confidence_level=analysis.confidence_level,
        min_recipients=analysis.min_recipients,
        outliers=analysis.outliers,
    )


def main() -> int:
    """Run the command line and return its exit status."""
    logs.configure()
    try:
        return int(cli.main(prog_name="python -m core", standalone_mode=False) or DONE)
    except click.ClickException as error:
        error.show(sys.stderr)
    except PushliftError as error:
        click.echo(f"Error: {error}", err=True)
    except click.Abort:
        click.echo("Stopped. Nothing was written.", err=True)
    except Exception:  # noqa: BLE001 - the boundary: a crash must not end as "partial" does
        incident = secrets.token_hex(4)
        _LOG.exception("Incident %s", incident)
        click.echo(
            f"Error: Something went wrong inside Pushlift (incident {incident}); the line of the "
            "log above says where. Nothing was written.",
            err=True,
        )
    return NOTHING


if __name__ == "__main__":
    sys.exit(main())
