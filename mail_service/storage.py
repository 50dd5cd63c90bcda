"""The mail service's tables. Texts and addresses are encrypted; people are found by keyed hashes of their addresses."""

from __future__ import annotations

from datetime import datetime, timezone

import peewee

from common import retired_keys
from common.crypto import Cipher, EncryptedTextField
from common.database import Migration, bind, migrate
from common.key_book import KeyColumns, scope_migration

database_proxy = peewee.DatabaseProxy()
cipher_proxy = peewee.Proxy()

COMPONENT = "mail_service"


def utc_now() -> datetime:
    """Now, in UTC and without a zone, as every timestamp column holds it."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


class Table(peewee.Model):
    """Base of all tables: one proxy, so that one call binds them all."""

    class Meta:
        database = database_proxy
        legacy_table_names = False


class Message(Table):
    """One mail that came in. `identity` (SHA-256 of Message-ID and sender) is what makes an answer unique.

    `person` and `subject_key` are keyed hashes. `raw` is the mail itself until it is done with. `claim` names the
    worker that has it, until `lease_until`. `due_at` null: it waits for an operator.
    """

    id = peewee.AutoField()
    identity = peewee.CharField(max_length=64, unique=True)
    state = peewee.CharField(max_length=12)
    reason = peewee.CharField(max_length=40, default="")
    person = peewee.CharField(max_length=32, index=True)
    subject_key = peewee.CharField(max_length=32)
    thread = peewee.CharField(max_length=32, index=True)
    uid_validity = peewee.BigIntegerField(null=True)
    uid = peewee.BigIntegerField(null=True)
    filed = peewee.BooleanField(default=False)
    urgent = peewee.BooleanField(default=False)
    admitted = peewee.BooleanField(default=False)  # the breaker let it through
    attempts = peewee.IntegerField(default=0)
    received_at = peewee.DateTimeField(default=utc_now, index=True)
    due_at = peewee.DateTimeField(null=True, default=utc_now)
    claim = peewee.CharField(max_length=32, null=True)
    lease_until = peewee.DateTimeField(null=True)
    done_at = peewee.DateTimeField(null=True)
    sender = EncryptedTextField(cipher_proxy, default="")
    subject = EncryptedTextField(cipher_proxy, default="")
    message_id = EncryptedTextField(cipher_proxy, default="")
    question = EncryptedTextField(cipher_proxy, null=True)
    answer = EncryptedTextField(cipher_proxy, null=True)
    raw = EncryptedTextField(cipher_proxy, null=True)  # bytes as Latin-1

    class Meta:
        indexes = ((("state", "due_at"), False), (("uid_validity", "uid"), False))


class AttachmentText(Table):
    """A file of a message: what it is, what became of it, and the text that was read from it."""

    id = peewee.AutoField()
    message = peewee.ForeignKeyField(Message, backref="attachments", on_delete="CASCADE")
    position = peewee.IntegerField()
    name = EncryptedTextField(cipher_proxy)
    size = peewee.IntegerField()
    outcome = peewee.CharField(max_length=20)  # the kind that was read, or why nothing was
    text = EncryptedTextField(cipher_proxy, default="")

    class Meta:
        indexes = ((("message", "position"), True),)


class Reply(Table):
    """The outbox: a reply as it goes over the wire, frozen before it is first sent. One of each kind for a message."""

    id = peewee.AutoField()
    message = peewee.ForeignKeyField(Message, backref="replies", on_delete="CASCADE")
    kind = peewee.CharField(max_length=10)  # answer, apology
    our_id = peewee.CharField(max_length=320, unique=True)  # its Message-ID, which says nothing of the person
    state = peewee.CharField(max_length=10)
    reason = peewee.CharField(max_length=40, default="")
    attempts = peewee.IntegerField(default=0)
    due_at = peewee.DateTimeField(null=True, default=utc_now)
    claim = peewee.CharField(max_length=32, null=True)
    lease_until = peewee.DateTimeField(null=True)
    created_at = peewee.DateTimeField(default=utc_now)
    sent_at = peewee.DateTimeField(null=True)
    copied = peewee.BooleanField(default=False)  # a copy is in Sent
    recipient = EncryptedTextField(cipher_proxy)
    raw = EncryptedTextField(cipher_proxy)  # ASCII: quoted-printable and encoded words

    class Meta:
        indexes = ((("message", "kind"), True), (("state", "due_at"), False))


class ThreadReference(Table):
    """Which thread of a person a Message-ID (its SHA-256) belongs to."""

    id = peewee.AutoField()
    person = peewee.CharField(max_length=32)
    digest = peewee.CharField(max_length=64)
    thread = peewee.CharField(max_length=32)
    created_at = peewee.DateTimeField(default=utc_now, index=True)

    class Meta:
        indexes = ((("person", "digest"), True),)


class Admission(Table):
    """One mail that the breaker let through, for as long as its windows look back."""

    id = peewee.AutoField()
    at = peewee.DateTimeField(default=utc_now, index=True)
    person = peewee.CharField(max_length=32)
    subject_key = peewee.CharField(max_length=32)


class Counter(Table):
    """A figure that only grows, across processes and restarts."""

    name = peewee.CharField(max_length=60)
    label = peewee.CharField(max_length=60)
    value = peewee.DoubleField(default=0)

    class Meta:
        primary_key = peewee.CompositeKey("name", "label")


class Mailbox(Table):
    """When the poller last saw a folder, and under which UIDVALIDITY its uids count (RFC 3501, section 2.3.1.1)."""

    folder = peewee.CharField(max_length=200, primary_key=True)
    uid_validity = peewee.BigIntegerField()
    polled_at = peewee.DateTimeField()


class CutOver(Table):
    """The moment at which this service took over the mailbox: what arrived before is answered by nobody. One row."""

    id = peewee.IntegerField(primary_key=True, default=1)
    at = peewee.DateTimeField()


class ApiKey(Table, KeyColumns):
    """An operator's key."""


class AuditEntry(Table):
    """One action of an operator: who, what, when, from where, outcome. Never a key, an address or a text."""

    id = peewee.AutoField()
    at = peewee.DateTimeField(default=utc_now, index=True)
    actor = peewee.CharField(max_length=120)
    action = peewee.CharField(max_length=60)
    target = peewee.CharField(max_length=200, default="")
    address = peewee.CharField(max_length=45, default="")
    outcome = peewee.CharField(max_length=40)


FIRST_TABLES = (
    Message,
    AttachmentText,
    Reply,
    ThreadReference,
    Admission,
    Counter,
    Mailbox,
    ApiKey,
    AuditEntry,
)

MIGRATIONS = (
    Migration("0001_first_tables", lambda database: database.create_tables(FIRST_TABLES)),
    Migration("0002_cut_over", lambda database: database.create_tables((CutOver,))),
    retired_keys.MIGRATION,
    scope_migration(ApiKey),
)


def open_storage(url: str, secret_keys: tuple[str, ...]) -> peewee.Database:
    """Bind the tables to the database of `url`, read with `secret_keys`, and bring its schema up to date."""
    cipher_proxy.initialize(Cipher(secret_keys))
    database = bind(database_proxy, url)
    migrate(database, COMPONENT, MIGRATIONS)
    return database
