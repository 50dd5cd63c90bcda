"""Brings a new revision of the practical sheets in, as importer.py does the Code: beside the one that serves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import peewee

from ai_core.knowledge.importer import KEPT_REVISIONS, ROWS_AT_ONCE, Progress
from ai_core.knowledge.places import package_directory, sheet_index_directory
from ai_core.knowledge.registry import fetch_package
from ai_core.knowledge.sheet_package import PACKAGE, SheetFile, read_sheets
from ai_core.knowledge.sheet_search import sheet_index
from ai_core.knowledge.update_session import forget_packages, update_session
from ai_core.storage import KnowledgeSheet, SheetRevision


def update(database: peewee.Database, data_dir: Path, source: Path | None = None, progress: Progress = print) -> str:
    """Import the npm package `source` (None brings the newest) and return the revision.

    Raises KnowledgeError; what was active before then still is. The same package twice changes nothing.
    """
    with update_session(database, data_dir):
        package = source if source is not None else fetch_package(package_directory(data_dir), progress, PACKAGE)
        revision = _import(package, data_dir, progress)
        if source is None:
            forget_packages(package, PACKAGE)
        return revision


def _import(package: Path, data_dir: Path, progress: Progress) -> str:
    progress(f"Reading {package.name} ...")
    file = read_sheets(package)
    if _is_active(file):
        progress(f"Nothing changed: revision {file.revision} of the sheets is active already.")
        return file.revision
    newest = max((sheet.updated for sheet in file.sheets if sheet.updated is not None), default=None)
    progress(f"{len(file.sheets)} practical sheets name articles of the Code du travail, the newest of {newest}.")
    sheet_index(file.sheets).save(sheet_index_directory(data_dir, file.revision))
    _store(file)
    _forget_revisions(data_dir)
    progress(f"Revision {file.revision} of the sheets is active.")
    return file.revision


def _is_active(file: SheetFile) -> bool:
    active = SheetRevision.get_or_none(SheetRevision.revision == file.revision)
    if active is None or not active.active:
        return False
    stored: int = KnowledgeSheet.select().where(KnowledgeSheet.revision == file.revision).count()
    return stored == int(active.sheet_count)


def _store(file: SheetFile) -> None:
    with SheetRevision._meta.database.atomic():
        KnowledgeSheet.delete().where(KnowledgeSheet.revision == file.revision).execute()
        for rows in peewee.chunked(_rows(file), ROWS_AT_ONCE):
            KnowledgeSheet.insert_many(rows).execute()
        SheetRevision.delete().where(SheetRevision.revision == file.revision).execute()
        SheetRevision.update(active=False).execute()
        SheetRevision.create(revision=file.revision, source=file.source, sheet_count=len(file.sheets), active=True)


def _rows(file: SheetFile) -> Iterator[dict[str, object]]:
    for position, sheet in enumerate(file.sheets):
        yield {
            "revision": file.revision,
            "position": position,
            "number": sheet.number,
            "audience": sheet.audience,
            "title": sheet.title,
            "section": json.dumps(sheet.section, ensure_ascii=False),
            "parts": json.dumps([(part.heading, part.text) for part in sheet.parts], ensure_ascii=False),
            "references": json.dumps(sheet.references, ensure_ascii=False),
            "updated": sheet.updated,
        }


def _forget_revisions(data_dir: Path) -> None:
    newest = SheetRevision.select().order_by(SheetRevision.active.desc(), SheetRevision.created_at.desc())
    for old in list(newest)[KEPT_REVISIONS:]:
        KnowledgeSheet.delete().where(KnowledgeSheet.revision == old.revision).execute()
        old.delete_instance()
        shutil.rmtree(sheet_index_directory(data_dir, old.revision), ignore_errors=True)
