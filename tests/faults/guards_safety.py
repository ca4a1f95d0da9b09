"""Guards on who may look, what is logged, and what files and pages hold."""

from __future__ import annotations

import hashlib
import re

import yaml

from tests.faults.guard import Guard, instead, returning, unchanged

_ACCESS = "tests/test_access.py::test_judge_"
_SIGN_IN = "tests/pages/test_sign_in.py::test_"
_LOGS = "tests/test_logs.py::test_"
_PRIVATE = "tests/test_private.py::test_"
_ALIVE = ("tests/faults/test_injection.py::test_run_finds_no_text_alive_in_any_format",)
_PROBLEMS = ("tests/sources/test_automations.py",)
_NEVER = re.compile("(?!)")


def _one(name: str, target: str, disabled: object, *tests: str) -> Guard:
    return Guard(name=name, target=target, disabled=disabled, tests=tests)


def _bare_hash(_: object) -> object:
    return lambda text, _key: f"h_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


GUARDS = (
    _one("verified-emails", "core.access:is_verified", returning(value=True),
         f"{_ACCESS}refuses_unverified"),
    _one("listed-emails", "core.access:is_listed", returning(value=True),
         f"{_ACCESS}refuses_whoever_only_resembles"),
    _one("sign-in-ends", "core.access:is_recent", returning(value=True),
         f"{_ACCESS}ends_a_sign_in_after_its_hours"),
    _one("one-plain-address", "core.access:is_address", returning(value=True),
         f"{_ACCESS}refuses_what_is_no_address"),
    _one("letters-as-they-are", "core.access:fold", instead(str.casefold),
         f"{_ACCESS}refuses_letters_that_fold_into_listed_ones"),
    _one("misspelt-section", "core.settings:_refuse_misspelt", returning(value=None),
         "tests/test_access.py::test_read_settings_refuses_a_list_that_would_not_hold"),
    _one("half-a-sign-in", "pages.parts.sign_in:fault", returning(value=None),
         f"{_SIGN_IN}app_reads_nothing_for_who_is_not_admitted"),
    _one("sign-in-on-every-page", "pages.parts.access:admit_or_stop", returning(value=None),
         f"{_SIGN_IN}settings_or_stop_stops_a_page_that_runs_without_app"),
    _one("cookie-secret-length", "pages.parts.sign_in:_SHORTEST_SECRET", instead(0),
         f"{_SIGN_IN}fault_names_what_is_missing_and_no_secret"),
    _one("provider-over-https", "pages.parts.sign_in:_is_safe", returning(value=True),
         f"{_SIGN_IN}fault_names_what_is_missing_and_no_secret"),
    _one("sound-authlib", "pages.parts.sign_in:_library_fault", returning(value=None),
         f"{_SIGN_IN}fault_refuses_an_old_or_missing_authlib"),
    _one("redaction", "core.redaction:redacted", unchanged,
         f"{_LOGS}records_are_clean_in_message_arguments_and_fields"),
    _one("redaction-of-errors", "core.redaction:words_of", instead(str),
         f"{_LOGS}tracebacks_tell_places_but_no_rows"),
    _one("redaction-of-quotes", "core.redaction:_QUOTED", instead(_NEVER),
         f"{_LOGS}traced_walks_groups_and_endless_chains"),
    _one("redaction-of-settings", "core.redaction:secrets_of", returning(value=[]),
         f"{_LOGS}redacted_knows_a_secret_however_it_is_written"),
    _one("redaction-for-every-handler", "core.logs:_record", lambda _: __import__(
         "logging").LogRecord, f"{_LOGS}other_handlers_get_nothing_else"),
    _one("no-email-in-files", "core.outputs:shareable", unchanged,
         f"{_PRIVATE}files_of_a_run_hold_no_address"),
    _one("email-is-seen", "core.private:holds_email", returning(value=False),
         f"{_PRIVATE}shareable_hashes_emails_with_the_key_of_the_cache_folder"),
    _one("hashes-have-a-key", "core.private:hashed", _bare_hash,
         f"{_PRIVATE}hashed_is_hmac_sha256_as_rfc_2104_has_it"),
    _one("every-at-sign", "core.private:_EMAIL", instead(re.compile("@")),
         f"{_PRIVATE}holds_email_sees_every_at_sign"),
    _one("whole-key", "core.private:_KEY_BYTES", instead(5),
         f"{_PRIVATE}export_key_refuses_a_damaged_file"),
    _one("formulas-in-csv", "core.publish.tables:defused", unchanged, *_ALIVE),
    _one("formulas-within-cells", "core.publish.tables:_INNER", instead(_NEVER), *_ALIVE),
    _one("formulas-in-excel", "core.publish.workbook:_cell_text", unchanged, *_ALIVE),
    _one("marks-in-pages", "pages.parts.plain:_MARKS", instead(re.compile("(?!)()")), *_ALIVE),
    _one("links-in-pages", "pages.parts.plain:_LINKS", instead(_NEVER), *_ALIVE),
    _one("markup-in-figures", "core.publish.theme:_LIVE", instead({}), *_ALIVE),
    _one("signs-in-pages", "pages.parts.plain:_SIGNS", instead(_NEVER),
         "tests/pages/test_plain.py::test_plain_breaks_apart_what_escaping_does_not_stop"),
    _one("plain-yaml", "core.sources.automations:read_yaml", instead(yaml.safe_load),
         "tests/faults/test_files_fuzz.py::test_run_raises_nothing_untyped_and_loses_nothing"),
    _one("names-once", "core.sources.automations:_once_each", instead(dict), *_PROBLEMS),
    _one("bounded-values", "core.sources.automations:_bounded", returning(value=None), *_PROBLEMS),
    _one("numbers-are-finite", "core.sources.automations:_no_number", instead(float), *_PROBLEMS),
    _one("files-of-bounded-size", "core.sources.automations:BIGGEST_FILE", instead(10**12),
         *_PROBLEMS),
    _one("nodes-are-counted", "core.sources.plain_yaml:MOST_NODES", instead(10**9), *_PROBLEMS),
)  # fmt: skip
