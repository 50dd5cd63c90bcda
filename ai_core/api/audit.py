"""Every administrative request is in the audit log, with how it ended, also when it was refused; GET /admin/audit."""

from __future__ import annotations

import logging
from typing import Any

import peewee
from flask import Flask, Response, current_app, g, request

from ai_core import audit
from ai_core.api.access import SECURITY, current_key, required_scope, requires
from ai_core.api.admin_schemas import AuditPageSchema, AuditQuerySchema
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, errors

logger = logging.getLogger(__name__)

AUDITED_SCOPES = ("admin", "models")
AUDITED_READS = frozenset({"people.export"})  # reading what we have of a person is an action too
TOO_MANY = 429  # a flood must not fill the log


def audit_requests(app: Flask) -> None:
    """Note each administrative request before its view runs and its outcome after it. Call after `guard`."""

    def begin() -> None:
        if _is_audited():
            g.audit_entry = audit.begin(current_key().prefix, _action(), "", request.remote_addr or "")

    def end(response: Response) -> Response:
        if _is_audited() and "key" in g and response.status_code != TOO_MANY:
            try:
                _end(response)
            except peewee.PeeweeException:
                # The action is done and its answer stays; the log holds what the table lacks.
                facts = {"actor": current_key().prefix, "action": _action(), "outcome": _outcome(response)}
                logger.error("audit entry not written", extra=facts, exc_info=True)
        return response

    app.before_request(begin)
    app.after_request(end)


def audit_target(target: str) -> None:
    """Say what the action being served concerns: never a person's id, never a key."""
    g.audit_target = target


def audit_blueprint() -> Blueprint:
    """The log, newest first."""
    blueprint = Blueprint("audit", __name__, url_prefix="/api/v1/admin/audit", description="Who did what")

    @blueprint.route("", methods=["GET"])
    @requires("admin")
    @errors(blueprint, *KEYED, 422)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(AuditQuerySchema, location="query")
    @blueprint.response(200, AuditPageSchema)
    def list_entries(query: dict[str, Any]) -> dict[str, Any]:
        """What administrators did, the newest first

        `next` is the value of `before` for the following page, null after the last one.
        """
        wanted = audit.Filter(query.get("actor"), query.get("action"), query.get("since"), query.get("until"))
        entries = audit.find(wanted, limit=query["limit"] + 1, before=query.get("before"))
        page = entries[: query["limit"]]
        return {"entries": page, "next": page[-1].id if len(entries) > len(page) else None}

    return blueprint


def _is_audited() -> bool:
    endpoint = request.endpoint
    if endpoint is None or required_scope(current_app, endpoint) not in AUDITED_SCOPES:
        return False
    return request.method not in ("GET", "HEAD", "OPTIONS") or endpoint in AUDITED_READS


def _action() -> str:
    return request.endpoint or ""


def _end(response: Response) -> None:
    target = g.get("audit_target") or ",".join(str(value) for value in _public_arguments().values())
    if "audit_entry" in g:
        audit.end(g.audit_entry, _outcome(response), target)
    else:  # the guard refused it, so it never began
        audit.note(current_key().prefix, _action(), target, _outcome(response), request.remote_addr or "")


def _public_arguments() -> dict[str, Any]:
    """The route's variables, people's ids excepted."""
    return {name: value for name, value in (request.view_args or {}).items() if name not in ("user_id", "channel")}


def _outcome(response: Response) -> str:
    if response.status_code < 400:
        return audit.DONE
    body = response.get_json(silent=True) if response.is_json else None
    code = body.get("code") if isinstance(body, dict) else None
    return f"{'refused' if response.status_code < 500 else 'failed'}: {code or response.status_code}"
