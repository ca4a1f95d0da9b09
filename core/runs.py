"""What a run leaves behind: its record, its alerts, and where configured a word to a webhook.

Used by the command line, by the pages' reading and by watch alike:

    recorder = Recorder("page", then=on_progress)
    ...  # load and measure, with the recorder as on_progress
    left = leave(record_of(recorder, loaded, results, scores=scores), settings, ...)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

import core
from core.activity.source import Usage
from core.errors import PushliftError
from core.frames import CAMPAIGNS
from core.health.alerts import alerts_of, told_of
from core.health.frames import ALERTS, VERDICTS
from core.health.recorder import Recorder
from core.health.records import (
    Cost,
    Headline,
    HowMeasured,
    Record,
    Score,
    plain,
    read_records,
    run_id_of,
    write_record,
)
from core.health.webhook import post, text_of
from core.loading import Loaded
from core.measure.panel import Rules
from core.pipeline import Results
from core.publish import words
from core.quality.frames import SCORES
from core.quality.ledger import mapped_share
from core.settings import Settings

_LOG = logging.getLogger(__name__)
_MOST_LOOKED_BACK = 50
_MOST_NOTICES = 50
_NUMBERS = ("effect_size", "rel_effect_size")


def runs_folder(settings: Settings) -> Path:
    """Return where records are kept."""
    return settings.cache.dir / "runs"


def record_of(
    recorder: Recorder,
    loaded: Loaded,
    results: Results,
    *,
    scores: pd.DataFrame | None = None,
    verdicts: pd.DataFrame | None = None,
) -> Record:
    """Return the record of a run that came to its end.

    Args:
        recorder: Of this run.
        loaded: What was read.
        results: What was computed of it.
        scores: quality.frames.SCORES; None where quality was not assessed.
        verdicts: As of `verdicts_of`, where at hand.
    """
    campaigns = results.campaigns
    told = verdicts_of(loaded, results) if verdicts is None else verdicts
    steps = recorder.steps()
    return Record(
        run_id=run_id_of(recorder.started_at),
        started_at=recorder.started_at,
        what=recorder.what,
        status="partial" if loaded.is_partial else "done",
        version=core.__version__,
        source=plain(loaded.source_label),
        database=plain(loaded.wiring.settings.database_label),
        as_of=loaded.span.as_of,
        since=loaded.span.since,
        until=loaded.span.until,
        settings=_measured(loaded.wiring.settings, results.rules),
        cost=_cost(loaded.usage),
        steps=steps,
        reading_seconds=dict(loaded.seconds),
        seconds=recorder.seconds,
        peak_mb=recorder.peak,
        n_campaigns=len(campaigns),
        campaigns_by_status={str(k): int(n) for k, n in campaigns["status"].value_counts().items()},
        mapped_share=_number(mapped_share(campaigns)),
        newest_event_at=_newest(loaded),
        scores=_totals(SCORES.empty() if scores is None else scores),
        headlines=(*_of_layers(results), *_of_campaigns(results, told)),
        notices=tuple(plain(one) for one in loaded.notices[:_MOST_NOTICES]),
        alerts=(),
        error=None,
    )


def failed_record(recorder: Recorder, settings: Settings, error: BaseException) -> Record:
    """Return the record of a run that an error ended.

    Args:
        recorder: Of this run.
        settings: What it ran with.
        error: Its own words are kept where they are ours; of others, the kind.
    """
    said = str(error) if isinstance(error, PushliftError) else _unexpected(error)
    return Record(
        run_id=run_id_of(recorder.started_at),
        started_at=recorder.started_at,
        what=recorder.what,
        status="failed",
        version=core.__version__,
        source=plain(_configured(settings)),
        database=plain(settings.database_label),
        as_of=None,
        since=None,
        until=None,
        settings=None,
        cost=Cost(),
        steps=recorder.steps(),
        reading_seconds={},
        seconds=recorder.seconds,
        peak_mb=recorder.peak,
        n_campaigns=0,
        campaigns_by_status={},
        mapped_share=None,
        newest_event_at=None,
        scores=(),
        headlines=(),
        notices=(),
        alerts=(),
        error=plain(said),
    )


def verdicts_of(loaded: Loaded, results: Results) -> pd.DataFrame:
    """Return VERDICTS of a run's campaigns on the primary metric, by the headline methods."""
    heads = _heads(results).set_index("campaign_id")
    rows = [
        (campaign["campaign_id"], _verdict(heads.loc[campaign["campaign_id"]], campaign, loaded,
                                           results.rules))
        for _, campaign in results.campaigns.iterrows()
    ]  # fmt: skip
    frame = pd.DataFrame(
        [(campaign_id, word, number) for campaign_id, (word, number) in rows],
        columns=VERDICTS.names,
    )
    return VERDICTS.checked(frame.astype("str"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Left:
    """What a run left behind.

    Attributes:
        record: As it was kept.
        alerts: ALERTS, those already told before included.
        notices: What could not be kept or told, in sentences.
    """

    record: Record
    alerts: pd.DataFrame
    notices: tuple[str, ...]


def leave(
    record: Record,
    settings: Settings,
    *,
    campaigns: pd.DataFrame | None = None,
    scores: pd.DataFrame | None = None,
    verdicts: pd.DataFrame | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Left:
    """Raise a run's alerts, in the log and to the webhook where they are news, and keep its record.

    Nothing of it fails the run: what could not be done is a notice.

    Args:
        record: Of the run.
        settings: Thresholds, webhook, and where records are kept.
        campaigns: frames.CAMPAIGNS; None where the run failed.
        scores: quality.frames.SCORES; None where quality was not assessed.
        verdicts: As of `verdicts_of`; None where the run failed.
        sleep: Waits some seconds between two tries of the webhook.
    """
    folder = runs_folder(settings)
    earlier, notices = _earlier(folder, record)
    finished = [one for one in earlier if one.status != "failed"]
    alerts = alerts_of(
        record,
        campaigns=CAMPAIGNS.empty() if campaigns is None else campaigns,
        scores=SCORES.empty() if scores is None else scores,
        verdicts=VERDICTS.empty() if verdicts is None else verdicts,
        rules=settings.alerts,
        now=_end_of_reading(record),
        last=max(finished, key=_as_of, default=None),
    )
    _log(alerts)
    kept, news = told_of(alerts, earlier)
    if settings.alerts.webhook is not None and len(news):
        label = record.database or record.source
        why_not = post(settings.alerts.webhook, text_of(news, label=label), sleep=sleep)
        notices = (*notices, why_not) if why_not else notices
        kept = tuple(replace(one, is_told=one.is_told or why_not is None) for one in kept)
    done = replace(record, alerts=kept)
    notices = (*notices, *write_record(folder, done))
    for notice in notices:
        _LOG.warning("%s", notice)
    return Left(record=done, alerts=ALERTS.checked(alerts), notices=notices)


def _earlier(folder: Path, record: Record) -> tuple[list[Record], tuple[str, ...]]:
    """Return the newest records of the same sources, oldest first."""
    records, notices = read_records(folder, most=_MOST_LOOKED_BACK)
    same = [one for one in records if (one.database, one.run_id < record.run_id) ==
            (record.database, True)]  # fmt: skip
    return same, notices


def _as_of(record: Record) -> datetime:
    return record.as_of or record.started_at


def _end_of_reading(record: Record) -> datetime:
    """Return the end of what was to be read; a run of an old period is not behind for that."""
    if record.as_of is None or record.until is None or record.settings is None:
        return record.started_at
    return min(record.as_of, record.until + timedelta(hours=record.settings.post_hours))


def _log(alerts: pd.DataFrame) -> None:
    # No words: they name campaigns, whose names may be what people were sent.
    for row in alerts.to_dict("records"):
        fields = {name: row[name] for name in ("kind", "about", "severity", "value", "threshold")}
        level = logging.WARNING if row["severity"] == "act" else logging.INFO
        _LOG.log(level, "Alert", extra={"fields": fields})


def _verdict(lift: pd.Series, campaign: pd.Series, loaded: Loaded, rules: Rules) -> tuple[str, str]:
    found = words.verdict(
        lift, campaign, as_of=loaded.span.as_of, min_recipients=rules.min_recipients
    )
    return found.word, words.effect(lift)


def _heads(results: Results) -> pd.DataFrame:
    lifts = results.lifts
    return lifts[lifts["headline"] & (lifts["metric"] == results.panel.metric_names[0])]


def _of_campaigns(results: Results, verdicts: pd.DataFrame) -> list[Headline]:
    named = results.campaigns[["campaign_id", "name", "status"]]
    heads = _heads(results).drop(columns="status").merge(named, on="campaign_id")
    heads = heads.merge(verdicts[["campaign_id", "word"]], on="campaign_id")
    return [
        Headline(
            level="campaign",
            of=plain(str(row["campaign_id"])),
            name=plain(str(row["name"])),
            layer=str(row["layer"]),
            status=str(row["status"]),
            verdict=str(row["word"]),
            evidence=str(row["evidence"]),
            n=int(row["n_users"]),
            **_estimates(row),
        )
        for _, row in heads.iterrows()
    ]


def _of_layers(results: Results) -> list[Headline]:
    pooled = results.layers
    primary = pooled["metric"] == results.panel.metric_names[0]
    return [
        Headline(
            level="layer",
            of=str(row["layer"]),
            name=words.layer(str(row["layer"])),
            layer=str(row["layer"]),
            status=str(row["status"]),
            verdict=None,
            evidence=str(row["evidence"]),
            n=int(row["n_campaigns"]),
            **_estimates(row),
        )
        for _, row in pooled[primary & (pooled["method"] == "headline")].iterrows()
    ]


def _estimates(row: pd.Series) -> dict[str, float | None]:
    ends = ("", "_ci_low", "_ci_high")
    return {f"{name}{end}": _number(row[f"{name}{end}"]) for name in _NUMBERS for end in ends}


def _totals(scores: pd.DataFrame) -> tuple[Score, ...]:
    totals = scores[(scores["part"] == "total") & scores["level"].isin(["all", "layer"])]
    return tuple(
        Score(
            level=str(row["level"]), of=str(row["of"]), side=str(row["side"]),
            score=_number(row["score"]),
        )
        for row in totals.to_dict("records")
    )  # fmt: skip


def _measured(settings: Settings, rules: Rules) -> HowMeasured:
    return HowMeasured(
        timezone=settings.analysis.timezone,
        baseline_days=rules.lengths.baseline_days,
        post_hours=rules.lengths.post_hours,
        confidence_level=rules.confidence_level,
        min_recipients=rules.min_recipients,
        outliers=rules.outliers,
        negative_control=settings.analysis.negative_control,
        primary_metric=next(iter(settings.metrics)),
        metrics={name: tuple(events) for name, events in settings.metrics.items()},
    )


def _cost(usage: Usage) -> Cost:
    return Cost(
        requests=usage.requests,
        retries=usage.retries,
        errors=usage.errors,
        bytes_received=usage.bytes_received,
        bytes_read=usage.bytes_read,
        cache_hits=usage.cache_hits,
        budget_remaining_bytes=usage.budget_remaining_bytes,
    )


def _newest(loaded: Loaded) -> datetime | None:
    instants = loaded.timelines.instants
    return datetime.fromtimestamp(int(instants.max()) / 1000, UTC) if len(instants) else None


def _number(value: float) -> float | None:
    number = float(value)
    return number if abs(number) < float("inf") else None  # NaN is not less than anything


def _unexpected(error: BaseException) -> str:
    return f"Something went wrong inside Pushlift ({type(error).__name__}); the log says where."


def _configured(settings: Settings) -> str:
    if settings.posthog is not None:
        return f"PostHog project {settings.posthog.project_id}"
    return "export" if settings.events is not None else "demo"
