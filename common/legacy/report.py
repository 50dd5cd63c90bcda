"""What an import did: counts for the operator, and the rejected rows in a file, each with its reason."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

SECRET_FIELDS = ("key", "token", "password", "secret", "hash")


class ImportReport:
    """Counts by what was read. Rejects go to `rejects_file` (JSON lines, only its owner reads it), made when the first
    one comes; None, in a dry run: they are counted only. A context manager."""

    def __init__(self, rejects_file: Path | None) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.path = rejects_file
        self._file: TextIO | None = None

    def count(self, kind: str, outcome: str, number: int = 1) -> None:
        """`number` more of `kind` (rows of a table, variables ...) came to `outcome`."""
        self.counts.setdefault(kind, Counter())[outcome] += number

    def reject(self, kind: str, source: str, line: int, reason: str, row: Mapping[str, Any] | None = None) -> None:
        """One of `kind` cannot be taken. Fields of `row` that hold secrets are left out."""
        self.count(kind, "rejected")
        if self.path is None:
            return
        if self._file is None:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(descriptor, "a", encoding="utf-8")
        shown = {name: value for name, value in (row or {}).items() if not _is_secret(name)}
        entry = {"kind": kind, "source": source, "line": line, "reason": reason, "row": shown}
        self._file.write(json.dumps(entry, ensure_ascii=False, default=str) + "\n")

    def table(self) -> str:
        """One line for each kind: what was read and what became of it."""
        lines = []
        for kind, outcomes in self.counts.items():
            told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
            lines.append(f"{kind:<14} {sum(outcomes.values()):>7}: {told}")
        return "\n".join(lines) or "nothing was read"

    @property
    def rejected(self) -> int:
        """How many were rejected."""
        return sum(outcomes["rejected"] for outcomes in self.counts.values())

    def __enter__(self) -> ImportReport:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_FIELDS)
