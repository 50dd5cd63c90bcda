"""What an update says before anybody looks into it: its number, whose turn it takes, and whether it stops an answer.

Shapes: https://core.telegram.org/bots/api#update. An update is `{"update_id", KIND: {...}}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

STOP_DATA = "stop"  # callback_data of the Stop button; what follows a colon is the button's own
HIGHEST_ID = 2**53  # what a double, as a Redis score is one, holds exactly
_CANCEL = re.compile(r"/(cancel|annuler)(@\w+)?(\s|$)", re.IGNORECASE)


class NotAnUpdate(ValueError):
    """This is no update of the Bot API."""


def update_id(update: object) -> int:
    """Its number. Raises NotAnUpdate."""
    number = update.get("update_id") if isinstance(update, Mapping) else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < HIGHEST_ID:
        raise NotAnUpdate
    return number


def kind_of(update: Mapping[str, Any]) -> str:
    """message, callback_query, ...; "unknown" for what has no content."""
    return next((name for name, value in update.items() if isinstance(value, Mapping)), "unknown")


def lane_of(update: Mapping[str, Any]) -> str:
    """CHAT:TOPIC, topic 0 where there is none; user:ID for what happens in no chat. Updates of one lane are worked on
    one after another."""
    message = _message(update)
    chat = _number(_inner(message, "chat"), "id")
    if chat is not None:
        # message_thread_id alone is also on replies in groups without topics.
        topic = _number(message, "message_thread_id") if message.get("is_topic_message") is True else None
        return f"{chat}:{topic or 0}"
    return f"user:{sender_of(update) or 0}"


def sender_of(update: Mapping[str, Any]) -> int | None:
    """The Telegram id of whoever caused it; None for channels and anonymous things."""
    content = _content(update)
    for field in ("from", "user"):
        sender = _number(_inner(content, field), "id")
        if sender is not None:
            return sender
    return None


def stops(update: Mapping[str, Any]) -> bool:
    """Whether it ends the answer that is being written: the Stop button, or /cancel."""
    query = update.get("callback_query")
    if isinstance(query, Mapping):
        return str(query.get("data", "")).partition(":")[0] == STOP_DATA
    text = _inner(update, "message").get("text")
    return isinstance(text, str) and _CANCEL.match(text) is not None


def _content(update: Mapping[str, Any]) -> Mapping[str, Any]:
    return _inner(update, kind_of(update))


def _message(update: Mapping[str, Any]) -> Mapping[str, Any]:
    content = _content(update)
    return content if "chat" in content else _inner(content, "message")


def _inner(holder: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = holder.get(field)
    return value if isinstance(value, Mapping) else {}


def _number(holder: Mapping[str, Any], field: str) -> int | None:
    value = holder.get(field)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
