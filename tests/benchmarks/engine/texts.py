"""Texts of an exact number of tokens."""

from __future__ import annotations

import random
from collections.abc import Callable

from ai_core.demo_model.questions import written_questions
from tests.benchmarks.engine.prompt_reader import PromptReader

SEED = 20
MOST_TRIES = 50


class Texts:
    """French words in an order that never comes again; lengths are in tokens of the model that is measured."""

    def __init__(self, reader: PromptReader) -> None:
        self._reader = reader
        self._random = random.Random(SEED)
        self._words = sorted({word for line in written_questions() for word in line.text.split() if word.isalpha()})
        lengths = {word: reader.count(" " + word) for word in self._words}
        self._short = [word for word in self._words if lengths[word] == min(lengths.values())]

    def of_length(self, tokens: int, count: Callable[[str], int] | None = None) -> str:
        """A text that `count` (default: tokens of the text) finds to be `tokens` long, or a few less where no word of
        the vocabulary is as short as what is missing. Raises ValueError where even one word is more."""
        count = count or self._reader.count
        text = self._random.choice(self._short)
        if count(text) > tokens:
            raise ValueError(f"{tokens} tokens do not hold a word: {count(text)} do")
        tries = 0
        while (missing := tokens - count(text)) > 0 and tries < MOST_TRIES:
            step = max(1, missing // 4)
            words = self._words if missing > 4 else self._short
            longer = " ".join([*(self._random.choice(words) for _ in range(step)), text])
            text, tries = (longer, 0) if count(longer) <= tokens else (text, tries + 1)
        return text

    def system(self, shared: int) -> str:
        """A system prompt with which everybody's first `shared` tokens are the same, the chat template's included."""
        return self.of_length(shared, lambda text: self._reader.prompt(text, "?").shared_prefix)
