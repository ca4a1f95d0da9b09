"""JSON: everything of a run, one file a campaign, one a layer, each with a published schema."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from core.frames import CAMPAIGNS, CHECKS, LAYER_CONTRASTS, LAYER_LIFTS, LIFTS, Table
from core.publish import words
from core.publish.formats import exact
from core.publish.reports import views
from core.publish.reports.material import INSIGHT_TABLES, QUALITY_TABLES, Material, stems
from core.publish.tables import definitions, plain, records
from core.quality.ledger import mapped_share, mapping_ledger

SCHEMA_VERSION = 1
"""Raised whenever something in these files changes its meaning; what is new does not raise it."""
MAIN_TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "campaigns": CAMPAIGNS,
        "layers": LAYER_LIFTS,
        "layer_contrasts": LAYER_CONTRASTS,
        "checks": CHECKS,
        "lifts": LIFTS,
    }
)
DRAWN_TABLES: Mapping[str, Table] = MappingProxyType(
    {name: table for name, (_, table) in {**QUALITY_TABLES, **INSIGHT_TABLES}.items()}
)
"""Tables that are null where nothing was assessed or drawn."""
OF_CAMPAIGN = ("decisions", "rankings", "quality_scores", "quality_advice")
_LEVELLED = ("quality_scores", "quality_advice")
OF_LAYER = (
    "rankings", "patterns", "pattern_groups", "correlations", "what_if", "history",
    "quality_scores", "quality_advice", "push_days",
)  # fmt: skip


def analysis_json(material: Material, said: Mapping[str, object]) -> dict[str, object]:
    """Return everything one run found, ready for strict JSON, `schema_version` first.

    Args:
        material: The tables.
        said: Further parts in plain values: settings, sources, quality, versions, missing,
            period, as_of.

    Raises:
        DataError: A frame is not what is declared, or a part holds what JSON cannot.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        **{name: plain(part, where=name) for name, part in said.items()},
        **{name: _records(material, name) for name in (*MAIN_TABLES, *DRAWN_TABLES)},
        "definitions": {
            name: definitions(table) for name, table in {**MAIN_TABLES, **DRAWN_TABLES}.items()
        },
    }


def campaign_json(material: Material, campaign_id: str) -> dict[str, object]:
    """Return everything about one campaign: counts, message, verdicts, every method."""
    campaign = _of(material, "campaigns", "campaign_id", campaign_id) or []
    lifts = material.lifts_of(campaign_id)
    return {
        "schema_version": SCHEMA_VERSION,
        **_described(material),
        "campaign": campaign[0],
        "verdicts": _verdicts(
            material, views.campaign_row(material, campaign_id), lifts[lifts["headline"]]
        ),
        "lifts": _of(material, "lifts", "campaign_id", campaign_id),
        "decisions": _of(material, "decisions", "campaign_id", campaign_id),
        "rankings": _of(material, "rankings", "campaign_id", campaign_id),
        **{name: _quality(material, name, "campaign", campaign_id) for name in OF_CAMPAIGN[2:]},
    }


def layer_json(material: Material, layer: str) -> dict[str, object]:
    """Return everything about one layer: its campaigns' files, pooled results, what they share."""
    contrasts = material.contrasts
    with_it = contrasts[(contrasts["layer"] == layer) | (contrasts["other_layer"] == layer)]
    campaigns = material.campaigns[material.campaigns["layer"] == layer]
    names = stems(list(material.campaigns["campaign_id"]))
    return {
        "schema_version": SCHEMA_VERSION,
        **_described(material),
        "layer": layer,
        "files": {str(one): f"{names[one]}.json" for one in campaigns["campaign_id"]},
        "mapped_share": plain(mapped_share(campaigns), where="mapped_share"),
        "ledger": ledger(campaigns),
        "layers": _of(material, "layers", "layer", layer),
        "layer_contrasts": records(LAYER_CONTRASTS, with_it),
        "checks": _of(material, "checks", "layer", layer),
        "campaigns": _of(material, "campaigns", "layer", layer),
        **{
            name: _quality(material, name, "layer", layer)
            if name in _LEVELLED
            else _of(material, name, "layer", layer)
            for name in OF_LAYER
        },
    }


def ledger(campaigns: pd.DataFrame) -> object:
    """Return the ledger of some campaigns in plain values."""
    return plain(mapping_ledger(campaigns).to_dict("records"), where="ledger")


def main_table(material: Material, name: str) -> pd.DataFrame:
    """Return one of the tables every run has."""
    attribute = {"layer_contrasts": "contrasts"}.get(name, name)
    frame: pd.DataFrame = getattr(material, attribute)
    return frame


def _described(material: Material) -> dict[str, object]:
    """Return when and how it was measured."""
    setting = material.setting
    rules = setting.rules
    return {
        "pushlift": setting.version,
        "source": setting.source,
        "as_of": exact(setting.as_of),
        "period": {"since": exact(setting.since), "until": exact(setting.until)},
        "missing": list(setting.missing),
        "settings": {
            "timezone": setting.zone,
            "baseline_days": rules.lengths.baseline_days,
            "post_hours": rules.lengths.post_hours,
            "confidence_level": rules.confidence_level,
            "min_recipients": rules.min_recipients,
            "outliers": rules.outliers,
            "layers": list(setting.layers),
            "metrics": {name: list(events) for name, events in setting.metrics.items()},
            "primary_metric": setting.primary,
        },
    }


def _verdicts(
    material: Material, campaign: pd.Series, heads: pd.DataFrame
) -> list[dict[str, object]]:
    setting = material.setting
    said: list[dict[str, object]] = []
    for _, row in heads.iterrows():
        judged = words.verdict(
            row, campaign, as_of=setting.as_of, min_recipients=setting.rules.min_recipients
        )
        said.append(
            {
                "metric": str(row["metric"]),
                "word": judged.word,
                "sentence": judged.sentence,
                "effect": words.effect(row),
                "incremental_events": views.incremental(row),
                "basis": words.basis(row),
                "cannot_say": words.limits(row),
            }
        )
    return said


def _of(material: Material, name: str, column: str, wanted: str) -> list[dict[str, object]] | None:
    """Return the rows of a table that hold a text, None where there is no such table."""
    every = _records(material, name)
    if every is None:
        return None

    def made() -> dict[object, list[dict[str, object]]]:
        parts: dict[object, list[dict[str, object]]] = {}
        for row in every:
            parts.setdefault(row[column], []).append(row)
        return parts

    return material.kept(("records", name, column), made).get(wanted, [])


def _quality(material: Material, name: str, level: str, of: str) -> list[dict[str, object]] | None:
    rows = _of(material, name, "of", of)
    return None if rows is None else [row for row in rows if row["level"] == level]


def _records(material: Material, name: str) -> list[dict[str, object]] | None:
    """Return a whole table in plain values, None where there is no such table."""
    if name in MAIN_TABLES:
        table, frame = MAIN_TABLES[name], main_table(material, name)
        return material.kept(("records", name), lambda: records(table, frame))
    drawn = material.table(name)
    if drawn is None:
        return None
    return material.kept(("records", name), lambda: records(DRAWN_TABLES[name], drawn))
