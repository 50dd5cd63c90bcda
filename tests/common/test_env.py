"""Settings are read strictly, and every refusal names its variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.env import Environment, SettingError


def test_a_number_outside_its_range_is_refused_by_name() -> None:
    with pytest.raises(SettingError, match=r"^PORT: 70000 is not between 1 and 65535$"):
        Environment({"PORT": "70000"}).integer("PORT", 8000, minimum=1, maximum=65535)


@pytest.mark.parametrize("value", ["eight", "8.5", "0x10"])
def test_what_is_no_whole_number_is_refused(value: str) -> None:
    with pytest.raises(SettingError, match="^PORT: "):
        Environment({"PORT": value}).integer("PORT", 8000, minimum=1, maximum=65535)


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon"])
def test_a_decimal_must_be_finite_and_in_range(value: str) -> None:
    with pytest.raises(SettingError, match="^REQUEST_TIMEOUT: "):
        Environment({"REQUEST_TIMEOUT": value}).number("REQUEST_TIMEOUT", 55, minimum=1, maximum=59)


def test_an_empty_value_counts_as_not_set() -> None:
    assert Environment({"HOST": "  "}).text("HOST", "127.0.0.1") == "127.0.0.1"


def test_a_missing_value_without_default_is_refused() -> None:
    with pytest.raises(SettingError, match="^SECRET_KEY: must be set$"):
        Environment({}).text("SECRET_KEY")


def test_a_comment_after_the_value_is_refused_because_systemd_would_keep_it() -> None:
    with pytest.raises(SettingError, match="^HOST: remove the comment"):
        Environment({"HOST": "0.0.0.0 # everywhere"}).text("HOST", "")


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret # not a comment\n")
    assert Environment({"TOKEN_FILE": str(tmp_path / "secret")}).text("TOKEN") == "s3cret # not a comment"


def test_a_missing_secret_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="^TOKEN_FILE: cannot read"):
        Environment({"TOKEN_FILE": str(tmp_path / "none")}).text("TOKEN")


def test_a_value_and_a_file_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="^TOKEN: set either"):
        Environment({"TOKEN": "a", "TOKEN_FILE": str(tmp_path)}).text("TOKEN")


def test_a_file_setting_must_name_a_file(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="^MODEL_FILE: "):
        Environment({"MODEL_FILE": str(tmp_path)}).existing_file("MODEL_FILE")


def test_a_choice_names_what_can_be_chosen() -> None:
    with pytest.raises(SettingError, match="^LOG_LEVEL: 'LOUD' is not one of DEBUG, INFO$"):
        Environment({"LOG_LEVEL": "LOUD"}).choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO"))


def test_words_are_separated_by_commas_or_spaces() -> None:
    assert Environment({"REMOTE_URLS": "http://a, http://b  http://c"}).words("REMOTE_URLS") == (
        "http://a",
        "http://b",
        "http://c",
    )
    assert Environment({}).words("REMOTE_URLS") == ()


def test_pairs_have_a_name_and_a_value_each() -> None:
    assert Environment({"A": "x = /a, y=/b=c"}).pairs("A") == {"x": "/a", "y": "/b=c"}
    assert Environment({}).pairs("A") == {}


@pytest.mark.parametrize("value", ["x", "x=", "=y", "x=1,x=2"])
def test_pairs_that_are_none_or_twice_are_refused(value: str) -> None:
    with pytest.raises(SettingError, match="^A: "):
        Environment({"A": value}).pairs("A")


def test_a_path_may_be_a_folder_but_must_exist(tmp_path: Path) -> None:
    assert Environment({"M": str(tmp_path)}).existing_path("M") == tmp_path
    assert Environment({}).existing_path("M") is None
    with pytest.raises(SettingError, match=r"^M: .*/gone does not exist$"):
        Environment({"M": f"{tmp_path}/gone"}).existing_path("M")
