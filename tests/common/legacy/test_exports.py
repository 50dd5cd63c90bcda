"""Exported tables, and what stands in their fields."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from common.legacy.exports import NotAnExport, Row, read_export
from common.legacy.fields import BadField, moment, text, whole, yes

ROWS = [{"id": "1", "name": "Éva"}, {"id": "2", "name": "Noé"}]


def read(tmp_path: Path, content: str, encoding: str = "utf-8") -> list[Row]:
    path = tmp_path / "export"
    path.write_bytes(content.encode(encoding))
    return list(read_export(path, "users"))


@pytest.mark.parametrize(
    "content",
    [
        "id,name\n1,Éva\n2,Noé\n",
        "\ufeffID;Name\r\n1;Éva\r\n2;Noé\r\n",
        "id\tname\n1\tÉva\n2\tNoé",
        '[{"id": "1", "name": "Éva"}, {"id": "2", "name": "Noé"}]',
        '{"users": [{"id": "1", "name": "Éva"}, {"id": "2", "name": "Noé"}], "settings": []}',
        '{"users": {"1": {"name": "Éva"}, "2": {"name": "Noé"}}}',
        '{"id": "1", "name": "Éva"}\n\n{"id": "2", "name": "Noé"}\n',
    ],
)
def test_forms_of_one_table(tmp_path: Path, content: str) -> None:
    assert [dict(row.fields) for row in read(tmp_path, content)] == ROWS


def test_the_encoding_of_old_spreadsheets_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "id;name\n1;Éva\n", "cp1252")[0].fields["name"] == "Éva"


def test_a_broken_row_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    assert [row.problem for row in read(tmp_path, "id,name\n1,Éva,more\n2,Noé\n")] == ["has too many columns", None]
    assert [row.problem for row in read(tmp_path, '[1, {"id": 2}]')] == ["is not an object", None]
    assert [row.problem for row in read(tmp_path, '{"id": 1}\n{"id":\n')] == [None, "is not JSON"]


@pytest.mark.parametrize("content", ["", "one word", '[{"id": 1}', '{"users": 7}'])
def test_what_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(NotAnExport):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025-03-01T12:00:00Z", datetime(2025, 3, 1, 12)),
        ("2025-03-01 13:00:00.25+01:00", datetime(2025, 3, 1, 12, 0, 0, 250_000)),
        ("2025-03-01", datetime(2025, 3, 1)),
        (1740830400, datetime(2025, 3, 1, 12)),
        ("1740830400.5", datetime(2025, 3, 1, 12, 0, 0, 500_000)),
        (1740830400000, datetime(2025, 3, 1, 12)),
        ("", None),
        ("null", None),
    ],
)
def test_moments(value: Any, expected: datetime | None) -> None:
    assert moment({"at": value}, "at") == expected


def test_fields_are_found_under_any_of_their_names() -> None:
    row = {"user_id": " 42 ", "count": "12.0", "active": "Oui", "nested": {"a": 1}}
    assert text(row, "id", "user_id") == "42"
    assert text(row, "nested") is None
    assert whole(row, "messages", "count") == 12
    assert yes(row, "active", default=False) is True
    assert yes(row, "revoked", default=False) is False


@pytest.mark.parametrize("read_field", [whole, moment])
@pytest.mark.parametrize("value", ["twelve", "1.5.2", "-3", "9" * 40])
def test_a_bad_field_is_named(read_field: Any, value: str) -> None:
    with pytest.raises(BadField, match="^age is no"):
        read_field({"age": value}, "age")
    with pytest.raises(BadField, match="active is neither"):
        yes({"active": "perhaps"}, "active", default=True)
