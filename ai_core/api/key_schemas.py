"""API keys, as they are asked for and shown."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from ai_core.api.schemas import Strict, Text, UtcDateTime
from ai_core.keys import SCOPES

_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_GROUP = r"[0-9A-Fa-f]{1,4}"
_SHORTENED = "|".join(  # `::` after `left` groups stands for at least one group of zeros
    f"{f'{_GROUP}(:{_GROUP}){{{left - 1}}}' if left else ''}::({_GROUP}(:{_GROUP}){{0,{6 - left}}})?"
    for left in range(7)
)
NETWORK = (
    rf"^(({_BYTE}\.){{3}}{_BYTE}(/(3[0-2]|[12]?[0-9]))?"
    rf"|(({_GROUP}:){{7}}{_GROUP}|({_GROUP}:){{7}}:|{_SHORTENED})(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$"
)
"""An address or a network in CIDR notation, IPv4 or IPv6 (RFC 4632, RFC 4291)."""


class NewKeySchema(Strict):
    """A key to make."""

    name = Text(required=True, validate=validate.Length(max=100))
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)), required=True, validate=validate.Length(1, len(SCOPES))
    )
    expires_at = fields.AwareDateTime(allow_none=True, metadata={"description": "ISO 8601 with a time zone."})
    rate_limit_per_minute = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, 1_000_000))
    allowed_networks = fields.List(
        fields.String(validate=validate.Regexp(NETWORK, error="Not a network such as 192.0.2.0/24 or 2001:db8::/32.")),
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
