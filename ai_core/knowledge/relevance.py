"""How much a question and what was found for it have to do with each other, in 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ai_core.knowledge.question import Question
from ai_core.knowledge.term_scores import TermScores

RELEVANT = 0.2  # what has less grounds no answer; see SearchHit
OTHER_SUBJECT = 0.42  # factor on what a question without a word about work finds: it needs 0.48 to be relevant
VAGUE = 3.0  # information (nats) that a question must carry to be taken at its word; "congés" alone carries 2.6


def strength(question: Question, terms: TermScores, best: Sequence[int]) -> float:
    """How much of `question` the documents at `best`, which it found first, have; see SearchHit."""
    covered = max(question.coverage(partial(terms.presence, position), terms.rarity_of) for position in best)
    information = sum(weight * terms.rarity_of(word) for word, weight in question.words.items())
    return covered * min(1.0, information / VAGUE) * (1.0 if question.about_work() else OTHER_SUBJECT)
