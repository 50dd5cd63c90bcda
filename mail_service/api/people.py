"""/api/v1/people: all that is held of one person, given out or erased. The address is in the body: addresses are not
for URLs, which end up in logs."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request

from common.errors import InvalidFields, ServiceError
from common.redis_store import RedisAway
from mail_service.addresses import normalised
from mail_service.api.access import audit
from mail_service.imap_server import MailAway
from mail_service.people import People
from mail_service.personal_data import PersonalData


def people_blueprint(data: PersonalData, people: People) -> Blueprint:
    """The routes."""
    blueprint = Blueprint("people", __name__, url_prefix="/api/v1/people")

    @blueprint.post("/export")
    def exported() -> Response:
        """Everything about the person with this address"""
        address = _address()
        audit("people.export", people.hash_of(address))
        return jsonify(data.export(address))

    @blueprint.post("/erase")
    def erased() -> Response:
        """Remove it: database, queue, and the folders of the mailbox"""
        address = _address()
        try:
            gone = data.erase(address)
        except (MailAway, RedisAway) as away:
            audit("people.erase", people.hash_of(address), "not_now")
            raise ServiceError(
                503,
                "erase_not_possible",
                f"Nothing was erased in the database: {away.reason}. Try again.",
                retry_after=30,
            ) from away
        audit("people.erase", people.hash_of(address))
        return jsonify(asdict(gone))

    return blueprint


def _address() -> str:
    body = request.get_json()
    given = body.get("address") if isinstance(body, dict) else None
    address = normalised(given) if isinstance(given, str) else None
    if address is None:
        raise InvalidFields({"address": ["A mail address."]})
    return address
