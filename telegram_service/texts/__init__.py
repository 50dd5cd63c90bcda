"""Everything that people read from the bot, in Markdown, one file for each language; by itself it speaks French."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES = ("fr", "en")
COMMANDS = (
    "start", "help", "ask", "reset", "retry", "cancel", "models", "switch", "settings", "status", "privacy", "export",
    "delete",
)  # fmt: skip


@cache
def texts(language: str) -> Mapping[str, str]:
    """All texts of a language, by name."""
    name = language if language in LANGUAGES else LANGUAGES[0]
    found: Mapping[str, str] = json.loads(Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8"))
    return found


def say(language: str, name: str, /, **values: object) -> str:
    """The text called `name`, with what it tells of."""
    text = texts(language)[name]
    return text.format(**values) if values else text


def menu(language: str) -> dict[str, str]:
    """The commands and what they do, as Telegram shows them."""
    return {command: say(language, f"menu_{command}") for command in COMMANDS}
