"""Tables in a Markdown page, each between two marks, so that a command can renew them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def put(page: Path, tables: Mapping[str, str]) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->`. Raises ValueError where a mark is missing."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = text.partition(opening)
        _, closed, after = rest.partition(closing)
        if not found or not closed:
            raise ValueError(f"{page}: {opening} or {closing} is missing")
        text = f"{before}{opening}\n{table}\n{closing}{after}"
    page.write_text(text, encoding="utf-8")
