"""Puts together what knows the meaning of updates: people, conversations, commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import peewee

from common.ai_client import AiClient
from common.crypto import Cipher
from common.redis_store import RedisStore
from common.retired_keys import RetiredKeys
from telegram_service.bot import Bot, Manners
from telegram_service.files import Files
from telegram_service.history import History
from telegram_service.limits import MessageLimits
from telegram_service.mailbox import Mailbox
from telegram_service.people import People
from telegram_service.personal_data import PersonalData
from telegram_service.replies import Replies
from telegram_service.settings import Settings
from telegram_service.streaming import LiveReplies
from telegram_service.telegram_api import TelegramApi
from telegram_service.typing_action import Typing
from telegram_service.usage import UsageBook

CROWD = 4  # waiting messages for each thread of a worker from which on answers are short


def build_bot(
    settings: Settings,
    *,
    database: peewee.Database,
    store: RedisStore,
    mailbox: Mailbox,
    telegram: TelegramApi,
    ai: AiClient,
    secrets: Sequence[str],
) -> Bot:
    """The bot over what the service is made of. Connects to nothing."""
    people = People(database, store, secrets, RetiredKeys(database, secrets))
    replies = Replies(database, telegram)
    limits = MessageLimits(
        store,
        person=settings.max_messages_per_minute,
        burst=settings.max_messages_burst,
        everybody=settings.max_messages_per_minute_global,
    )
    history = History(
        database,
        store,
        Cipher(secrets),
        people,
        max_turns=settings.max_conversation_length,
        timeout=settings.session_timeout,
    )
    return Bot(
        database=database,
        telegram=telegram,
        ai=ai,
        mailbox=mailbox,
        people=people,
        history=history,
        replies=replies,
        live=LiveReplies(replies, telegram, Typing(telegram.typing)),
        limits=limits,
        files=Files(telegram, ai, max_size=settings.max_file_size),
        usage=UsageBook(database),
        personal_data=PersonalData(database, people, mailbox, replies, limits, ai, _forgetting(store)),
        manners=_manners(settings),
    )


def _manners(settings: Settings) -> Manners:
    return Manners(
        admins=frozenset(settings.admin_users),
        allowed=frozenset(settings.allowed_users),
        blocked=frozenset(settings.blocked_users),
        retention_days=settings.retention_days,
        default_model=settings.default_model,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        repetition_penalty=settings.repetition_penalty,
        crowd=CROWD * settings.worker_threads,
    )


def _forgetting(store: RedisStore) -> Callable[[int, list[str]], int]:
    def forget(user: int, keys: list[str]) -> int:
        def step(client: Any) -> int:
            # Who has spoken in a group cannot be told from its key: all copies go, the database has the conversations.
            patterns = (f"user:{user}:*", f"chat:{user}:*", "chat:*:history")
            found = [key for pattern in patterns for key in client.scan_iter(match=pattern, count=1_000)]
            pipe = client.pipeline()
            pipe.delete(*keys, *found)
            pipe.zrem("bot:active_users", str(user))
            return sum(int(number) for number in pipe.execute())

        return store.call(step)

    return forget
