"""Citations told while the answer is still being written: each once, as soon as its number cannot grow any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ai_core.knowledge.citations import Citation
from ai_core.knowledge.numbers import find_numbers

LONGEST_NUMBER = 40  # characters that may still belong to the number before them: "L. 1234-1 A,"


class CitedSoFar:
    """Follows one answer; `check` judges the numbers of a text."""

    def __init__(self, check: Callable[[str], list[Citation]]) -> None:
        self._check = check
        self._text = ""
        self._told: set[str] = set()

    def take(self, piece: str) -> Iterator[Citation]:
        """The next piece of the answer; the citations that are complete with it."""
        self._text += piece
        if not any(char.isdigit() for char in piece) and not self._open():
            return
        sure = self._text[: self._sure()]
        for citation in self._check(sure) if find_numbers(sure) else ():
            if citation.number not in self._told:
                self._told.add(citation.number)
                yield citation

    def _sure(self) -> int:
        """Up to where no number can grow: before the last one, where it stands at the end."""
        mentions = find_numbers(self._text)
        if mentions and len(self._text) - mentions[-1].end < 2:
            return mentions[-1].start
        return len(self._text)

    def _open(self) -> bool:
        """Whether a number stood at the end of what was read before."""
        return any(char.isdigit() for char in self._text[-LONGEST_NUMBER:])
