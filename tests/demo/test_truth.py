from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.demo import DemoFiles, World, write_demo
from core.demo.schedule import plan_campaigns
from core.demo.truth import campaign_keys
from core.demo.world import METRICS, WINDOW_MS
from tests.demo.conftest import Demo

KINDS = ("n_events", "n_base", "n_extra")


def _milliseconds(instants: pd.Series) -> np.ndarray:
    naive = instants.dt.tz_localize(None)
    return naive.to_numpy().astype("datetime64[ms]").astype(np.int64)


def _person_of_users(demo: Demo) -> pd.Series:
    """Map users to persons as the contract says: by distinct id, else by folded e-mail."""
    direct = demo.users["posthog_distinct_id"].map(
        demo.persons.set_index("distinct_id")["person_id"]
    )
    email = demo.persons["properties"].map(lambda text: json.loads(text).get("email"))
    known = demo.persons.assign(email=email.str.strip().str.casefold()).dropna(subset="email")
    by_email = known.drop_duplicates("email").set_index("email")["person_id"]
    found = direct.fillna(demo.users["email"].str.strip().str.casefold().map(by_email))
    return found.set_axis(demo.users["id"])


def _recounted(demo: Demo, metric: str) -> tuple[pd.Series, pd.Series]:
    """Count a metric's events after each mapped push from the export alone; with the truth's."""
    pushes = demo.truth_pushes.set_index("push_id").join(demo.pushes.set_index("id").drop(
        columns=["user_id", "campaign_id"]
    ))  # fmt: skip
    twins = demo.people.loc[demo.people["is_twin"], "user_id"]
    pushes = pushes[~pushes["user_id"].isin(twins)]
    pushes = pushes.assign(person=pushes["user_id"].map(_person_of_users(demo)))
    pushes = pushes.dropna(subset="person")
    persons = demo.persons.set_index("distinct_id")["person_id"]
    events = demo.events[demo.events["event"] == METRICS[metric]]
    code = pd.Series(np.arange(persons.nunique()), index=persons.unique())
    span = np.int64(1) << 44
    owner = events["distinct_id"].map(persons).map(code).to_numpy()
    keys = np.sort(owner * span + _milliseconds(events["timestamp"]))
    lane = pushes["person"].map(code).to_numpy() * span
    start = lane + _milliseconds(pushes["delivered_at"].fillna(pushes["sent_at"]))
    counts = np.searchsorted(keys, start + WINDOW_MS) - np.searchsorted(keys, start)
    return pd.Series(counts, index=pushes.index), pushes[f"n_events_{metric}"]


@pytest.mark.parametrize("metric", ["confirmed_trades", "sessions", "closet_adds"])
def test_truth_counts_the_events_that_are_in_the_export(small: Demo, metric: str) -> None:
    recounted, stored = _recounted(small, metric)
    assert len(recounted) > 0.9 * len(small.truth_pushes)
    assert stored.sum() > 1_000
    assert (recounted == stored.astype("int64")).all()


def test_truth_is_base_plus_extra_where_no_other_push_is_near(small: Demo) -> None:
    """Without other pushes around, events less base are exactly the push's own extra."""
    rows = small.truth_pushes.merge(small.pushes, left_on="push_id", right_on="id")
    at_ms = _milliseconds(rows["delivered_at"].fillna(rows["sent_at"]))
    rows = rows.assign(at_ms=at_ms).sort_values(["user_id_x", "at_ms"])
    before = rows.groupby("user_id_x")["at_ms"].diff().fillna(np.inf)
    after = -rows.groupby("user_id_x")["at_ms"].diff(-1).fillna(-np.inf)
    alone = rows[(before > WINDOW_MS) & (after > WINDOW_MS)]
    assert len(alone) > 1_000
    for metric in METRICS:
        difference = alone[f"n_events_{metric}"] - alone[f"n_base_{metric}"]
        assert (difference == alone[f"n_extra_{metric}"]).all()


def test_truth_of_null_world_has_no_extra_events(null: Demo) -> None:
    assert (null.truth["n_extra"] == 0).all()
    assert (null.truth["n_events"] == null.truth["n_base"]).all()
    assert (null.truth["n_without"] == null.truth["n_events"]).all()
    assert (null.truth["rel_effect"].dropna() == 0).all()


def test_truth_of_null_world_is_what_happens_without_pushes(small: Demo, null: Demo) -> None:
    """The same people do the same things in both worlds, but for what pushes add or put off."""
    columns = ["distinct_id", "event", "timestamp"]
    quiet = null.events[columns].drop_duplicates()
    loud = small.events[columns].drop_duplicates()
    shared = quiet.merge(loud)
    negative = small.truth["n_extra"].clip(upper=0).sum()
    assert len(quiet) - len(shared) <= -negative + len(quiet) * 1e-4
    assert len(loud) > len(quiet)


def test_truth_campaigns_are_sums_of_pushes(small: Demo) -> None:
    by_campaign = small.truth_pushes.groupby("campaign_id")
    for metric in METRICS:
        stored = small.truth[small.truth["metric"] == metric].set_index("campaign_id")
        for kind in KINDS:
            sums = by_campaign[f"{kind}_{metric}"].sum().astype("int64")
            assert sums.sort_index().tolist() == stored[kind].sort_index().tolist()
    assert (small.truth["n_without"] == small.truth["n_events"] - small.truth["n_extra"]).all()


def test_truth_relative_effect_is_what_is_gained_over_what_happens_without(small: Demo) -> None:
    truth = small.truth[small.truth["expected_without"] > 0]
    ratio = truth["expected_extra"] / truth["expected_without"]
    assert truth["rel_effect"].to_numpy() == pytest.approx(ratio.to_numpy())
    taken = truth["expected_own"] - truth["expected_extra"]
    own = truth["expected_own"] / (truth["expected_without"] - taken)
    assert truth["own_effect"].to_numpy() == pytest.approx(own.to_numpy())
    assert (taken > 0).mean() > 0.9


def test_truth_of_a_push_that_does_nothing_is_what_it_takes_from_the_next(small: Demo) -> None:
    nothing = small.truth[small.truth["own_effect"] == 0]
    assert set(nothing["layer"]) == {1, 3}
    assert (nothing["expected_own"] == 0).all()
    assert (nothing["rel_effect"] <= 0).all()
    assert (nothing["rel_effect"] < 0).any()


def test_truth_without_overlap_takes_nothing(tmp_path: Path) -> None:
    files = write_demo(tmp_path / "apart", World(n_users=400, n_days=20, seed=5, overlap=False))
    truth = pd.read_parquet(files.truth / "campaigns.parquet")
    assert (truth["expected_extra"] == truth["expected_own"]).all()
    assert truth["expected_extra"].abs().sum() > 0


def test_truth_counts_mapped_and_open_pushes(small: Demo) -> None:
    campaigns = small.truth.drop_duplicates("campaign_id")
    assert campaigns["n_mapped"].sum() / campaigns["n_pushes"].sum() == pytest.approx(
        0.972, abs=0.01
    )
    is_open = campaigns["n_open"] > 0
    assert set(campaigns.loc[is_open, "layer"]) == {1, 3}
    closed = small.truth[small.truth["n_open"] == 0]
    assert closed["rel_effect"].to_numpy() == pytest.approx(
        closed["rel_effect_observed"].to_numpy()
    )


def test_truth_observed_effect_of_open_windows_is_stronger(small: Demo) -> None:
    opened = small.truth[(small.truth["n_open"] == small.truth["n_pushes"])]
    opened = opened[opened["metric"] == "sessions"]
    assert (opened["rel_effect_observed"] > opened["rel_effect"]).all()


def test_mapping_finds_who_can_be_found(small: Demo) -> None:
    found = _person_of_users(small)
    truth = small.people.set_index("user_id")
    assert found.notna().eq(truth["mapping"] != "never").all()
    sure = found[truth["mapping"].ne("never") & ~truth["is_twin"]]
    assert (sure == truth.loc[sure.index, "person_id"]).all()


def test_campaign_keys_fall_back_to_automation_and_date() -> None:
    world = World()
    keys = campaign_keys(world, plan_campaigns(world))
    assert len(set(keys)) == 66
    assert "offer-machine:2026-09-01" in keys
    assert "drop-01" in keys


@pytest.fixture(scope="module")
def planted(default: DemoFiles) -> pd.DataFrame:
    return pd.read_parquet(default.truth / "campaigns.parquet")


def test_default_world_plants_what_the_specification_says(planted: pd.DataFrame) -> None:
    trades = planted[planted["metric"] == "confirmed_trades"]
    groups = trades.groupby("group")["rel_effect"].mean()
    layers = trades.groupby("layer")["rel_effect"].mean()
    assert groups["drop"] == pytest.approx(0.224, abs=0.006)
    assert groups["feature"] == pytest.approx(0.128, abs=0.006)
    assert groups["hot_on_plan"] == pytest.approx(0.21, abs=0.01)
    assert groups["offer_machine_encouragement"] == pytest.approx(0.317, abs=0.01)
    assert layers.to_dict() == pytest.approx({1: 0.183, 2: 0.127, 3: 0.241}, abs=0.006)
    everything = trades["expected_extra"].sum() / trades["expected_without"].sum()
    assert everything == pytest.approx(0.197, abs=0.006)
    assert (trades["own_effect"] == 0).sum() == 3
    assert (trades["own_effect"] < 0).sum() == 1


def test_default_world_plants_the_other_metrics(planted: pd.DataFrame) -> None:
    effects = planted.pivot(index="campaign_id", columns="metric", values="rel_effect")
    assert effects["sessions"].mean() == pytest.approx(0.28, abs=0.01)
    correlation = effects.corr().loc["confirmed_trades", "offers_created"]
    assert correlation == pytest.approx(0.84, abs=0.03)
    small = effects[["wishlist_adds", "closet_adds", "trade_machine_clicks"]].mean()
    assert small.max() < effects["confirmed_trades"].mean()


def test_default_world_has_recipients_as_specified(planted: pd.DataFrame) -> None:
    sends = planted.drop_duplicates("campaign_id")
    assert sends.groupby("layer").size().to_dict() == {1: 12, 2: 7, 3: 47}
    assert sends.groupby("layer")["n_pushes"].mean()[1] == pytest.approx(8_400, rel=0.02)
    assert sends.loc[sends["layer"] == 3, "n_pushes"].between(150, 900).all()
    assert sends["n_mapped"].sum() / sends["n_pushes"].sum() == pytest.approx(0.972, abs=0.004)


def test_default_world_realises_what_it_plants(planted: pd.DataFrame) -> None:
    trades = planted[planted["metric"] == "confirmed_trades"]
    realised = trades["n_extra"].sum() / trades["n_without"].sum()
    own_without = trades["expected_without"] + trades["expected_extra"] - trades["expected_own"]
    expected = trades["expected_own"].sum() / own_without.sum()
    assert realised == pytest.approx(expected, abs=0.012)


def test_default_world_loses_what_pushes_take_from_the_next(planted: pd.DataFrame) -> None:
    sessions = planted[planted["metric"] == "sessions"]
    sums = sessions.groupby("layer")[["expected_own", "expected_extra"]].sum()
    lost = 1 - sums["expected_extra"] / sums["expected_own"]
    assert lost.between(0.08, 0.40).all()
    assert lost.idxmax() == 2


def test_default_world_fits_its_size(default: DemoFiles) -> None:
    size = sum(file.stat().st_size for file in default.root.rglob("*") if file.is_file())
    assert size < 60_000_000
    rows = sum(
        pd.read_parquet(file, columns=["uuid"]).shape[0]
        for file in (default.root / "events").rglob("*.parquet")
    )
    assert 2_500_000 < rows < 3_500_000
