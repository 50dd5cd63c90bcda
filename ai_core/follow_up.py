"""What to search for when a question goes on from an earlier one: "Et en CDD ?" after a question on notice."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ai_core.knowledge.words import fold, stems, weak_stems
from ai_core.prompts import Message

ENOUGH_WORDS = 2  # words with a meaning of their own that make a question stand alone
GOES_ON = re.compile(r"\s*(?:et|mais|ou|donc|alors|sinon|aussi|pourquoi|meme|dans ce cas|c'est|ca|cela)\b")
LONGEST_BEFORE = 500  # characters of the earlier question: more would drown the new one


def search_text(question: str, history: Sequence[Message]) -> str:
    """`question`, with what the person asked last before it where it says too little alone."""
    before = next((turn.content for turn in reversed(history) if turn.role == "user"), None)
    if before is None or _stands_alone(question):
        return question
    return f"{question}\n{before[:LONGEST_BEFORE]}"


def _stands_alone(question: str) -> bool:
    meaning = {word for word in stems(question) if word not in weak_stems()}
    return len(meaning) >= ENOUGH_WORDS and GOES_ON.match(fold(question)) is None
