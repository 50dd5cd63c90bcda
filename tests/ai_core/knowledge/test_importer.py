"""An update switches revisions whole or not at all, and says what it does."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import peewee
import pytest

from ai_core.knowledge import importer
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.errors import KnowledgeError, KnowledgeMissing, PackageInvalid, UpdateRunning
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.lock import update_lock
from ai_core.knowledge.places import index_directory, knowledge_directory
from ai_core.storage import KnowledgeArticle, KnowledgeRevision
from tests.ai_core.knowledge.small_code import article, code, section, write_json, write_package

OTHER_CODE = code(section("Chapitre Ier : Durée", article("L9500-1", "<p>La semaine a six jours.</p>")))


def update(database: peewee.Database, data_dir: Path, source: Path | None) -> str:
    return importer.update(database, data_dir, source, progress=lambda _: None)


def test_an_import_is_loaded_as_it_was_read(database: peewee.Database, tmp_path: Path) -> None:
    revision = update(database, tmp_path, write_package(tmp_path / "legi.tgz"))
    base = KnowledgeBase.load(database, tmp_path)
    assert base.revision == revision
    assert revision.startswith("1.2.3-")
    assert len(base) == 13
    found = base.article("L. 9102-1")
    assert found is not None
    assert found.title == "Rupture du contrat à durée indéterminée"
    assert found.section_path[0] == "Partie législative"
    assert found.text.endswith("La lettre est signée.")
    repealed = base.article("L9102-9")
    assert repealed is not None
    assert repealed.state == "repealed"
    assert repealed.in_force_until is not None
    assert base.search("préavis de démission")[0].article.number == "L9102-2"


def test_without_an_import_there_is_nothing_to_load(database: peewee.Database, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeMissing):
        KnowledgeBase.load(database, tmp_path)


def test_the_same_package_changes_nothing_and_says_so(database: peewee.Database, tmp_path: Path) -> None:
    package = write_package(tmp_path / "legi.tgz")
    first = update(database, tmp_path, package)
    lines: list[str] = []
    assert importer.update(database, tmp_path, package, progress=lines.append) == first
    assert "Nothing changed" in lines[-1]
    assert KnowledgeRevision.select().count() == 1


def test_progress_is_told_step_by_step(database: peewee.Database, tmp_path: Path) -> None:
    lines: list[str] = []
    importer.update(database, tmp_path, write_package(tmp_path / "legi.tgz"), progress=lines.append)
    assert lines[0] == "Reading legi.tgz ..."
    assert any("13 articles" in line for line in lines)
    assert lines[-1].endswith("is active.")


def test_a_new_package_takes_over(database: peewee.Database, tmp_path: Path) -> None:
    update(database, tmp_path, write_package(tmp_path / "old.tgz"))
    revision = update(database, tmp_path, write_package(tmp_path / "new.tgz", OTHER_CODE, version="2.0.0"))
    base = KnowledgeBase.load(database, tmp_path)
    assert (base.revision, len(base)) == (revision, 1)
    assert KnowledgeRevision.select().where(KnowledgeRevision.active).count() == 1


def test_old_revisions_are_cleared_away(database: peewee.Database, tmp_path: Path) -> None:
    first = update(database, tmp_path, write_package(tmp_path / "1.tgz"))
    update(database, tmp_path, write_package(tmp_path / "2.tgz", OTHER_CODE, version="2.0.0"))
    update(database, tmp_path, write_package(tmp_path / "3.tgz", OTHER_CODE, version="3.0.0-beta"))
    kept = {row.revision for row in KnowledgeRevision.select()}
    # The third has the code of the second, under another version.
    assert first not in kept
    assert KnowledgeArticle.select().where(KnowledgeArticle.revision == first).count() == 0
    assert not index_directory(tmp_path, first).exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x1f\x8bnoise"])
def test_a_bad_file_leaves_the_earlier_revision(database: peewee.Database, tmp_path: Path, content: bytes) -> None:
    revision = update(database, tmp_path, write_package(tmp_path / "legi.tgz"))
    bad = tmp_path / "bad.tgz"
    bad.write_bytes(content)
    with pytest.raises(PackageInvalid, match=r"bad\.tgz"):
        update(database, tmp_path, bad)
    assert KnowledgeBase.load(database, tmp_path).revision == revision


def test_a_failure_while_storing_leaves_the_earlier_revision(
    database: peewee.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = update(database, tmp_path, write_package(tmp_path / "legi.tgz"))

    def full(*_: object, **__: object) -> None:
        raise peewee.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(KnowledgeRevision, "create", full)
        with pytest.raises(KnowledgeError, match="disk is full"):
            update(database, tmp_path, write_package(tmp_path / "new.tgz", OTHER_CODE, version="2.0.0"))
    base = KnowledgeBase.load(database, tmp_path)
    assert (base.revision, len(base)) == (revision, 13)
    # And the next try succeeds.
    assert update(database, tmp_path, tmp_path / "new.tgz") != revision


def test_a_full_disk_is_said_before_anything_is_written(
    database: peewee.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    with pytest.raises(KnowledgeError, match="free"):
        update(database, tmp_path, write_package(tmp_path / "legi.tgz"))


def test_a_second_update_at_the_same_time_is_refused(database: peewee.Database, tmp_path: Path) -> None:
    package = write_package(tmp_path / "legi.tgz")
    knowledge_directory(tmp_path).mkdir(parents=True)
    with update_lock(knowledge_directory(tmp_path)), pytest.raises(UpdateRunning):
        update(database, tmp_path, package)
    assert update(database, tmp_path, package)


def test_what_a_killed_update_left_is_cleared(database: peewee.Database, tmp_path: Path) -> None:
    leftover = knowledge_directory(tmp_path) / ".building-x"
    leftover.mkdir(parents=True)
    (leftover / "terms.npy").touch()
    update(database, tmp_path, write_package(tmp_path / "legi.tgz"))
    assert not leftover.exists()


def test_a_data_directory_that_cannot_be_written_is_one_clear_error(database: peewee.Database, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KnowledgeError, match="file"):
        update(database, tmp_path / "file", write_package(tmp_path / "legi.tgz"))


@pytest.mark.parametrize("harm", ["missing", "cut", "other-rules"])
def test_an_index_that_cannot_be_used_is_built_again(database: peewee.Database, tmp_path: Path, harm: str) -> None:
    revision = update(database, tmp_path, write_json(tmp_path / "code.json"))
    directory = index_directory(tmp_path, revision)
    if harm == "missing":
        shutil.rmtree(directory)
    elif harm == "cut":
        (directory / "terms.added.npy").write_bytes(b"\x93NUMPY")
    else:
        (directory / "index.json").write_text(json.dumps({"format": 0}))
    assert KnowledgeBase.load(database, tmp_path).search("démission")
    assert SearchIndex.load(directory, 13) is not None


def test_articles_that_went_missing_are_noticed(database: peewee.Database, tmp_path: Path) -> None:
    package = write_package(tmp_path / "legi.tgz")
    update(database, tmp_path, package)
    KnowledgeArticle.delete().where(KnowledgeArticle.number == "L9101-1").execute()
    with pytest.raises(KnowledgeMissing, match="12 of 13"):
        KnowledgeBase.load(database, tmp_path)
    update(database, tmp_path, package)
    assert len(KnowledgeBase.load(database, tmp_path)) == 13
