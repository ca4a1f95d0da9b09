"""Rankings: one rule, ranks among a layer and among all, money where a value is set."""

import numpy as np
import pandas as pd
import pytest

from core.insight.rankings import PLACES, rankings
from core.insight.standings import Standing
from core.measure.ranks import ranks
from tests.insight.rows import campaign, campaigns, lift, lifts

NAN = float("nan")
EFFECTS = {"a": 0.3, "b": 0.2, "c": 0.1, "d": 0.4}
LAYERS = {"a": "1", "b": "1", "c": "2", "d": "2"}


def sends_of(effects, **columns):
    return campaigns(
        *(campaign(campaign_id=i, layer=LAYERS.get(i, "1"), **columns) for i in effects)
    )


def rows_of(effects, **columns):
    return lifts(
        *(
            lift(campaign_id=i, layer=LAYERS.get(i, "1"), rel=rel, half=abs(rel) / 2, **columns)
            for i, rel in effects.items()
        )
    )


def standing_of(effects, *, spread=0.0, layers=None):
    rng = np.random.default_rng(1)
    centre = np.array(list(effects.values()))
    drawn = centre + spread * rng.standard_normal((2000, len(centre)))
    own = layers or [LAYERS.get(i, "1") for i in effects]
    return Standing(
        campaign_ids=pd.Index(list(effects)), layers=pd.Index(own, dtype="str"), draws=drawn
    )


def ranked(effects, *, spread=0.0, per_event=None, rows=None):
    return rankings(
        rows_of(effects) if rows is None else rows, sends_of(effects),
        {"trades": standing_of(effects, spread=spread)}, per_event=per_event or {},
    )  # fmt: skip


def order(found, layer):
    return found[found["layer"] == layer].sort_values("place")["campaign_id"].tolist()


def test_rankings_order_clear_campaigns_by_rank_in_each_layer_and_over_all():
    found = ranked(EFFECTS)
    assert order(found, "all") == ["d", "a", "b", "c"]
    assert (order(found, "1"), order(found, "2")) == (["a", "b"], ["d", "c"])
    assert found.groupby("layer")["place"].apply(list).to_dict() == {
        "1": [1, 2], "2": [1, 2], "all": [1, 2, 3, 4],
    }  # fmt: skip


def test_rankings_take_the_rank_among_those_ranked_together():
    found = ranked(EFFECTS, spread=0.1).set_index(["layer", "campaign_id"])
    draws = standing_of(EFFECTS, spread=0.1).draws
    for layer, columns in (("1", [0, 1]), ("2", [2, 3]), ("all", [0, 1, 2, 3])):
        said = ranks(draws[:, columns])
        for place, column in enumerate(columns):
            row = found.loc[(layer, list(EFFECTS)[column])]
            assert row["rank"] == said.median_rank[place]
            assert (row["rank_low"], row["rank_high"]) == (
                said.rank_low[place], said.rank_high[place],
            )  # fmt: skip


def test_rankings_put_clear_campaigns_before_larger_ones_that_are_not():
    rows = rows_of(EFFECTS)
    rows.loc[rows["campaign_id"] == "d", "qvalue"] = 0.3
    found = ranked(EFFECTS, rows=rows)
    assert order(found, "all") == ["a", "b", "c", "d"]
    assert found[found["layer"] == "all"]["is_clear"].tolist() == [True, True, True, False]


def test_rankings_of_the_same_median_rank_go_by_the_events_added():
    effects = {"a": 0.2, "b": 0.2}
    rows = rows_of(effects)
    rows["incremental_events"] = [50.0, 90.0]
    assert order(ranked(effects, rows=rows), "all") == ["b", "a"]


def test_rankings_never_hold_what_is_clear_below_zero():
    assert order(ranked({"a": 0.2, "b": -0.4}), "all") == ["a"]


def test_rankings_leave_out_what_only_describes_or_is_still_open_or_too_small():
    effects = dict.fromkeys("abcd", 0.2)
    rows = rows_of(effects)
    rows.loc[0, "evidence"] = "D"
    sends = sends_of(effects)
    sends.loc[1, "window_complete"] = False
    sends.loc[2, "qualifies"] = False
    found = rankings(rows, sends, {"trades": standing_of(effects)}, per_event={})
    assert order(found, "all") == ["d"]


def test_rankings_put_campaigns_without_a_rank_last_and_say_so():
    effects = {"a": 0.2, "b": 0.1}
    only = {"trades": standing_of({"b": 0.1}, layers=["1"])}
    found = rankings(rows_of(effects), sends_of(effects), only, per_event={})
    assert order(found, "1") == ["b", "a"]
    assert found[found["campaign_id"] == "a"]["rank"].isna().all()


def test_rankings_hold_ten_places():
    effects = {f"x{n:02d}": 0.01 * n + 0.1 for n in range(14)}
    found = ranked(effects)
    assert len(order(found, "all")) == PLACES
    assert order(found, "all")[0] == "x13"


def test_rankings_value_events_where_a_value_is_set():
    found = ranked({"a": 0.3}, per_event={"trades": 12.0})
    for end in ("", "_ci_low", "_ci_high"):
        assert found[f"value{end}"].tolist() == pytest.approx(
            12 * found[f"incremental_events{end}"]
        )
    assert ranked({"a": 0.3}, per_event={"other": 2.0})["value"].isna().all()


def test_rankings_leave_the_negative_control_out():
    rows = rows_of(EFFECTS, metric="noise")
    assert rankings(rows, sends_of(EFFECTS), {}, per_event={}, control="noise").empty


def test_rankings_without_any_pool_order_by_events():
    rows = rows_of(EFFECTS)
    rows["incremental_events"] = [10.0, 40.0, 30.0, 20.0]
    found = rankings(rows, sends_of(EFFECTS), {}, per_event={})
    assert order(found, "all") == ["b", "c", "d", "a"]
    assert found["rank"].isna().all()
