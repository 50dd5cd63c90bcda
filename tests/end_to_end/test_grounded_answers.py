"""The main job: a legal question in, an answer with its sources out, with the real Code and the embedded model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.corpus import legi_package
from tests.end_to_end.server import Server

QUOTED = re.compile(r"«\s*(.+?)\s*(?:\[…\]\s*)?»", re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("grounded"))
    printed = running.command("knowledge", "update", "--from", str(legi_package()))
    assert "Active revision: " in printed
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.new_key("chat")


def article_text(server: Server, key: str, number: str) -> str:
    body = server.get(f"/api/v1/knowledge/articles/{quote(number)}", {"X-API-Key": key})
    return " ".join(str(body["text"]).split())


@pytest.mark.parametrize(
    ("question", "article"),
    [
        ("Quelle est la durée légale du travail ?", "L3121-27"),
        ("Quel est le préavis en cas de démission ?", "L1237-1"),
        ("Quelle est la durée de la période d'essai d'un ouvrier ?", "L1221-19"),
        ("Qu'est-ce que le harcèlement moral ?", "L1152-1"),
    ],
)
def test_a_question_is_answered_from_the_article_that_settles_it(
    server: Server, key: str, question: str, article: str
) -> None:
    status, answer = server.post("/api/v1/chat", {"message": question, "temperature": 0}, key)
    assert status == 200
    assert answer["grounded"] is True
    numbers = [source["number"] for source in answer["sources"]]
    assert article in numbers
    for source in answer["sources"]:
        assert source["url"].startswith("https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI")
        assert article_text(server, key, source["number"])
    assert answer["finish_reason"] == "stop"
    assert len(answer["response"].split()) >= 8
    assert answer["citations"], "the answer names its article"
    assert all(citation["status"] == "verified" for citation in answer["citations"])


@pytest.mark.parametrize(
    ("question", "article", "words"),
    [
        ("Quelle est la durée légale du travail ?", "L3121-27", "trente-cinq heures par semaine"),
        ("Quel est le préavis en cas de démission ?", "L1237-1", "la durée du préavis sont fixées par la loi"),
    ],
)
def test_the_questions_that_everybody_asks_get_the_law_itself(
    server: Server, key: str, question: str, article: str, words: str
) -> None:
    _, answer = server.post("/api/v1/chat", {"message": question}, key)
    assert answer["citations"] == [{"number": article, "status": "verified"}]
    assert words in answer["response"]


def test_what_the_answer_quotes_stands_in_a_source(server: Server, key: str) -> None:
    body = {"message": "Quelle est la durée légale du travail ?", "temperature": 0}
    _, answer = server.post("/api/v1/chat", body, key)
    texts = [article_text(server, key, source["number"]) for source in answer["sources"]]
    quoted = QUOTED.findall(answer["response"])
    assert quoted
    for passage in quoted:
        assert any(" ".join(passage.split()) in text for text in texts), passage


@pytest.mark.parametrize("spelling", ["art. L. 3121-27 ?", "l3121-27", "Que dit l'article L 3121–27 ?"])
def test_a_number_in_any_spelling_is_the_first_source(server: Server, key: str, spelling: str) -> None:
    _, answer = server.post("/api/v1/chat", {"message": spelling}, key)
    assert answer["sources"][0]["number"] == "L3121-27"


def test_a_number_that_does_not_exist_is_never_a_source(server: Server, key: str) -> None:
    _, answer = server.post("/api/v1/chat", {"message": "Que dit l'article L9999-1 ?"}, key)
    assert "L9999-1" not in [source["number"] for source in answer["sources"]]
    for citation in answer["citations"]:
        assert citation["number"] != "L9999-1" or citation["status"] == "unknown"


def test_a_question_about_something_else_has_no_source_and_says_so(server: Server, key: str) -> None:
    _, answer = server.post("/api/v1/chat", {"message": "Quelle est la recette de la tarte aux pommes ?"}, key)
    assert answer["sources"] == []
    assert answer["grounded"] is False
    assert "Aucun article" in answer["notice"]


def test_a_stream_names_its_sources_before_its_first_word(server: Server, key: str) -> None:
    events = list(server.stream({"message": "Combien de congés payés par mois ?"}, key).events())
    assert events[0][0] == "sources"
    assert events[0][1]["sources"]
    done = events[-1]
    assert done[0] == "done"
    assert done[1]["sources"] == events[0][1]["sources"]
    assert "".join(data["text"] for name, data in events if name == "token").strip() == done[1]["response"]


def test_the_code_can_be_searched_and_read(server: Server, key: str) -> None:
    headers = {"X-API-Key": key}
    found = server.get(f"/api/v1/knowledge/search?q={quote('travail de nuit')}&limit=3", headers)["results"]
    assert len(found) == 3
    assert all("nuit" in (hit["excerpt"] + hit["title"] + " ".join(hit["section"])).lower() for hit in found)
    article = server.get(f"/api/v1/knowledge/articles/{quote('art. L. 3121-27')}", headers)
    assert article["number"] == "L3121-27"
    assert "trente-cinq heures" in article["text"]
    assert server.get("/api/v1/knowledge/articles/L9999-1", headers)["code"] == "unknown_article"


def test_readiness_names_the_revision(server: Server) -> None:
    readiness = server.readiness()
    assert readiness["status"] == "ready"
    assert "articles, revision " in readiness["components"]["knowledge"]["detail"]


def test_an_update_to_the_same_package_changes_nothing_while_it_serves(server: Server, key: str) -> None:
    assert "Nothing changed" in server.command("knowledge", "update", "--from", str(legi_package()))
    status, answer = server.post("/api/v1/chat", {"message": "art. L3121-27"}, key)
    assert (status, answer["sources"][0]["number"]) == (200, "L3121-27")
