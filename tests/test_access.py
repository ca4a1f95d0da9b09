"""Who is admitted: by exact address, by exact domain, verified, and not for ever."""

from __future__ import annotations

import pytest

from core.access import judge
from core.errors import ConfigError
from core.sections import Access
from core.settings import read_settings

NOW = 1_790_000_000.0
LIST = Access(emails=("Ann@Example.com", "größe@example.com"), domains=("Team.example",))
GOOD = {"email": "ann@example.com", "email_verified": True, "iat": NOW - 60}


@pytest.mark.parametrize("email", ["ann@example.com", "ANN@EXAMPLE.COM", "x@team.example"])
def test_judge_admits_listed(email):
    assert judge(LIST, {**GOOD, "email": email}, now=NOW) == "allowed"


@pytest.mark.parametrize(
    "email",
    [
        "bob@example.com", "ann@example.com.evil.test", "ann@sub.team.example", "ann@team.example.",
        "team.example@evil.test", "x@team.example@evil.test", "annexample.com@x", "x@eteam.example",
        "ann@example.co", "grösse@example.com", "GRÖSSE@example.com", "an\u006e\u0303@example.com",
        "x@team.e\u03b1ample", "x@team.exampl\u0435", "ann@ex\u0430mple.com",
    ],
)  # fmt: skip
def test_judge_refuses_whoever_only_resembles(email):
    assert judge(LIST, {**GOOD, "email": email}, now=NOW) == "not_listed"


def test_judge_refuses_letters_that_fold_into_listed_ones():
    kept = Access(emails=("kim@shop.example",), domains=("desk.example",))
    for email in ("\u212aim@shop.example", "kim@\u017fhop.example", "x@des\u212a.example"):
        assert judge(kept, {**GOOD, "email": email}, now=NOW) == "not_listed"


@pytest.mark.parametrize(
    "email",
    [None, "", 7, ["ann@example.com"], "ann", "@team.example", "ann@", " ann@example.com",
     "ann@example.com\n", "ann@team.example\u200b", "a b@team.example", "ann@team.example\x00"],
)  # fmt: skip
def test_judge_refuses_what_is_no_address(email):
    assert judge(LIST, {**GOOD, "email": email}, now=NOW) == "no_email"


@pytest.mark.parametrize("said", [False, "false", None, 1, "True", 0, [], "yes"])
def test_judge_refuses_unverified(said):
    assert judge(LIST, {**GOOD, "email_verified": said}, now=NOW) == "unverified"


def test_judge_believes_silence_only_where_told_to():
    silent = {name: value for name, value in GOOD.items() if name != "email_verified"}
    loose = Access(domains=("example.com",), is_verified_only=False)
    assert judge(LIST, silent, now=NOW) == "unverified"
    assert judge(loose, silent, now=NOW) == "allowed"
    assert judge(loose, {**silent, "email_verified": False}, now=NOW) == "unverified"


@pytest.mark.parametrize(
    ("issued", "verdict"),
    [
        (NOW - 12 * 3600, "allowed"), (NOW - 12 * 3600 - 1, "expired"), (NOW + 200, "allowed"),
        (NOW + 400, "expired"), (None, "expired"), ("now", "expired"), (True, "expired"),
        (float("nan"), "expired"),
    ],
)  # fmt: skip
def test_judge_ends_a_sign_in_after_its_hours(issued, verdict):
    assert judge(LIST, {**GOOD, "iat": issued}, now=NOW) == verdict


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[access]\n", "admits nobody"),
        ('[access]\nemails = ["ann"]\n', "no address"),
        ('[access]\ndomains = ["@team.example"]\n', "no domain"),
        ('[access]\ndomains = ["*.example"]\n', "no domain"),
        ('[access]\nemail = ["ann@example.com"]\n', "is not a setting"),
        ('[acess]\nemails = ["ann@example.com"]\n', "write [access]"),
        ('[Access]\nemails = ["ann@example.com"]\n', "write [access]"),
        ('[export]\nkey = "short"\n', "shorter than 16"),
        ('[log]\nlevel = "loud"\n', "log.level"),
    ],
)
def test_read_settings_refuses_a_list_that_would_not_hold(text, said, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_settings(path)
    assert said in str(caught.value)
    assert "ann@example.com" not in str(caught.value)
