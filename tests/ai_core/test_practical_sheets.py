"""A practical sheet helps an answer beside the articles; the law stays what is cited and verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from ai_core.answer import Answer, Question
from ai_core.cli import main
from ai_core.grounding import SHEET_SHARE, fit_sheet, source_of_sheet
from ai_core.jobs import update_knowledge
from ai_core.knowledge import importer, sheet_importer
from ai_core.knowledge.article import Article
from ai_core.knowledge.sheet import Sheet, SheetPart
from ai_core.knowledge.sheet_base import SheetBase
from ai_core.knowledge.sheet_search import SheetHit
from ai_core.prompts import sheet_block
from tests.ai_core.knowledge.small_code import write_package
from tests.ai_core.knowledge.small_sheets import write_sheets
from tests.fakes import Core, build_core

QUESTION = "Quel est le préavis en cas de démission ?"
ANSWER = (
    "Neuf jours (article L9102-2), comme la fiche F2883 le dit ; voir aussi l'article L9101-1 et l'article L9999-1."
)


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Core]]:
    """Builds a core with the small code and the small sheets; `variables` are settings."""
    cores: list[Core] = []

    def make(**variables: str) -> Core:
        core = build_core(tmp_path / "data", ANSWER, **variables)  # type: ignore[arg-type] # settings, by their names
        cores.append(core)
        database, data_dir = core.parts.database, core.settings.data_dir
        importer.update(database, data_dir, write_package(tmp_path / "legi.tgz"), progress=lambda _: None)
        sheet_importer.update(database, data_dir, write_sheets(tmp_path / "fiches.tgz"), progress=lambda _: None)
        return core

    yield make
    for core in cores:
        core.parts.model.stop()


def ask(core: Core, question: str) -> Answer:
    answers = [event for event in core.parts.assistant.ask(Question(question)).events() if isinstance(event, Answer)]
    return answers[-1]


def search(core: Core, **query: str) -> TestResponse:
    address = "/api/v1/knowledge/search"
    return core.app.test_client().get(address, query_string={"q": QUESTION, **query}, headers=core.headers())


def test_the_model_reads_the_sheet_after_the_articles(build: Callable[..., Core]) -> None:
    core = build(PRACTICAL_SHEETS="true")
    ask(core, QUESTION)
    read = core.prompt_bytes().decode()
    assert read.index("[L9102-2]") < read.index("[Fiche F2883] Quitter son travail > CDI > Préavis")
    assert "(mise à jour : 2020-08-21)" in read
    assert read.index("[Fiche F2883]") < read.index(f"Question : {QUESTION}")


def test_a_sheet_that_the_law_has_overtaken_says_so_to_the_model_and_to_people() -> None:
    day = date(2020, 8, 21)
    newer = Article("L1-1", "LEGIARTI1", "Objet", (), "Texte.", "", "in_force", date(2021, 1, 1), None)
    sheet = Sheet("F1", "particuliers", "Titre", (), (), (), day)
    hit = SheetHit(sheet, SheetPart("", "Une phrase."), 0.5, "Une phrase.", (newer, replace(newer, in_force_from=day)))
    fitted = fit_sheet(hit, 4_000, len)
    assert fitted is not None
    assert "[Fiche F1] Titre (mise à jour : 2020-08-21 ; modifiés depuis : L1-1)\nUne phrase." in sheet_block(fitted[0])
    source = source_of_sheet(hit)
    assert (source.changed, source.articles) == (("L1-1",), ("L1-1", "L1-1"))
    assert (
        source.label
        == "Fiche pratique de service-public.fr : Titre (mise à jour du 21/08/2020, la loi a changé depuis)"
    )


def test_the_sheet_is_a_source_that_names_its_articles(build: Callable[..., Core]) -> None:
    sources = ask(build(PRACTICAL_SHEETS="true"), QUESTION).sources
    assert [source.kind for source in sources[:-1]] == ["article"] * (len(sources) - 1)
    sheet = sources[-1]
    assert (sheet.kind, sheet.number, sheet.title) == ("fiche", "F2883", "Quitter son travail")
    assert sheet.url == "https://www.service-public.fr/particuliers/vosdroits/F2883"
    assert sheet.updated == "2020-08-21"
    assert sheet.articles == ("L9102-2", "L9101-1", "L9101-3", "L9101-2")
    assert "neuf jours" in sheet.excerpt


def test_only_articles_verify_citations(build: Callable[..., Core]) -> None:
    answer = ask(build(PRACTICAL_SHEETS="true", GROUNDING_ARTICLES="1"), QUESTION)
    assert [source.number for source in answer.sources] == ["L9102-2", "F2883"]
    # L9101-1 is named by the sheet, but its text was not read.
    assert {citation.number: citation.status for citation in answer.citations} == {
        "L9102-2": "verified",
        "L9101-1": "exists",
        "L9999-1": "unknown",
    }


def test_sheets_take_no_part_unless_they_are_asked_for(build: Callable[..., Core]) -> None:
    core = build()
    assert {source.kind for source in ask(core, QUESTION).sources} == {"article"}


def test_a_sheet_alone_grounds_no_answer(build: Callable[..., Core]) -> None:
    core = build(PRACTICAL_SHEETS="true")
    base = core.parts.knowledge.get()
    assert base is not None
    question = "travail : dimanche compte"
    assert base.relevant(question) == []
    assert [hit.sheet.number for hit in base.relevant_sheets(question)] == ["F2883"]
    answer = ask(core, question)
    assert (answer.grounded, answer.sources) == (False, ())


def test_a_search_says_which_kind_each_result_is(build: Callable[..., Core]) -> None:
    core = build(PRACTICAL_SHEETS="true")

    def kinds(**query: str) -> list[str]:
        response = search(core, **query)
        assert response.status_code == 200
        return [result["kind"] for result in response.get_json()["results"]]

    assert set(kinds()) == {"article", "fiche"}
    assert set(kinds(kind="fiche")) == {"fiche"}
    assert set(kinds(kind="article")) == {"article"}
    assert len(kinds(limit="1")) == 1


def test_without_sheets_a_search_for_them_finds_nothing(build: Callable[..., Core]) -> None:
    response = search(build(), kind="fiche")
    assert (response.status_code, response.get_json()["results"]) == (200, [])


def test_a_sheet_takes_its_share_of_the_room_and_no_more() -> None:
    sheet = Sheet("F1", "particuliers", "Titre", (), (), (), None)
    hit = SheetHit(sheet, SheetPart("Partie", "Une phrase. " * 100), 0.5, "")
    assert fit_sheet(hit, 400, len) is None  # too little to say something
    for budget in (1_200, 3_000, 20_000):
        fitted = fit_sheet(hit, budget, len)
        assert fitted is not None
        told, taken = fitted
        assert (told.number, told.title) == ("F1", "Titre > Partie")
        assert len(f"{sheet_block(told)}\n\n") == taken <= budget * SHEET_SHARE
        assert (told.text == hit.part.text) == (budget == 20_000)


def test_the_command_line_imports_and_searches_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    assert main(["knowledge", "update", "--from", str(write_package(tmp_path / "legi.tgz"))]) == 0
    assert main(["knowledge", "search", "--sheets", "préavis"]) == 1
    assert "ai-core knowledge update --sheets" in capsys.readouterr().err
    assert main(["knowledge", "update", "--sheets", "--from", str(write_sheets(tmp_path / "fiches.tgz"))]) == 0
    assert "PRACTICAL_SHEETS=true" in capsys.readouterr().out
    assert main(["knowledge", "search", "--sheets", "préavis de démission"]) == 0
    assert "F2883        Quitter son travail > CDI > Préavis" in capsys.readouterr().out
    assert main(["knowledge", "status"]) == 0
    assert "2 practical sheets" in capsys.readouterr().out


def test_the_daily_update_brings_both(tmp_path: Path) -> None:
    core = build_core(
        tmp_path / "data",
        started=False,
        PRACTICAL_SHEETS="true",
        KNOWLEDGE_FILE=str(write_package(tmp_path / "legi.tgz")),
        SHEETS_FILE=str(write_sheets(tmp_path / "fiches.tgz")),
    )
    update_knowledge(core.settings, core.parts.database)
    assert len(SheetBase.load(core.parts.database, core.settings.data_dir)) == 2
