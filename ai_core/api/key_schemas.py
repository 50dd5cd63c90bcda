"""API keys, as they are asked for and shown."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from ai_core.api.schemas import Strict, Text, UtcDateTime
from ai_core.keys import SCOPES


class NewKeySchema(Strict):
    """A key to make."""

    name = Text(required=True, validate=validate.Length(max=100))
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)), required=True, validate=validate.Length(1, len(SCOPES))
    )
    expires_at = fields.AwareDateTime(allow_none=True, metadata={"description": "ISO 8601 with a time zone."})
    rate_limit_per_minute = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, 1_000_000))
    allowed_networks = fields.List(
        fields.String(validate=validate.Length(1, 50)),
        validate=validate.Length(max=100),
        metadata={"description": "CIDRs that the key works from; none: any address."},
    )


class KeySchema(Schema):
    """A key, its text excepted."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    prefix = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    rate_limit_per_minute = fields.Integer(allow_none=True, required=True)
    allowed_networks = fields.List(fields.String(), required=True)
    created_at = UtcDateTime(required=True)
    expires_at = UtcDateTime(allow_none=True, required=True)
    last_used_at = UtcDateTime(allow_none=True, required=True)
    revoked_at = UtcDateTime(allow_none=True, required=True)


class KeyWithTextSchema(KeySchema):
    """A key that was just made; `key` is shown this once."""

    key = fields.String(required=True)


class KeyListSchema(Schema):
    """All keys."""

    keys = fields.List(fields.Nested(KeySchema), required=True)
