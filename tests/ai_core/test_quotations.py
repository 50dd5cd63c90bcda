"""Answers that can only quote: each one is the law's words under the law's number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ai_core.demo_model import answers
from ai_core.prompts import PromptArticle
from ai_core.quotations import (
    LEAD_IN,
    NOT_IN_ARTICLES,
    NOTHING_FOUND,
    Passage,
    closing,
    possible_answers,
    quotable_units,
    sentences,
    telling_units,
)
from tests.fakes import build_core

LIST = (
    "Le salarié a droit :\n1° A une lampe neuve chaque année ;\n2° A deux lampes neuves la nuit.\n"
    "Il les rend à son départ."
)


def test_a_list_is_quoted_with_what_announces_it() -> None:
    announced, last = quotable_units(LIST)
    assert announced.startswith("Le salarié a droit :")
    assert announced.endswith("la nuit.")
    assert last == "Il les rend à son départ."


def test_a_reference_to_an_article_ends_no_sentence() -> None:
    line = "La pause prévue à l'article L. 9999-1 dure dix minutes. Elle est payée."
    assert sentences(line) == ["La pause prévue à l'article L. 9999-1 dure dix minutes.", "Elle est payée."]


PAUSE = PromptArticle("L9999-2", "Pauses", "La pause dure dix minutes au moins.")
LAMPS = PromptArticle("L9999-1", "Lampes", LIST)


def test_every_answer_quotes_one_article_under_its_own_number() -> None:
    possible = possible_answers([Passage(LAMPS, ""), Passage(PAUSE, "")])
    assert NOT_IN_ARTICLES[0] in possible
    quotes = [answer for answer in possible if answer.startswith("Selon")]
    assert quotes[-1] == "Selon l'article L9999-2 du Code du travail, « La pause dure dix minutes au moins. »"
    assert len(quotes) == 3
    assert all("L9999-1" in answer for answer in quotes[:-1])


def test_the_search_narrows_an_article_down_to_its_telling_passage() -> None:
    (whole_list,) = telling_units(Passage(LAMPS, "2° A deux lampes neuves la nuit."))
    assert whole_list.startswith("Le salarié a droit :")
    assert telling_units(Passage(LAMPS, "Il les rend à son départ.")) == ["Il les rend à son départ."]
    assert len(telling_units(Passage(LAMPS, "Rien de tel…"))) == 2


def test_a_cut_article_ends_its_quote_once() -> None:
    cut = PromptArticle("L9999-3", "Lampes", "Le salarié reçoit une lampe neuve. […]")
    assert possible_answers([Passage(cut)])[0].endswith("« Le salarié reçoit une lampe neuve. »")


def test_an_article_of_one_endless_sentence_is_quoted_by_its_excerpt() -> None:
    endless = PromptArticle("L9999-4", "Lampes", "Le salarié reçoit " + "une lampe, " * 80)
    assert possible_answers([Passage(endless, "Le salarié reçoit une lampe, une…")])[0].endswith(
        "« Le salarié reçoit une lampe, une […] »"
    )


def test_a_sentence_is_preferred_to_a_list_that_only_mentions_the_words() -> None:
    mentioned = Passage(LAMPS, "2° A deux lampes neuves la nuit.")
    said = Passage(PAUSE, "La pause dure dix minutes")
    quotes = [answer for answer in possible_answers([mentioned, said]) if answer.startswith("Selon")]
    assert [PAUSE.number in quote for quote in quotes] == [True]
    assert any(LAMPS.number in answer for answer in possible_answers([mentioned])), "unless there is nothing else"


def test_without_articles_it_can_only_say_so_or_be_polite() -> None:
    possible = possible_answers([])
    assert set(NOTHING_FOUND) < set(possible)
    assert not any("«" in answer and "article L" in answer for answer in possible)


def test_a_quote_that_stops_inside_a_list_says_so() -> None:
    assert closing("2° A deux lampes ;") == " […] »"


def test_the_embedded_model_was_trained_on_these_very_forms() -> None:
    assert LEAD_IN in [form for form, _ in answers.LEAD_INS]


@given(st.text("Aa1°.;: \n", max_size=300))
def test_a_unit_is_a_part_of_its_text(text: str) -> None:
    for unit in quotable_units(text):
        assert unit in text


def test_a_model_that_only_quotes_is_given_the_answers_it_may_give(tmp_path: Path) -> None:
    core = build_core(tmp_path, "Une invention.")
    core.install_code({"L9999-1": "Le salarié qui le demande reçoit une lampe neuve."})
    core.backend.info = replace(core.backend.info, quotes_only=True)
    ask = {"message": "Que dit l'article L9999-1 ?"}
    answer = core.app.test_client().post("/api/v1/chat", json=ask, headers=core.headers("chat")).get_json()
    assert answer["response"] == (
        "Selon l'article L9999-1 du Code du travail, « Le salarié qui le demande reçoit une lampe neuve. »"
    )
    assert answer["citations"] == [{"number": "L9999-1", "status": "verified"}]
    assert answer["parameters_used"]["temperature"] == 0
    warm = core.app.test_client().post("/api/v1/chat", json={**ask, "temperature": 0.7}, headers=core.headers("chat"))
    assert warm.get_json()["parameters_used"]["temperature"] == 0.7, "a client's own wish comes first"
    telegram = core.app.test_client().post(
        "/api/v1/chat", json={**ask, "channel": "telegram"}, headers=core.headers("chat")
    )
    assert telegram.get_json()["parameters_used"]["repetition_penalty"] == 1.0, "what really reached the model"
    refused = core.app.test_client().post(
        "/api/v1/chat", json={**ask, "parameters": {"repetition_penalty": 1.2}}, headers=core.headers("chat")
    )
    assert refused.status_code == 422
    assert "repetition_penalty" in refused.get_json()["errors"]
    core.parts.model.stop()
