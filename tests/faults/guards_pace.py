"""Guards on how PostHog is asked: pace, time, transport, and what an answer may be."""

from __future__ import annotations

import requests

from tests.faults.guard import Guard, instead, returning

_PACE = "tests/sources/test_pace.py::"
_CLIENT = "tests/sources/test_posthog_client.py::"
_HTTPS = "tests/sources/test_https.py::"
_TABLE = f"{_CLIENT}test_query_does_what_every_answer_asks_for"


def _unverified(session: requests.Session) -> requests.Session:
    session.verify = False
    return session


GUARDS = (
    Guard(
        name="turns-of-a-minute-and-an-hour",
        target="core.sources.pace_record:Record.due",
        disabled=lambda _: lambda self, limits, now: now,
        tests=(f"{_PACE}test_gate_keeps_to_the_limits_of_a_minute_and_an_hour",),
    ),
    Guard(
        name="one-budget-for-all-processes",
        target="core.sources.pace:CAN_SHARE",
        disabled=instead(value=False),
        tests=(f"{_PACE}test_gates_that_share_a_folder_share_one_budget",),
    ),
    Guard(
        name="places-in-flight-of-all-processes",
        target="core.sources.pace:Gate._place",
        disabled=returning(None),
        tests=(f"{_PACE}test_places_in_flight_are_those_of_all_gates_of_a_folder",),
    ),
    Guard(
        name="one-turn-at-a-time-of-all-processes",
        target="core.sources.pace:Gate._due_turn",
        disabled=returning(None),
        tests=(f"{_PACE}test_gates_that_share_a_folder_share_one_budget",),
    ),
    Guard(
        name="lock-is-on-the-file-others-lock",
        target="core.sources.pace_folder:os.path.samestat",
        disabled=returning(value=True),
        tests=(f"{_PACE}test_lock_whose_file_was_removed_meanwhile_is_not_a_lock",),
    ),
    Guard(
        name="pace-folder-writes-through-no-link",
        target="core.sources.pace_folder:_NO_LINKS",
        disabled=instead(0),
        tests=(f"{_PACE}test_link_in_the_folder_is_never_written_through",),
    ),
    Guard(
        name="failing-source-is-left-alone",
        target="core.sources.pace_record:FAILURES",
        disabled=instead(1 << 60),
        tests=(
            f"{_PACE}test_three_failures_in_a_row_stop_all_questions_for_a_while",
            f"{_CLIENT}test_query_fails_at_once_after_three_that_failed_and_then_asks_once_a_while",
        ),
    ),
    Guard(
        name="one-try-while-the-source-fails",
        target="core.sources.pace:Gate.is_failing",
        disabled=returning(value=False),
        tests=(
            f"{_CLIENT}test_query_fails_at_once_after_three_that_failed_and_then_asks_once_a_while",
        ),
    ),
    Guard(
        name="nobody-asks-while-posthog-says-so",
        target="core.sources.pace_record:Record.stop",
        disabled=returning(None),
        tests=(
            f"{_PACE}test_closed_gate_lets_nobody_through_until_then_not_even_after_an_answer",
            f"{_CLIENT}test_query_is_not_sent_while_the_budget_is_used_up_by_whichever_process",
        ),
    ),
    Guard(
        name="five-minutes-a-question",
        target="core.sources.posthog_client:TOTAL_SECONDS",
        disabled=instead(1e9),
        tests=(f"{_CLIENT}test_query_gives_up_once_five_minutes_are_over",),
    ),
    Guard(
        name="request-ends-in-time",
        target="core.sources.https:ending_after",
        disabled=lambda original: lambda seconds: original(1e6),
        tests=(f"{_HTTPS}test_answer_that_never_ends_ends_with_the_time_a_request_may_take",),
    ),
    Guard(
        name="redirect-is-no-target",
        target="core.sources.https:_Session.get_redirect_target",
        disabled=lambda _: requests.Session.get_redirect_target,
        tests=(
            f"{_HTTPS}test_redirect_to_nonsense_is_refused_as_any_other",
            f"{_HTTPS}test_redirect_with_a_body_without_end_is_not_read_whole",
        ),
    ),
    Guard(
        name="session-of-its-own",
        target="core.sources.https:private_session",
        disabled=lambda _: requests.Session,
        tests=(f"{_CLIENT}test_query_ignores_proxies_and_cookies",),
    ),
    Guard(
        name="certificate-is-checked",
        target="core.sources.https:private_session",
        disabled=lambda original: lambda: _unverified(original()),
        tests=(f"{_HTTPS}test_certificate_nobody_vouches_for_is_refused_before_anything_is_said",),
    ),
    Guard(
        name="second-answer-is-not-the-next-ones",
        target="core.sources.posthog_client:_is_final",
        disabled=returning(value=True),
        tests=(f"{_HTTPS}test_second_answer_to_one_question_is_never_the_answer_to_the_next",),
    ),
    Guard(
        name="more-rows-than-given",
        target="core.sources.posthog_answers:_is_cut",
        disabled=returning(value=False),
        tests=(_TABLE, f"{_CLIENT}test_query_with_as_many_rows_as_ever_given_is_never_believed"),
    ),
    Guard(
        name="no-field-twice",
        target="core.sources.posthog_answers:_without_repeats",
        disabled=instead(dict),
        tests=(_TABLE,),
    ),
    Guard(
        name="no-infinite-number",
        target="core.sources.posthog_answers:_finite",
        disabled=instead(float),
        tests=(_TABLE,),
    ),
    Guard(
        name="no-nan",
        target="core.sources.posthog_answers:_refuse_constant",
        disabled=instead(float),
        tests=(f"{_CLIENT}test_query_asks_again_after_a_fault_and_gives_up_after_five_tries",),
    ),
    Guard(
        name="settled-by-posthogs-clock",
        target="core.sources.posthog_client:seconds_ahead",
        disabled=returning(0.0),
        tests=("tests/sources/test_posthog.py::test_fetch_by_a_clock_ahead_settles_by_posthogs",),
    ),
    Guard(
        name="key-goes-to-known-hosts",
        target="core.sections:_is_known",
        disabled=returning(value=True),
        tests=("tests/test_settings.py::test_read_settings_refuses_hosts_nobody_listed",),
    ),
)
