"""Exported templates become files in TEMPLATES_DIR, when they render."""

from __future__ import annotations

import tempfile
from pathlib import Path

from common.legacy.exports import Row, read_export
from common.legacy.fields import BadField, text
from common.legacy.report import ImportReport
from mail_service.rendering import BUILT_IN, TemplateBroken, Templates

KIND = "templates"
NAMES = frozenset(path.name for path in BUILT_IN.iterdir() if path.suffix in (".html", ".txt"))


def import_templates(path: Path, folder: Path | None, report: ImportReport, *, apply: bool) -> None:
    """Write the templates of an export to `folder`; those that are there stay. Raises OSError, NotAnExport."""
    for row in read_export(path, KIND):
        try:
            name, content = _checked(row)
            if folder is None:
                raise BadField("TEMPLATES_DIR is not set: there is no place for it")
        except BadField as problem:
            report.reject(KIND, path.name, row.number, str(problem), {"name": row.fields.get("name")})
            continue
        target = folder / name
        if apply and not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
            report.count(KIND, "taken")
        else:
            report.count(KIND, "here already" if target.exists() else "taken")


def _checked(row: Row) -> tuple[str, str]:
    if row.problem is not None:
        raise BadField(row.problem)
    name = text(row.fields, "name", "file", "filename")
    if name not in NAMES:
        raise BadField(f"name is none of {', '.join(sorted(NAMES))}")
    content = text(row.fields, "content", "body", "template", "html", "text")
    if content is None:
        raise BadField("content is missing")
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / name).write_text(content + "\n", encoding="utf-8")
        try:
            Templates(Path(scratch)).check()
        except TemplateBroken as broken:
            raise BadField(f"content: {broken}") from None
    return name, content + "\n"
