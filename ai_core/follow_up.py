"""What to search for when a question goes on from earlier ones: "Et en CDD ?" after a question on notice."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ai_core.knowledge.words import fold, stems, weak_stems
from ai_core.prompts import Message

ENOUGH_WORDS = 2  # words with a meaning of their own that make a question stand alone
MANY_WORDS = 5  # that make it do so however it begins
GOES_ON = re.compile(r"\s*(?:et|mais|ou|donc|alors|sinon|aussi|pourquoi|meme|dans ce cas|c'est)\b")
POINTS_BACK = re.compile(r"\b(?:ca|cela|celui-ci|celle-ci|dans ce cas|pareil|la meme chose)\b")
MOST_BEFORE = 3  # earlier questions
LONGEST_BEFORE = 500  # characters of an earlier question: more would drown the new one


def search_text(question: str, history: Sequence[Message]) -> str:
    """`question`, with what the person asked before it where it says too little alone: back to a question that does."""
    told = [question]
    for turn in reversed(history):
        if _stands_alone(told[-1]) or len(told) > MOST_BEFORE:
            break
        if turn.role == "user":
            told.append(turn.content[:LONGEST_BEFORE])
    return "\n".join(told)


def _stands_alone(question: str) -> bool:
    meaning = {word for word in stems(question) if word not in weak_stems()}
    folded = fold(question)
    goes_on = GOES_ON.match(folded) or POINTS_BACK.search(folded)
    return len(meaning) >= (MANY_WORDS if goes_on else ENOUGH_WORDS)
