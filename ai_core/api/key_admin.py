"""/admin/keys: make, list, rotate and revoke API keys. Every change is in the audit log."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timezone
from typing import Any

from ai_core.api import examples
from ai_core.api.access import SECURITY, requires
from ai_core.api.audit import audit_target
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, WITH_BODY, errors
from ai_core.api.key_schemas import KeyListSchema, KeyWithTextSchema, NewKeySchema
from ai_core.keys import KeyRecord, create_key, list_keys, revoke_key, rotate_key
from common.errors import InvalidFields, ServiceError

KEY_ID = "<int(max=2147483647):key_id>"  # PostgreSQL's integer


def key_admin_blueprint() -> Blueprint:
    """The routes; all need the scope `admin`."""
    blueprint = Blueprint("keys", __name__, url_prefix="/api/v1/admin/keys", description="API keys")

    @blueprint.route("", methods=["GET"])
    @requires("admin")
    @errors(blueprint, *KEYED)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, KeyListSchema)
    def list_all() -> dict[str, Any]:
        """List the keys, revoked ones included"""
        return {"keys": [asdict(record) for record in list_keys()]}

    @blueprint.route("", methods=["POST"])
    @requires("admin")
    @errors(blueprint, *KEYED, *WITH_BODY)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(NewKeySchema, example=examples.NEW_KEY)
    @blueprint.response(201, KeyWithTextSchema)
    def create(body: dict[str, Any]) -> dict[str, Any]:
        """Make a key; its text is shown this once"""
        expires_at = body.get("expires_at")
        try:
            record, text = create_key(
                body["name"],
                tuple(body["scopes"]),
                expires_at=expires_at and expires_at.astimezone(timezone.utc).replace(tzinfo=None),
                rate_limit_per_minute=body.get("rate_limit_per_minute"),
                allowed_networks=tuple(body.get("allowed_networks", ())),
            )
        except ValueError as error:
            raise InvalidFields({"allowed_networks": [str(error)]}) from error
        except OverflowError as error:
            raise InvalidFields({"expires_at": ["Not a date that can be reached."]}) from error
        audit_target(record.prefix)
        return _with_text(record, text)

    @blueprint.route(f"/{KEY_ID}/rotate", methods=["POST"])
    @requires("admin")
    @errors(blueprint, *KEYED, 404)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, KeyWithTextSchema)
    def rotate(key_id: int) -> dict[str, Any]:
        """Give a key a new text; the old one stops working at once"""
        rotated = rotate_key(key_id)
        if rotated is None:
            raise _no_such_key()
        audit_target(f"{key_id},{rotated[0].prefix}")
        return _with_text(*rotated)

    @blueprint.route(f"/{KEY_ID}", methods=["DELETE"])
    @requires("admin")
    @errors(blueprint, *KEYED, 404)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(204)
    def revoke(key_id: int) -> None:
        """Revoke a key"""
        if not revoke_key(key_id):
            raise _no_such_key()

    return blueprint


def _no_such_key() -> ServiceError:
    return ServiceError(404, "unknown_key", "There is no such key, or it is revoked.")


def _with_text(record: KeyRecord, text: str) -> dict[str, Any]:
    return {**asdict(record), "key": text}
