"""The command line: python -m core analyze | watch | check | demo | download."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import click
from pydantic import ValidationError

from core import downloading, logs
from core.check import check_all
from core.connect import wire
from core.cross_check import in_words
from core.demo import World, read_demo, write_demo
from core.downloading import Dates
from core.errors import ConfigError, PushliftError
from core.outputs import summary
from core.progress import Reporter
from core.sections import Analysis
from core.settings import Settings, read_settings
from core.watching import DONE, NOTHING, PARTIAL, Job, Ran, Stop
from core.watching import run as run_job
from core.watching import watch as watch_job

_LOG = logging.getLogger(__name__)
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


def _choices(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that stand above the settings' analysis section."""
    options = (
        click.option("--baseline-days", type=int, metavar="N", help="Before the push; default 30."),
        click.option("--post-hours", type=int, metavar="N", help="After the push; default 48."),
        click.option("--confidence-level", type=float, metavar="P", help="Default 0.95."),
        click.option("--min-recipients", type=int, metavar="N", help="Measured users; default 30."),
        click.option(
            "--outliers",
            type=click.Choice(["keep", "winsorize", "iqr", "zscore"]),
            help="winsorize caps all windows alike; iqr and zscore drop users and only describe.",
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), metavar="DIR", help="Write results here."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@cli.command()
@_SETTINGS
@click.option("--since", callback=_day, metavar="DATE", help="First day of sends.")
@click.option("--until", callback=_day, metavar="DATE", help="First day no longer in it.")
@_choices
@click.option(
    "--as-of",
    callback=_moment,
    metavar="INSTANT",
    help="Now, for what is still open; default the clock, on the demo its end.",
)
@click.option("--refresh", is_flag=True, help="Fetch again what may have changed.")
@click.option(
    "--cross-check", is_flag=True, help="Compare with PostHog's own totals; 1-2 requests."
)
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
    cross_check: bool,
    **choices: float | str | None,
) -> None:
    """Measure every campaign of a period and write the results."""
    report = Reporter(sys.stderr)
    job = Job(
        settings=_with_choices(_settings(settings_file), choices), what="analyze", since=since,
        until=until, as_of=as_of, out=out, is_refreshed=refresh, is_cross_checked=cross_check,
    )  # fmt: skip
    ran = run_job(job, on_progress=report)
    report.close()
    click.echo(_said(ran))
    if out is not None:
        click.echo(f"Files are in {out}.")
    context.exit(PARTIAL if ran.loaded.is_partial else DONE)


@cli.command()
@_SETTINGS
@click.option(
    "--every",
    default=6.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="HOURS",
    help="From the beginning of one run to that of the next.",
)
@click.option("--times", type=click.IntRange(min=1), metavar="N", help="Runs; default no end.")
@_choices
@click.pass_context
def watch(
    context: click.Context,
    /,
    settings_file: Path | None,
    every: float,
    times: int | None,
    out: Path | None,
    **choices: float | str | None,
) -> None:
    """Measure the last 60 days at once and again every few hours, until told to stop."""
    job = Job(settings=_with_choices(_settings(settings_file), choices), what="watch", out=out)
    report, stop = Reporter(sys.stderr), Stop()

    def say(line: str) -> None:
        report.close()
        click.echo(line)

    with stop.listening():
        status = watch_job(
            job, every_hours=every, times=times, say=say, stop=stop, on_progress=report
        )
    context.exit(status)


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


def _said(ran: Ran) -> str:
    """Return what a run came to, on a screen of plain text."""
    lines = [summary(ran.loaded, ran.results)]
    lines += in_words(ran.native) if ran.native is not None else []
    if ran.why_not_native:
        lines.append(f"Cross-check with PostHog: not compared. {ran.why_not_native}")
    lines += [f"Alert: {one.words}" for one in ran.left.record.alerts]
    lines += [f"Note: {notice}" for notice in ran.left.notices]
    return "\n".join(lines)


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
