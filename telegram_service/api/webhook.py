"""POST /webhook: what Telegram posts goes into the queue (https://core.telegram.org/bots/api#setwebhook)."""

from __future__ import annotations

import hmac
import logging

from flask import Blueprint, Response, jsonify, request

from common.errors import ServiceError
from telegram_service.intake import Intake
from telegram_service.updates import NotAnUpdate, kind_of

logger = logging.getLogger(__name__)

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the header's name


def webhook_blueprint(intake: Intake, secret: str) -> Blueprint:
    """The route. Whoever does not know `secret` gets a 401, before anything of the body is read."""
    blueprint = Blueprint("webhook", __name__)

    @blueprint.post("/webhook")
    def take() -> Response:
        """One update; Telegram sends again what is not answered with 200"""
        given = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            logger.warning("webhook refused")
            raise ServiceError(401, "unauthorized", f"{SECRET_HEADER} is missing or wrong.")
        update = request.get_json()
        try:
            is_new = intake.take(update)
        except NotAnUpdate:
            raise ServiceError(400, "not_an_update", "This is no update of the Bot API.") from None
        logger.debug("update taken", extra={"update": update["update_id"], "kind": kind_of(update), "new": is_new})
        return jsonify({"status": "queued" if is_new else "known"})

    return blueprint
