from __future__ import annotations

import pytest

from ai_core.knowledge.asking_sentences import LONG, MOST, sentences_to_try
from ai_core.knowledge.base import KnowledgeBase

LETTER = """Je travaille depuis huit ans comme vendeuse dans un magasin de chaussures du centre commercial, à Toulouse.
Mon responsable a changé au printemps, et depuis cette date l'ambiance est devenue très difficile pour toute l'équipe.
J'ai trouvé un autre emploi plus près de chez moi, avec des horaires qui me laissent chercher mes enfants à l'école.
Mon nouveau patron voudrait que je commence le mois prochain. Quel est le préavis en cas de démission ?
Je vous remercie par avance de votre aide et vous souhaite une bonne fin de semaine."""


def test_a_short_question_is_taken_whole() -> None:
    assert sentences_to_try("Quel est le préavis de démission ?") == []


def test_of_a_letter_the_sentences_that_ask_come_first() -> None:
    sentences = sentences_to_try(LETTER)
    assert sentences[0] == "Quel est le préavis en cas de démission ?"
    assert len(sentences) > 3
    assert all(sentence in LETTER for sentence in sentences)


@pytest.mark.parametrize("text", ["mot " * 5_000, "Une phrase de dix mots utiles chaque fois. " * 500, "? " * 1_000])
def test_however_long_few_are_tried(text: str) -> None:
    assert len(sentences_to_try(text)) <= MOST
    assert LONG > 1


def test_a_letter_finds_what_its_question_finds(real_base: KnowledgeBase) -> None:
    found = [hit.article.number for hit in real_base.relevant(LETTER, limit=4)]
    assert "L1237-1" in found
