"""Cleaning up, logs, the audit log, usage and people, as they are asked for and shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from ai_core.api.schemas import Strict, UtcDateTime
from common.log_files import LEVELS

OPERATIONS = ("clean_logs", "clean_cache", "clean_models", "clean_temp", "full_cleanup")
LEVEL = validate.OneOf(LEVELS)
ROW_ID = validate.Range(1, 2**31 - 1)  # PostgreSQL's integer


class Moment(fields.AwareDateTime):
    """A time with its zone, as UTC without one."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            moment: datetime = super()._deserialize(value, attr, data, **kwargs)
            return moment.astimezone(timezone.utc).replace(tzinfo=None)
        except OverflowError as error:
            raise ValidationError("Not a date that can be reached.") from error


class TrueOrFalse(fields.Boolean):
    """JSON's true and false only, not what else could stand for them."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return bool(super()._deserialize(value, attr, data, **kwargs))


class CleanupSchema(Strict):
    """What to clean up."""

    operations = fields.List(
        fields.String(validate=validate.OneOf(OPERATIONS)), required=True, validate=validate.Length(1, 20)
    )
    force = TrueOrFalse(load_default=False, metadata={"description": "Also while answers are generated."})
    dry_run = TrueOrFalse(load_default=False, metadata={"description": "Only say what would be freed."})


class CleanupResultSchema(Schema):
    """What was cleaned up. `status` is `partial` where an operation failed; the log says why."""

    status = fields.String(required=True, validate=validate.OneOf(("completed", "partial", "dry_run")))
    message = fields.String(required=True)
    operations_completed = fields.List(fields.String(), required=True)
    space_freed = fields.Integer(required=True, metadata={"description": "Bytes."})
    started_at = UtcDateTime(required=True)


class PurgeSchema(Strict):
    """Which log files to remove: the older ones, but never one of the newest."""

    older_than_days = fields.Integer(strict=True, load_default=30, validate=validate.Range(0, 36_500))
    keep_latest_files = fields.Integer(strict=True, load_default=100, validate=validate.Range(0, 1_000_000))
    log_levels = fields.List(
        fields.String(validate=LEVEL),
        validate=validate.Length(1, len(LEVELS)),
        metadata={"description": "Only files of these levels; without it, of all."},
    )


class PurgeResultSchema(Schema):
    """What was removed."""

    status = fields.String(required=True, metadata={"example": "completed"})
    message = fields.String(required=True)
    files_removed = fields.Integer(required=True)
    space_freed = fields.Integer(required=True, metadata={"description": "Bytes."})
    purged_at = UtcDateTime(required=True)


class RoomSchema(Schema):
    """Of a disk or of memory, in bytes."""

    total = fields.Integer(required=True)
    used = fields.Integer(required=True)
    free = fields.Integer(required=True)
    usage_percent = fields.Float(required=True)


class ModelStatusSchema(Schema):
    """The model in memory."""

    loaded_model = fields.String(required=True, allow_none=True)
    model_memory_usage = fields.Integer(required=True, metadata={"description": "Bytes of its weights."})


class JobRunSchema(Schema):
    """The last run of a regular job."""

    name = fields.String(required=True)
    started_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    outcome = fields.String(required=True, validate=validate.OneOf(("running", "ok", "failed")))


class SystemStatusSchema(Schema):
    """How the machine and the service are; `reasons` say why they are not healthy."""

    status = fields.String(required=True, validate=validate.OneOf(("healthy", "warning", "critical")))
    reasons = fields.List(fields.String(), required=True)
    disk_usage = fields.Nested(RoomSchema, required=True)
    memory_usage = fields.Nested(RoomSchema, required=True)
    model_status = fields.Nested(ModelStatusSchema, required=True)
    last_cleanup = UtcDateTime(required=True, allow_none=True)
    queue = fields.Dict(
        required=True,
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"example": {"waiting": 0, "running": 2, "slots": 16}},
    )
    components = fields.Dict(required=True, keys=fields.String(), values=fields.Dict())
    jobs = fields.List(fields.Nested(JobRunSchema), required=True)
    timestamp = UtcDateTime(required=True)


class LogQuerySchema(Strict):
    """Which log lines to show."""

    day = fields.Date(metadata={"description": "UTC; today without it."})
    level = fields.String(validate=LEVEL, metadata={"description": "Only this level."})
    request_id = fields.String(validate=validate.Regexp(r"^[A-Za-z0-9._-]{1,64}$"))
    before = fields.String(
        validate=validate.Length(1, 40), metadata={"description": "The `next` of the page before this one."}
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))


class LogPageSchema(Schema):
    """Log lines, the newest first. `complete` is false where a file was too long to look at to its beginning."""

    lines = fields.List(fields.Dict(), required=True)
    next = fields.String(required=True, allow_none=True)
    complete = fields.Boolean(required=True)


class AuditQuerySchema(Strict):
    """Which actions to show."""

    actor = fields.String(validate=validate.Length(1, 120), metadata={"description": "A key's prefix."})
    action = fields.String(validate=validate.Length(1, 60), metadata={"example": "keys.create"})
    since = Moment(metadata={"description": "ISO 8601 with a time zone."})
    until = Moment(metadata={"description": "The same; not included."})
    before = fields.Integer(validate=ROW_ID, metadata={"description": "The `next` of the page before this one."})
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 1000))


class AuditEntrySchema(Schema):
    """One action. `outcome` is `done`, `refused: CODE`, `failed: CODE`, or `started` where it was cut short."""

    id = fields.Integer(required=True)
    at = UtcDateTime(required=True)
    actor = fields.String(required=True)
    action = fields.String(required=True)
    target = fields.String(required=True)
    address = fields.String(required=True)
    outcome = fields.String(required=True)


class AuditPageSchema(Schema):
    """Actions, the newest first."""

    entries = fields.List(fields.Nested(AuditEntrySchema), required=True)
    next = fields.Integer(required=True, allow_none=True)


class UsageQuerySchema(Strict):
    """Which sums to show."""

    step = fields.String(load_default="day", validate=validate.OneOf(("day", "hour")))
    since = Moment(metadata={"description": "ISO 8601 with a time zone; without it 30 days, or 24 hours, ago."})
    until = Moment(metadata={"description": "The same; now without it."})
    key_id = fields.Integer(validate=ROW_ID)


class SumsSchema(Schema):
    """What was used."""

    requests = fields.Integer(required=True)
    errors = fields.Integer(required=True)
    cached = fields.Integer(required=True)
    prompt_tokens = fields.Integer(required=True)
    completion_tokens = fields.Integer(required=True)
    seconds = fields.Float(required=True, metadata={"description": "The time of all answers together."})


class UsagePointSchema(SumsSchema):
    """What was used in one day or hour from `start`."""

    start = UtcDateTime(required=True)


class UsageSchema(Schema):
    """Points in which there was something, in order of time, and their sum."""

    step = fields.String(required=True)
    since = UtcDateTime(required=True)
    until = UtcDateTime(required=True)
    points = fields.List(fields.Nested(UsagePointSchema), required=True)
    totals = fields.Nested(SumsSchema, required=True)


class PersonRequestSchema(Schema):
    """One request of a person. Its text was never kept."""

    at = UtcDateTime(required=True)
    channel = fields.String(required=True)
    model = fields.String(required=True, allow_none=True)
    prompt_tokens = fields.Integer(required=True)
    completion_tokens = fields.Integer(required=True)
    seconds = fields.Float(required=True)
    finish_reason = fields.String(required=True, allow_none=True)
    cached = fields.Boolean(required=True)
    error = fields.String(required=True, allow_none=True)


class PersonSchema(Schema):
    """Everything that the AI core has of a person."""

    channel = fields.String(required=True)
    user_id = fields.String(required=True)
    exported_at = UtcDateTime(required=True)
    requests = fields.List(fields.Nested(PersonRequestSchema), required=True)


class ErasedSchema(Schema):
    """What there was of a person, by part, before it was forgotten."""

    erased = fields.Dict(
        required=True, keys=fields.String(), values=fields.Integer(), metadata={"example": {"requests": 12}}
    )
    erased_at = UtcDateTime(required=True)
