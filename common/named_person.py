"""The person whom `person export` and `person erase` are about: JSON on standard input, since the arguments of a
process are there for everybody to read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


class NotAPerson(ValueError):
    """The input names nobody; the message is one line, without what was given."""


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """What somebody is known by: mail addresses, Telegram ids, and (channel, user id) of the AI core's API."""

    mail: tuple[str, ...]
    telegram: tuple[int, ...]
    ai_core: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> NamedPerson:
        """{"mail": ["a@b"], "telegram": [1], "ai_core": [["webapp", "u1"]]}; each may be missing. Raises NotAPerson."""
        try:
            told: dict[str, Any] = json.loads(text)
            unknown = told.keys() - {"mail", "telegram", "ai_core"}
            found = cls(
                mail=tuple(map(_text, told.get("mail", ()))),
                telegram=tuple(map(int, told.get("telegram", ()))),
                ai_core=tuple((_text(channel), _text(user)) for channel, user in told.get("ai_core", ())),
            )
        except (ValueError, RecursionError, TypeError, AttributeError):
            raise NotAPerson('write {"mail": [...], "telegram": [...], "ai_core": [[channel, user id], ...]}') from None
        if unknown:
            raise NotAPerson("mail, telegram and ai_core are known, nothing else")
        if not (found.mail or found.telegram or found.ai_core):
            raise NotAPerson("nobody is named")
        return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value
