"""Citations are checked against the Code whether or not it was searched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import Core, build_core


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    built = build_core(tmp_path, "Voir les articles L. 9999-1, L1234-1 et L8888-8.")
    built.install_code({"L9999-1": "Le salarié reçoit une lampe.", "L1234-1": "Le préavis dure un mois."})
    yield built
    built.parts.model.stop()


def ask(core: Core, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (
        core.app.test_client().post("/api/v1/chat", json=body, headers=core.headers("chat")).get_json()
    )
    return answer


def test_numbers_are_verified_exist_or_are_unknown(core: Core) -> None:
    answer = ask(core, message="Que dit l'article L9999-1 ?")
    assert answer["grounded"] is True
    assert [source["number"] for source in answer["sources"]] == ["L9999-1"]
    assert answer["citations"] == [
        {"number": "L9999-1", "status": "verified"},
        {"number": "L1234-1", "status": "exists"},
        {"number": "L8888-8", "status": "unknown"},
    ]


def test_without_a_search_they_are_still_checked(core: Core) -> None:
    answer = ask(core, message="Que dit l'article L9999-1 ?", grounding=False)
    assert answer["sources"] == []
    assert answer["notice"] is None
    assert [citation["status"] for citation in answer["citations"]] == ["exists", "exists", "unknown"]


def test_the_articles_found_are_in_the_prompt_and_the_others_are_not(core: Core) -> None:
    ask(core, message="Que dit l'article L9999-1 ?")
    assert "[L9999-1] Lampes\nLe salarié reçoit une lampe.\n\nQuestion : ".encode() in core.prompt_bytes()
    assert b"[L1234-1]" not in core.prompt_bytes()


def test_a_question_about_nothing_in_the_code_says_so(core: Core) -> None:
    answer = ask(core, message="xyzzy plugh")
    assert answer["grounded"] is False
    assert "Aucun article" in answer["notice"]
    assert b"Aucun article du Code du travail ne correspond" in core.prompt_bytes()


def test_a_code_imported_while_it_serves_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_core.knowledge.current.LOOK_EVERY", 0.0)
    core = build_core(tmp_path)
    assert "sans source" in ask(core, message="L9999-1")["notice"]
    core.install_code({"L9999-1": "Le salarié reçoit une lampe."})
    assert ask(core, message="L9999-1")["sources"][0]["number"] == "L9999-1"
    core.install_code({"L9999-1": "Le salarié reçoit deux lampes."})
    assert "deux lampes" in ask(core, message="L9999-1")["sources"][0]["excerpt"]
    core.parts.model.stop()
