"""Guards on what is kept between runs, on time, and on how the push database is read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.guard import Guard, instead, returning

_STORE = "tests/activity/test_store.py::test_"
_FOLDER = "tests/activity/test_store_folder.py::Test"
_FAULTS = "tests/sources/test_database_faults.py::Test"
_READING = "tests/sources/test_database.py::TestReading::test_reading_refuses_to_write"
_MODEL = "tests/faults/test_model.py::test_source_over_a_store_agrees_with_the_ledger"


def _one(name: str, target: str, disabled: Callable[[Any], Any], *tests: str) -> Guard:
    return Guard(name=name, target=target, disabled=disabled, tests=tests)


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()


@contextlib.contextmanager
def _without_limit(_self: object, _connection: object) -> Any:
    yield


def _lasting(original: Any) -> Any:
    return type(original)(str(original).replace("true)", "false)"))


def _with_startup_options(original: Callable[..., Any]) -> Callable[..., Any]:
    def options(*args: Any) -> dict[str, Any]:
        found = dict(original(*args))
        found["connect_args"] = {
            **found.get("connect_args", {}),
            "options": "-c statement_timeout=9",
        }
        return found

    return options


GUARDS = (
    _one("value-is-of-its-key", "core.activity.store:_unframed",
         instead(lambda _key, frame: bytes(frame[49:])),
         f"{_STORE}get_refuses_the_value_of_another_key"),
    _one("nothing-outside-the-folder", "core.activity.shelf:within",
         instead(lambda directory, name: Path(directory) / str(name)),
         f"{_STORE}get_and_put_leave_files_elsewhere_alone"),
    _one("database-of-its-own", "core.activity.store:_is_sound", returning(value=True),
         f"{_STORE}store_rebuilds_a_database_with_foreign_settings"),
    _one("folder-of-its-owner", "core.activity.store:_private", instead(_made),
         f"{_STORE}folder_is_its_owners_alone"),
    _one("files-of-their-owner", "core.activity.shelf:PRIVATE_FILE", instead(0o666),
         f"{_FOLDER}Permissions::test_store_files_and_folders_are_their_owners_alone"),
    _one("locked-is-not-damaged", "core.activity.store_faults:_CIRCUMSTANCES", instead(set()),
         f"{_FOLDER}Locked::test_store_opened_while_the_database_is_locked_reads_and_does_not_wait"),
    _one("no-half-file", "core.activity.shelf:BytesDisk.forget_begun", returning(value=None),
         f"{_FOLDER}FullDisk::test_put_whose_row_does_not_come_to_be_leaves_no_file"),
    _one("waits-for-a-lock-once", "core.activity.store:_REST_SECONDS", instead(0.0),
         f"{_FOLDER}Locked::test_store_waits_once_for_a_lock_and_then_rests"),
    _one("one-at-a-time", "core.activity.sweep:_locked",
         instead(lambda path, *_args, **_more: os.open(path, os.O_RDWR | os.O_CREAT, 0o600)),
         f"{_STORE}alone_lets_one_in_at_a_time"),
    _one("lock-still-there", "core.activity.sweep:_is_still", returning(value=True),
         f"{_FOLDER}Locked::test_alone_survives_the_removal_of_its_file_while_others_wait"),
    _one("young-files-stay", "core.activity.sweep:ORPHAN_SECONDS", instead(0),
         f"{_FOLDER}Sweep::test_sweep_removes_orphans_older_than_an_hour_only"),
    _one("sweeps-once-a-day", "core.activity.sweep:EVERY_SECONDS", instead(0),
         f"{_FOLDER}Sweep::test_sweep_happens_once_a_day"),
    _one("settled-means-settled", "core.activity.plan:Rules.is_settled", returning(value=True),
         _MODEL),
    _one("usable-means-usable", "core.activity.plan:Rules.is_usable", returning(value=True),
         _MODEL),
    _one("whole-reading-ends", "core.sources.watch:Limit.on", instead(_without_limit),
         f"{_FAULTS}ReadTimeout::test_read_push_rows_from_a_black_hole_ends_in_time"),
    _one("cut-reading-is-begun-anew", "core.sources.pushes:TRIES", instead(1),
         f"{_FAULTS}Tries::test_read_push_rows_cut_twice_is_whole_at_the_third_try"),
    _one("starting-server-is-waited-for", "core.sources.faults:_broke", returning(value=False),
         f"{_FAULTS}Tries::test_read_push_rows_server_starting_up_is_had_after_a_while"),
    _one("hidden-rows-are-told", "core.sources.rights:hides_rows", returning(value=False),
         f"{_FAULTS}Rights::test_read_push_rows_under_row_level_security_says_so"),
    _one("role-is-looked-at", "core.sources.rights:check_role", returning(value=[]),
         f"{_FAULTS}Rights::test_check_database_superuser_is_advised_to_read_only_with_the_sql"),
    _one("transaction-is-set-up", "core.sources.database:_SNAPSHOT", instead("SELECT 1"), _READING),
    _one("limits-end-with-the-transaction", "core.sources.database:_LIMIT", _lasting,
         f"{_FAULTS}Pooler::test_read_push_rows_leaves_no_state_behind_a_transaction_pooler"),
    _one("nothing-at-start-up", "core.sources.database:_driver_options", _with_startup_options,
         f"{_FAULTS}Pooler::test_read_push_rows_through_a_pooler_that_refuses_options"),
)  # fmt: skip
