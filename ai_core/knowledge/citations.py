"""Which articles an answer cites, and whether they can be believed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ai_core.knowledge.numbers import find_numbers, normalise

VERIFIED = "verified"
EXISTS = "exists"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Citation:
    """An article number in an answer.

    "verified": it is one of the sources that the answer was given; "exists": the Code has it, but the answer did not
    read it; "unknown": the Code has no such article.
    """

    number: str
    status: str


def check(text: str, sources: Collection[str], exists: Callable[[str], bool]) -> list[Citation]:
    """Every article number in `text`, once each, in order of first mention. `sources` are numbers in any spelling."""
    known = {normalise(number) or number for number in sources}
    unstarred = {number.replace("*", "") for number in known}
    numbers = dict.fromkeys(mention.number for mention in find_numbers(text))
    return [Citation(number, _status(number, known | unstarred, exists)) for number in numbers]


def _status(number: str, known: Collection[str], exists: Callable[[str], bool]) -> str:
    if number in known:
        return VERIFIED
    return EXISTS if exists(number) else UNKNOWN
