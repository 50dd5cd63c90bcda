"""A question that goes on from an earlier one is searched for with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_core.follow_up import search_text
from ai_core.prompts import Message
from tests.fakes import build_core

BEFORE = (Message("user", "Quel est le préavis de démission ?"), Message("assistant", "Selon l'article..."))


@pytest.mark.parametrize(
    "question", ["Et en CDD ?", "et pour un cadre avec dix ans d'ancienneté ?", "Combien ?", "Sinon ?"]
)
def test_what_says_too_little_alone_takes_the_earlier_question_in(question: str) -> None:
    found = search_text(question, BEFORE)
    assert found.startswith(question)
    assert "préavis" in found


@pytest.mark.parametrize("question", ["Quelle est la durée légale du travail ?", "Harcèlement sexuel au bureau"])
def test_a_question_that_stands_alone_is_left_as_it_is(question: str) -> None:
    assert search_text(question, BEFORE) == question


@pytest.mark.parametrize("question", ["Est-ce que ça change à temps partiel ?", "Pareil pour les apprentis mineurs ?"])
def test_what_points_back_takes_the_earlier_question_in(question: str) -> None:
    assert search_text(question, BEFORE) == f"{question}\n{BEFORE[0].content}"


def test_a_long_question_stands_alone_however_it_begins() -> None:
    question = "Et quelles sont les conditions du congé parental d'éducation à temps partiel ?"
    assert search_text(question, BEFORE) == question


def test_a_chain_of_questions_leads_back_to_the_one_that_says_what_it_is_about() -> None:
    history = (Message("user", "Le smic horaire des apprentis ?"), *BEFORE, Message("user", "Et en CDD ?"))
    found = search_text("Et pour un cadre ?", (*history, Message("user", "merci")))
    assert found.splitlines() == ["Et pour un cadre ?", "merci", "Et en CDD ?", "Quel est le préavis de démission ?"]


def test_a_long_chain_is_not_followed_for_ever() -> None:
    history = [Message("user", f"Et {number} ?") for number in range(10)]
    assert search_text("Et alors ?", history) == "Et alors ?\nEt 9 ?\nEt 8 ?\nEt 7 ?"


def test_without_an_earlier_question_there_is_nothing_to_take_in() -> None:
    assert search_text("Et en CDD ?", ()) == "Et en CDD ?"
    assert search_text("Et en CDD ?", (Message("assistant", "Bonjour."),)) == "Et en CDD ?"


def test_the_sources_of_a_follow_up_are_about_the_conversation(tmp_path: Path) -> None:
    core = build_core(tmp_path)
    core.install_code({"L1-1": "La durée du préavis de démission est d'un mois.", "L1-2": "La fenêtre est ouverte."})
    context = [{"role": "user", "content": "Que dit l'article L1-1 ?"}, {"role": "assistant", "content": "Un mois."}]
    client, headers = core.app.test_client(), core.headers()
    alone = client.post("/api/v1/chat", json={"message": "Combien ?"}, headers=headers).get_json()
    after = client.post("/api/v1/chat", json={"message": "Combien ?", "context": context}, headers=headers).get_json()
    assert alone["sources"] == []
    assert [source["number"] for source in after["sources"]][:1] == ["L1-1"]
    source = after["sources"][0]
    assert source["section"]
    assert (source["state"], source["in_force_from"], source["in_force_until"]) == ("in_force", None, None)
    core.parts.model.stop()
