"""/admin/users/{channel}/{user_id}: everything the AI core has of a person, shown or forgotten."""

from __future__ import annotations

from typing import Any

from werkzeug.routing import BaseConverter

from ai_core.api.access import SECURITY, requires
from ai_core.api.admin_schemas import ErasedSchema, PersonSchema
from ai_core.api.audit import audit_target
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, errors
from ai_core.people import People
from ai_core.storage import utc_now

PERSON = "<string(maxlength=40):channel>/<person:user_id>"


class PersonConverter(BaseConverter):
    """A person's id in a route: a mail address may hold a slash; /export after it is another route."""

    regex = r"(?:(?!/export$).)+"
    part_isolating = False


def people_blueprint(people: People) -> Blueprint:
    """The routes; the audit log knows the person by their hash only."""
    blueprint = Blueprint("people", __name__, url_prefix="/api/v1/admin/users", description="Personal data")
    blueprint.record(lambda state: state.app.url_map.converters.update(person=PersonConverter))

    @blueprint.route(f"/{PERSON}/export", methods=["GET"])
    @requires("admin")
    @errors(blueprint, *KEYED, 404, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, PersonSchema)
    def export(channel: str, user_id: str) -> dict[str, Any]:
        """Everything that is kept of a person: their requests, without the texts, which are never kept"""
        audit_target(people.hash_of(channel, user_id))
        return {
            "channel": channel,
            "user_id": user_id,
            "exported_at": utc_now(),
            "requests": people.export(channel, user_id),
        }

    @blueprint.route(f"/{PERSON}", methods=["DELETE"])
    @requires("admin")
    @errors(blueprint, *KEYED, 404, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, ErasedSchema)
    def erase(channel: str, user_id: str) -> dict[str, Any]:
        """Forget a person; twice is fine"""
        audit_target(people.hash_of(channel, user_id))
        return {"erased": people.erase(channel, user_id), "erased_at": utc_now()}

    return blueprint
