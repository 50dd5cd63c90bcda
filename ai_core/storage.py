"""The AI core's tables. They bind to a database in `open_storage`; nothing is opened at import."""

from __future__ import annotations

from datetime import datetime, timezone

import peewee

from common.database import Migration, bind, migrate

database_proxy = peewee.DatabaseProxy()

COMPONENT = "ai_core"


def utc_now() -> datetime:
    """Now, in UTC and without a zone, as every timestamp column holds it."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


class Table(peewee.Model):
    """Base of all tables: one proxy, so that one call binds them all."""

    class Meta:
        database = database_proxy
        legacy_table_names = False


class ApiKey(Table):
    """A client's key: `prefix` finds it, `digest` (SHA-256, hexadecimal) proves it; the key itself is not stored."""

    id = peewee.AutoField()
    name = peewee.CharField(max_length=100)
    prefix = peewee.CharField(max_length=16, unique=True)
    digest = peewee.CharField(max_length=64)
    scopes = peewee.CharField(max_length=100)  # comma-separated, sorted
    rate_limit_per_minute = peewee.IntegerField(null=True)
    allowed_networks = peewee.TextField(default="")  # comma-separated CIDRs; empty: any address
    created_at = peewee.DateTimeField(default=utc_now)
    expires_at = peewee.DateTimeField(null=True)
    last_used_at = peewee.DateTimeField(null=True)
    revoked_at = peewee.DateTimeField(null=True)


class AuditEntry(Table):
    """One administrative action: who, what, when, from where, outcome. Never a key, never a person's text."""

    id = peewee.AutoField()
    at = peewee.DateTimeField(default=utc_now, index=True)
    actor = peewee.CharField(max_length=120)
    action = peewee.CharField(max_length=60)
    target = peewee.CharField(max_length=200, default="")
    address = peewee.CharField(max_length=45, default="")
    outcome = peewee.CharField(max_length=40)


class KnowledgeRevision(Table):
    """One import of the Code du travail; at most one is active."""

    revision = peewee.CharField(max_length=80, primary_key=True)
    source = peewee.CharField(max_length=300)
    article_count = peewee.IntegerField()
    active = peewee.BooleanField(default=False)
    created_at = peewee.DateTimeField(default=utc_now)


class KnowledgeArticle(Table):
    """One article in one revision; `section_path` is a JSON list of titles from the code down to the section."""

    id = peewee.AutoField()
    revision = peewee.CharField(max_length=80)
    position = peewee.IntegerField()  # order in the code
    number = peewee.CharField(max_length=80)
    legifrance_id = peewee.CharField(max_length=20)
    title = peewee.TextField()
    section_path = peewee.TextField()
    text = peewee.TextField()
    nota = peewee.TextField(default="")
    state = peewee.CharField(max_length=20)
    in_force_from = peewee.DateField(null=True)
    in_force_until = peewee.DateField(null=True)

    class Meta:
        indexes = ((("revision", "number"), True),)


TABLES = (ApiKey, AuditEntry, KnowledgeRevision, KnowledgeArticle)

MIGRATIONS = (Migration("0001_first_tables", lambda database: database.create_tables(TABLES)),)


def open_storage(url: str) -> peewee.Database:
    """Bind the tables to the database of `url` and bring its schema up to date."""
    database = bind(database_proxy, url)
    migrate(database, COMPONENT, MIGRATIONS)
    return database
