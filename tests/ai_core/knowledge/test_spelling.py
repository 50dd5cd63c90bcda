from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_core.knowledge.spelling import Speller, distance_within
from ai_core.knowledge.words import fold, stem

WORDS = {"licenciement": 1.0, "essai": 2.0, "préavis": 3.0, "lieux": 1.0, "démission": 1.0, "émission": 1.0}
KNOWN = {stem(fold(word)): rarity for word, rarity in WORDS.items()}
SPELLER = Speller(KNOWN, {stem("patron")})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("licensiement", "licenciement"),
        ("licenciements", "licenciement"),
        ("dessai", "essai"),
        ("demision", "démission"),
    ],
)
def test_a_misspelt_word_is_read_as_the_codes(written: str, meant: str) -> None:
    assert SPELLER.stem_of(written) == stem(fold(meant))


def test_a_misspelt_everyday_word_is_read_as_that_word() -> None:
    assert SPELLER.stem_of("patronn") == stem("patron")


@pytest.mark.parametrize("word", ["patron", "linux", "lieu", "zzzzzzzz", "l1234", "1234567", ""])
def test_what_is_known_short_or_near_nothing_is_left_alone(word: str) -> None:
    assert SPELLER.stem_of(word) == stem(word)


def test_of_two_that_are_equally_near_the_commonest_is_taken() -> None:
    speller = Speller({"contrab": 5.0, "contrad": 1.0}, ())
    assert speller.stem_of("contrag") == "contrad"


def whole_distance(one: str, other: str) -> int:
    """Optimal string alignment by its definition."""
    table = {(i, -1): i + 1 for i in range(-1, len(one))} | {(-1, j): j + 1 for j in range(-1, len(other))}
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a != b))
            if i and j and a == other[j - 1] and one[i - 1] == b:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(one) - 1, len(other) - 1]


@given(st.text("abc", max_size=7), st.text("abc", max_size=7), st.integers(0, 3))
def test_the_distance_is_exact_up_to_the_most_and_none_beyond(one: str, other: str, most: int) -> None:
    whole = whole_distance(one, other)
    assert distance_within(one, other, most) == (whole if whole <= most else None)
