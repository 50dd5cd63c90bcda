"""What a person has chosen: language, length of answers, temperature, model, whether a history is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

LANGUAGES = ("fr", "en")
LENGTHS = ("short", "normal", "long")
LENGTH_FACTORS = {"short": 0.5, "normal": 1.0, "long": 2.0}
TEMPERATURES = (0.0, 0.3, 0.7, 1.0)


@dataclass(frozen=True, slots=True)
class Preferences:
    """None: the service's own. `voice` replies do not exist yet, so that they are always off."""

    language: str | None = None
    length: str = "normal"
    temperature: float | None = None
    model: str | None = None
    keep_history: bool = True

    def as_json(self) -> str:
        """As the database keeps them."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Preferences:
        """What `as_json` wrote, perhaps an older version of it; what does not fit any more is left at its default."""
        try:
            stored = json.loads(text)
        except ValueError:
            return cls()
        known = {field.name for field in fields(cls)}
        chosen = {name: value for name, value in stored.items() if name in known} if isinstance(stored, dict) else {}
        return cls(**{name: value for name, value in chosen.items() if _fits(name, value)})


def _fits(name: str, value: Any) -> bool:
    if name == "language":
        return value in (None, *LANGUAGES)
    if name == "length":
        return value in LENGTHS
    if name == "temperature":
        return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 2)
    if name == "model":
        return value is None or (isinstance(value, str) and 0 < len(value) <= 200)
    return isinstance(value, bool)
