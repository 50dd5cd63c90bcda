"""Articles by number: exact, in any spelling, annexes by name, ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ai_core.knowledge.article import Article
from ai_core.knowledge.numbers import find_numbers, fold_number, normalise

MAX_RANGE = 100  # articles between the two ends of a range

_BARE = re.compile(r"(?<![\w*.-])\d{3,4}(?:-\d{1,3}){1,5}(?![\w-])")  # "3121-27", without its letter
_RANGE = re.compile(r"\s*(?:à|a|au|jusqu'à|jusqu'au)\s*(?:l'\s*)?(?:article\s*)?", re.IGNORECASE)
_NAMESAKE = re.compile(r" \([^)]*\)$")  # how legi.py tells annexes of one number apart


class ArticleDirectory:
    """Finds positions in `articles`, which are in the order of the code."""

    def __init__(self, articles: Sequence[Article]) -> None:
        self._positions = {article.number: position for position, article in enumerate(articles)}
        self._folded: dict[str, list[int]] = {}
        for position, article in enumerate(articles):
            keys = {fold_number(article.number), fold_number(_NAMESAKE.sub("", article.number))}
            for key in keys | {key.replace("*", "") for key in keys}:
                self._folded.setdefault(key, []).append(position)

    def find(self, number: str) -> int | None:
        """The position of the article with this number, in any spelling; the star of "R*" may be left out."""
        if (position := self._positions.get(number)) is not None:
            return position
        canonical = normalise(number)
        if canonical is not None and (position := self._positions.get(canonical)) is not None:
            return position
        return next(iter(self._folded.get(fold_number(canonical or number), ())), None)

    def named_in(self, text: str) -> list[int]:
        """The positions of the articles that `text` names: first those written out, then those inside its ranges."""
        whole = self._folded.get(fold_number(text.strip(" ?!.,;:\"'«»\u00a0\n\t")), [])
        exact = self.find(text.strip())
        written = [] if exact is None else [exact]
        mentions = find_numbers(text)
        written += whole + [position for m in mentions if (position := self.find(m.number)) is not None]
        if not mentions:
            written += [position for match in _BARE.finditer(text) for position in self._with_any_letter(match[0])]
        return list(dict.fromkeys([*written, *self._inside_ranges(text)]))

    def _with_any_letter(self, digits: str) -> list[int]:
        return [position for letter in "LRD" if (position := self.find(letter + digits)) is not None]

    def _inside_ranges(self, text: str) -> Iterator[int]:
        mentions = find_numbers(text)
        for first, last in pairwise(mentions):
            if _RANGE.fullmatch(text, first.end, last.start):
                start, end = self.find(first.number), self.find(last.number)
                if start is not None and end is not None and start < end <= start + MAX_RANGE:
                    yield from range(start + 1, end)


def without_numbers(text: str) -> str:
    """`text` with the numbers that it names cut out: what is left is the question about them."""
    for mention in reversed(find_numbers(text)):
        text = f"{text[: mention.start]} {text[mention.end :]}"
    return _BARE.sub(" ", text)
