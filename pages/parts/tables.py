"""What a page shows as rows: results joined, judged, named and sorted. Knows no Streamlit."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from core.frames import LAYERS
from core.measure.estimates import ORDER
from core.publish import formats, words
from core.publish.words import Verdict
from core.sections import Outliers
from pages.parts.choices import Method

CLEAR = {
    "works": "above",
    "likely works": "above",
    "higher after": "above",
    "hurts": "below",
    "likely hurts": "below",
    "lower after": "below",
}
"""Verdicts that say something clear -> on which side of zero."""
ORDERS = ("highest lower end", "highest effect", "newest")
"""How campaigns can be sorted within their layer."""
_NEARLY_ALL = 0.995
METHOD_NAMES: dict[Method, str] = {
    "headline": "Best evidence",
    "classic": "Plain before and after",
}
OUTLIER_RULES: dict[Outliers, str] = {
    "keep": "keep everybody",
    "winsorize": "cap extremes",
    "iqr": "drop by IQR, descriptive only",
    "zscore": "drop by z-score, descriptive only",
}


def shown(lifts: pd.DataFrame, method: Method) -> pd.DataFrame:
    """Return the rows the pages show, one a campaign and metric."""
    return lifts[lifts["headline"] if method == "headline" else lifts["method"] == method]


def judged(
    campaigns: pd.DataFrame,
    lifts: pd.DataFrame,
    metric: str,
    *,
    as_of: pd.Timestamp,
    min_recipients: int,
    zone: str,
    method: Method = "headline",
) -> pd.DataFrame:
    """Return campaigns with the lift that is shown, its verdict and a label for each send.

    Args:
        campaigns: frames.CAMPAIGNS.
        lifts: frames.LIFTS of at least these campaigns.
        metric: The metric.
        as_of: The instant looked from.
        min_recipients: Measured users a campaign needs.
        zone: The zone dates are said in.
        method: Each campaign's best evidence, or plain before and after.

    Returns:
        One row per campaign, its columns and those of its lift (`lift_status` for the status of
        the lift), and `label`, `verdict`, `sentence`, `tone`.
    """
    found = shown(lifts[lifts["metric"] == metric], method)
    found = found.drop(columns="layer").rename(columns={"status": "lift_status"})
    rows = campaigns.merge(found, on="campaign_id", how="inner")
    verdicts = [
        verdict(row, as_of=as_of, min_recipients=min_recipients) for _, row in rows.iterrows()
    ]
    return rows.assign(
        label=[label(row, zone) for _, row in rows.iterrows()],
        verdict=[said.word for said in verdicts],
        sentence=[said.sentence for said in verdicts],
        tone=[said.tone for said in verdicts],
    )


def verdict(row: pd.Series, *, as_of: pd.Timestamp, min_recipients: int) -> Verdict:
    """Return the verdict of one row of `judged`."""
    lift = row.rename({"status": "campaign_status", "lift_status": "status"})
    return words.verdict(lift, row, as_of=as_of, min_recipients=min_recipients)


def label(row: pd.Series, zone: str) -> str:
    """Return what tells one send from another, "Name, 2026-10-13"."""
    sent = formats.day(row["first_delivered_at"], zone)
    name = str(row["name"])
    return name if sent in name or sent == formats.MISSING else f"{name}, {sent}"


def as_lifts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `judged` as figures take them, the status being that of the lift."""
    return rows.assign(status=rows["lift_status"])


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `judged` by the lower end of their interval, those without a verdict last."""
    by = ["is_last", "rel_effect_size_ci_low", "effect_size_ci_low", "campaign_id"]
    marked = rows.assign(is_last=rows["tone"] == "missing")
    ordered = marked.sort_values(by, ascending=[True, False, False, True], na_position="last")
    return ordered.drop(columns="is_last")


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `judged`, the last sent first."""
    return rows.sort_values("first_delivered_at", ascending=False, na_position="last")


def standing_out(rows: pd.DataFrame, *, most: int = 5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the best campaigns and the worst; none stands in both.

    By the rank of effects drawn towards their layer, where they are ranked; else by the nearer
    end of their intervals. Only campaigns whose windows have closed and that qualify.
    """
    sound = rows[rows["window_complete"] & rows["qualifies"] & rows["rel_effect_size"].notna()]
    if sound["rank"].notna().any():
        by = ["rank", "shrunk_rel_effect_size"]
        ordered = sound[sound["rank"].notna()].sort_values(by, ascending=[True, False])
        top = ordered.head(most)
        return top, ordered.drop(top.index).iloc[::-1].head(most)
    top = sound.sort_values("rel_effect_size_ci_low", ascending=False).head(most)
    rest = sound.drop(top.index)
    return top, rest.sort_values("rel_effect_size_ci_high").head(most)


def standing_table(rows: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return rows of `judged` with their best guess, its interval, rank and its interval."""
    if not rows["rank"].notna().any():
        return campaign_table(rows, zone).drop(columns="Best guess")
    of = level(rows)
    return pd.DataFrame(
        {
            "Campaign": rows["label"].to_numpy(),
            "Layer": [layer_name(name) for name in rows["layer"]],
            "Best guess": rows["shrunk_rel_effect_size"].to_numpy(),
            f"{of} interval": [
                interval(row, "shrunk_rel_effect_size") for _, row in rows.iterrows()
            ],
            "Rank": [rank(row) for _, row in rows.iterrows()],
            "In top ten": rows["p_top10"].to_numpy(),
            "As measured": rows["rel_effect_size"].to_numpy(),
            "Verdict": rows["verdict"].to_numpy(),
            "Evidence": evidences(rows),
        }
    )


def campaign_table(rows: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return rows of `judged` as a table to read and to sort, in the order given."""
    of = level(rows)
    return pd.DataFrame(
        {
            "Sent": [moment(at, zone) for at in rows["first_delivered_at"]],
            "Campaign": rows["name"].to_numpy(),
            "Layer": [layer_name(name) for name in rows["layer"]],
            "Measured": rows["n_measured"].to_numpy(),
            "Lift": rows["rel_effect_size"].to_numpy(),
            f"{of} interval": [interval(row) for _, row in rows.iterrows()],
            "Best guess": rows["shrunk_rel_effect_size"].to_numpy(),
            "q": rows["qvalue"].to_numpy(),
            "Verdict": rows["verdict"].to_numpy(),
            "Evidence": evidences(rows),
        }
    )


def metric_table(lifts: pd.DataFrame, metrics: list[str], method: Method) -> pd.DataFrame:
    """Return every metric of one campaign: rates expected and after, effect, interval, q."""
    rows = in_order(lifts, metrics, method)
    of = level(rows)
    return pd.DataFrame(
        {
            "Metric": [words.label(metric) for metric in rows["metric"]],
            "Expected": rows["expected_rate"].to_numpy(),
            "After": rows["post_rate"].to_numpy(),
            "Lift": rows["rel_effect_size"].to_numpy(),
            f"{of} interval": [interval(row) for _, row in rows.iterrows()],
            "q": rows["qvalue"].to_numpy(),
            "Stands out": ["yes" if picked else "" for picked in rows["is_selected"]],
            "Users": rows["n_users"].to_numpy(),
            "Events before": rows["n_events_baseline"].to_numpy(),
            "Events after": rows["n_events_post"].to_numpy(),
            "Evidence": evidences(rows),
        }
    )


def method_table(lifts: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return one metric of one campaign by all six methods, the best evidence first."""
    place = {method: at for at, method in enumerate(ORDER)}
    rows = lifts[lifts["metric"] == metric].sort_values(
        "method", key=lambda names: names.map(place)
    )
    of = level(rows)
    return pd.DataFrame(
        {
            "Method": [words.method(str(name)) for name in rows["method"]],
            "Grade": rows["evidence"].to_numpy(),
            "Lift": rows["rel_effect_size"].to_numpy(),
            f"{of} interval": [
                formats.MISSING if formats.is_missing(row["rel_effect_size"]) else interval(row)
                for _, row in rows.iterrows()
            ],
            "p": rows["pvalue"].to_numpy(),
            "Recipients": rows["n_users"].to_numpy(),
            "Compared with": rows["n_comparison"].to_numpy(),
            "Note": [_note(row) for _, row in rows.iterrows()],
        }
    )


def evidences(rows: pd.DataFrame) -> list[str]:
    """Return each row's evidence, grade and what it is; a dash where there is no number."""
    return [
        formats.MISSING if formats.is_missing(row["effect_size"]) else words.basis(row)
        for _, row in rows.iterrows()
    ]


def rank(row: pd.Series) -> str:
    """Return a rank with its interval, "3 [1, 58]"."""
    if formats.is_missing(row["rank"]):
        return formats.MISSING
    ends = (float(row["rank_low"]), float(row["rank_high"]))
    return f"{formats.count(row['rank'])} {formats.interval(ends, decimals=0)}"


def interval(row: pd.Series, name: str = "rel_effect_size") -> str:
    """Return the interval of a relative effect in percent, or why there is none."""
    status = "lift_status" if "lift_status" in row else "status"
    if formats.is_missing(row[name]):
        why = row[status] if row[status] != "ok" else "no_data"
        return formats.missing(why)
    ends = (100 * row[f"{name}_ci_low"], 100 * row[f"{name}_ci_high"])
    return formats.interval(ends, decimals=1)


def level(rows: pd.DataFrame) -> str:
    """Return the confidence level of rows, "95 %"."""
    return formats.confidence(rows["confidence_level"].iloc[0]) if len(rows) else "95 %"


def layer_name(name: str) -> str:
    """Return a layer as a cell shows it, "Layer 1"."""
    return "Unclassified" if name == "unclassified" else f"Layer {name}"


def moment(at: pd.Timestamp, zone: str) -> str:
    """Return an instant as a cell shows it, "2026-10-13 09:02"."""
    return formats.instant(at, zone)[:16] if pd.notna(at) else formats.MISSING


def weeks(frame: pd.DataFrame, metric: str, zone: str, method: Method) -> pd.DataFrame:
    """Return the weekly lifts of a metric, the weeks said in a zone."""
    rows = frame[(frame["metric"] == metric) & (frame["method"] == method)]
    return rows.assign(week=rows["week"].dt.tz_convert(zone)).reset_index(drop=True)


def grouped(rows: pd.DataFrame, order: str) -> pd.DataFrame:
    """Return rows of `judged` layer by layer, sorted within; labels name the layer.

    Provisional ones and those with too few users come last, unless sorted by date.

    Args:
        rows: The campaigns.
        order: One of ORDERS; another one counts as the first.
    """
    by = {"highest effect": "rel_effect_size", "newest": "first_delivered_at"}
    column = by.get(order, "rel_effect_size_ci_low")
    short = {name: "–" if name == "unclassified" else f"L{name}" for name in LAYERS}
    marked = rows.assign(
        label=rows["layer"].map(short) + " " + rows["label"],
        place=rows["layer"].map({name: at for at, name in enumerate(LAYERS)}),
        is_last=(rows["tone"] == "missing") & (order != "newest"),
    )
    ordered = marked.sort_values(
        ["place", "is_last", column], ascending=[True, True, False], kind="stable"
    )
    return ordered.drop(columns=["place", "is_last"]).reset_index(drop=True)


def in_order(lifts: pd.DataFrame, metrics: list[str], method: Method) -> pd.DataFrame:
    """Return the rows of one campaign that are shown, metrics in their order."""
    place = {metric: at for at, metric in enumerate(metrics)}
    rows = shown(lifts[lifts["metric"].isin(metrics)], method)
    return rows.sort_values("metric", key=lambda names: names.map(place)).reset_index(drop=True)


def pairs(said: Mapping[str, str]) -> pd.DataFrame:
    """Return names and what they are, as a table of two columns."""
    return pd.DataFrame({"What": list(said), "Value": list(said.values())})


def week_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return weekly lifts, rows of `weeks`, as they are read."""
    return pd.DataFrame(
        {
            "Week from": rows["week"].dt.strftime("%Y-%m-%d"),
            "Campaigns": rows["n_campaigns"],
            "Users": rows["n_users"],
            "Lift": rows["rel_effect_size"],
            f"{level(rows)} interval": [interval(row) for _, row in rows.iterrows()],
            "Evidence": evidences(rows),
        }
    )


def around_table(bins: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Return what happened around the push, a row a bin, as it is read."""
    return pd.DataFrame(
        {
            f"{unit.capitalize()} from the push": [f"{offset:+d}" for offset in bins["offset"]],
            "Users": bins["n_users"],
            "Events": bins["n_events"],
            "Rate": bins["rate"],
        }
    )


def example(rows: pd.DataFrame) -> pd.Series | None:
    """Return the campaign to explain: clear where one is, then the most measured users."""
    sound = rows[rows["tone"].ne("missing") & rows["rel_effect_size"].notna()]
    clear = sound[sound["tone"] != "unclear"]
    among = sound if clear.empty else clear
    return None if among.empty else among.iloc[int(among["n_users"].argmax())]


def plain_row(lifts: pd.DataFrame, row: pd.Series) -> pd.Series | None:
    """Return the same campaign and metric by plain before and after, where it has a number."""
    own = lifts[(lifts["campaign_id"] == row["campaign_id"]) & (lifts["metric"] == row["metric"])]
    found = own[(own["method"] == "classic") & own["rel_effect_size"].notna()]
    return None if found.empty else found.iloc[0]


def n_recipients(campaigns: pd.DataFrame) -> int:
    """Return how many pushes were delivered, each counted once per campaign and user."""
    return int((campaigns["n_delivered"] - campaigns["n_duplicates"]).sum())


def earlier_sends(rows: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    """Return the other sends of the same automation, rows of `judged`, the last sent first."""
    if pd.isna(row["automation_id"]):
        return rows.iloc[:0]
    same = rows["automation_id"].eq(row["automation_id"]).fillna(value=False)
    return newest(rows[same & rows["campaign_id"].ne(row["campaign_id"])])


def rests_on(rows: pd.DataFrame) -> str:
    """Return how many campaigns rest on which evidence, "29 campaigns on a ... (A), ..."."""
    known = rows[rows["tone"] != "missing"]
    counts = known["evidence"].value_counts().sort_index()
    said = [f"{formats.count(n)} of grade {grade}" for grade, n in counts.items()]
    absent = int(rows["verdict"].eq("can't tell").sum())
    if absent:
        said.append(f"{formats.count(absent)} that cannot be told")
    return ", ".join(said)


def _note(row: pd.Series) -> str:
    if formats.is_missing(row["effect_size"]):
        return formats.reason(str(row["status"]))
    said = ["the headline"] if row["headline"] else []
    if row["se_scale"] > 1:
        said.append(f"widened x {row['se_scale']:.1f} by the self-checks")
    if row["support"] < _NEARLY_ALL:
        said.append(f"{formats.share(row['support'])} comparable")
    return ", ".join(said)
