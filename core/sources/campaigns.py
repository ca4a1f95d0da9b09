"""Pushes put into campaigns: the declared tables, from the rows as they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.frames import CAMPAIGNS, INSTANT, PUSHES
from core.sources.automations import Automation
from core.sources.doubts import doubts
from core.sources.pushes import RawPushes

ONE_OFF = "one-off"
"""Stands for the automation in the key of a campaign that has none."""
_STATUSES = ["delivered", "sent", "failed", "other", "holdout", "message"]
_OF_SENDS = ["campaign_id", "automation_id", "status", "sent_at", "delivered_at"]
_UNDELIVERED = ["sent", "failed"]
_OF_OTHERS = [
    "campaign_id", "user_id", "assigned_at", "trigger_at", "distinct_id", "email", "signed_up_at",
]  # fmt: skip
_LATER_COUNTS = (
    "n_mapped", "n_measured", "n_direct", "n_email", "n_unmapped", "n_same_person", "n_never_seen",
    "n_unresolved", "n_incomplete",
)  # fmt: skip
_DOUBTED = ["sent_at", "delivered_at", "trigger_at", "signed_up_at", "distinct_id", "email"]
_MOST_NAMED = 5
_LONGEST_ID = 40
Codes = NDArray[np.int64]


class Assigned(NamedTuple):
    """Pushes and campaigns of a period.

    Attributes:
        pushes: `core.frames.PUSHES`, by campaign, delivery and user.
        campaigns: `core.frames.CAMPAIGNS`, by first sending; the counts of identities are 0,
            `window_complete` and `qualifies` false, `status` "ok" and `window_closes_at`
            missing until persons and windows are known.
        holdouts: One row per campaign and user held out: `campaign_id`, `user_id`,
            `assigned_at` (sent_at, the instant it would have gone), `trigger_at` (missing where
            not recorded), `distinct_id`, `email`, `signed_up_at`.
        undelivered: The same columns, one row per campaign and user who was to be sent it and
            of whom no delivery is known; `assigned_at` is sent_at.
        notices: What the reader of the numbers should know, those of the reading first.
    """

    pushes: pd.DataFrame
    campaigns: pd.DataFrame
    holdouts: pd.DataFrame
    undelivered: pd.DataFrame
    notices: tuple[str, ...]


def assign_campaigns(raw: RawPushes, automations: Sequence[Automation], timezone: str) -> Assigned:
    """Return every push in its campaign, each user once a campaign, by the first delivery.

    A campaign is `campaign_id` where set, else automation and send date. Of two deliveries at one
    instant the lower id counts. Whoever was delivered in a campaign was not held out of it, and
    whoever was either is not among its undelivered.

    Args:
        raw: The rows of the period.
        automations: What the automations' files say.
        timezone: The business time zone, for send dates.

    Raises:
        DataError: The rows do not make the declared tables.
    """
    sends, labels = _sends(raw, timezone)
    rows = sends.iloc[: len(raw.rows)]
    kept = _firsts(rows[rows["status"] == "delivered"], raw.rows["id"])
    held = _firsts(rows[rows["status"] == "holdout"], raw.rows["id"])
    missed = _firsts(rows[rows["status"].isin(_UNDELIVERED)], raw.rows["id"])
    missed = missed[~missed["key"].isin(kept["key"]) & ~missed["key"].isin(held["key"])]
    is_both = held["key"].isin(kept["key"])
    held = held[~is_both]
    known = {automation.id: automation for automation in automations}
    counted = _counted(sends, kept, held, labels).join(_messages(raw, sends))
    counted = counted.join(_doubts(raw, kept, len(labels)))
    campaigns = _described(counted, known, timezone)
    strangers = sorted(set(campaigns["automation_id"].dropna()) - set(known))
    return Assigned(
        pushes=PUSHES.checked(_taken(raw.rows, kept, labels, "delivered_at")[PUSHES.names]),
        campaigns=CAMPAIGNS.checked(campaigns),
        holdouts=_taken(raw.rows, held, labels, "assigned_at")[_OF_OTHERS],
        undelivered=_taken(raw.rows, missed, labels, "assigned_at")[_OF_OTHERS],
        notices=(*raw.notices, *_notices(raw, sends, int(is_both.sum()), strangers)),
    )


def _sends(raw: RawPushes, timezone: str) -> tuple[pd.DataFrame, pd.Index]:
    """Return one row per row read, the sampled messages last, and the campaigns' keys, sorted.

    Texts of 300,000 rows are slow to compare and sort, so that all is done on codes: `campaign`
    (its position in the keys), `user` (-1 where only counted) and `key`, one for each campaign and
    user. `sent` is the instant of sending, `at` the one that counts: a push's delivery.
    """
    sampled = raw.messages.assign(status="message")
    parts = [raw.rows[_OF_SENDS], raw.others[_OF_SENDS], sampled[_OF_SENDS]]
    texts = pd.concat(parts, ignore_index=True)
    sent = texts["sent_at"].fillna(texts["delivered_at"])
    delivered = texts["delivered_at"].fillna(texts["sent_at"])
    campaign, labels = _coded(texts, _Dates.of(sent, timezone))
    user = np.full(len(texts), -1)
    user[: len(raw.rows)] = pd.factorize(raw.rows["user_id"], sort=True)[0]
    at = delivered.where(texts["status"] == "delivered", sent)
    sends = pd.DataFrame(
        {
            "campaign": campaign,
            "user": user,
            "key": campaign * (user.max(initial=0) + 1) + user,
            "automation_id": texts["automation_id"],
            "status": pd.Categorical(texts["status"], categories=_STATUSES),
            "sent": sent,
            "at": at,
        }
    )
    return sends, labels


class _Dates(NamedTuple):
    """The date each of many instants has in a zone: codes, and the dates they stand for."""

    codes: Codes
    written: pd.Index

    @classmethod
    def of(cls, instants: pd.Series, timezone: str) -> _Dates:
        days = instants.dt.tz_convert(timezone).dt.tz_localize(None).dt.floor("D")
        codes, found = pd.factorize(days)
        return cls(codes, pd.DatetimeIndex(found).strftime("%Y-%m-%d"))


def _coded(sends: pd.DataFrame, dates: _Dates) -> tuple[Codes, pd.Index]:
    """Return each row's campaign as a position in the keys, and these, sorted."""
    own, ids = pd.factorize(sends["campaign_id"])
    automation, automations = pd.factorize(sends["automation_id"].fillna(ONE_OFF))
    derived = len(ids) + automation * len(dates.written) + dates.codes
    codes, found = pd.factorize(np.where(own >= 0, own, derived))
    which, day = np.divmod(found[found >= len(ids)] - len(ids), max(len(dates.written), 1))
    keys = np.empty(len(found), dtype=object)
    keys[found < len(ids)] = np.asarray(ids, dtype=object)[found[found < len(ids)]]
    keys[found >= len(ids)] = (
        np.asarray(automations, dtype=object)[which] + ":" + np.asarray(dates.written)[day]
    )
    place, labels = pd.factorize(pd.Index(keys, dtype="str"), sort=True)
    return place[codes], labels


def _firsts(sends: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    """Return each campaign's first row of each user, by campaign, instant and user."""
    repeated = sends["key"].duplicated(keep=False)
    several = sends[repeated].assign(id=ids).sort_values(["key", "at", "id"])
    firsts = sends.index.isin(several.index[~several["key"].duplicated()])
    kept = sends[firsts | ~repeated]
    order = np.lexsort((kept["user"], kept["at"].astype("int64"), kept["campaign"]))
    return kept.iloc[order]


def _taken(rows: pd.DataFrame, sends: pd.DataFrame, labels: pd.Index, at: str) -> pd.DataFrame:
    """Return the rows behind sends, with their campaign's key and the instant that counts."""
    keys = pd.Series(labels).take(sends["campaign"].to_numpy()).reset_index(drop=True)
    instants = sends["at"].reset_index(drop=True)
    wanted = ["user_id", "trigger_at", "signed_up_at", "distinct_id", "email"]
    taken = rows[wanted].take(sends.index.to_numpy()).reset_index(drop=True)
    return taken.assign(**{"campaign_id": keys, at: instants})


def _counted(
    sends: pd.DataFrame, kept: pd.DataFrame, held: pd.DataFrame, labels: pd.Index
) -> pd.DataFrame:
    """Return one row per campaign, by its position: key, automation, instants and counts."""
    real = sends[sends["status"] != "message"]
    cells = real["campaign"] * len(_STATUSES) + real["status"].cat.codes
    counts = np.bincount(cells, minlength=len(labels) * len(_STATUSES))
    n = pd.DataFrame(counts.reshape(-1, len(_STATUSES)), columns=_STATUSES)
    automation = _commonest(real.dropna(subset="automation_id"), ["automation_id"])
    deliveries = kept.groupby("campaign")["at"]
    every = pd.RangeIndex(len(labels))
    n_kept, n_held = (
        frame.groupby("campaign").size().reindex(every, fill_value=0) for frame in (kept, held)
    )
    return pd.DataFrame(
        {
            "campaign_id": pd.Series(labels),
            "automation_id": automation["automation_id"].astype("str"),
            "sent": real.groupby("campaign")["sent"].min(),
            "first_delivered_at": deliveries.min().reindex(every),
            "last_delivered_at": deliveries.max().reindex(every),
            "n_sent": n["delivered"] + n["sent"] + n["failed"],
            "n_delivered": n["delivered"],
            "n_failed": n["failed"],
            "n_other_status": n["other"],
            "n_holdout": n_held,
            "n_duplicates": n["delivered"] - n_kept,
        },
        index=every,
    )


def _doubts(raw: RawPushes, kept: pd.DataFrame, n_campaigns: int) -> pd.DataFrame:
    """Return what is odd or missing in the rows that count, by the campaign's position."""
    rows = raw.rows[_DOUBTED].take(kept.index.to_numpy())
    campaigns, users = (kept[name].to_numpy() for name in ("campaign", "user"))
    return doubts(rows, campaigns, users, n_campaigns=n_campaigns)


def _commonest(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return each campaign's commonest values of some columns; of equals, the first in order."""
    counts = rows.groupby(["campaign", *names], dropna=False).size().reset_index(name="n")
    order = counts.sort_values(["n", *names], ascending=[False, *[True] * len(names)])
    return order.drop_duplicates("campaign").set_index("campaign")[names]


def _messages(raw: RawPushes, sends: pd.DataFrame) -> pd.DataFrame:
    """Return each campaign's commonest title and body."""
    campaign = sends["campaign"].iloc[len(sends) - len(raw.messages) :]
    return _commonest(raw.messages.assign(campaign=campaign.to_numpy()), ["title", "body"])


def _described(
    campaigns: pd.DataFrame, known: Mapping[str, Automation], timezone: str
) -> pd.DataFrame:
    """Return CAMPAIGNS: names, layers and contents added, what is computed later left open."""
    by_id = pd.DataFrame(
        {
            "label": {key: one.name or key for key, one in known.items()},
            "layer": {key: one.effective_layer for key, one in known.items()},
            "content": {key: one.effective_content for key, one in known.items()},
        },
        index=pd.Index(list(known), dtype="str"),
        dtype="str",
    )
    told = campaigns.join(by_id, on="automation_id")
    told = told.sort_values(["sent", "campaign_id"], ignore_index=True)
    described = told.assign(
        layer=told["layer"].fillna("unclassified"),
        name=_names(told, timezone),
        n_no_trigger=told["n_no_trigger"].where(told["layer"] == "3", 0),
        status=pd.Series("ok", index=told.index, dtype="str"),
        window_complete=False,
        qualifies=False,
        window_closes_at=pd.Series(pd.NaT, index=told.index, dtype=INSTANT),
        **dict.fromkeys(_LATER_COUNTS, 0),
    )
    return described[CAMPAIGNS.names]


def _names(campaigns: pd.DataFrame, timezone: str) -> pd.Series:
    """Return the automation's name, with the date where it sends often; else title or key."""
    dates = _Dates.of(campaigns["sent"], timezone)
    dated = ", " + pd.Series(dates.written.take(dates.codes), dtype="str")
    often = campaigns["automation_id"].duplicated(keep=False)
    own = campaigns["label"].where(~often, campaigns["label"] + dated)
    names = own.fillna(campaigns["title"]).fillna(campaigns["campaign_id"])
    names = names.where(~names.duplicated(keep=False) | own.notna(), names + dated)
    return names.where(~names.duplicated(keep=False), names + " (" + campaigns["campaign_id"] + ")")


def _notices(
    raw: RawPushes, sends: pd.DataFrame, n_both: int, strangers: Sequence[str]
) -> list[str]:
    undated = (raw.rows["status"] == "delivered") & raw.rows["delivered_at"].isna()
    pairs = sends[["campaign", "automation_id"]].drop_duplicates().dropna()
    n_shared = int(pairs["campaign"].duplicated().sum())
    said = []
    if undated.any():
        said.append(f"{undated.sum():,} delivered rows have no delivered_at: sent_at is used.")
    if n_both:
        said.append(
            f"{n_both:,} users are both delivered and held out in one campaign: counted as "
            "delivered, so that its comparison is not quite random."
        )
    if n_shared:
        said.append(f"{n_shared:,} campaigns name several automations: the commonest is used.")
    if strangers:
        named = ", ".join(one[:_LONGEST_ID] for one in strangers[:_MOST_NAMED])
        more = f" and {len(strangers) - _MOST_NAMED:,} more" if len(strangers) > _MOST_NAMED else ""
        said.append(f"Automations without a file stay unclassified: {named}{more}.")
    return said
