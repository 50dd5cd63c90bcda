"""The tables of replies, which storage.py makes: what was decided to say, and what of it stands in the chat."""

from __future__ import annotations

from enum import Enum

import peewee

from common.crypto import EncryptedTextField
from telegram_service.tables import Table, cipher_proxy, utc_now


class ReplyState(str, Enum):
    """WRITING: not decided yet. READY: frozen, and nothing else will be said. DELIVERED: it stands in the chat.
    DROPPED: it cannot be said there any more."""

    WRITING = "writing"
    READY = "ready"
    DELIVERED = "delivered"
    DROPPED = "dropped"


class PartState(str, Enum):
    """SENDING: a message without a placeholder is on its way, and may have arrived."""

    WAITING = "waiting"
    SENDING = "sending"
    SHOWN = "shown"


class Reply(Table):
    """What an update is answered with, by `name` where that is more than one thing. `person` is a keyed hash."""

    id = peewee.AutoField()
    update_id = peewee.BigIntegerField()
    name = peewee.CharField(max_length=20)
    person = peewee.CharField(max_length=32, index=True)
    state = peewee.CharField(max_length=10, default=ReplyState.WRITING.value)
    created_at = peewee.DateTimeField(default=utc_now, index=True)

    class Meta:
        indexes = ((("update_id", "name"), True),)


class ReplyPart(Table):
    """One message of a reply. `content` is JSON ({"text", "entities", "keyboard"}) until it is delivered; `message_id`
    is null until there is a message in the chat."""

    id = peewee.AutoField()
    reply = peewee.ForeignKeyField(Reply, backref="parts", on_delete="CASCADE")
    position = peewee.IntegerField()
    state = peewee.CharField(max_length=10, default=PartState.WAITING.value)
    message_id = peewee.BigIntegerField(null=True)
    content = EncryptedTextField(cipher_proxy, null=True)

    class Meta:
        indexes = ((("reply", "position"), True),)


TABLES = (Reply, ReplyPart)
