"""What one run leaves behind: the files of the contract and the one-screen summary."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import version

import pandas as pd

import core
from core.pipeline import Loaded, Results, window_counts
from core.publish import formats, words
from core.publish.files import Writer
from core.publish.tables import analysis_json
from core.publish.tables import results as result_writers
from core.quality.ledger import mapped_share, mapping_ledger

_LIBRARIES = ("numpy", "pandas", "scipy", "duckdb", "sqlalchemy", "pyarrow")


def analysis(loaded: Loaded, results: Results) -> dict[str, object]:
    """Return the content of analysis.json for results, ready for strict JSON."""
    return analysis_json(
        campaigns=results.campaigns,
        lifts=results.lifts,
        layers=results.layers,
        settings=described_settings(loaded, results),
        sources=_described_sources(loaded),
        quality={
            "mapped_share": mapped_share(results.campaigns),
            "ledger": mapping_ledger(results.campaigns).to_dict("records"),
            "notices": list(loaded.notices),
        },
        versions={
            "pushlift": core.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        more={
            "period": {"since": loaded.span.since, "until": loaded.span.until},
            "as_of": loaded.span.as_of,
        },
    )


def files(loaded: Loaded, results: Results) -> dict[str, Writer]:
    """Return the writer of each file that `analyze --out` leaves, by name."""
    return result_writers(
        campaigns=results.campaigns,
        lifts=results.lifts,
        layers=results.layers,
        window_counts=window_counts(loaded, results),
        analysis=analysis(loaded, results),
        metrics=results.panel.metric_names,
    )


def described_settings(loaded: Loaded, results: Results) -> dict[str, object]:
    """Return how it was measured, in plain values and without secrets."""
    rules, settings = results.rules, loaded.wiring.settings
    return {
        "timezone": settings.analysis.timezone,
        "baseline_days": rules.lengths.baseline_days,
        "post_hours": rules.lengths.post_hours,
        "confidence_level": rules.confidence_level,
        "min_recipients": rules.min_recipients,
        "outliers": rules.outliers,
        "metrics": settings.metrics,
        "primary_metric": results.panel.metric_names[0],
    }


def summary(loaded: Loaded, results: Results) -> str:
    """Return the result of a run on one screen of plain text."""
    zone = loaded.wiring.settings.analysis.timezone
    span, primary = loaded.span, results.panel.metric_names[0]
    period = f"{formats.instant(span.since, zone)} to {formats.instant(span.until, zone)}"
    lines = [
        f"{loaded.wiring.label}: {len(results.campaigns):,} campaigns, {period}",
        "",
        words.finding(results.layers, primary, post_hours=results.rules.lengths.post_hours),
        "",
        _layer_table(results.layers[results.layers["metric"] == primary]),
        "",
        f"Recipients mapped: {formats.share(mapped_share(results.campaigns))}. "
        + _statuses(results.campaigns["status"]),
    ]
    lines += [f"Note: {notice}" for notice in loaded.notices]
    return "\n".join(lines)


def _layer_table(layers: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "layer": [words.layer(name) for name in layers["layer"]],
            "campaigns": layers["n_campaigns"].map(formats.count),
            "pushes": layers["n_pushes"].map(formats.count),
            "people": layers["n_users"].map(formats.count),
            "change after": [words.effect(row) for _, row in layers.iterrows()],
            "clearly higher": layers["n_above"].map(formats.count),
            "clearly lower": layers["n_below"].map(formats.count),
        }
    )
    return shown.to_string(index=False)


def _statuses(statuses: pd.Series) -> str:
    counts = statuses[statuses != "ok"].value_counts()
    if counts.empty:
        return "Every campaign qualifies and its window has closed."
    said = [f"{n} {formats.reason(str(status))}" for status, n in counts.items()]
    return f"Campaigns not in the layers: {', '.join(said)}."


def _described_sources(loaded: Loaded) -> dict[str, object]:
    return {
        "label": loaded.wiring.label,
        "database": loaded.wiring.settings.database_label,
        "activity": loaded.source_label,
        "usage": asdict(loaded.usage),
        "seconds": loaded.seconds,
        "n_events": len(loaded.timelines),
        "n_persons": len(loaded.timelines.person_ids),
    }
