"""One revision of the practical sheets in memory, and their search."""

from __future__ import annotations

import json
from pathlib import Path

import peewee

from ai_core.knowledge.errors import KnowledgeMissing
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.kept_index import kept_index
from ai_core.knowledge.places import sheet_index_directory
from ai_core.knowledge.sheet import Sheet, SheetPart
from ai_core.knowledge.sheet_search import SheetHit, SheetSearcher, part_count, sheet_index
from ai_core.storage import KnowledgeSheet, SheetRevision
from common.database import connection


class SheetBase:
    """The sheets of one revision. Immutable: an update makes another one."""

    def __init__(self, revision: str, sheets: list[Sheet], index: SearchIndex) -> None:
        self.revision = revision
        self.sheets = sheets
        self._searcher = SheetSearcher(sheets, index)

    @classmethod
    def load(cls, database: peewee.Database, data_dir: Path) -> SheetBase:
        """Read the active revision. Raises KnowledgeMissing when there is none."""
        with connection(database):
            active = SheetRevision.get_or_none(SheetRevision.active == True)  # noqa: E712 - an SQL expression
            if active is None:
                raise KnowledgeMissing("The practical sheets have not been imported.")
            rows = KnowledgeSheet.select().where(KnowledgeSheet.revision == active.revision)
            sheets = [_sheet(row) for row in rows.order_by(KnowledgeSheet.position)]
        if len(sheets) != active.sheet_count:
            raise KnowledgeMissing(
                f"Revision {active.revision} has {len(sheets)} of {active.sheet_count} sheets; import it again."
            )
        directory = sheet_index_directory(data_dir, active.revision)
        return cls(active.revision, sheets, kept_index(directory, part_count(sheets), lambda: sheet_index(sheets)))

    def __len__(self) -> int:
        return len(self.sheets)

    def search(self, query: str, limit: int) -> list[SheetHit]:
        """The best sheets for `query`; may be less than relevant."""
        return self._searcher.search(query, limit)


def _sheet(row: KnowledgeSheet) -> Sheet:
    return Sheet(
        number=row.number,
        audience=row.audience,
        title=row.title,
        section=tuple(json.loads(row.section)),
        parts=tuple(SheetPart(heading, text) for heading, text in json.loads(row.parts)),
        references=tuple(json.loads(row.references)),
        updated=row.updated,
    )
