"""/api/v1/messages: what came in and what became of it; retry, hold, release, erase. Each action is audited."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from flask import Blueprint, Response, jsonify, request

from common.errors import InvalidFields, ServiceError
from mail_service.api.access import audit
from mail_service.mail_queue import MailQueue
from mail_service.operations import Listed, Operations
from mail_service.personal_data import erase_messages
from mail_service.states import State

MAX_LIMIT = 200
ID = "<int(max=2147483647):message_id>"  # PostgreSQL's integer
_STEPS = {
    "retry": "Only a failed message, or one whose answer is stuck, can be tried again.",
    "hold": "Only a waiting message can be held.",
    "release": "Only a held message can be released.",
}


def messages_blueprint(operations: Operations, queue: MailQueue) -> Blueprint:
    """The routes."""
    blueprint = Blueprint("messages", __name__, url_prefix="/api/v1")

    @blueprint.get("/messages")
    def listed() -> Response:
        """The newest messages, without anything personal: ?state=&reason=&before=&limit="""
        state = request.args.get("state")
        if state is not None and state not in [each.value for each in State]:
            raise InvalidFields({"state": [f"One of {', '.join(each.value for each in State)}."]})
        rows = operations.listed(
            state=state,
            reason=request.args.get("reason"),
            before=_number("before", None, 1, 2**31 - 1),
            limit=_number("limit", 50, 1, MAX_LIMIT) or 50,
        )
        return jsonify({"messages": [as_json(row) for row in rows]})

    @blueprint.get(f"/messages/{ID}")
    def shown(message_id: int) -> Response:
        """All of one message, texts and address included"""
        found = operations.shown(message_id)
        if found is None:
            raise _unknown()
        audit("messages.show", str(message_id))
        replies = [{**reply, "sent_at": _moment(reply["sent_at"])} for reply in found["replies"]]
        return jsonify({**found, **as_json(found["message"]), "message": None, "replies": replies})

    @blueprint.post(f"/messages/{ID}/<any(retry, hold, release):step>")
    def stepped(message_id: int, step: str) -> Response:
        """Try again, keep back, or let go on"""
        if operations.shown(message_id) is None:
            raise _unknown()
        done = getattr(operations, step)(message_id)
        audit(f"messages.{step}", str(message_id), "done" if done else "refused")
        if not done:
            raise ServiceError(409, f"{step}_not_possible", _STEPS[step])
        return jsonify({"id": message_id, "status": "done"})

    @blueprint.delete(f"/messages/{ID}")
    def erased(message_id: int) -> tuple[str, int]:
        """Remove one message from here; the mail on the server stays where it is"""
        if operations.shown(message_id) is None:
            raise _unknown()
        queue.forget([message_id])
        erase_messages([message_id])
        audit("messages.erase", str(message_id))
        return "", 204

    @blueprint.get("/statistics")
    def statistics() -> Response:
        """Volume, times, success rate, refusals by reason, queue"""
        return jsonify(operations.statistics())

    return blueprint


def as_json(row: Listed) -> dict[str, Any]:
    """A listed message with its times in ISO 8601, UTC."""
    return {name: _moment(value) if isinstance(value, datetime) else value for name, value in asdict(row).items()}


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.replace(tzinfo=timezone.utc).isoformat()


def _number(name: str, default: int | None, least: int, most: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise InvalidFields({name: [f"A whole number from {least} to {most}."]})
    return int(text)


def _unknown() -> ServiceError:
    return ServiceError(404, "unknown_message", "There is no such message.")
