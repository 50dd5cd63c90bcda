"""An update as the bot understands it: who says what, where, with which file, or which button was pressed.

Shapes: https://core.telegram.org/bots/api#update. Nothing of an update is trusted to be there or to be of its type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from telegram_service.history import Lane
from telegram_service.telegram_api import Address
from telegram_service.updates import lane_of, sender_of

SPLIT_LENGTH = 4_000  # UTF-16 units: Telegram cuts longer texts at 4096, at a pause where there is one
_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@(\w+))?(?:\s+(.*))?", re.DOTALL)
_RECORDINGS = ("voice", "audio", "video_note")


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that came with a message. `kind`: document, photo, or recording (to listen to). `size` in bytes, 0 where
    Telegram does not say."""

    kind: str
    file_id: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message or pressed button of a person. `query` and `data` are those of a button."""

    update_id: int
    user: int
    language: str
    chat: int
    is_private: bool
    topic: int | None
    message_id: int | None
    text: str = ""
    files: tuple[SentFile, ...] = ()
    album: str = ""  # what messages with files that were sent together have in common
    has_other_content: bool = False
    replies_to: str | None = None  # the bot's user name, or whoever wrote what this replies to
    query: str | None = None
    data: str = ""

    @property
    def lane(self) -> Lane:
        return Lane(self.chat, self.topic or 0)

    @property
    def address(self) -> Address:
        """Where the answer goes; in groups it shows what it answers."""
        return Address(self.chat, self.topic, None if self.is_private else self.message_id)

    def command(self, bot: str) -> tuple[str, str] | None:
        """The command in lower case and what follows it; None where there is none, or it is for another bot."""
        match = _COMMAND.fullmatch(self.text.strip())
        if match is None or (match[2] and match[2].lower() != bot.lower()):
            return None
        return match[1].lower(), (match[3] or "").strip()

    def is_for_another(self, bot: str) -> bool:
        """Whether it is a command that names another bot."""
        match = _COMMAND.fullmatch(self.text.strip())
        return match is not None and bool(match[2]) and match[2].lower() != bot.lower()

    def addresses(self, bot: str) -> bool:
        """Whether the bot is meant: everything in a private chat, in groups commands, replies and mentions."""
        if self.is_private or self.query is not None:
            return True
        mentioned = re.search(rf"(?<!\w)@{re.escape(bot)}\b", self.text, re.IGNORECASE) is not None
        return mentioned or self.command(bot) is not None or (self.replies_to or "").lower() == bot.lower()

    def question(self, bot: str) -> str:
        """Its text without the mention of the bot."""
        return re.sub(rf"(?<!\w)@{re.escape(bot)}\b[,:]?", "", self.text, flags=re.IGNORECASE).strip()

    @property
    def may_go_on(self) -> bool:
        """Whether Telegram may have cut a longer text here."""
        return not self.files and len(self.text.encode("utf-16-le", "surrogatepass")) // 2 >= SPLIT_LENGTH


def read_update(update: Mapping[str, Any]) -> Incoming | None:
    """What a message or a pressed button says; None for every other kind of update, and for what bots write."""
    query, message = _object(update, "callback_query"), _object(update, "message")
    if query:
        return _read(update, _object(query, "message"), _object(query, "from"), query)
    return _read(update, message, _object(message, "from"), {}) if message else None


def left_by(update: Mapping[str, Any]) -> int | None:
    """The person who blocked the bot in their private chat, where that is what the update tells."""
    member = _object(update, "my_chat_member")
    chat = _object(member, "chat")
    if chat.get("type") != "private" or _object(member, "new_chat_member").get("status") not in ("kicked", "left"):
        return None
    return sender_of(update)


def _read(
    update: Mapping[str, Any], message: Mapping[str, Any], sender: Mapping[str, Any], query: Mapping[str, Any]
) -> Incoming | None:
    place, _, number = lane_of(update).partition(":")
    user = sender_of(update)
    if not message or user is None or sender.get("is_bot") is True or place == "user":
        return None
    chat, topic = int(place), int(number)
    file = None if query else _file(message)
    text = "" if query else _text(message, "text") or _text(message, "caption")
    return Incoming(
        update_id=int(update["update_id"]),
        user=user,
        language=_text(sender, "language_code")[:2].lower(),
        chat=chat,
        is_private=_object(message, "chat").get("type") == "private",
        topic=topic or None,
        message_id=_whole(message, "message_id"),
        text=text,
        files=() if file is None else (file,),
        album=_text(message, "media_group_id"),
        has_other_content=not text and file is None,
        replies_to=_text(_object(_object(message, "reply_to_message"), "from"), "username") or None,
        query=_text(query, "id") or None,
        data=_text(query, "data"),
    )


def _file(message: Mapping[str, Any]) -> SentFile | None:
    for name in _RECORDINGS:
        found = _object(message, name)
        if found:
            return _sent(found, "recording", _text(found, "file_name") or f"{name}.ogg")
    document = _object(message, "document")
    if document:
        return _sent(document, "document", _text(document, "file_name") or "document")
    photos = message.get("photo")
    if isinstance(photos, list) and photos and isinstance(photos[-1], Mapping):  # the largest comes last
        return _sent(photos[-1], "photo", "photo.jpg")
    return None


def _sent(found: Mapping[str, Any], kind: str, name: str) -> SentFile | None:
    file_id = _text(found, "file_id")
    return SentFile(kind, file_id, name[:200], _whole(found, "file_size") or 0) if file_id else None


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _whole(holder: Mapping[str, Any], name: str) -> int | None:
    value = holder.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
