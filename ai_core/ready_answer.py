"""An answer that is there already, told as if it were being written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ai_core.answer import Answer
from ai_core.engine.request import TextChunk
from ai_core.grounding import Source
from ai_core.knowledge.citations import Citation
from ai_core.knowledge.numbers import find_numbers

_WORDS = re.compile(r"\S+\s*|\s+")
WORDS_AT_ONCE = 12


class ReadyAnswer:
    """Has what a RunningAnswer has."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.model_id = answer.model
        self.sources: tuple[Source, ...] = answer.sources
        self.grounded = answer.grounded

    def check(self, text: str) -> list[Citation]:
        """See AnswerBeingTold: those of the whole answer that `text` has already."""
        numbers = {mention.number for mention in find_numbers(text)}
        return [citation for citation in self._answer.citations if citation.number in numbers]

    def cancel(self) -> None:
        """Nothing runs."""

    def events(self) -> Iterator[TextChunk | Answer | None]:
        """The text in a few pieces, then the answer."""
        words = _WORDS.findall(self._answer.text)
        for start in range(0, len(words), WORDS_AT_ONCE):
            yield TextChunk("".join(words[start : start + WORDS_AT_ONCE]))
        yield self._answer
