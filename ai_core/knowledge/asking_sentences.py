"""The sentences of a long question: a letter tells a story, and one of its sentences asks."""

from __future__ import annotations

import re

from ai_core.knowledge.words import stems

LONG = 25  # words with a meaning: a question of so many is a letter
LEAST = 2  # words with a meaning of a sentence that may be what is asked
MOST = 12  # sentences looked at; those that ask first, then the last ones

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")


def sentences_to_try(question: str) -> list[str]:
    """Sentences of a long question that may be what is asked, likeliest first; none for a short one."""
    if len(stems(question)) < LONG:
        return []
    sentences = [part.strip() for part in _SENTENCE_END.split(question)]
    telling = [sentence for sentence in sentences if len(stems(sentence)) >= LEAST]
    asking = [sentence for sentence in telling if sentence.rstrip(" »\"'").endswith("?")]
    others = [sentence for sentence in reversed(telling) if sentence not in asking]
    return [*asking, *others][:MOST]
