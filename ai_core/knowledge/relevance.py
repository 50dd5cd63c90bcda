"""How much a question and what was found for it have to do with each other, in 0..1.

The Code mentions much that it is not about: divorce, taxes, the President. A question without a word of working life
must therefore ask for a subject of the Code: half of it must stand in the titles above what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ai_core.knowledge.question import Question
from ai_core.knowledge.term_scores import TermScores

InTitles = Callable[[int, str], bool]
"""Whether a stem stands in the titles of the document at a position."""

RELEVANT = 0.2  # what has less grounds no answer; see SearchHit
OTHER_SUBJECT = 0.42  # factor on what a question without a word about work finds: it needs 0.48 to be relevant
MENTIONED = 0.2  # the same where less than SUBJECT of the question stands in titles: it is never relevant
SUBJECT = 0.5
VAGUE = 3.0  # information (nats) that a question must carry to be taken at its word; "congés" alone carries 2.6


def strength(question: Question, terms: TermScores, best: Sequence[int], in_titles: InTitles) -> float:
    """How much of `question` the documents at `best`, which it found first, have; see SearchHit."""
    covered = max(question.coverage(partial(terms.presence, position), terms.rarity_of) for position in best)
    information = sum(weight * terms.rarity_of(word) for word, weight in question.words.items())
    strong = covered * min(1.0, information / VAGUE)
    if question.about_work():
        return strong
    titled = max(question.coverage(partial(in_titles, position), terms.rarity_of) for position in best)
    return strong * (OTHER_SUBJECT if titled >= SUBJECT else MENTIONED)
