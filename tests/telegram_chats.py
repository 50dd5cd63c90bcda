"""The chats of the fake Bot API server: what each person sees now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.telegram_rules import Refused, bad


@dataclass
class Shown:
    """A message as people see it now; `edits` counts how often its text changed. `file` is (name, content)."""

    id: int
    chat: int
    text: str
    sender: dict[str, Any]
    entities: list[dict[str, Any]] = field(default_factory=list)
    reply_markup: dict[str, Any] | None = None
    topic: int | None = None
    reply_to: int | None = None
    edits: int = 0
    file: tuple[str, bytes] | None = None
    attached: dict[str, Any] = field(default_factory=dict)
    reaction: str | None = None
    date: int = field(default_factory=lambda: int(time.time()))

    @property
    def from_bot(self) -> bool:
        return bool(self.sender["is_bot"])

    @property
    def keyboard(self) -> list[dict[str, Any]]:
        """The buttons below it, row by row in one list."""
        rows = (self.reply_markup or {}).get("inline_keyboard", [])
        return [button for row in rows for button in row]

    @property
    def buttons(self) -> list[str]:
        """What stands on its buttons."""
        return [str(button["text"]) for button in self.keyboard]

    @property
    def links(self) -> list[str]:
        return [entity["url"] for entity in self.entities if entity["type"] == "text_link"]


@dataclass
class Chat:
    """`blocked`: the person has stopped the bot."""

    id: int
    title: str = ""
    person: dict[str, Any] | None = None
    topics: set[int] = field(default_factory=set)
    messages: dict[int, Shown] = field(default_factory=dict)
    last_id: int = 0
    blocked: bool = False
    draft: str | None = None

    @property
    def is_private(self) -> bool:
        return self.person is not None

    def as_object(self) -> dict[str, Any]:
        if self.person is not None:
            names = {key: value for key, value in self.person.items() if key in ("first_name", "username")}
            return {"id": self.id, "type": "private", **names}
        forum = {"is_forum": True} if self.topics else {}
        return {"id": self.id, "type": "supergroup", "title": self.title, **forum}

    def add(self, message: Shown) -> Shown:
        self.messages[message.id] = message
        return message

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def message_object(self, message: Shown, *, whole: bool = True) -> dict[str, Any]:
        """The message as the Bot API has it; not `whole`: without what it replies to."""
        told: dict[str, Any] = {
            "message_id": message.id,
            "from": message.sender,
            "chat": self.as_object(),
            "date": message.date,
            **message.attached,
        }
        caption = bool(message.attached)
        if message.text:
            told["caption" if caption else "text"] = message.text
        if message.entities:
            told["caption_entities" if caption else "entities"] = message.entities
        if message.reply_markup and "inline_keyboard" in message.reply_markup:
            told["reply_markup"] = message.reply_markup
        if message.topic is not None:
            told |= {"message_thread_id": message.topic, "is_topic_message": True}
        if message.edits:
            told["edit_date"] = int(time.time())
        answered = self.messages.get(message.reply_to or 0)
        if whole and answered is not None:
            told["reply_to_message"] = self.message_object(answered, whole=False)
        return told


class Chats:
    """Those that the bot has to do with: a person's once they wrote, a group once something was said there."""

    def __init__(self) -> None:
        self.all: dict[int, Chat] = {}
        self.people: dict[int, dict[str, Any]] = {}

    def person(self, user: int, **known: Any) -> dict[str, Any]:
        """The User object of somebody; `known` (first_name, username, language_code) is kept."""
        told = self.people.setdefault(user, {"id": user, "is_bot": False, "first_name": f"Personne {user}"})
        told.update(known)
        return told

    def of(self, chat: int, *, user: int | None = None) -> Chat:
        """The chat, which begins to exist: people's have their id, groups' ids are negative."""
        if chat not in self.all:
            self.all[chat] = (
                Chat(chat, title=f"Groupe {-chat}") if chat < 0 else Chat(chat, person=self.person(user or chat))
            )
        return self.all[chat]

    def meet(self, update: Mapping[str, Any]) -> None:
        """Let the chats and people of a raw update exist, with its message where it has an id."""
        for value in update.values():
            if not isinstance(value, Mapping):
                continue
            sender, message = value.get("from"), value.get("message") or value
            if sender:
                self.person(sender["id"], **sender)
            if "chat" in message:
                chat = self.of(message["chat"]["id"], user=(sender or message["chat"])["id"])
                self._keep(chat, message, dict(sender or {"id": chat.id, "is_bot": False}))

    def reachable(self, chat_id: object) -> Chat:
        """The chat that the bot writes to."""
        try:
            chat = self.all[int(str(chat_id))]
        except (KeyError, ValueError):
            raise bad("chat not found") from None
        if chat.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        return chat

    @staticmethod
    def _keep(chat: Chat, message: Mapping[str, Any], sender: dict[str, Any]) -> None:
        if message.get("message_thread_id"):
            chat.topics.add(message["message_thread_id"])
        number = message.get("message_id")
        if number is not None and number not in chat.messages:
            chat.last_id = max(chat.last_id, number)
            chat.add(Shown(number, chat.id, message.get("text", ""), sender, topic=message.get("message_thread_id")))
