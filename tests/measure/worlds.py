"""Small panels to measure: Poisson users, several campaigns, known effects."""

import numpy as np
import pandas as pd

from core import frames
from core.activity.timelines import MS_PER_DAY, from_rows
from core.measure.layers import with_clear_counts
from core.measure.lifts import classic_lifts, with_qvalues
from core.measure.panel import Panel, all_rates
from core.measure.pooling import classic_layers
from core.measure.windows import NEVER, EventIndex, Sends, WindowLengths, count_windows

T = 1_790_000_000_000
LATER = T + 400 * MS_PER_DAY


def campaigns_frame(ids, layers, n_measured, *, complete=True, qualifies=True):
    """Return frames.CAMPAIGNS of measured campaigns."""
    n = len(ids)
    table = frames.CAMPAIGNS.empty().reindex(range(n))
    for column in frames.CAMPAIGNS.columns:
        if column.kind == "integer":
            table[column.name] = np.zeros(n, dtype=np.int64)
        if column.kind == "text":
            table[column.name] = pd.array([""] * n, dtype="str")
    return table.assign(
        campaign_id=pd.array(ids, dtype="str"),
        layer=pd.array(layers, dtype="str"),
        n_measured=np.asarray(n_measured, dtype=np.int64),
        window_complete=np.full(n, complete),
        qualifies=np.full(n, qualifies),
        status=pd.array(["ok"] * n, dtype="str"),
    )


def panel_of(rows, pushes, *, as_of=LATER, lengths=None, signed_up=None, n_campaigns=None):
    """Return a panel.

    Args:
        rows: (person, milliseconds from T, event) of each event; events 0 and 1 are metrics.
        pushes: (campaign, person, milliseconds from T), sorted by campaign; person -1: unseen.
        as_of: Now.
        lengths: Window lengths.
        signed_up: Sign-up of each push's user, milliseconds; NEVER where not known.
        n_campaigns: At least this many.
    """
    lengths = lengths or WindowLengths()
    person = np.array([r[0] for r in rows], dtype=np.int64)
    n_persons = int(max([*person, *(p[1] for p in pushes)], default=0)) + 1
    timelines = from_rows(
        [f"{i:06}" for i in range(n_persons)],
        person,
        T + np.array([r[1] for r in rows], dtype=np.int64),
        np.array([r[2] for r in rows], dtype=np.int64),
        event_names=("first", "second"),
    )
    codes = np.array([p[0] for p in pushes], dtype=np.int64)
    sends = Sends(
        persons=np.array([p[1] for p in pushes], dtype=np.int64),
        instants=T + np.array([p[2] for p in pushes], dtype=np.int64),
        signed_up=np.full(len(pushes), NEVER) if signed_up is None else np.asarray(signed_up),
        as_of=as_of,
    )
    index, metrics = EventIndex(timelines), ([0], [1])
    return Panel(
        campaigns=codes,
        n_campaigns=n_campaigns or int(codes.max()) + 1,
        persons=np.where(sends.persons < 0, n_persons, sends.persons),
        sends=sends,
        index=index,
        metric_names=("first", "second"),
        metric_events=metrics,
        counts=count_windows(index, sends, lengths, metrics=metrics),
        lengths=lengths,
    )


def poisson_rows(rng, *, n_users, rate, extra=0.0, event=0, shape=1.0):
    """Return events of users over [T - 32 d, T + 3 d), `extra` more per day after T."""
    rates = rng.gamma(shape, rate / shape, n_users)
    rows = []
    for start, days, more in ((-32, 32, 0.0), (0, 3, extra)):
        n = rng.poisson((rates + more) * days)
        person = np.repeat(np.arange(n_users), n)
        at = (start + rng.random(n.sum()) * days) * MS_PER_DAY
        rows += [(int(p), int(t), event) for p, t in zip(person, at, strict=True)]
    return rows


def lifts_of(panel, campaigns, rules):
    """Return the classic lifts under rules."""
    lifts = classic_lifts(panel, all_rates(panel, rules.outliers), campaigns, rules)
    return with_qvalues(lifts, primary=panel.metric_names[0])


def layers_of(panel, campaigns, rules):
    """Return the pooled classic lifts under rules."""
    layers = classic_layers(panel, all_rates(panel, rules.outliers), campaigns, rules)
    return with_clear_counts(layers, lifts_of(panel, campaigns, rules))
