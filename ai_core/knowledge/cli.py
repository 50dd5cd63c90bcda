"""`ai-core knowledge ...`: import and search the Code du travail and the practical sheets."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ai_core.knowledge import importer, sheet_importer
from ai_core.knowledge.base import KnowledgeBase, KnowledgeMissing
from ai_core.knowledge.sheet_base import SheetBase
from ai_core.settings import Settings
from ai_core.storage import KnowledgeRevision, SheetRevision, open_storage
from common.database import connection


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the actions to the parser of `knowledge`."""
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    update = commands.add_parser("update", help="import the newest Code du travail; the old one serves meanwhile")
    update.add_argument("--sheets", action="store_true", help="the practical sheets of service-public.fr instead")
    update.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="an npm package (.tgz) or JSON file at hand"
    )
    update.set_defaults(command=_update)
    commands.add_parser("status", help="what is installed").set_defaults(command=_status)
    search = commands.add_parser("search", help="search as a question would")
    search.add_argument("query")
    search.add_argument("--sheets", action="store_true", help="in the practical sheets instead")
    search.add_argument("--limit", type=int, default=10)
    search.set_defaults(command=_search)


def progress(line: str) -> None:
    """Print what an update does, at once."""
    print(line, flush=True)


def _update(settings: Settings, options: argparse.Namespace) -> int:
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_storage(settings.database_url)
    update = sheet_importer.update if options.sheets else importer.update
    at_hand = settings.sheets_file if options.sheets else settings.knowledge_file
    with connection(database):
        revision = update(database, settings.data_dir, options.source or at_hand, progress=progress)
    print(f"Active revision: {revision}")
    if options.sheets and not settings.practical_sheets:
        print("They take part in searches and answers once PRACTICAL_SHEETS=true is set.")
    return 0


def _status(settings: Settings, _: argparse.Namespace) -> int:
    with connection(open_storage(settings.database_url)):
        for row in KnowledgeRevision.select().order_by(KnowledgeRevision.created_at):
            _print_revision(row, f"{row.article_count} articles")
        for sheets in SheetRevision.select().order_by(SheetRevision.created_at):
            _print_revision(sheets, f"{sheets.sheet_count} practical sheets")
    return 0


def _print_revision(row: KnowledgeRevision | SheetRevision, holds: str) -> None:
    print(f"{'*' if row.active else ' '} {row.revision}  {holds}  {row.created_at:%Y-%m-%d}")


def _search(settings: Settings, options: argparse.Namespace) -> int:
    database = open_storage(settings.database_url)
    try:
        with connection(database):
            base = KnowledgeBase.load(database, settings.data_dir)
            if options.sheets:
                base = base.with_sheets(SheetBase.load(database, settings.data_dir))
    except KnowledgeMissing as error:
        wanted = " --sheets" if options.sheets else ""
        print(f"ai-core: {error} Run: ai-core knowledge update{wanted}", file=sys.stderr)
        return 1
    if options.sheets:
        for sheet in base.search_sheets(options.query, options.limit):
            where = f"{sheet.sheet.title} > {sheet.part.heading}" if sheet.part.heading else sheet.sheet.title
            print(f"{sheet.score:.2f}  {sheet.sheet.number:<12} {where}\n      {sheet.excerpt}")
        return 0
    for hit in base.search(options.query, limit=options.limit):
        print(f"{hit.score:.2f}  {hit.article.number:<12} {hit.article.title}\n      {hit.excerpt}")
    return 0
