"""Rows of an exported table: CSV with any of the usual separators, a JSON list, JSON lines, or an object of lists."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.legacy.texts import decoded

MAX_FIELD = 1_000_000  # characters


class NotAnExport(ValueError):
    """The file is no table that we can read."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, `number` from 1. `fields` by lower-case name. `problem`: why it cannot be read."""

    number: int
    fields: Mapping[str, Any]
    problem: str | None = None


def read_export(path: Path, table: str) -> Iterator[Row]:
    """The rows of `path`; in a JSON object of several tables, those of `table`. Raises OSError, NotAnExport."""
    text = decoded(path.read_bytes())
    start = text.lstrip()[:1]
    if not start:
        raise NotAnExport(f"{path.name} is empty")
    if start not in "[{":
        yield from _csv_rows(text, path.name)
        return
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        if start == "{" and "\n" in text.strip():
            yield from _json_lines(text)
            return
        raise NotAnExport(f"{path.name} is not JSON") from None
    yield from _json_rows(content, table, path.name)


def _json_rows(content: Any, table: str, name: str) -> Iterator[Row]:
    if isinstance(content, dict):
        rows = content.get(table)
        if rows is None:
            yield Row(1, _lowered(content))
            return
        content = [{"id": key, **value} for key, value in rows.items()] if _is_by_id(rows) else rows
    if not isinstance(content, list):
        raise NotAnExport(f"{name}: {table} is no list")
    for number, row in enumerate(content, 1):
        yield Row(number, _lowered(row)) if isinstance(row, dict) else Row(number, {}, "is not an object")


def _json_lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield Row(number, {}, "is not JSON")
            continue
        yield Row(number, _lowered(row)) if isinstance(row, dict) else Row(number, {}, "is not an object")


def _csv_rows(text: str, name: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_FIELD)
    first = text.lstrip().splitlines()[0]
    separator = max(",;\t|", key=first.count)
    if separator not in first:
        raise NotAnExport(f"{name}: the first line names no columns")
    reader = csv.DictReader(io.StringIO(text.lstrip().replace("\0", "")), delimiter=separator, restkey="")
    try:
        for number, row in enumerate(reader, 1):
            problem = "has too many columns" if row.pop("", None) else None
            yield Row(number, _lowered({key: value for key, value in row.items() if key}), problem)
    except csv.Error as error:
        raise NotAnExport(f"{name}: {error}") from None


def _is_by_id(rows: Any) -> bool:
    return isinstance(rows, dict) and all(isinstance(value, dict) for value in rows.values())


def _lowered(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).strip().lower(): value for key, value in row.items()}
