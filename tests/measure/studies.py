"""Small studies to estimate from, said event by event or drawn at random."""

import numpy as np

from core.activity.timelines import MS_PER_DAY, MS_PER_HOUR, from_rows
from core.measure.contrasts import infer, moments
from core.measure.panel import Panel
from core.measure.state import Moments
from core.measure.study import Study, Unsent, first_events
from core.measure.windows import NEVER, EventIndex, Sends, WindowLengths, count_windows
from tests.measure.worlds import T

METRICS = ("first", "second")


def whole(values):
    """Return int64."""
    return np.asarray(values, dtype=np.int64)


def moments_of(persons, instants):
    """Return moments from persons and milliseconds from T."""
    return Moments(persons=whole(persons), instants=T + whole(instants))


def study_of(
    events, pushes, *, n_seen, n_persons=None, layers=None, triggers=None, triggered_at=None,
    unsent=(), signed_up=None, as_of=4 * MS_PER_DAY, since=-60 * MS_PER_DAY, is_capped=False,
    lengths=None, ids=None,
):  # fmt: skip
    """Return a study of two events, each a metric.

    Args:
        events: Persons, milliseconds from T and event (0 or 1) of each event.
        pushes: Campaign, person and milliseconds from T of each push, sorted by campaign.
        n_seen: Persons in the timelines.
        n_persons: All persons; those beyond the timelines were never seen.
        layers: Of each campaign, "1" where left out.
        triggers: Of each campaign.
        triggered_at: Milliseconds from T of each push's trigger.
        unsent: (campaign, person, milliseconds from T, is held) of each.
        signed_up: Milliseconds from T of each person, NEVER where not known.
        as_of: Milliseconds from T.
        since: Milliseconds from T of the first instant read.
        is_capped: Cap windows.
        lengths: Of the windows.
        ids: Of the campaigns.
    """
    lengths, n_persons = lengths or WindowLengths(), n_persons or n_seen
    timelines = from_rows(
        [f"{i:06}" for i in range(n_seen)],
        whole(events[0]), T + whole(events[1]), whole(events[2]), event_names=METRICS,
    )  # fmt: skip
    codes, persons, instants = (whole(part) for part in pushes)
    signed = np.full(n_persons, NEVER) if signed_up is None else whole(signed_up)
    signed = np.where(signed == NEVER, NEVER, T + np.where(signed == NEVER, 0, signed))
    sends = Sends(
        persons=np.where(persons < n_seen, persons, -1), instants=T + instants,
        signed_up=signed[persons], as_of=T + as_of,
    )  # fmt: skip
    index, metrics, n = EventIndex(timelines), ([0], [1]), int(codes.max(initial=-1)) + 1
    panel = Panel(
        campaigns=codes, n_campaigns=n, persons=persons, sends=sends, index=index,
        metric_names=METRICS, metric_events=metrics, lengths=lengths,
        counts=count_windows(index, sends, lengths, metrics=metrics),
    )  # fmt: skip
    rows = list(unsent)
    at = np.full(len(codes), NEVER) if triggered_at is None else T + whole(triggered_at)
    return Study(
        panel=panel,
        campaign_ids=tuple(ids or (f"c{code}" for code in range(n))),
        layers=tuple(layers or ["1"] * n),
        triggers=tuple(triggers or [None] * n),
        triggered_at=at,
        unsent=Unsent(
            campaigns=whole([row[0] for row in rows]),
            moments=moments_of([row[1] for row in rows], [row[2] for row in rows]),
            is_held=np.array([row[3] for row in rows], dtype=bool),
        ),
        signed_up=signed,
        first_event=first_events(timelines.offsets, timelines.instants, n_persons),
        n_seen=n_seen,
        n_events=2,
        offsets_ms=np.zeros(n, dtype=np.int64),
        data_since=T + since,
        is_capped=is_capped,
    )


def steady(rng, n_users, *, rate=1.0, shape=1.5, start=-60, end=4):
    """Return persons, milliseconds from T and events of users of steady activity.

    The second event happens half as often as the first.
    """
    own = rng.gamma(shape, rate / shape, n_users)
    counts = rng.poisson(np.outer(own, (1.0, 0.5)) * (end - start))
    persons = np.repeat(np.repeat(np.arange(n_users), 2), counts.ravel())
    kinds = np.repeat(np.tile((0, 1), n_users), counts.ravel())
    at = rng.integers(start * MS_PER_DAY, end * MS_PER_DAY, len(persons))
    return persons, at, kinds


def more_after(rng, events, persons, instants, share, *, hours=48):
    """Return events, of which a share in the window after each moment happens twice."""
    since = np.full(int(max(events[0].max(), np.max(persons))) + 1, np.iinfo(np.int64).max // 2)
    since[persons] = instants
    away = events[1] - since[events[0]]
    rows = (away >= 0) & (away < hours * MS_PER_HOUR) & (rng.random(len(away)) < share)
    return tuple(np.concatenate([part, part[rows]]) for part in events)


def inferred(contrast, confidence_level=0.95):
    """Return what follows from a contrast, [1, metrics]."""
    post, expected, cov = moments([contrast])
    return infer(
        contrast.post[None], contrast.expected[None], var_post=post, var_expected=expected,
        cov=cov, df=contrast.df[None], confidence_level=confidence_level,
    )  # fmt: skip
