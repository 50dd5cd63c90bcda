"""What all schemas share: unknown fields are refused, texts are cleaned where they enter; the error object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields

NOT_BLANK = r"[^\s\u0000-\u001f\u007f-\u009f]"

# Control characters but tab and newline; lone surrogates, which no UTF-8 can carry.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without control characters, its line ends as newlines, lone surrogates replaced by U+FFFD."""
    return _CONTROL.sub("", _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))


class Text(fields.String):
    """A text that people wrote: cleaned, then measured. `required` also means not blank."""

    def __init__(self, **options: Any) -> None:
        if options.get("required"):
            options["metadata"] = {"pattern": NOT_BLANK, **options.get("metadata", {})}
        super().__init__(**options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = clean(super()._deserialize(value, attr, data, **kwargs) or "")
        if self.required and not text.strip():
            raise ValidationError("Must not be empty.")
        return text


class UtcDateTime(fields.NaiveDateTime):
    """A time that we keep in UTC without a zone, written with its zone."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=timezone.utc).isoformat()


class Strict(Schema):
    """Base of what comes in: a field that we do not know is an error, not a silence."""

    class Meta:
        unknown = RAISE


class ErrorSchema(Schema):
    """Every error."""

    code = fields.String(required=True, metadata={"example": "invalid_fields"})
    status = fields.Integer(required=True, metadata={"example": 422})
    message = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), metadata={"example": {"temperature": ["Must be at most 2."]}})
    request_id = fields.String(required=True)
