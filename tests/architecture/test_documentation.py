"""Every setting is in the README's tables with its true default, and the tables name nothing that is gone."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from ai_core.settings import Settings as AiCoreSettings
from mail_service.settings import Settings as MailSettings
from telegram_service.settings import Settings as TelegramSettings

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \|", re.MULTILINE)
MUST_BE_SET = ("EMAIL_ADDRESS", "EMAIL_PASSWORD", "IMAP_HOST", "SMTP_HOST", "AI_API_KEY")
BOT = {"TELEGRAM_BOT_TOKEN": f"123456789:{'A' * 35}", "AI_API_KEY": "key"}

# The heading that a service's table stands under, and its settings where nothing more is set than must be.
SERVICES: dict[str, Any] = {
    "## Settings": AiCoreSettings.from_environment({}),
    "### Mail service": MailSettings.from_environment(dict.fromkeys(MUST_BE_SET, "nobody@mail.example")),
    "### Telegram service": TelegramSettings.from_environment(BOT),
}


def table(heading: str) -> dict[str, str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(rf"^{heading}\n(.*?)(?=^#)", text, re.MULTILINE | re.DOTALL)
    assert section, f"the README has no section {heading}"
    return dict(ROW.findall(section[1]))


@pytest.mark.parametrize("heading", SERVICES)
def test_every_setting_has_a_row_and_every_row_a_setting(heading: str) -> None:
    assert set(table(heading)) == {field.name.upper() for field in dataclasses.fields(SERVICES[heading])}


@pytest.mark.parametrize("heading", SERVICES)
def test_the_rows_show_the_defaults(heading: str) -> None:
    for name, shown in table(heading).items():
        value = getattr(SERVICES[heading], name.lower())
        if isinstance(value, bool):
            assert shown == f"`{str(value).lower()}`", name
        elif isinstance(value, (int, float)):
            assert float(shown.strip("`")) == value, name
