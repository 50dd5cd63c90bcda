"""What the API takes and gives. Unknown fields are refused; texts are cleaned where they enter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from ai_core.engine.request import FinishReason
from ai_core.keys import SCOPES

MAX_TURNS = 100
MAX_TURN_LENGTH = 20_000
PRIORITIES = ("interactive", "mail", "batch")

NOT_BLANK = r"[^\s\u0000-\u001f\u007f-\u009f]"

# Control characters but tab and newline; lone surrogates, which no UTF-8 can carry.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without control characters, its line ends as newlines, lone surrogates replaced by U+FFFD."""
    return _CONTROL.sub("", _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))


class Text(fields.String):
    """A text that people wrote: cleaned, then measured. `required` also means not blank."""

    def __init__(self, **options: Any) -> None:
        if options.get("required"):
            options["metadata"] = {"pattern": NOT_BLANK, **options.get("metadata", {})}
        super().__init__(**options)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = clean(super()._deserialize(value, attr, data, **kwargs) or "")
        if self.required and not text.strip():
            raise ValidationError("Must not be empty.")
        return text


class UtcDateTime(fields.NaiveDateTime):
    """A time that we keep in UTC without a zone, written with its zone."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=timezone.utc).isoformat()


class Strict(Schema):
    """Base of what comes in: a field that we do not know is an error, not a silence."""

    class Meta:
        unknown = RAISE


class TurnSchema(Strict):
    """One earlier turn of the conversation."""

    role = fields.String(required=True, validate=validate.OneOf(("user", "assistant")))
    content = Text(required=True, validate=validate.Length(max=MAX_TURN_LENGTH))


class SamplingSchema(Strict):
    """Generation parameters common to the top level of a request and to its `parameters`."""

    temperature = fields.Float(validate=validate.Range(0, 2), metadata={"description": "0 is greedy."})
    top_p = fields.Float(validate=validate.Range(0, 1))
    top_k = fields.Integer(strict=True, validate=validate.Range(1, 100))
    stop = fields.List(
        fields.String(validate=validate.Length(1, 100)),
        validate=validate.Length(max=8),
        metadata={"description": "Texts that end the answer; they are not part of it."},
    )
    seed = fields.Integer(strict=True, validate=validate.Range(0, 2**32 - 2))


class ParametersSchema(SamplingSchema):
    """All generation parameters. One that the loaded model's format cannot honour is refused."""

    max_length = fields.Integer(
        strict=True, validate=validate.Range(1, 2048), metadata={"description": "Most new tokens."}
    )
    repetition_penalty = fields.Float(
        validate=validate.Range(0, 2, min_inclusive=False), metadata={"exclusiveMinimum": True}
    )
    do_sample = fields.Boolean()
    num_beams = fields.Integer(strict=True, validate=validate.Range(1, 10))
    length_penalty = fields.Float(validate=validate.Range(0, 2))
    early_stopping = fields.Boolean()
    pad_token_id = fields.Integer(strict=True, allow_none=True, validate=validate.Range(min=0))
    eos_token_id = fields.Integer(strict=True, allow_none=True, validate=validate.Range(min=0))


class QuestionSchema(SamplingSchema):
    """What /chat and /generate have in common."""

    max_tokens = fields.Integer(
        strict=True, validate=validate.Range(1, 2048), metadata={"description": "Most new tokens."}
    )
    model = fields.String(validate=validate.Length(1, 200), metadata={"description": "Default: the loaded model."})
    parameters = fields.Nested(ParametersSchema, metadata={"description": "The top level wins where both name one."})
    context = fields.List(
        fields.Nested(TurnSchema),
        validate=validate.Length(max=MAX_TURNS),
        metadata={"description": "Earlier turns, oldest first."},
    )
    stream = fields.Boolean(load_default=False, metadata={"description": "Answer as Server-Sent Events."})


class ChatSchema(QuestionSchema):
    """A person's message."""

    message = Text(required=True)
    channel = fields.String(
        load_default="api",
        validate=validate.Regexp(r"^[a-z][a-z0-9_-]{0,31}\Z"),
        metadata={"description": "Where the message comes from: telegram, webapp, mail ..."},
    )
    user_id = fields.String(
        validate=validate.Length(1, 128), metadata={"description": "Counts towards that person's rate limit."}
    )
    grounding = fields.Boolean(load_default=True, metadata={"description": "Search the Code du travail first."})


class EmailContextSchema(Strict):
    """The mail that `prompt` is the text of."""

    sender = fields.String(
        validate=validate.Length(1, 320), metadata={"description": "Counts towards that person's rate limit."}
    )
    subject = Text(validate=validate.Length(max=998))
    thread_id = fields.String(validate=validate.Length(1, 998), metadata={"description": "Given back in the answer."})
    previous_messages = fields.List(
        fields.Nested(TurnSchema),
        validate=validate.Length(max=MAX_TURNS),
        metadata={"description": "Earlier mails of the thread, oldest first; instead of `context`."},
    )


class GenerateSchema(QuestionSchema):
    """A prompt to answer."""

    prompt = Text(required=True)
    priority = fields.String(load_default="interactive", validate=validate.OneOf(PRIORITIES))
    email_context = fields.Nested(EmailContextSchema)
    grounding = fields.Boolean(load_default=False, metadata={"description": "Search the Code du travail first."})


class SourceSchema(Schema):
    """An article that the model was given."""

    number = fields.String(required=True, metadata={"example": "L3121-27"})
    title = fields.String(required=True)
    url = fields.Url(required=True)
    excerpt = fields.String(required=True)
    score = fields.Float(required=True)


class CitationSchema(Schema):
    """An article number that the answer names."""

    number = fields.String(required=True)
    status = fields.String(
        required=True,
        validate=validate.OneOf(("verified", "exists", "unknown")),
        metadata={"description": "verified: among the sources; exists: in the Code, not among them; unknown: neither."},
    )


class AnswerSchema(Schema):
    """A finished answer."""

    response = fields.String(required=True)
    model = fields.String(required=True)
    tokens_used = fields.Integer(required=True)
    prompt_tokens = fields.Integer(required=True)
    completion_tokens = fields.Integer(required=True)
    processing_time = fields.Float(required=True, metadata={"description": "Seconds."})
    timestamp = fields.String(required=True, metadata={"format": "date-time", "description": "ISO 8601, UTC."})
    finish_reason = fields.String(required=True, validate=validate.OneOf([reason.value for reason in FinishReason]))
    parameters_used = fields.Dict(keys=fields.String(), required=True)
    grounded = fields.Boolean(required=True, metadata={"description": "Whether the answer has sources."})
    sources = fields.List(fields.Nested(SourceSchema), required=True)
    citations = fields.List(fields.Nested(CitationSchema), required=True)
    notice = fields.String(allow_none=True, metadata={"description": "A sentence that the person must see."})
    cached = fields.Boolean(required=True)
    suggested_subject = fields.String(metadata={"description": "With email_context only."})
    thread_id = fields.String(metadata={"description": "As given in email_context."})


class ErrorSchema(Schema):
    """Every error."""

    code = fields.String(required=True, metadata={"example": "invalid_fields"})
    status = fields.Integer(required=True, metadata={"example": 422})
    message = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), metadata={"example": {"temperature": ["Must be at most 2."]}})
    request_id = fields.String(required=True)


class NewKeySchema(Strict):
    """A key to make."""

    name = Text(required=True, validate=validate.Length(max=100))
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)), required=True, validate=validate.Length(1, len(SCOPES))
    )
    expires_at = fields.AwareDateTime(allow_none=True, metadata={"description": "ISO 8601 with a time zone."})
    rate_limit_per_minute = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, 1_000_000))
    allowed_networks = fields.List(
        fields.String(validate=validate.Length(1, 50)),
        validate=validate.Length(max=100),
        metadata={"description": "CIDRs that the key works from; none: any address."},
    )


class KeySchema(Schema):
    """A key, its text excepted."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    prefix = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    rate_limit_per_minute = fields.Integer(allow_none=True, required=True)
    allowed_networks = fields.List(fields.String(), required=True)
    created_at = UtcDateTime(required=True)
    expires_at = UtcDateTime(allow_none=True, required=True)
    last_used_at = UtcDateTime(allow_none=True, required=True)
    revoked_at = UtcDateTime(allow_none=True, required=True)


class KeyWithTextSchema(KeySchema):
    """A key that was just made; `key` is shown this once."""

    key = fields.String(required=True)


class KeyListSchema(Schema):
    """All keys."""

    keys = fields.List(fields.Nested(KeySchema), required=True)


class HealthSchema(Schema):
    """The process lives."""

    status = fields.String(required=True, metadata={"example": "ok"})


class ComponentSchema(Schema):
    """One part of the service. `detail` is for the operator."""

    status = fields.String(required=True, validate=validate.OneOf(("ok", "degraded", "down")))
    detail = fields.String(required=True)


class ReadinessSchema(Schema):
    """Whether the service can answer, and each of its parts."""

    status = fields.String(required=True, validate=validate.OneOf(("ready", "degraded", "unavailable")))
    components = fields.Dict(keys=fields.String(), values=fields.Nested(ComponentSchema), required=True)
    engine = fields.Dict(keys=fields.String(), metadata={"description": "Slots, queue and KV cells in use."})


class SearchSchema(Strict):
    """What to search for."""

    q = Text(required=True, validate=validate.Length(max=1000), metadata={"example": "préavis de démission"})
    limit = fields.Integer(load_default=10, validate=validate.Range(1, 50))


class SearchResultSchema(Schema):
    """One hit. `section` runs from the part of the code to the section."""

    kind = fields.String(required=True, validate=validate.OneOf(("article",)))
    number = fields.String(required=True)
    title = fields.String(required=True)
    section = fields.List(fields.String(), required=True)
    excerpt = fields.String(required=True)
    url = fields.Url(required=True)
    score = fields.Float(required=True)


class SearchResultsSchema(Schema):
    """The hits, best first."""

    results = fields.List(fields.Nested(SearchResultSchema), required=True)


class ArticleSchema(Schema):
    """One article of the revision in use."""

    number = fields.String(required=True)
    title = fields.String(required=True)
    section = fields.List(fields.String(), required=True)
    text = fields.String(required=True)
    nota = fields.String(required=True)
    url = fields.Url(required=True)
    state = fields.String(required=True)
    in_force_from = fields.Date(allow_none=True, required=True)
    in_force_until = fields.Date(
        allow_none=True, required=True, metadata={"description": "First day on which it no longer applies."}
    )
    revision = fields.String(required=True, metadata={"description": "Of the imported Code."})
