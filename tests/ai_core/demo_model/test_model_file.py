"""The shipped model, run by llama.cpp: honest about itself, and it quotes what it is given. Articles: invented."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ai_core.demo_model.writer import MODEL, Writer
from ai_core.prompts import CHATML_TEMPLATE, SYSTEM_PROMPT, Message, PromptArticle, grounded_message, render

MEGABYTE = 1_000_000
ARTICLES = (
    PromptArticle(
        "L9321-4",
        "Congé pour plantation d'arbres",
        "Tout salarié a droit à un congé pour plantation d'arbres.\n"
        "La durée du congé pour plantation est de trois jours ouvrables par an. Ce congé n'est pas rémunéré.",
    ),
    PromptArticle(
        "R9452-17",
        "Lampes de bureau",
        "L'employeur met une lampe de bureau à la disposition de chaque travailleur de nuit.",
    ),
    PromptArticle(
        "D9100-2",
        "Registre des vélos",
        "L'employeur tient un registre des vélos stationnés dans l'établissement.\n"
        "Le registre est conservé pendant cinq ans.",
    ),
)


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    made = Writer()
    yield made
    made.model.close()


def prompt(user: str) -> str:
    return "".join(s.text for s in render([Message("system", SYSTEM_PROMPT), Message("user", user)], None))


def test_is_small_enough_to_ship() -> None:
    assert MODEL.stat().st_size <= 16 * MEGABYTE


def test_says_what_it_is(writer: Writer) -> None:
    assert "démonstration" in writer.model.metadata["general.name"]
    assert "mistral-7b-instruct" in writer.model.metadata["general.description"]
    assert writer.model.metadata["tokenizer.chat_template"] == CHATML_TEMPLATE
    assert int(writer.model.metadata["qwen2.context_length"]) == 2048


@pytest.mark.parametrize(
    "text", ["L'employé·e", "35 heures — 12,5 %", "🙂👩‍👧 مرحبا 中文", "\t\n  \n x\u00a0y", "e\u0301"]
)
def test_its_tokenizer_loses_nothing(writer: Writer, text: str) -> None:
    tokens = writer.model.tokenize(text.encode(), add_bos=False, special=False)
    assert writer.model.detokenize(tokens).decode() == text


def test_digits_are_tokens_of_their_own(writer: Writer) -> None:
    assert len(writer.model.tokenize(b"31427", add_bos=False, special=False)) == 5


@pytest.mark.parametrize(
    ("question", "number", "words"),
    [
        ("Quelle est la durée du congé pour plantation ?", "L9321-4", "congé pour plantation"),
        ("Qui doit fournir une lampe de bureau ?", "R9452-17", "lampe de bureau"),
        ("Que dit la loi sur le registre des vélos ?", "D9100-2", "registre"),
    ],
)
def test_quotes_the_article_that_the_search_put_first(writer: Writer, question: str, number: str, words: str) -> None:
    shown = sorted(ARTICLES, key=lambda article: article.number != number)
    message = grounded_message(question, shown)
    said = writer.held_to_quotes(prompt(message), shown, temperature=0)
    quotes = re.findall(r"« (.*?)(?: \[…\])? »", said, re.DOTALL)
    assert quotes
    assert all(quote in message for quote in quotes)
    assert number in said
    assert words in said


def test_left_free_it_says_when_nothing_was_found(writer: Writer) -> None:
    said, ended = writer.free(prompt(grounded_message("Quelle est la durée du congé lunaire ?", [])), temperature=0)
    assert ended
    assert "ucun article" in said


def test_left_free_it_quotes_a_short_article(writer: Writer) -> None:
    message = grounded_message("Que dit l'article R9452-17 ?", ARTICLES[1:2])
    said, ended = writer.free(prompt(message), temperature=0)
    assert ended
    assert "R9452-17" in said
    assert ARTICLES[1].text in said


@pytest.mark.parametrize("user", ["Bonjour", grounded_message("Bonjour", [])])
def test_greets(writer: Writer, user: str) -> None:
    said, ended = writer.free(prompt(user), temperature=0)
    assert ended
    assert "intelligence artificielle" in said
