"""The examples have the form that grounding produces, and what is held out is never an answer in training."""

from __future__ import annotations

import random

import pytest

from ai_core import quotations
from ai_core.demo_model.corpus import LawArticle
from ai_core.demo_model.examples import Examples, frame, is_held_out, quote, show
from ai_core.demo_model.questions import ask, by_number, content_words, written_questions
from ai_core.prompts import CUT_MARK, PromptArticle, grounded_message


def lamp_article(at: int) -> LawArticle:
    sentence = f"L'employeur remet la lampe numéro {at} au salarié dans un délai de {at} jours après son arrivée."
    other = f"Le salarié conserve la lampe numéro {at} pendant toute la durée de son contrat de travail."
    return LawArticle(f"L9999-{at}", f"Lampe {at}", f"{sentence} {other}", (sentence, other))


ARTICLES = [lamp_article(at) for at in range(1, 120)]
NEIGHBOURS = [[(at + 1) % len(ARTICLES)] for at in range(len(ARTICLES))]


@pytest.fixture
def chance() -> random.Random:
    return random.Random(5)


def test_the_prompt_is_the_one_that_grounding_makes(chance: random.Random) -> None:
    shown = [PromptArticle("L9999-1", "Lampes", "Une lampe.")]
    before, after = frame(shown, chance)
    assert grounded_message("Quoi ?", shown) in f"{before}Quoi ?{after}"
    assert after == "<|im_end|>\n<|im_start|>assistant\n"


def test_every_quote_stands_in_its_prompt(chance: random.Random) -> None:
    source = Examples(ARTICLES, NEIGHBOURS, held_out=False)
    for _ in range(100):
        example = source.draw(chance)
        for branch in example.branches:
            if branch.decided:
                quoted = branch.answer[branch.decided :].split(" »")[0].removesuffix(" […]")
                assert quoted in example.before


def test_held_out_articles_are_apart() -> None:
    kept, used = (Examples(ARTICLES, NEIGHBOURS, held_out=apart) for apart in (True, False))
    assert kept.seeds
    assert not set(kept.seeds) & set(used.seeds)
    assert all(is_held_out(ARTICLES[at]) for at in kept.seeds)


def test_a_long_article_is_cut_at_a_sentence(chance: random.Random) -> None:
    shown = show(ARTICLES[0], budget=len(ARTICLES[0].text) - 5)
    assert shown.text == ARTICLES[0].units[0] + CUT_MARK
    assert shown.units == ARTICLES[0].units[:1]


def test_a_quote_that_stops_inside_a_list_says_so(chance: random.Random) -> None:
    assert "» " in f"{quote('?', 'L1', 'Une lampe.', chance).answer} "
    assert "Une lampe ; […] »" in quote("?", "L1", "Une lampe ;", chance).answer


def test_made_questions_share_words_with_their_sentence(chance: random.Random) -> None:
    unit = ARTICLES[6].units[0]
    asked = [ask(unit, (), chance) for _ in range(200)]
    assert len(set(asked)) > 60
    assert sum(bool(content_words(question) & content_words(unit)) for question in asked) > 170


@pytest.mark.parametrize("number", ["L1234-5", "R*1234-5"])
def test_questions_by_number_name_the_number(number: str, chance: random.Random) -> None:
    assert all("1234-5" in by_number(number, chance) for _ in range(20))


def test_written_questions_are_complete() -> None:
    written = written_questions()
    assert len(written) >= 150
    assert len({question.text for question in written}) == len(written)
    assert all(question.text and question.number and question.anchor for question in written)


def test_small_talk_says_that_it_is_a_machine() -> None:
    assert any("intelligence artificielle" in text for text in quotations.HELLO)
    assert any("pas de conseil juridique" in text for text in quotations.WHO_I_AM)
