"""What one run leaves behind: the files of the contract and the one-screen summary."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from typing import Protocol

import pandas as pd

import core
from core import partial
from core.frames import LAYERS
from core.loading import Loaded
from core.measure.panel import Rules
from core.pipeline import Results, window_counts
from core.private import shareable
from core.publish import beside, formats, words
from core.publish.files import Writer
from core.publish.tables import analysis_json
from core.publish.tables import results as result_writers
from core.quality.ledger import mapped_share, mapping_ledger

_LIBRARIES = ("numpy", "pandas", "scipy", "duckdb", "sqlalchemy", "pyarrow", "streamlit")


class Found(Protocol):
    """The declared tables of one computation, whoever holds them."""

    @property
    def campaigns(self) -> pd.DataFrame:
        """Return frames.CAMPAIGNS."""
        ...

    @property
    def lifts(self) -> pd.DataFrame:
        """Return frames.LIFTS."""
        ...

    @property
    def layers(self) -> pd.DataFrame:
        """Return frames.LAYER_LIFTS."""
        ...

    @property
    def contrasts(self) -> pd.DataFrame:
        """Return frames.LAYER_CONTRASTS."""
        ...

    @property
    def checks(self) -> pd.DataFrame:
        """Return frames.CHECKS."""
        ...


def analysis(
    loaded: Loaded,
    found: Found,
    rules: Rules,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    layers: Sequence[str] = LAYERS,
) -> dict[str, object]:
    """Return the content of analysis.json, ready for strict JSON.

    Args:
        loaded: What was read.
        found: What was computed of it, all or a chosen part.
        rules: How it was measured.
        since: Start of the chosen period; else of what was read.
        until: End of the chosen period; else of what was read.
        layers: The chosen layers.
    """
    return analysis_json(
        campaigns=found.campaigns,
        lifts=found.lifts,
        layers=found.layers,
        contrasts=found.contrasts,
        checks=found.checks,
        settings=_described_settings(loaded, rules, layers),
        sources=_described_sources(loaded),
        quality={
            "mapped_share": mapped_share(found.campaigns),
            "ledger": mapping_ledger(found.campaigns).to_dict("records"),
            "notices": list(loaded.notices),
        },
        versions={
            "pushlift": core.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        more={
            "missing": partial.described(loaded, found.campaigns),
            "period": {"since": since or loaded.span.since, "until": until or loaded.span.until},
            "as_of": loaded.span.as_of,
        },
    )


def files(loaded: Loaded, results: Results) -> dict[str, Writer]:
    """Return the writer of each file that `analyze --out` leaves, by name."""
    return result_writers(
        campaigns=results.campaigns,
        lifts=results.lifts,
        layers=results.layers,
        window_counts=shareable(window_counts(loaded, results), loaded.wiring.settings),
        analysis=analysis(loaded, results, results.rules),
        metrics=results.panel.metric_names,
    )


def summary(loaded: Loaded, results: Results) -> str:
    """Return the result of a run on one screen of plain text."""
    zone = loaded.wiring.settings.analysis.timezone
    span, primary = loaded.span, results.panel.metric_names[0]
    period = f"{formats.instant(span.since, zone)} to {formats.instant(span.until, zone)}"
    layers = results.layers[results.layers["metric"] == primary]
    lines = [
        f"{loaded.wiring.label}: {len(results.campaigns):,} campaigns, {period}",
        *[f"PARTIAL: {said}" for said in partial.sentences(loaded, results.campaigns)],
        "",
        words.finding(results.layers, primary, post_hours=results.rules.lengths.post_hours),
        beside.misled(results.layers, primary),
        "",
        _layer_table(layers),
        "",
        beside.checks_sentence(results.checks),
        f"Recipients mapped: {formats.share(mapped_share(results.campaigns))}. "
        + _statuses(results.campaigns["status"]),
    ]
    lines += [f"Note: {notice}" for notice in loaded.notices]
    return "\n".join(lines)


def _layer_table(layers: pd.DataFrame) -> str:
    """Return each layer's headline, with what plain before and after says beside it."""
    best = layers[layers["method"] == "headline"]
    plain = layers[layers["method"] == "classic"].set_index("layer")
    shown = pd.DataFrame(
        {
            "layer": [words.layer(name) for name in best["layer"]],
            "campaigns": best["n_campaigns"].map(formats.count),
            "pushes": best["n_pushes"].map(formats.count),
            "effect": [words.effect(row) for _, row in best.iterrows()],
            "grade": best["evidence"].where(best["n_campaigns"] > 0, formats.MISSING),
            "clearly higher": best["n_above"].map(formats.count),
            "clearly lower": best["n_below"].map(formats.count),
            "plain before/after": [
                words.effect(plain.loc[name]) if name in plain.index else formats.MISSING
                for name in best["layer"]
            ],
        }
    )
    return shown.to_string(index=False)


def _statuses(statuses: pd.Series) -> str:
    counts = statuses[statuses != "ok"].value_counts()
    if counts.empty:
        return "Every campaign qualifies and its window has closed."
    said = [f"{n} {formats.reason(str(status))}" for status, n in counts.items()]
    return f"Campaigns not in the layers: {', '.join(said)}."


def _described_settings(loaded: Loaded, rules: Rules, layers: Sequence[str]) -> dict[str, object]:
    """Return how it was measured, in plain values and without secrets."""
    settings = loaded.wiring.settings
    return {
        "timezone": settings.analysis.timezone,
        "baseline_days": rules.lengths.baseline_days,
        "post_hours": rules.lengths.post_hours,
        "confidence_level": rules.confidence_level,
        "min_recipients": rules.min_recipients,
        "outliers": rules.outliers,
        "layers": list(layers),
        "metrics": settings.metrics,
        "primary_metric": next(iter(settings.metrics)),
    }


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
