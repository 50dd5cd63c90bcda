"""What the Telegram service keeps of people and conversations. Texts and ids are encrypted; people are found by keyed
hashes of their Telegram ids, chats by keyed hashes of theirs."""

from __future__ import annotations

import peewee

from common import retired_keys
from common.crypto import EncryptedTextField
from common.database import Migration
from common.key_book import scope_migration
from telegram_service import reply_storage
from telegram_service.key_storage import ApiKey
from telegram_service.tables import Table, cipher_proxy, utc_now

COMPONENT = "telegram_service"


class Person(Table):
    """Somebody who wrote to the bot. `preferences` is JSON. `unreachable`: they blocked the bot; `blocked`: an
    administrator blocked them."""

    id = peewee.AutoField()
    person = peewee.CharField(max_length=32, unique=True)
    telegram_id = EncryptedTextField(cipher_proxy)
    preferences = peewee.TextField(default="{}")
    first_seen_at = peewee.DateTimeField(default=utc_now)
    last_seen_at = peewee.DateTimeField(default=utc_now, index=True)
    messages = peewee.IntegerField(default=0)
    noticed = peewee.BooleanField(default=False)  # that this is an AI, and what is kept
    unreachable = peewee.BooleanField(default=False)
    blocked = peewee.BooleanField(default=False)


class Turn(Table):
    """A question and its answer in the conversation of a chat. `session` changes when a conversation begins anew, and
    is empty for what belongs to none any more. What was imported has `update_id` below zero."""

    id = peewee.AutoField()
    lane = peewee.CharField(max_length=32)
    session = peewee.CharField(max_length=16)
    person = peewee.CharField(max_length=32, index=True)
    update_id = peewee.BigIntegerField(unique=True)
    at = peewee.DateTimeField(default=utc_now, index=True)
    question = EncryptedTextField(cipher_proxy)
    answer = EncryptedTextField(cipher_proxy, null=True)  # of the earlier system's turns often nobody knows it

    class Meta:
        indexes = ((("lane", "id"), False),)


class Usage(Table):
    """One question and what became of it, without its text. `outcome` is "answered", "stopped", or why there was no
    answer; `rating` is 1 or -1 where the person gave one."""

    id = peewee.AutoField()
    update_id = peewee.BigIntegerField(unique=True)
    person = peewee.CharField(max_length=32, index=True)
    at = peewee.DateTimeField(default=utc_now, index=True)
    outcome = peewee.CharField(max_length=40)
    model = peewee.CharField(max_length=200, default="")
    seconds = peewee.DoubleField(default=0)
    tokens = peewee.IntegerField(default=0)
    rating = peewee.SmallIntegerField(null=True)


class Broadcast(Table):
    """A message of an administrator to everybody. `done_to` is the last row of Person that it was tried for."""

    update_id = peewee.BigIntegerField(primary_key=True)
    text = EncryptedTextField(cipher_proxy)
    done_to = peewee.IntegerField(default=0)
    sent = peewee.IntegerField(default=0)


FIRST_TABLES = (Person, Turn, Usage, Broadcast, ApiKey, *reply_storage.TABLES)

MIGRATIONS = (
    Migration("0001_first_tables", lambda database: database.create_tables(FIRST_TABLES)),
    retired_keys.MIGRATION,
    scope_migration(ApiKey),
)
