"""The AI core's tables. They bind to a database in `open_storage`; nothing is opened at import."""

from __future__ import annotations

from datetime import datetime, timezone

import peewee

from common import retired_keys
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


class SheetRevision(Table):
    """One import of the practical sheets; at most one is active."""

    revision = peewee.CharField(max_length=80, primary_key=True)
    source = peewee.CharField(max_length=300)
    sheet_count = peewee.IntegerField()
    active = peewee.BooleanField(default=False)
    created_at = peewee.DateTimeField(default=utc_now)


class KnowledgeSheet(Table):
    """One practical sheet in one revision; `section`, `parts` ([heading, text]) and `references` are JSON lists."""

    id = peewee.AutoField()
    revision = peewee.CharField(max_length=80)
    position = peewee.IntegerField()
    number = peewee.CharField(max_length=10)
    audience = peewee.CharField(max_length=20)
    title = peewee.TextField()
    section = peewee.TextField()
    parts = peewee.TextField()
    references = peewee.TextField()
    updated = peewee.DateField(null=True)

    class Meta:
        indexes = ((("revision", "number"), True),)


class RequestUsage(Table):
    """One request for an answer, without its text; `person` is a keyed hash, null for somebody unknown or erased."""

    id = peewee.BigAutoField()
    at = peewee.DateTimeField(default=utc_now, index=True)
    key_id = peewee.IntegerField(null=True)
    channel = peewee.CharField(max_length=40)
    person = peewee.CharField(max_length=32, null=True, index=True)
    model = peewee.CharField(max_length=200, null=True)
    prompt_tokens = peewee.IntegerField(default=0)
    completion_tokens = peewee.IntegerField(default=0)
    seconds = peewee.DoubleField(default=0.0)
    finish_reason = peewee.CharField(max_length=20, null=True)
    cached = peewee.BooleanField(default=False)
    error = peewee.CharField(max_length=60, null=True)  # the error's code


class UsageDay(Table):
    """What one key used on one day (UTC), kept when the requests themselves are gone. `key_id` 0: no key."""

    day = peewee.DateField()
    key_id = peewee.IntegerField()
    requests = peewee.IntegerField()
    errors = peewee.IntegerField()
    cached = peewee.IntegerField()
    prompt_tokens = peewee.BigIntegerField()
    completion_tokens = peewee.BigIntegerField()
    seconds = peewee.DoubleField()

    class Meta:
        primary_key = peewee.CompositeKey("day", "key_id")


class CleanupRun(Table):
    """One run of POST /admin/cleanup; `operations` are comma-separated, `space_freed` is in bytes."""

    id = peewee.AutoField()
    started_at = peewee.DateTimeField(default=utc_now)
    finished_at = peewee.DateTimeField(null=True)
    operations = peewee.CharField(max_length=200)
    space_freed = peewee.BigIntegerField(default=0)


class WebhookDelivery(Table):
    """One event for one receiver, until it is delivered or given up. `receiver` is a hash of its address."""

    id = peewee.CharField(max_length=32, primary_key=True)
    receiver = peewee.CharField(max_length=16)
    event = peewee.CharField(max_length=40)
    body = peewee.TextField()
    created_at = peewee.DateTimeField(default=utc_now)
    attempts = peewee.IntegerField(default=0)
    next_attempt_at = peewee.DateTimeField(default=utc_now)
    state = peewee.CharField(max_length=10, default="pending")  # pending, delivered, given_up
    problem = peewee.CharField(max_length=60, default="")

    class Meta:
        indexes = ((("state", "next_attempt_at"), False),)


class ComponentState(Table):
    """How often in a row a part of one host was found down."""

    host = peewee.CharField(max_length=100)
    name = peewee.CharField(max_length=40)
    downs = peewee.IntegerField()

    class Meta:
        primary_key = peewee.CompositeKey("host", "name")


class ModelDownload(Table):
    """A model fetched, or to be fetched, from the Hub; never a token. `request_key` is equal for equal requests;
    `had_token` says that one was given, which a restart loses. Sizes in bytes."""

    id = peewee.CharField(max_length=32, primary_key=True)
    host = peewee.CharField(max_length=100)  # whose disk it goes to
    request_key = peewee.CharField(max_length=32, index=True)
    model_name = peewee.CharField(max_length=100)
    model_format = peewee.CharField(max_length=20, null=True)
    filename = peewee.CharField(max_length=300, null=True)
    revision = peewee.CharField(max_length=200)
    had_token = peewee.BooleanField(default=False)
    status = peewee.CharField(max_length=12)  # queued, downloading, verifying, done, failed, cancelled
    error_code = peewee.CharField(max_length=40, null=True)
    error = peewee.TextField(null=True)
    commit = peewee.CharField(max_length=64, null=True)
    model_id = peewee.CharField(max_length=100, null=True)
    format = peewee.CharField(max_length=20, null=True)
    reason = peewee.TextField(null=True)
    bytes_total = peewee.BigIntegerField(null=True)
    bytes_done = peewee.BigIntegerField(default=0)
    created_at = peewee.DateTimeField(default=utc_now)
    started_at = peewee.DateTimeField(null=True)
    finished_at = peewee.DateTimeField(null=True)


class ModelParameters(Table):
    """Generation parameters that an operator gave a model, as a JSON object; what is not in it keeps its default."""

    model_id = peewee.CharField(max_length=100, primary_key=True)
    parameters = peewee.TextField()
    updated_at = peewee.DateTimeField(default=utc_now)


class ModelParametersChange(Table):
    """One change: the `parameters` after it, as a JSON object, and which key made it."""

    id = peewee.AutoField()
    model_id = peewee.CharField(max_length=100, index=True)
    at = peewee.DateTimeField(default=utc_now)
    actor = peewee.CharField(max_length=120)
    parameters = peewee.TextField()


TABLES = (ApiKey, AuditEntry, KnowledgeRevision, KnowledgeArticle)

USAGE_AND_JOBS = (RequestUsage, UsageDay, CleanupRun, WebhookDelivery, ComponentState)

MIGRATIONS = (
    Migration("0001_first_tables", lambda database: database.create_tables(TABLES)),
    Migration("0002_usage_and_jobs", lambda database: database.create_tables(USAGE_AND_JOBS)),
    Migration("0003_downloads", lambda database: database.create_tables([ModelDownload])),
    Migration(
        "0004_model_parameters", lambda database: database.create_tables([ModelParameters, ModelParametersChange])
    ),
    Migration("0005_practical_sheets", lambda database: database.create_tables([SheetRevision, KnowledgeSheet])),
    retired_keys.MIGRATION,
)


def open_storage(url: str) -> peewee.Database:
    """Bind the tables to the database of `url` and bring its schema up to date."""
    database = bind(database_proxy, url)
    migrate(database, COMPONENT, MIGRATIONS)
    return database
