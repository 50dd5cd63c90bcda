"""What the bot works with, in one place: commands and conversations are given it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import peewee

from common.ai_client import AiClient
from telegram_service.files import Files
from telegram_service.formatting import parts
from telegram_service.history import History
from telegram_service.incoming import Incoming
from telegram_service.limits import MessageLimits
from telegram_service.mailbox import Mailbox
from telegram_service.people import Acquaintance, People
from telegram_service.personal_data import PersonalData
from telegram_service.replies import Replies
from telegram_service.streaming import LiveReplies
from telegram_service.telegram_api import Address, Keyboard, TelegramApi
from telegram_service.texts import LANGUAGES, say
from telegram_service.usage import UsageBook


@dataclass(frozen=True, slots=True)
class Manners:
    """What the operator decides. `retention_days` that texts are kept; `crowd` waiting messages from which on answers
    are short."""

    admins: frozenset[int]
    allowed: frozenset[int]  # empty: everybody
    blocked: frozenset[int]
    retention_days: int
    default_model: str | None
    max_tokens: int
    temperature: float | None  # None: the AI core's own for this channel, as for those below
    top_p: float | None
    top_k: int | None
    repetition_penalty: float | None
    crowd: int


@dataclass(slots=True)
class Bot:
    """For any thread."""

    database: peewee.Database
    telegram: TelegramApi
    ai: AiClient
    mailbox: Mailbox
    people: People
    history: History
    replies: Replies
    live: LiveReplies
    limits: MessageLimits
    files: Files
    usage: UsageBook
    personal_data: PersonalData
    manners: Manners
    _name: str = ""
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """The bot's user name, without the @. Raises TelegramError."""
        with self._guard:
            if not self._name:
                self._name = str(self.telegram.me()["username"])
            return self._name


@dataclass(frozen=True, slots=True)
class Visit:
    """One update of one person, and how they are spoken to."""

    bot: Bot
    incoming: Incoming
    person: Acquaintance

    @property
    def language(self) -> str:
        """What they chose, else what their Telegram speaks where we know it, else French."""
        chosen = self.person.preferences.language
        own = self.incoming.language if self.incoming.language in LANGUAGES else LANGUAGES[0]
        return chosen or own

    @property
    def private_address(self) -> Address:
        """Where only they read."""
        return self.incoming.address if self.incoming.is_private else Address(self.incoming.user)

    @property
    def is_admin(self) -> bool:
        return self.incoming.user in self.bot.manners.admins

    def text(self, name: str, /, **values: object) -> str:
        """A text in their language."""
        return say(self.language, name, **values)

    def tell(self, name: str, /, *, keyboard: Keyboard = (), repeat: bool = True, **values: object) -> None:
        """Say one of our texts. Raises RetryLater, Blocked."""
        self.tell_text(self.text(name, **values), keyboard=keyboard, repeat=repeat)

    def tell_text(self, markdown: str, *, keyboard: Keyboard = (), repeat: bool = True, name: str = "told") -> None:
        """Say something in Markdown. Raises RetryLater, Blocked."""
        incoming = self.incoming
        self.bot.replies.tell(
            incoming.update_id,
            incoming.address,
            self.person.hash,
            parts(markdown),
            keyboard=keyboard,
            repeat=repeat,
            name=name,
        )

    def change(self, markdown: str, *, keyboard: Keyboard = ()) -> None:
        """Let the message whose button was pressed say something else. Raises TelegramError."""
        incoming = self.incoming
        if incoming.message_id is not None:
            self.bot.telegram.edit(incoming.chat, incoming.message_id, parts(markdown)[0], keyboard=keyboard)

    def answer_query(self, text: str = "", *, alert: bool = False) -> None:
        """Tell Telegram that the button was seen."""
        if self.incoming.query is not None:
            self.bot.telegram.answer_query(self.incoming.query, text, alert=alert)
