"""Guards on exports that are taken as files."""

from __future__ import annotations

import re

from tests.faults.guard import Guard, instead, returning, unchanged

_DOWNLOAD = "core.sources.file_download"
_DOWNLOADS = "tests/sources/test_file_download.py::test_download_"
_FILE = "tests/sources/test_file_download.py::test_"

GUARDS = (
    Guard(
        name="export-link-host",
        target=f"{_DOWNLOAD}_files:checked_link",
        disabled=unchanged,
        tests=(f"{_DOWNLOADS}refuses_a_link_to_another_place",),
    ),
    Guard(
        name="export-link-loopback",
        target="core.sections:is_loopback",
        disabled=returning(value=True),
        tests=(f"{_FILE}checked_link_takes_loopback_only_where_posthog_is_there",),
    ),
    Guard(
        name="export-file-checksum",
        target=f"{_DOWNLOAD}_files:is_as_summed",
        disabled=returning(value=True),
        tests=(f"{_DOWNLOADS}asks_for_a_new_link_after_a_fault",),
    ),
    Guard(
        name="export-file-size",
        target=f"{_DOWNLOAD}_files:is_too_large",
        disabled=returning(value=False),
        tests=(f"{_DOWNLOADS}refuses_a_file_larger_than_any",),
    ),
    Guard(
        name="export-file-answer",
        target=f"{_DOWNLOAD}_files:_check_head",
        disabled=returning(value=None),
        tests=(f"{_DOWNLOADS}follows_no_redirect_of_the_files_host",),
    ),
    Guard(
        name="export-rows",
        target=f"{_DOWNLOAD}_parquet:fault_of",
        disabled=returning(value=""),
        tests=(f"{_DOWNLOADS}refuses_rows_that_were_not_ordered",),
    ),
    Guard(
        name="export-columns",
        target=f"{_DOWNLOAD}_parquet:_REQUIRED",
        disabled=instead({"events": (), "persons": ()}),
        tests=(f"{_DOWNLOADS}refuses_rows_that_were_not_ordered",),
    ),
    Guard(
        name="export-empty-week",
        target=f"{_DOWNLOAD}:lacks_files",
        disabled=returning(value=False),
        tests=(f"{_DOWNLOADS}believes_no_week_empty_that_is_not_said_to_be",),
    ),
    Guard(
        name="export-settled",
        target=f"{_DOWNLOAD}:is_settled",
        disabled=returning(value=True),
        tests=(f"{_DOWNLOADS}again_later_orders_only_what_had_not_settled",),
    ),
    Guard(
        name="export-same-events",
        target=f"{_DOWNLOAD}:answers",
        disabled=returning(value=True),
        tests=(f"{_DOWNLOADS}with_another_event_orders_every_week_of_events",),
    ),
    Guard(
        name="download-file-intact",
        target=f"{_DOWNLOAD}_folder:is_intact",
        disabled=returning(value=True),
        tests=(f"{_DOWNLOADS}fetches_a_changed_file_again",),
    ),
    Guard(
        name="download-alone",
        target=f"{_DOWNLOAD}_folder:is_held",
        disabled=returning(value=True),
        tests=(f"{_DOWNLOADS}beside_another_is_refused",),
    ),
    Guard(
        name="download-holes",
        target=f"{_DOWNLOAD}_folder:holes_in",
        disabled=returning(value=()),
        tests=(f"{_FILE}holes_in_name_missing_weeks_and_the_time_since",),
    ),
    Guard(
        name="download-room",
        target="core.sources.room:ensure_room",
        disabled=returning(value=None),
        tests=(f"{_DOWNLOADS}asks_for_room_first",),
    ),
    Guard(
        name="export-pace",
        target=f"{_DOWNLOAD}_api:FileDownloadApi._pace",
        disabled=returning(value=None),
        tests=(f"{_DOWNLOADS}keeps_to_the_limits_of_other_endpoints",),
    ),
    Guard(
        name="export-longest-wait",
        target=f"{_DOWNLOAD}_api:LONGEST_WAIT",
        disabled=instead(1e9),
        tests=(f"{_DOWNLOADS}does_not_wait_for_an_hour",),
    ),
    Guard(
        name="export-words-harmless",
        target=f"{_DOWNLOAD}_api:_EMAIL",
        disabled=instead(re.compile("(?!)")),
        tests=(f"{_DOWNLOADS}names_a_week_that_failed_and_keeps_the_others",),
    ),
    Guard(
        name="export-run-id",
        target=f"{_DOWNLOAD}_api:_UUID",
        disabled=instead(re.compile(".*")),
        tests=(f"{_DOWNLOADS}refuses_an_order_without_an_id",),
    ),
)
