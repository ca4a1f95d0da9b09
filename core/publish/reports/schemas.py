"""The published JSON Schemas (Draft 2020-12), made from the declared tables.

``python -m core.publish.reports.schemas`` writes them into core/publish/schema; a test holds that
what is committed there is what is made here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from core.frames import CAMPAIGNS, LAYERS, LIFTS, Column, Kind, Table
from core.publish.reports.documents import (
    DRAWN_TABLES,
    MAIN_TABLES,
    OF_CAMPAIGN,
    OF_LAYER,
    SCHEMA_VERSION,
)

Schema = dict[str, object]
FOLDER = Path(__file__).parent.parent / "schema"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"
_KINDS: Mapping[Kind, Schema] = MappingProxyType(
    {
        "text": {"type": "string"},
        "instant": {"type": "string", "pattern": _INSTANT},
        "integer": {"type": "integer"},
        "number": {"type": "number"},
        "flag": {"type": "boolean"},
    }
)
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_AT: Schema = _KINDS["instant"]
_SHARE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}


def analysis_schema() -> Schema:
    """Return the schema of analysis.json."""
    tables = {**MAIN_TABLES, **DRAWN_TABLES}
    said = _object({name: {"type": "object", "additionalProperties": _TEXT} for name in tables})
    parts = {
        "settings": _settings(),
        "sources": _open("label", "database", "activity", "usage", "seconds"),
        "quality": _object({"mapped_share": _SHARE, "ledger": _ledger(), "notices": _TEXTS}),
        "versions": {"type": "object", "additionalProperties": _TEXT},
        "missing": _object(
            {
                "is_partial": {"type": "boolean"},
                "activity": {
                    "type": "array",
                    "items": _object({"since": _AT, "until": _AT, "why": _TEXT}),
                },
                "n_unresolved_users": {"type": "integer"},
                "why_unresolved": _MAYBE_TEXT,
                "campaigns": _TEXTS,
            }
        ),
        "period": _object({"since": _AT, "until": _AT}),
        "as_of": _AT,
    }
    return _document("analysis", "Everything one run found.", {**parts, **_tables(tables),
                     "definitions": said}, tables)  # fmt: skip


def campaign_schema() -> Schema:
    """Return the schema of json-data/layer-N/<campaign>.json."""
    tables = {"lifts": LIFTS, **{name: DRAWN_TABLES[name] for name in OF_CAMPAIGN}}
    verdict = ("metric", "word", "sentence", "effect", "incremental_events", "basis", "cannot_say")
    parts = {
        **_described(),
        "campaign": {"$ref": "#/$defs/campaigns"},
        "verdicts": {"type": "array", "items": _object(dict.fromkeys(verdict, _TEXT))},
    }
    every = {"campaigns": CAMPAIGNS, **tables}
    return _document(
        "campaign", "Everything about one campaign.", {**parts, **_tables(tables)}, every
    )


def layer_schema() -> Schema:
    """Return the schema of json-data/layer-N/layer.json."""
    names = ("layers", "layer_contrasts", "checks", "campaigns")
    tables = {name: MAIN_TABLES[name] for name in names}
    tables |= {name: DRAWN_TABLES[name] for name in OF_LAYER}
    parts = {
        **_described(),
        "layer": {"enum": list(LAYERS)},
        "files": {"type": "object", "additionalProperties": _TEXT},
        "mapped_share": _SHARE,
        "ledger": _ledger(),
    }
    return _document("layer", "Everything about one layer.", {**parts, **_tables(tables)}, tables)


SCHEMAS: Mapping[str, Callable[[], Schema]] = MappingProxyType(
    {"analysis": analysis_schema, "campaign": campaign_schema, "layer": layer_schema}
)


def schema_bytes(name: str) -> bytes:
    """Return a schema as it is published."""
    return json.dumps(SCHEMAS[name](), indent=1, ensure_ascii=False).encode() + b"\n"


def write_schemas(folder: Path = FOLDER) -> None:
    """Write every schema into a folder."""
    for name in SCHEMAS:
        (folder / f"{name}.schema.json").write_bytes(schema_bytes(name))


def row_schema(table: Table) -> Schema:
    """Return the schema of one row of a declared table."""
    columns = {column.name: _column(column) for column in table.columns}
    return _object(columns)


def _column(column: Column) -> Schema:
    kind = dict(_KINDS[column.kind])
    said = column.meaning
    if column.missing:
        kind["type"] = [kind["type"], "null"]
        said = f"{said}; null: {column.missing}"
    return {**kind, "description": said}


def _document(
    name: str, said: str, parts: Mapping[str, object], tables: Mapping[str, Table]
) -> Schema:
    return {
        "$schema": _DIALECT,
        "$id": f"pushlift:{name}.schema.json",
        "title": f"Pushlift {name}",
        "description": said,
        **_object({"schema_version": {"const": SCHEMA_VERSION}, **parts}),
        "$defs": {one: row_schema(table) for one, table in tables.items()},
    }


def _tables(tables: Mapping[str, Table]) -> dict[str, object]:
    """Return arrays of rows; those of quality and insight may be null."""
    found: dict[str, object] = {}
    for name in tables:
        kind = ["array", "null"] if name in DRAWN_TABLES else "array"
        found[name] = {"type": kind, "items": {"$ref": f"#/$defs/{name}"}}
    return found


def _described() -> dict[str, object]:
    return {
        "pushlift": _TEXT,
        "source": _TEXT,
        "as_of": _AT,
        "period": _object({"since": _AT, "until": _AT}),
        "missing": _TEXTS,
        "settings": _settings(),
    }


def _settings() -> Schema:
    return _object(
        {
            "timezone": _TEXT,
            "baseline_days": {"type": "integer", "minimum": 1},
            "post_hours": {"type": "integer", "minimum": 1},
            "confidence_level": {
                "type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1,
            },
            "min_recipients": {"type": "integer"},
            "outliers": {"enum": ["keep", "winsorize", "iqr", "zscore"]},
            "layers": {"type": "array", "items": {"enum": list(LAYERS)}},
            "metrics": {"type": "object", "additionalProperties": _TEXTS},
            "primary_metric": _TEXT,
        }
    )  # fmt: skip


def _ledger() -> Schema:
    row = _object(
        {
            "step": _TEXT, "label": _TEXT, "n": {"type": "integer"}, "share": _SHARE,
            "share_of": _TEXT, "reason": _TEXT,
        }
    )  # fmt: skip
    return {"type": "array", "items": row}


def _object(parts: Mapping[str, object]) -> Schema:
    return {
        "type": "object",
        "properties": dict(parts),
        "required": list(parts),
        "additionalProperties": False,
    }


def _open(*names: str) -> Schema:
    """Return an object that has some parts and may have more."""
    return {"type": "object", "required": list(names)}


if __name__ == "__main__":
    write_schemas()
    sys.exit(0)
