"""Fields as OpenAI's API has them: null is as good as absent, and what this server lacks is refused by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from ai_core.api.schemas import clean

NOT_SUPPORTED = "Not supported by this server."


class Unsupported(fields.Field[None]):
    """A parameter that has no effect here: only the values that ask for nothing are accepted, null and `neutral`."""

    def __init__(self, *neutral: Any) -> None:
        said = "Not supported: only the values that ask for nothing."
        super().__init__(load_default=None, metadata={"enum": [*neutral, None], "description": said})
        self._neutral = neutral

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> None:  # noqa: ARG002
        if value not in self._neutral:
            raise ValidationError(NOT_SUPPORTED)


class OneOrMany(fields.Field[list[str]]):
    """A text or a list of at most `most` texts; loaded as a list. Empty ones are refused."""

    def __init__(self, *, most: int, example: Any = None, **options: Any) -> None:
        self._most = most
        text: dict[str, Any] = {"type": "string", "minLength": 1}
        many = {"type": "array", "minItems": 1, "maxItems": most, "items": text}
        super().__init__(**options, metadata={"anyOf": [text, many], "example": example})

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[str]:  # noqa: ARG002
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValidationError("Must be a text or a list of texts; tokens are not supported.")
        cleaned = [clean(text) for text in texts]
        if not 0 < len(texts) <= self._most or not all(cleaned):
            raise ValidationError(f"Must be from 1 to {self._most} texts, none of them empty.")
        return cleaned


class Content(fields.Field[str]):
    """What a message says: a text, or a list of text parts, which are joined line by line."""

    def __init__(self) -> None:
        kind = {"type": "string", "enum": ["text"]}
        part = {
            "type": "object",
            "properties": {"type": kind, "text": {"type": "string"}},
            "required": ["type", "text"],
            "additionalProperties": False,
        }
        either = [{"type": "string"}, {"type": "array", "minItems": 1, "items": part}]
        super().__init__(required=True, metadata={"anyOf": either, "example": "Bonjour"})

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:  # noqa: ARG002
        parts = [{"type": "text", "text": value}] if isinstance(value, str) else value
        if not isinstance(parts, list) or not parts:
            raise ValidationError("Must be a text or a list of parts.")
        return clean("\n".join(map(_text_of, parts)))


def _text_of(part: Any) -> str:
    if not isinstance(part, dict) or part.get("type") != "text":
        raise ValidationError("Only text parts are supported.")
    if set(part) != {"type", "text"} or not isinstance(part["text"], str):
        raise ValidationError("A text part has a type and a text, and nothing else.")
    text: str = part["text"]
    return text
