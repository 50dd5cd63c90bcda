"""The earlier .env, as people wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.legacy.dotenv import as_environment_line, read_dotenv


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=a b c", "a b c"),
        ("NAME=auto  # auto, cpu, cuda", "auto"),
        ("NAME=a#b", "a#b"),
        ("NAME= # nothing", ""),
        ("export NAME = 'a # b' # comment", "a # b"),
        (r'NAME="a \"b\" \$c\n"', 'a "b" $c\n'),
        (r"NAME='a\nb'", r"a\nb"),
        ("NAME=Congés payés", "Congés payés"),
        ("NAME=a=b==", "a=b=="),
        ('NAME="-----BEGIN\nabc\n-----END"', "-----BEGIN\nabc\n-----END"),
    ],
)
def test_values(line: str, value: str) -> None:
    (found,) = read_dotenv(f"# before\n\n{line}\n".encode())
    assert (found.name, found.value, found.line, found.problem) == ("NAME", value, 3, None)


def test_what_windows_adds_is_no_part_of_names_and_values() -> None:
    found = read_dotenv("\ufeffA=été\r\nB=2\r\n".encode())
    assert [(each.name, each.value) for each in found] == [("A", "été"), ("B", "2")]
    assert read_dotenv("A=été".encode("cp1252"))[0].value == "été"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("just words", "is not NAME=VALUE"),
        ("A='open", "the quote is never closed"),
        ('A="b" c', "something follows the closing quote"),
    ],
)
def test_a_line_that_cannot_be_read_says_why_and_the_next_one_is_read(line: str, problem: str) -> None:
    broken, fine = read_dotenv(f"{line}\nB=2\n".encode())
    assert (broken.problem, broken.value) == (problem, "")
    assert (fine.name, fine.value) == ("B", "2")


@pytest.mark.parametrize("value", ["your_bot_token_here", "your-key", "changeme", "<token>", "your_region_here"])
def test_the_values_of_an_example_file_are_known_as_such(value: str) -> None:
    assert read_dotenv(f"A={value}".encode())[0].is_placeholder
    assert not read_dotenv(b"A=123456:abc")[0].is_placeholder


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"])))
def test_what_we_write_for_systemd_is_read_as_it_was(value: str) -> None:
    (found,) = read_dotenv(as_environment_line("NAME", value).encode())
    assert (found.problem, found.value) == (None, value)


def test_systemd_has_no_lines_within_values() -> None:
    with pytest.raises(ValueError, match="PEM: a value of several lines"):
        as_environment_line("PEM", "a\nb")


@given(st.binary(max_size=200))
def test_nothing_breaks_the_reader(data: bytes) -> None:
    read_dotenv(data)
