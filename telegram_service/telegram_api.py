"""What the bot says to Telegram: one method for each thing it does, errors as words, no faster than Telegram lets it.

A keyboard is rows of buttons below a message. Every method raises TelegramAway and TelegramRefused; those
that write into a chat also Flooded, Blocked.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from telebot import apihelper, types

from telegram_service.formatting import Part, plain
from telegram_service.pace import Pace
from telegram_service.telegram_errors import (
    Blocked,
    EntitiesRefused,
    Flooded,
    MessageGone,
    TelegramAway,
    TelegramError,
    TelegramRefused,
    error_of,
)
from telegram_service.transport import Transport

__all__ = [
    "Address",
    "Blocked",
    "Button",
    "EntitiesRefused",
    "Flooded",
    "Keyboard",
    "MessageGone",
    "TelegramApi",
    "TelegramAway",
    "TelegramError",
    "TelegramRefused",
]

logger = logging.getLogger(__name__)

BOT_API = "https://api.telegram.org"
TIMEOUT = 20.0  # seconds
HURRY = 4.0  # seconds, for what is not worth more
PATIENCE = 10.0  # seconds that a call waits for its turn or after a 429
MAX_DOWNLOAD = 20 * 1024 * 1024  # bytes: what getFile hands out
SCOPES: Mapping[str, Callable[[], Any]] = {
    "default": types.BotCommandScopeDefault,
    "all_private_chats": types.BotCommandScopeAllPrivateChats,
    "all_group_chats": types.BotCommandScopeAllGroupChats,
}
UPDATES = ("message", "callback_query", "my_chat_member")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message goes; `reply_to` is the message that it answers, if it is still there."""

    chat: int
    topic: int | None = None
    reply_to: int | None = None


@dataclass(frozen=True, slots=True)
class Button:
    """A button below a message: pressing it sends `data` (1 to 64 bytes) or opens `url`."""

    text: str
    data: str = ""
    url: str = ""


Keyboard = Sequence[Sequence[Button]]


class TelegramApi:
    """One bot, for any thread. `url` is that of the Bot API or of a local Bot API server."""

    def __init__(
        self,
        token: str,
        url: str = BOT_API,
        *,
        pace: Pace | None = None,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._token = token
        self._transport = Transport(token, url, timeout=timeout, clock=clock, sleep=sleep)
        self._pace = pace or Pace(clock=clock, sleep=sleep)

    # -- messages -----------------------------------------------------------------------------------------------------

    def send(self, to: Address, part: Part, *, keyboard: Keyboard = ()) -> int:
        """Write a message; returns its id. TelegramAway with `uncertain`: perhaps it was written."""
        return int(self._marked_up(part, lambda one: self._send(to, one, keyboard))["message_id"])

    def edit(self, chat: int, message: int, part: Part, *, keyboard: Keyboard = (), hurry: bool = False) -> None:
        """Let a message of ours say `part`; fine where it does already. In a `hurry` nothing is waited for. Raises
        MessageGone."""
        self._marked_up(part, lambda one: self._edit(chat, message, one, keyboard, hurry))

    def set_keyboard(self, chat: int, message: int, keyboard: Keyboard) -> None:
        """Give a message of ours other buttons, or none; fine where it has them already. Raises MessageGone."""
        with _fine_if("not modified"):
            self._in_chat(chat, PATIENCE, "edit_message_reply_markup", chat, message, reply_markup=_markup(keyboard))

    def delete(self, chat: int, message: int) -> None:
        """Remove a message; fine where it is gone or cannot be removed."""
        with suppress(MessageGone):
            self._in_chat(chat, PATIENCE, "delete_message", chat, message)

    def send_document(self, to: Address, name: str, content: bytes, caption: str = "") -> int:
        """Send a file; returns the message's id. TelegramAway with `uncertain`: perhaps it was sent."""
        options = {**_options(to), "visible_file_name": name, "caption": caption or None}
        return int(
            self._in_chat(to.chat, PATIENCE, "send_data", to.chat, io.BytesIO(content), "document", **options)[
                "message_id"
            ]
        )

    def typing(self, to: Address, action: str = "typing") -> None:
        """Show for five seconds that something is being done. Not worth waiting for: Flooded while a 429 lasts."""
        wait = self._pace.closed_for(to.chat)
        if wait > 0:
            raise Flooded(wait)
        options = {"message_thread_id": to.topic, "timeout": HURRY}
        self._called(to.chat, "send_chat_action", to.chat, action, **options)

    def answer_query(self, query: str, text: str = "", *, alert: bool = False) -> None:
        """Tell Telegram that a pressed button was seen; `text` (up to 200 characters) is shown. Fine when it is too
        late for that."""
        with _fine_if("query"):
            self._called(None, "answer_callback_query", query, text[:200], show_alert=alert or None)

    def download(self, file_id: str, most_bytes: int = MAX_DOWNLOAD) -> bytes:
        """The content of a file that somebody sent. Raises ValueError where it is larger than `most_bytes`."""
        try:
            told = self._called(None, "get_file", file_id)
        except TelegramRefused as refused:
            if "too big" in refused.description:
                raise ValueError("larger than Telegram hands out") from None
            raise
        return self._transport.download(str(told["file_path"]), most_bytes)

    # -- the bot itself -----------------------------------------------------------------------------------------------

    def me(self) -> Mapping[str, Any]:
        """The bot's own User object: id, username ..."""
        told: Mapping[str, Any] = self._called(None, "get_me")
        return told

    def set_commands(self, commands: Mapping[str, str], *, language: str = "", scope: str = "default") -> None:
        """The command menu (descriptions by command) for everybody, or those who use Telegram in `language`; `scope`:
        default, all_private_chats, all_group_chats."""
        menu = [types.BotCommand(command, description) for command, description in commands.items()]
        self._called(None, "set_my_commands", menu, scope=SCOPES[scope](), language_code=language or None)

    def set_descriptions(self, description: str, short_description: str, *, language: str = "") -> None:
        """What people read before they start the bot (512 characters) and on its profile (120)."""
        self._called(None, "set_my_description", description, language)
        self._called(None, "set_my_short_description", short_description, language)

    def set_webhook(self, url: str, secret: str, *, connections: int = 40) -> None:
        """Let Telegram push updates to `url`; what waits there is kept."""
        options = {"max_connections": connections, "allowed_updates": list(UPDATES), "secret_token": secret}
        self._called(None, "set_webhook", url, **options)

    def delete_webhook(self) -> None:
        """Let Telegram keep updates for `updates`; what waits there is kept."""
        self._called(None, "delete_webhook")

    def webhook(self) -> Mapping[str, Any]:
        """The WebhookInfo object: url, pending_update_count, last_error_message ..."""
        told: Mapping[str, Any] = self._called(None, "get_webhook_info")
        return told

    def updates(self, offset: int, *, wait: int = 25, limit: int = 100) -> list[Mapping[str, Any]]:
        """Updates from `offset` on, which confirms all before it; up to `wait` seconds (at least 1) for the first.
        TelegramRefused with status 409 while there is a webhook or another poller."""
        options = {"allowed_updates": list(UPDATES), "long_polling_timeout": wait}
        return list(self._called(None, "get_updates", offset, limit, **options))

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    # -- within -------------------------------------------------------------------------------------------------------

    def _send(self, to: Address, part: Part, keyboard: Keyboard) -> Any:
        options = {**_options(to), **_looks(part, keyboard)}
        return self._in_chat(to.chat, PATIENCE, "send_message", to.chat, part.text, **options)

    def _edit(self, chat: int, message: int, part: Part, keyboard: Keyboard, hurry: bool) -> Any:
        options = {**_looks(part, keyboard), "timeout": HURRY if hurry else None}
        patience = 0.0 if hurry else PATIENCE
        with _fine_if("not modified"):
            self._in_chat(chat, patience, "edit_message_text", part.text, chat, message, **options)

    def _marked_up(self, part: Part, call: Callable[[Part], Any]) -> Any:
        """Telegram decides what entities are fine; a text whose entities it does not like goes out plain."""
        try:
            return call(part)
        except EntitiesRefused:
            logger.warning("entities refused")
            return call(plain(part))

    def _in_chat(self, chat: int, patience: float, method: str, *arguments: Any, **options: Any) -> Any:
        """Called at the chat's pace; after a 429 once more where its time is short."""
        self._pace.wait(chat, patience)
        try:
            return self._called(chat, method, *arguments, **options)
        except Flooded as flooded:
            if flooded.retry_after > patience:
                raise
        self._pace.wait(chat, patience)
        return self._called(chat, method, *arguments, **options)

    def _called(self, chat: int | None, method: str, *arguments: Any, **options: Any) -> Any:
        """telebot's function for a method of the Bot API, which returns the result as Telegram sent it."""
        try:
            return getattr(apihelper, method)(self._token, *arguments, **options)
        except apihelper.ApiTelegramException as error:
            parameters = error.result_json.get("parameters")
            wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
            refused = error_of(int(error.error_code), str(error.description), None if wait is None else float(wait))
        except apihelper.ApiException:  # no JSON: something on the way answered
            refused = TelegramAway("unreadable", uncertain=True)
        if isinstance(refused, Flooded) and chat is not None:
            self._pace.close(chat, refused.retry_after)
        raise refused


@contextmanager
def _fine_if(words: str) -> Iterator[None]:
    """A refusal with these words says that what was wanted is so already, or does not matter any more."""
    try:
        yield
    except TelegramRefused as refused:
        if words not in refused.description.lower():
            raise


def _options(to: Address) -> dict[str, Any]:
    reply = None if to.reply_to is None else types.ReplyParameters(to.reply_to, allow_sending_without_reply=True)
    return {"message_thread_id": to.topic, "reply_parameters": reply}


def _looks(part: Part, keyboard: Keyboard) -> dict[str, Any]:
    preview = types.LinkPreviewOptions(is_disabled=True)
    return {"entities": _entities(part), "reply_markup": _markup(keyboard), "link_preview_options": preview}


def _entities(part: Part) -> list[dict[str, Any]] | None:
    return [dict(entity) for entity in part.entities] or None


def _markup(keyboard: Keyboard) -> str | None:
    rows = [[_button(button) for button in row] for row in keyboard if row]
    return json.dumps({"inline_keyboard": rows}, ensure_ascii=False) if rows else None


def _button(button: Button) -> dict[str, str]:
    return {"text": button.text, **({"url": button.url} if button.url else {"callback_data": button.data})}
