"""What the data quality page shows as rows. Knows no Streamlit."""

from __future__ import annotations

import pandas as pd

from core.frames import LAYERS
from core.loading import Loaded
from core.publish import beside, formats, words
from core.quality.ledger import mapping_ledger
from pages.parts.tables import layer_name, moment, n_recipients, pairs


def mapping_sentence(campaigns: pd.DataFrame) -> str:
    """Return how many recipients could be measured, in a sentence."""
    recipients = n_recipients(campaigns)
    mapped = int(campaigns["n_mapped"].sum())
    if not recipients:
        return "Nothing was delivered, so nobody could be mapped."
    return (
        f"{formats.share(mapped / recipients)} of {formats.count(recipients)} recipients were "
        "found in the activity data"
    )


def losses(campaigns: pd.DataFrame) -> str:
    """Return how many were lost at each step, in a sentence."""
    n = campaigns.select_dtypes("integer").sum()
    said = [
        f"{formats.count(n['n_failed'])} failed",
        f"{formats.count(n['n_duplicates'])} were delivered twice",
        f"{formats.count(n['n_unmapped'])} were not found",
        f"{formats.count(n['n_same_person'])} were a person met already",
    ]
    return ", ".join(said)


def ledger_steps(campaigns: pd.DataFrame) -> pd.DataFrame:
    """Return the steps that only ever lose somebody, as `figures.ledger_bars` takes them."""
    n = campaigns.select_dtypes("integer").sum()
    recipients = n["n_delivered"] - n["n_duplicates"]
    steps = [
        ("Sent", n["n_sent"], ""),
        ("Delivered", n["n_delivered"], f"{formats.count(n['n_failed'])} failed"),
        ("Recipients", recipients, f"{formats.count(n['n_duplicates'])} delivered twice"),
        ("Mapped", n["n_mapped"], f"{formats.count(n['n_unmapped'])} not found"),
        ("Measured", n["n_measured"], f"{formats.count(n['n_same_person'])} are the same person"),
    ]
    return pd.DataFrame(steps, columns=["step", "n", "reason"])


def ledger_table(campaigns: pd.DataFrame) -> pd.DataFrame:
    """Return the mapping ledger as it is read."""
    ledger = mapping_ledger(campaigns)
    names = ledger.set_index("step")["label"]
    return pd.DataFrame(
        {
            "Step": ledger["label"],
            "n": ledger["n"],
            "Share": ledger["share"],
            "of": [names.get(of, "") for of in ledger["share_of"]],
            "What it is": ledger["reason"],
        }
    )


def ledger_by_layer(campaigns: pd.DataFrame) -> pd.DataFrame:
    """Return the ledger's counts with a column a layer, and the share mapped below."""
    parts = {"All": campaigns}
    for name in LAYERS:
        part = campaigns[campaigns["layer"] == name]
        if len(part):
            parts[layer_name(name)] = part
    columns = {name: mapping_ledger(part).set_index("label")["n"] for name, part in parts.items()}
    return pd.DataFrame(columns).rename_axis("Step").reset_index()


def not_measured(rows: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return the campaigns without a verdict, and why."""
    left_out = rows[rows["verdict"].isin(["too few", "too early", "can't tell"])]
    return pd.DataFrame(
        {
            "Sent": [moment(at, zone) for at in left_out["first_delivered_at"]],
            "Campaign": left_out["name"].to_numpy(),
            "Layer": [layer_name(name) for name in left_out["layer"]],
            "Recipients": (left_out["n_delivered"] - left_out["n_duplicates"]).to_numpy(),
            "Measured": left_out["n_measured"].to_numpy(),
            "Verdict": left_out["verdict"].to_numpy(),
            "Why": left_out["sentence"].to_numpy(),
        }
    )


def check_table(checks: pd.DataFrame) -> pd.DataFrame:
    """Return how often each layer's methods found an effect where nothing was sent."""
    ends = zip(
        checks["false_positive_share_ci_low"], checks["false_positive_share_ci_high"], strict=True
    )
    ordered = checks.assign(
        interval=[f"{formats.interval((100 * a, 100 * b), decimals=1)} %" for a, b in ends]
    ).sort_values(["layer", "method"])
    return pd.DataFrame(
        {
            "Layer": [layer_name(name) for name in ordered["layer"]],
            "Method": [words.method(name) for name in ordered["method"]],
            "Campaigns": ordered["n_campaigns"].to_numpy(),
            "Checks": ordered["n_checks"].to_numpy(),
            "False alarms": ordered["false_positive_share"].to_numpy(),
            "95 % interval": ordered["interval"].to_numpy(),
            "Spread": ordered["spread"].to_numpy(),
            "Widened x": ordered["se_scale"].to_numpy(),
            "Result": [_check_result(row) for _, row in ordered.iterrows()],
        }
    )


def _check_result(row: pd.Series) -> str:
    if row["se_scale"] > 1:
        return "varied too much: intervals widened, a grade lower"
    if row["false_positive_share_ci_low"] > beside.HONEST:
        return "too many false alarms"
    return "as it should be"


def sources(loaded: Loaded) -> pd.DataFrame:
    """Return where the data came from and how much of it there was."""
    said = {
        "Pushes": loaded.wiring.label,
        "Activity": loaded.source_label,
        "Measured pushes": formats.count(len(loaded.pushes)),
        "Tracked events": formats.count(len(loaded.timelines)),
        "Persons with tracked events": formats.count(len(loaded.timelines.person_ids)),
    }
    return pairs(said)


def seconds(spent: dict[str, float]) -> pd.DataFrame:
    """Return the time each step of reading took."""
    steps = [{"timelines": "indexing"}.get(step, step).capitalize() for step in spent]
    return pd.DataFrame({"Step": steps, "Seconds": list(spent.values())})
