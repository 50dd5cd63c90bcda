"""A fake Bot API server on the loopback, strict and scriptable, with the people and groups who talk to the bot.

A bot that asks what no bot of ours may ask (a parameter in the address, one that does not exist) fails the test when
the server is left: see `strange`.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from tests.telegram_calls import Call
from tests.telegram_chats import Chat, Chats, Shown
from tests.telegram_faults import ANY, Fault, Faults, Rates
from tests.telegram_http import Handler, Server
from tests.telegram_methods import Methods
from tests.telegram_rules import MAX_TEXT, Refused, units
from tests.telegram_updates import Updates

USERNAME = "code_du_travail_bot"
_ENTITIES = (
    ("bot_command", re.compile(r"(?<!\S)/[A-Za-z0-9_]{1,32}(?:@\w+)?")),
    ("mention", re.compile(r"(?<![\w/])@\w{4,32}")),
    ("url", re.compile(r"https?://\S+")),
)


class TelegramServer:
    """`rates`: floods are refused as Telegram refuses them. `retry`: seconds until an update is pushed again."""

    def __init__(self, *, rates: Rates | None = None, retry: float = 0.2) -> None:
        self.token = f"{secrets.randbelow(9 * 10**8) + 10**8}:{secrets.token_urlsafe(26)[:35]}"
        self.bot = {"id": int(self.token.split(":")[0]), "is_bot": True, "first_name": "Code du travail",
                    "username": USERNAME}  # fmt: skip
        self.chats = Chats()
        self.updates = Updates(retry=retry)
        self.faults = Faults()
        self.methods = Methods(self.bot, self.chats, self.updates, rates)
        self.calls: list[Call] = []
        self.strange: list[str] = []
        self.guard = threading.RLock()
        self.closed = threading.Event()
        self._server = Server(("127.0.0.1", 0), type("_Handler", (Handler,), {"telegram": self}))

    def __enter__(self) -> TelegramServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed.set()
        self.updates.close()
        self._server.shutdown()
        self._server.server_close()
        assert error is not None or not self.strange, self.strange

    @property
    def url(self) -> str:
        """What stands for https://api.telegram.org."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    # What people see.

    def messages(self, chat: int, *, from_bot: bool | None = True) -> list[Shown]:
        """What stands in a chat now: what the bot wrote; `from_bot` False: what people did, None: both."""
        with self.guard:
            known = self.chats.all.get(chat)
            return [] if known is None else [m for m in known.messages.values() if from_bot in (None, m.from_bot)]

    @property
    def actions(self) -> list[tuple[int, str]]:
        """(chat, action) of each sendChatAction."""
        return self.methods.actions

    @property
    def answers(self) -> list[tuple[str, str]]:
        """(callback query, text) of each answerCallbackQuery."""
        return self.methods.answers

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    # What goes wrong.

    def fail_next(
        self,
        method: str = ANY,
        status: int = 500,
        description: str = "Internal Server Error",
        *,
        retry_after: int | None = None,
        times: int = 1,
        done: bool = False,
    ) -> None:
        """Refuse the next calls, with (`done`) or without effect."""
        refusal = Refused(status, description, retry_after)
        self.faults.add(Fault(method, "fail", times, refusal, done=done))

    def flood_next(self, method: str = ANY, retry_after: int = 1, *, times: int = 1) -> None:
        """Answer the next calls as Telegram answers a flood."""
        self.fail_next(
            method, 429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after, times=times
        )

    def hang_next(self, method: str = ANY, seconds: float = 60, *, times: int = 1, done: bool = True) -> None:
        """Answer the next calls late; with `done` they have their effect at once, else never, and end in a 500."""
        self.faults.add(Fault(method, "hang", times, Refused(500, "Internal Server Error"), seconds, done))

    def drop_next(self, method: str = ANY, *, times: int = 1, done: bool = True) -> None:
        """Close the connection instead of answering, after (`done`) or before the call has its effect."""
        self.faults.add(Fault(method, "drop", times, done=done))

    def block(self, user: int, *, blocked: bool = True) -> None:
        """A person stops the bot, or starts it again."""
        chat = self.chats.of(user)
        chat.blocked = blocked
        was, now = ("member", "kicked") if blocked else ("kicked", "member")
        told = {"chat": chat.as_object(), "from": self.chats.person(user), "date": int(time.time())}
        member = {
            "old_chat_member": {"user": self.bot, "status": was},
            "new_chat_member": {"user": self.bot, "status": now},
        }
        self.update({"my_chat_member": {**told, **member}})

    # What people do.

    def person(self, user: int, **known: Any) -> dict[str, Any]:
        """Somebody's User object, with what is `known`: first_name, username, language_code."""
        return self.chats.person(user, **known)

    def update(self, update: Mapping[str, Any]) -> int:
        """Give the bot an update of any shape; its id."""
        with self.guard:
            self.chats.meet(update)
        return self.updates.push(update)

    def say(
        self, user: int, text: str, *, chat: int | None = None, topic: int | None = None, reply_to: Shown | None = None
    ) -> Shown:
        """A person writes, in private or in a `chat`. What is too long for one message goes out in several, as clients
        do it; returns the last."""
        while units(text) > MAX_TEXT:
            self.say(user, text[: MAX_TEXT // 2], chat=chat, topic=topic, reply_to=reply_to)
            text = text[MAX_TEXT // 2 :]
        message = self._written(user, chat, topic, reply_to)
        message.text, message.entities = text, _typed_entities(text)
        return self._tell(message)

    def upload(
        self,
        user: int,
        content: bytes,
        filename: str | None = None,
        *,
        mime_type: str = "application/octet-stream",
        caption: str = "",
        chat: int | None = None,
    ) -> Shown:
        """A person sends a document; without a name it is a voice message."""
        message = self._written(user, chat, None, None)
        message.text, message.entities = caption, _typed_entities(caption)
        if filename is None:
            voice = self.methods.keep_file(content, {"duration": 3, "mime_type": "audio/ogg"})
            message.attached = {"voice": voice}
        else:
            document = self.methods.keep_file(content, {"file_name": filename, "mime_type": mime_type})
            message.attached = {"document": document}
        return self._tell(message)

    def photo(self, user: int, content: bytes, *, caption: str = "", chat: int | None = None) -> Shown:
        """A person sends a photo, which Telegram keeps in several sizes, the largest last."""
        message = self._written(user, chat, None, None)
        message.text = caption
        sizes = [self.methods.keep_file(data, {"width": 90, "height": 90}) for data in (content[:100], content)]
        message.attached = {"photo": sizes}
        return self._tell(message)

    def edit(self, user: int, message: Shown, text: str) -> None:
        """A person changes what they wrote."""
        message.text, message.entities, message.edits = text, _typed_entities(text), message.edits + 1
        self.update({"edited_message": self.chats.all[message.chat].message_object(message)})

    def delete(self, message: Shown) -> None:
        """A person removes a message from the chat; the bot is not told."""
        with self.guard:
            del self.chats.all[message.chat].messages[message.id]

    def press(self, user: int, message: Shown, button: str) -> str:
        """A person presses a button by what stands on it (or its data); returns the query's id."""
        found = [b for b in message.keyboard if button in (b["text"], b.get("callback_data"))]
        assert found, f"no button {button!r} among {message.buttons}"
        query = str(secrets.randbits(60))
        self.methods.queries.add(query)
        told = self.chats.all[message.chat].message_object(message)
        sender = self.chats.person(user)
        data = found[0]["callback_data"]
        pressed = {"id": query, "from": sender, "message": told, "chat_instance": str(message.chat), "data": data}
        self.update({"callback_query": pressed})
        return query

    def _written(self, user: int, chat: int | None, topic: int | None, reply_to: Shown | None) -> Shown:
        with self.guard:
            where = self.chats.of(user if chat is None else chat, user=user)
            if topic is not None:
                where.topics.add(topic)
            answered = None if reply_to is None else reply_to.id
            sender = self.chats.person(user)
            return Shown(where.next_id(), where.id, "", sender, topic=topic, reply_to=answered)

    def _tell(self, message: Shown) -> Shown:
        with self.guard:
            chat: Chat = self.chats.all[message.chat]
            told = chat.message_object(chat.add(message))
        self.update({"message": told})
        return message


def _typed_entities(text: str) -> list[dict[str, Any]]:
    """What clients mark in what people type."""
    return [
        {"type": kind, "offset": units(text[: found.start()]), "length": units(found[0])}
        for kind, pattern in _ENTITIES
        for found in pattern.finditer(text)
    ]
