"""What Telegram refuses, in its own words (https://core.telegram.org/bots/api, the sources of tdlib/telegram-bot-api).

Stricter in three places, where Telegram drops or changes what it does not like and says nothing: entities that cross,
entities inside code, and more than 100 of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MAX_TEXT = 4096  # UTF-16 units
MAX_CAPTION = 1024
MAX_ENTITIES = 100
MAX_BUTTONS = 100
MAX_CALLBACK_DATA = 64  # bytes
MAX_CALLBACK_ANSWER = 200
MAX_COMMANDS = 100
MAX_DOWNLOAD = 20 * 1024 * 1024  # bytes that getFile hands out
STYLES = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler"})
QUOTES = frozenset({"blockquote", "expandable_blockquote"})
CODE = frozenset({"code", "pre"})
PLAIN = frozenset({"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number"})
EXTRA_FIELDS = {"text_link": {"url"}, "text_mention": {"user"}, "custom_emoji": {"custom_emoji_id"}}
ENTITY_TYPES = STYLES | QUOTES | CODE | PLAIN | EXTRA_FIELDS.keys()
ACTIONS = frozenset(
    {"typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document"}
    | {"choose_sticker", "find_location", "record_video_note", "upload_video_note"}
)
_LINK = re.compile(r"(?:https?://[^\s/?#]+\.?[^\s]*|tg://\S+|mailto:\S+)\Z", re.IGNORECASE)
_WHITESPACE = " \t\r\n\v\f\u00a0\u200b"


class Refused(Exception):
    """An error object of the Bot API."""

    def __init__(self, status: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after


def bad(description: str) -> Refused:
    return Refused(400, f"Bad Request: {description}")


def units(text: str) -> int:
    """Its length as Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def checked_text(text: object, entities: object, *, editing: bool = False) -> tuple[str, list[dict[str, Any]]]:
    """The text as people see it (Telegram trims it), with its entities."""
    if not isinstance(text, str) or not text:
        raise bad("message text is empty")
    checked = _checked_entities(text, entities)
    trimmed, checked = _trimmed(text, checked)
    if not trimmed:
        raise bad("text must be non-empty")
    if units(trimmed) > MAX_TEXT:
        raise bad("MESSAGE_TOO_LONG" if editing else "message is too long")
    return trimmed, checked


def checked_caption(text: object, entities: object) -> tuple[str, list[dict[str, Any]]]:
    if not isinstance(text, str) or not text:
        return "", []
    if units(text) > MAX_CAPTION:
        raise bad("message caption is too long")
    return _trimmed(text, _checked_entities(text, entities))


def _trimmed(text: str, entities: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    left = text.lstrip(_WHITESPACE)
    dropped, text = units(text) - units(left), left.rstrip(_WHITESPACE)
    end, kept = units(text), []
    for entity in entities:
        start = max(0, entity["offset"] - dropped)
        length = min(end, entity["offset"] - dropped + entity["length"]) - start
        if length > 0:
            kept.append({**entity, "offset": start, "length": length})
    return text, kept


def _checked_entities(text: str, entities: object) -> list[dict[str, Any]]:
    if entities is None:
        return []
    if not isinstance(entities, list):
        raise bad("can't parse entities: expected an Array")
    if len(entities) > MAX_ENTITIES:
        raise bad("ENTITIES_TOO_LONG")
    for entity in entities:
        _check_entity(text, entity)
    ordered = sorted(entities, key=lambda entity: (entity["offset"], -entity["length"]))
    for index, outer in enumerate(ordered):
        for inner in ordered[index + 1 :]:
            if inner["offset"] < outer["offset"] + outer["length"]:
                _check_pair(outer, inner)
    return ordered


def _check_entity(text: str, entity: object) -> None:
    if not isinstance(entity, dict):
        raise bad("can't parse MessageEntity: expected an Object")
    start, length, kind = entity.get("offset"), entity.get("length"), entity.get("type")
    if type(start) is not int or type(length) is not int or kind not in ENTITY_TYPES:
        raise bad("can't parse MessageEntity: a field is missing or unsupported")
    fields = set(entity) - {"offset", "length", "type"}
    if fields != EXTRA_FIELDS.get(kind, set()) and not (kind == "pre" and fields <= {"language"}):
        raise bad(f"can't parse MessageEntity: fields of {kind}")
    if kind == "text_link" and not _LINK.match(str(entity["url"])):
        raise bad("can't parse MessageEntity: its link is none")
    if start < 0 or length <= 0:
        raise bad("receive an entity with incorrect offset or length")
    if start + length > units(text):
        raise bad(f"entity beginning at UTF-16 offset {start} ends after the end of the text at UTF-16 offset "
                  f"{start + length}")  # fmt: skip
    for offset in (start, start + length):
        if _is_inside_a_symbol(text, offset):
            raise bad(f"entity beginning at UTF-16 offset {start} ends in a middle of a UTF-16 symbol")


def _is_inside_a_symbol(text: str, offset: int) -> bool:
    raw = text.encode("utf-16-le")
    return offset * 2 < len(raw) and 0xDC00 <= int.from_bytes(raw[offset * 2 : offset * 2 + 2], "little") <= 0xDFFF


def _check_pair(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> None:
    """Docs, "MessageEntity": of two with common characters one lies within the other, and not any within any."""
    kinds = {outer["type"], inner["type"]}
    if inner["offset"] + inner["length"] > outer["offset"] + outer["length"]:
        raise bad("entities cross")
    if kinds & CODE and not kinds & QUOTES:
        raise bad("an entity inside code, or code inside one")
    if kinds <= QUOTES or not kinds & (STYLES | QUOTES):
        raise bad(f"entities {' and '.join(sorted(kinds))} cannot be nested")


def checked_markup(markup: object, *, inline_only: bool = False) -> dict[str, Any] | None:
    if markup is None:
        return None
    if not isinstance(markup, dict):
        raise bad("object expected as reply markup")
    if "inline_keyboard" not in markup:
        if inline_only or not markup.keys() & {"keyboard", "remove_keyboard", "force_reply"}:
            raise bad("inline keyboard expected")
        return markup
    rows = markup["inline_keyboard"]
    if (
        not isinstance(rows, list)
        or not all(isinstance(row, list) for row in rows)
        or set(markup) != {"inline_keyboard"}
    ):
        raise bad("can't parse inline keyboard: expected an Array of Arrays")
    buttons = [button for row in rows for button in row]
    if len(buttons) > MAX_BUTTONS:
        raise bad("REPLY_MARKUP_TOO_LONG")
    for button in buttons:
        _check_button(button)
    return markup if buttons else None


def _check_button(button: object) -> None:
    if not isinstance(button, dict) or not isinstance(button.get("text"), str) or not button["text"].strip():
        raise bad("can't parse inline keyboard button: text is empty")
    kinds = set(button) - {"text"}
    if kinds not in ({"callback_data"}, {"url"}, {"copy_text"}):
        raise bad("can't parse inline keyboard button: exactly one of its kinds must be used")
    if "callback_data" in button and not 1 <= len(str(button["callback_data"]).encode()) <= MAX_CALLBACK_DATA:
        raise bad("BUTTON_DATA_INVALID")
    if "url" in button and not _LINK.match(str(button["url"])):
        raise bad(f"inline keyboard button URL '{button['url']}' is invalid")


def checked_commands(commands: object) -> Sequence[Mapping[str, str]]:
    if not isinstance(commands, list) or len(commands) > MAX_COMMANDS:
        raise bad("can't parse commands: expected an Array of at most 100")
    for command in commands:
        if not isinstance(command, dict) or set(command) != {"command", "description"}:
            raise bad("can't parse BotCommand: command and description expected")
        if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
            raise bad("BOT_COMMAND_INVALID")
        if not 1 <= len(command["description"]) <= 256:
            raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
    return commands
