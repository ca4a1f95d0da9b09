"""Whether a campaign has enough users and events for a test, and which test that is.

False-positive rates at 5 % on windows without any effect (heavy-tailed users, bursts; 1000
campaigns a cell): the t-test rejects 6 to 37 % with 20 to 300 users at 0.02 to 1 event a day,
nearly always as a decline; the window permutation test 1 to 6 %. From 300 users and 100 events
after the push on the t-test rejects 5 to 7 % (8 % at 300 users in the burstiest population
tried). With fewer than five events to be expected after the push the permutation test hardly
sees a decline and often has no upper limit, so below that nothing is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.measure.ratios import Floats

Test = Literal["t", "permutation", "none"]

RELIABLE_USERS = 300
RELIABLE_POST_EVENTS = 100
LEAST_USERS = 20
LEAST_EXPECTED_EVENTS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adequacy:
    """What the numbers of users and events allow, one entry per campaign and metric.

    Attributes:
        test: "t", "permutation" or "none", the test a verdict may rest on.
        reason: ok, too_few_users or too_few_events.
        is_reliable_t: The t-test may be believed: 300 users and 100 events after the push.
        n_expected: Events to be expected in a post window if it were like the other time.
    """

    test: NDArray[np.str_]
    reason: NDArray[np.str_]
    is_reliable_t: NDArray[np.bool_]
    n_expected: Floats


def sample_adequacy(
    n_users: NDArray[np.integer],
    n_events_post: NDArray[np.integer],
    *,
    n_events_baseline: NDArray[np.integer],
    post_days: float = 2.0,
    baseline_days: float = 30.0,
) -> Adequacy:
    """Return whether each comparison has enough data, and for which test.

    "Too little" goes by the events of all windows, before and after alike: which of them fell
    after the push does not change the answer, so the rule favours neither rise nor decline.

    Args:
        n_users: Compared users.
        n_events_post: Their events in the post windows.
        n_events_baseline: Their events in the baselines.
        post_days: Observed length of one post window.
        baseline_days: Compared length of one baseline (a mean where users differ).
    """
    events = np.asarray(n_events_post) + np.asarray(n_events_baseline)
    expected = events * (post_days / (post_days + baseline_days))
    few_users, few_events = n_users < LEAST_USERS, expected < LEAST_EXPECTED_EVENTS
    reliable = (n_users >= RELIABLE_USERS) & (n_events_post >= RELIABLE_POST_EVENTS)
    reliable &= ~few_events
    reason = np.select([few_users, few_events], ["too_few_users", "too_few_events"], default="ok")
    return Adequacy(
        test=np.select([reason != "ok", reliable], ["none", "t"], default="permutation"),
        reason=reason,
        is_reliable_t=reliable,
        n_expected=expected,
    )
