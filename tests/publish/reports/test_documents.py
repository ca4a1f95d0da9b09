from __future__ import annotations

import json

import jsonschema
import numpy as np
import pandas as pd
import pytest

from core.frames import LIFTS
from core.publish.reports.documents import analysis_json, campaign_json, layer_json
from core.publish.reports.schemas import FOLDER, SCHEMAS, schema_bytes
from core.publish.tables import json_bytes
from tests.publish.examples import HOSTILE
from tests.publish.reports.materials import UNTIL, material, setting

SETTINGS = {
    "timezone": "UTC", "baseline_days": 30, "post_hours": 48, "confidence_level": 0.95,
    "min_recipients": 30, "outliers": "keep", "layers": ["1"], "metrics": {"a": ["A"]},
    "primary_metric": "a",
}  # fmt: skip


def _refuse(name):
    raise AssertionError(name)


def _read(content):
    return json.loads(json_bytes(content), parse_constant=_refuse)


def _analysis(of):
    said = {
        "settings": SETTINGS,
        "sources": {"label": "x", "database": "", "activity": "x", "usage": {}, "seconds": {}},
        "quality": {"mapped_share": float("nan"), "ledger": [], "notices": []},
        "versions": {"pushlift": "0.1.0"},
        "missing": {"is_partial": False, "activity": [], "n_unresolved_users": 0,
                    "why_unresolved": None, "campaigns": []},
        "period": {"since": UNTIL, "until": UNTIL},
        "as_of": UNTIL,
    }  # fmt: skip
    return analysis_json(of, said)


def _validator(name):
    schema = json.loads((FOLDER / f"{name}.schema.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_bytes_are_what_is_published(name):
    assert (FOLDER / f"{name}.schema.json").read_bytes() == schema_bytes(name)


def test_schemas_folder_holds_nothing_else():
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.schema.json" for name in SCHEMAS}


@pytest.mark.parametrize("bare", [False, True])
def test_every_document_is_as_its_schema_says(bare):
    of = material(bare=bare)
    _validator("analysis").validate(_read(_analysis(of)))
    for one in ("c00", "c04", "c05"):
        _validator("campaign").validate(_read(campaign_json(of, one)))
    for layer in ("1", "unclassified"):
        _validator("layer").validate(_read(layer_json(of, layer)))


def test_schema_refuses_what_is_not_declared():
    good = _read(campaign_json(material(), "c00"))
    check = _validator("campaign")
    for spoil in (
        {"extra": 1}, {"schema_version": 99}, {"as_of": "yesterday"}, {"lifts": [{}]},
        {"campaign": {**good["campaign"], "n_sent": "many"}},
        {"campaign": {**good["campaign"], "layer": None}},
    ):  # fmt: skip
        with pytest.raises(jsonschema.ValidationError):
            check.validate({**good, **spoil})


def test_analysis_json_names_its_schema_first_and_holds_every_part():
    analysis = _analysis(material())
    assert next(iter(analysis)) == "schema_version"
    back = _read(analysis)
    assert {"settings", "sources", "quality", "versions", "campaigns", "lifts"} <= set(back)
    assert back["as_of"] == "2026-10-31T00:00:00.000Z"
    assert back["quality"]["mapped_share"] is None
    assert back["definitions"]["lifts"]["df"] == "its degrees of freedom"
    assert len(back["decisions"]) == 18


def test_analysis_json_holds_the_same_numbers_as_the_frames():
    of = material()
    back = _read(_analysis(of))
    assert list(back["lifts"][0]) == LIFTS.names
    numbers = pd.DataFrame(back["lifts"])["rel_effect_size"].astype(float)
    pd.testing.assert_series_equal(numbers, of.lifts["rel_effect_size"], check_exact=True)
    small = [row for row in back["lifts"] if row["status"] == "too_few_users"]
    assert {row["effect_size"] for row in small} == {None}
    assert back["campaigns"][0]["first_delivered_at"] == "2026-09-01T13:00:00.250Z"
    assert [row["difference"] for row in back["layer_contrasts"]] == [0.056, -0.114, None]
    assert [row["se_scale"] for row in back["checks"]] == [1.0, 1.4]


def test_analysis_json_infinities_become_null():
    of = material()
    of.layers.loc[0, ["rel_effect_size_ci_low", "rel_effect_size_ci_high"]] = [-np.inf, np.inf]
    row = _read(_analysis(of))["layers"][0]
    assert row["rel_effect_size_ci_low"] is None
    assert row["rel_effect_size_ci_high"] is None


def test_analysis_json_of_nothing_drawn_is_null_not_empty():
    back = _read(_analysis(material(bare=True)))
    assert back["decisions"] is None
    assert back["quality_scores"] is None


def test_campaign_json_is_of_one_campaign_alone():
    of = material(names=list(HOSTILE))
    back = _read(campaign_json(of, "c07"))
    assert back["campaign"]["name"] == HOSTILE[7]
    assert {row["campaign_id"] for row in back["lifts"]} == {"c07"}
    assert {row["campaign_id"] for row in back["decisions"]} == {"c07"}
    assert {row["of"] for row in back["quality_scores"]} == {"c07"}
    assert len(back["verdicts"]) == 3
    assert back["settings"]["primary_metric"] == setting().primary


def test_layer_json_leads_to_its_campaigns_files():
    back = _read(layer_json(material(), "2"))
    assert set(back["files"]) == {row["campaign_id"] for row in back["campaigns"]} == {"c01", "c04"}
    assert {row["layer"] for row in back["layers"]} == {"2"}
    assert [row["other_layer"] for row in back["layer_contrasts"]] == ["2", "3"]
    assert {row["of"] for row in back["quality_advice"]} == {"2"}
