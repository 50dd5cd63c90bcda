"""Every setting is in the README's table with its true default, and the table names nothing that is gone."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from ai_core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \|", re.MULTILINE)


def table() -> dict[str, str]:
    return dict(ROW.findall((ROOT / "README.md").read_text(encoding="utf-8")))


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    assert set(table()) == {field.name.upper() for field in dataclasses.fields(Settings)}


def test_the_rows_show_the_defaults() -> None:
    defaults = Settings.from_environment({})
    for name, shown in table().items():
        value = getattr(defaults, name.lower())
        if isinstance(value, (int, float)):
            assert float(shown.strip("`")) == value, name
