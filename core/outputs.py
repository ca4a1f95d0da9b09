"""What one run leaves behind: the files of the contract and the one-screen summary."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import pandas as pd

import core
from core import partial
from core.frames import LAYERS
from core.loading import Loaded
from core.measure.panel import Rules
from core.pipeline import Results, panel_of, window_counts
from core.private import shareable
from core.publish import beside, formats, words
from core.publish.files import Writer, write_zip
from core.publish.reports import catalogue
from core.publish.reports.catalogue import FOLDERS, Item
from core.publish.reports.documents import analysis_json
from core.publish.reports.material import Insight, Material, Quality, Setting
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
    quality: Quality | None = None,
    insight: Insight | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    layers: Sequence[str] = LAYERS,
) -> dict[str, object]:
    """Return the content of analysis.json, ready for strict JSON.

    Args:
        loaded: What was read.
        found: What was computed of it, all or a chosen part.
        rules: How it was measured.
        quality: How good the data behind it is, where that was assessed.
        insight: What was concluded from it, where it was.
        since: Start of the chosen period; else of what was read.
        until: End of the chosen period; else of what was read.
        layers: The chosen layers.
    """
    material = material_of(
        loaded, found, rules, quality=quality, insight=insight, since=since, until=until,
        layers=layers,
    )  # fmt: skip
    return _analysis(loaded, material)


def material_of(
    loaded: Loaded,
    found: Found,
    rules: Rules,
    *,
    quality: Quality | None = None,
    insight: Insight | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    layers: Sequence[str] = LAYERS,
) -> Material:
    """Return what every file is written from; arguments as of `analysis`."""
    settings, span = loaded.wiring.settings, loaded.span
    return Material(
        campaigns=found.campaigns,
        lifts=found.lifts,
        layers=found.layers,
        contrasts=found.contrasts,
        checks=found.checks,
        quality=quality,
        insight=insight,
        setting=Setting(
            source=loaded.wiring.label,
            activity=loaded.source_label,
            version=core.__version__,
            zone=settings.analysis.timezone,
            since=since or span.since,
            until=until or span.until,
            as_of=span.as_of,
            rules=rules,
            metrics=settings.metrics,
            layers=tuple(layers),
            currency=settings.value.currency,
            missing=tuple(partial.sentences(loaded, found.campaigns)),
            notices=loaded.notices,
        ),
    )


def items(
    loaded: Loaded,
    found: Found,
    rules: Rules,
    *,
    quality: Quality | None = None,
    insight: Insight | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    layers: Sequence[str] = LAYERS,
) -> list[Item]:
    """Return every file of a run or of a screen, each made when asked for.

    The command line writes all of them; a page offers `core.publish.reports.catalogue.offers` of
    them. Arguments as of `analysis`.
    """
    material = material_of(
        loaded, found, rules, quality=quality, insight=insight, since=since, until=until,
        layers=layers,
    )  # fmt: skip
    return catalogue.items(
        material,
        analysis=lambda: _analysis(loaded, material),
        counts=cache(lambda: _counts(loaded, found, rules)),
    )


def files(
    loaded: Loaded,
    results: Results,
    *,
    quality: Quality | None = None,
    insight: Insight | None = None,
) -> dict[str, Writer]:
    """Return the writer of each file that `analyze --out` leaves, by name.

    Folders among them (`FOLDERS`) are replaced as a whole: give them to `write_all`.
    """
    return catalogue.writers(
        items(loaded, results, results.rules, quality=quality, insight=insight)
    )


def bundle(
    path: Path,
    loaded: Loaded,
    results: Results,
    *,
    quality: Quality | None = None,
    insight: Insight | None = None,
) -> None:
    """Write everything `analyze --out` leaves into one ZIP; the same run gives the same bytes.

    Raises:
        PushliftError: The ZIP cannot be written.
    """
    write_zip(path, files(loaded, results, quality=quality, insight=insight))


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


def _analysis(loaded: Loaded, material: Material) -> dict[str, object]:
    setting = material.setting
    return analysis_json(
        material,
        {
            "settings": _described_settings(loaded, setting.rules, setting.layers),
            "sources": _described_sources(loaded),
            "quality": {
                "mapped_share": mapped_share(material.campaigns),
                "ledger": mapping_ledger(material.campaigns).to_dict("records"),
                "notices": list(loaded.notices),
            },
            "versions": {
                "pushlift": core.__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in _LIBRARIES},
            },
            "missing": partial.described(loaded, material.campaigns),
            "period": {"since": setting.since, "until": setting.until},
            "as_of": setting.as_of,
        },
    )


def _counts(loaded: Loaded, found: Found, rules: Rules) -> pd.DataFrame:
    """Return the window counts of what was found, person ids fit to leave."""
    results = found if isinstance(found, Results) else _counted(loaded, found, rules)
    return shareable(window_counts(loaded, results), loaded.wiring.settings)


def _counted(loaded: Loaded, found: Found, rules: Rules) -> Results:
    """Return what was found with the counts it rests on, which pages do not keep."""
    ids = found.campaigns["campaign_id"]
    of = loaded.campaigns
    campaigns = of[of["campaign_id"].isin(ids)].reset_index(drop=True)
    pushes = loaded.pushes[loaded.pushes["campaign_id"].isin(ids)].reset_index(drop=True)
    return Results(
        campaigns=campaigns,
        lifts=found.lifts,
        layers=found.layers,
        contrasts=found.contrasts,
        checks=found.checks,
        panel=panel_of(loaded, campaigns, pushes, rules.lengths),
        rules=rules,
    )


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


__all__ = [
    "FOLDERS", "Found", "Item", "analysis", "bundle", "files", "items", "material_of", "summary",
]  # fmt: skip
