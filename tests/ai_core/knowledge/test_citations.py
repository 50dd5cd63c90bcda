"""Each number in an answer is verified against the sources, or known to exist, or unknown."""

from __future__ import annotations

from ai_core.knowledge.citations import Citation, check


def exists(number: str) -> bool:
    return number in {"L9101-1", "L9102-2", "R*9103-2"}


def test_the_three_statuses() -> None:
    answer = "Selon l'article L. 9101-1, et non L9102-2 ni L. 9999-1, le délai court."
    assert check(answer, ["L9101-1"], exists) == [
        Citation("L9101-1", "verified"),
        Citation("L9102-2", "exists"),
        Citation("L9999-1", "unknown"),
    ]


def test_a_number_is_listed_once() -> None:
    assert check("L9101-1 ; art. L. 9101-1", ["L9101-1"], exists) == [Citation("L9101-1", "verified")]


def test_an_answer_without_numbers_cites_nothing() -> None:
    assert check("Le délai est de 9 jours.", ["L9101-1"], exists) == []


def test_a_source_in_brackets_is_verified() -> None:
    assert check("Neuf jours [L9102-2].", ["L9102-2"], exists) == [Citation("L9102-2", "verified")]


def test_a_star_left_out_is_still_the_source() -> None:
    assert check("art. R. 9103-2", ["R*9103-2"], exists) == [Citation("R9103-2", "verified")]
