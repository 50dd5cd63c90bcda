"""Article numbers are recognised however they are written, and lengths and dates are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_core.knowledge.numbers import find_numbers, normalise


@pytest.mark.parametrize(
    "written",
    [
        "L1234-1",
        "L. 1234-1",
        "art. L. 1234-1",
        "art L1234-1",
        "article L. 1234-1",
        "l 1234 - 1",
        "L.\u00a01234-1",
        "L.\u202f1234\u20131",
        "L. 1234\u20111",
        " L.1234-1 ?",
    ],
)
def test_every_spelling_of_a_number_is_one_number(written: str) -> None:
    assert normalise(written) == "L1234-1"
    assert [mention.number for mention in find_numbers(written)] == ["L1234-1"]


@pytest.mark.parametrize("written", ["R*1234-1", "R. * 1234-1", "R.* 1234-1", "r * 1234-1"])
def test_the_star_of_a_decree_is_kept(written: str) -> None:
    assert normalise(written) == "R*1234-1"
    assert [mention.number for mention in find_numbers(written)] == ["R*1234-1"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("articles L. 1234-1 et L. 1234-2", ["L1234-1", "L1234-2"]),
        ("les articles L. 1234-1, 1234-2 et 1234-5", ["L1234-1", "L1234-2", "L1234-5"]),
        ("L1234-1 à L1234-5", ["L1234-1", "L1234-5"]),
        ("de L. 1237-11 a 1237-16", ["L1237-11", "L1237-16"]),
        ("(voir art.L3121-27)", ["L3121-27"]),
        ("l'article L1 du code", ["L1"]),
        ("l'article L. 1453-1 A du code", ["L1453-1 A"]),
        ("D6323-1A, D. 6323-14-1-1.", ["D6323-1 A", "D6323-14-1-1"]),
        ("selon l'article L. 1234-1 A défaut d'accord", ["L1234-1"]),
        ("L. 1234-1.", ["L1234-1"]),
    ],
)
def test_numbers_are_found_in_a_sentence(text: str, numbers: list[str]) -> None:
    assert [mention.number for mention in find_numbers(text)] == numbers


@pytest.mark.parametrize(
    "text",
    [
        "le 12 mars",
        "L 200 m",
        "du 3-4 mai",
        "il a 12-3 ans",
        "la salle D 12",
        "les droits",
        "2024-2025",
        "R2D2",
        "XL1234-1",
        "",
        "L",
        "L-",
    ],
)
def test_what_is_no_article_is_left_alone(text: str) -> None:
    assert find_numbers(text) == []


@pytest.mark.parametrize("text", ["", "L", "1234-1", "bonjour", "L1234-1 et L1234-2", "L1234-1 mois"])
def test_normalise_refuses_what_is_not_one_number(text: str) -> None:
    assert normalise(text) is None


def test_a_mention_says_where_it_stands() -> None:
    text = "Voir l'article L. 1234-1 du code."
    (mention,) = find_numbers(text)
    assert text[mention.start : mention.end] == "L. 1234-1"


canonical = st.builds(
    lambda letter, parts, suffix: letter + "-".join(map(str, parts)) + suffix,
    st.sampled_from(["L", "R", "D", "R*"]),
    st.tuples(st.integers(1, 9999), st.integers(1, 999)) | st.tuples(*[st.integers(1, 99)] * 3),
    st.sampled_from(["", " A", " B"]),
)


@given(canonical)
def test_a_canonical_number_stays_as_it_is(number: str) -> None:
    assert normalise(number) == number
    assert [mention.number for mention in find_numbers(number)] == [number]


@given(canonical, st.sampled_from([". ", ".", " ", ".\u00a0"]), st.sampled_from(["-", "\u2013", " - ", "\u2011"]))
def test_spacing_and_dashes_do_not_matter(number: str, after_letter: str, dash: str) -> None:
    written = f"article {number[0]}{after_letter}{number[1:].replace('-', dash)}"
    assert normalise(written) == number
    assert [mention.number for mention in find_numbers(f"Que dit l'{written} ?")] == [number]


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    for mention in find_numbers(text):
        assert 0 <= mention.start < mention.end <= len(text)
        assert normalise(mention.number) == mention.number
    normalise(text)
