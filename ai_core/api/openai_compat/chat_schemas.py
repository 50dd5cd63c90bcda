"""POST /v1/chat/completions: what comes in and what goes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from ai_core.api.answer_schemas import CitationSchema, SourceSchema, TokenSchema
from ai_core.api.openai_compat.fields import NOT_SUPPORTED, Content, OneOrMany, Unsupported
from ai_core.api.schemas import Strict
from ai_core.engine.sampling import MAX_LOGPROBS

MOST_MESSAGES = 1_000
MOST_NEW_TOKENS = 2_048
SEEDS = validate.Range(-(2**63), 2**63 - 1)
FINISH_REASONS = ("stop", "length")


class MessageSchema(Strict):
    """One turn. The fields of an assistant's turn that our answers bring are accepted when they come back."""

    role = fields.String(
        required=True,
        validate=validate.OneOf(("system", "developer", "user", "assistant"), error=f"{{input}}: {NOT_SUPPORTED}"),
        metadata={"description": "system and developer are the same here; they stand before the conversation."},
    )
    content = Content()
    name = Unsupported()
    refusal = Unsupported()
    annotations = Unsupported([])
    audio = Unsupported()
    function_call = Unsupported()
    tool_calls = Unsupported([])


class StreamOptionsSchema(Strict):
    """How a stream comes."""

    include_usage = fields.Boolean(load_default=None, metadata={"description": "A last chunk says what was used."})
    include_obfuscation = Unsupported(False)


class JsonSchemaSchema(Strict):
    """The JSON that an answer must be. The answer always keeps to it, `strict` or not."""

    name = fields.String(required=True, validate=validate.Regexp(r"^[A-Za-z0-9_-]{1,64}\Z"))
    schema = fields.Dict(keys=fields.String(), load_default=None, metadata={"example": {"type": "object"}})
    description = fields.String(load_default=None)
    strict = fields.Boolean(load_default=None)


class ResponseFormatSchema(Strict):
    """text, any JSON object, or JSON that keeps to a schema."""

    type = fields.String(required=True, validate=validate.OneOf(("text", "json_object", "json_schema")))
    json_schema = fields.Nested(JsonSchemaSchema, load_default=None)

    @validates_schema
    def _check(self, data: Mapping[str, Any], **_: Any) -> None:
        if (data["type"] == "json_schema") != (data["json_schema"] is not None):
            raise ValidationError("Needed with the type json_schema, and with no other.", "json_schema")


class GenerationSchema(Strict):
    """What chat and text completions have in common."""

    model = fields.String(
        required=True, validate=validate.Length(1, 200), metadata={"description": "One of GET /v1/models."}
    )
    max_tokens = fields.Integer(
        strict=True,
        load_default=None,
        validate=validate.Range(1, MOST_NEW_TOKENS),
        metadata={"description": "Most new tokens."},
    )
    temperature = fields.Float(load_default=None, validate=validate.Range(0, 2))
    top_p = fields.Float(load_default=None, validate=validate.Range(0, 1))
    frequency_penalty = fields.Float(load_default=None, validate=validate.Range(-2, 2))
    presence_penalty = fields.Float(load_default=None, validate=validate.Range(-2, 2))
    seed = fields.Integer(strict=True, load_default=None, validate=SEEDS)
    stop = OneOrMany(most=8, load_default=None)
    stream = fields.Boolean(load_default=None)
    stream_options = fields.Nested(StreamOptionsSchema, load_default=None)
    user = fields.String(
        load_default=None,
        validate=validate.Length(1, 128),
        metadata={"description": "Whom the question comes from: counts towards that person's rate limit."},
    )
    top_k = fields.Integer(
        strict=True, load_default=None, validate=validate.Range(1, 100), metadata={"description": "Not OpenAI's."}
    )
    repetition_penalty = fields.Float(
        load_default=None,
        validate=validate.Range(0, 2, min_inclusive=False),
        metadata={"exclusiveMinimum": True, "description": "Not OpenAI's."},
    )
    n = Unsupported(1)
    logit_bias = Unsupported({})

    @validates_schema
    def _check_stream(self, data: Mapping[str, Any], **_: Any) -> None:
        if data["stream_options"] is not None and not data["stream"]:
            raise ValidationError("Has a meaning with stream only.", "stream_options")


class ChatCompletionRequestSchema(GenerationSchema):
    """A conversation to go on with."""

    messages = fields.List(
        fields.Nested(MessageSchema),
        required=True,
        validate=validate.Length(1, MOST_MESSAGES),
        metadata={"description": "Oldest first; the last one is the user's."},
    )
    max_completion_tokens = fields.Integer(
        strict=True,
        load_default=None,
        validate=validate.Range(1, MOST_NEW_TOKENS),
        metadata={"description": "The newer name of max_tokens."},
    )
    logprobs = fields.Boolean(load_default=None)
    top_logprobs = fields.Integer(strict=True, load_default=None, validate=validate.Range(0, MAX_LOGPROBS))
    response_format = fields.Nested(ResponseFormatSchema, load_default=None)
    grounding = fields.Boolean(
        load_default=None,
        metadata={"description": "Not OpenAI's: search the Code du travail first, as the model MODEL:grounded does."},
    )
    safety_identifier = fields.String(
        load_default=None, validate=validate.Length(1, 128), metadata={"description": "The newer name of user."}
    )
    metadata = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        load_default=None,
        validate=validate.Length(max=16),
        metadata={"description": "Labels of stored completions; nothing is stored here."},
    )
    store = Unsupported(False)
    tools = Unsupported([])
    tool_choice = Unsupported("none")
    parallel_tool_calls = Unsupported()
    functions = Unsupported([])
    function_call = Unsupported("none")
    modalities = Unsupported(["text"])
    audio = Unsupported()
    prediction = Unsupported()
    reasoning_effort = Unsupported()
    verbosity = Unsupported()
    service_tier = Unsupported("auto", "default")
    web_search_options = Unsupported()
    prompt_cache_key = Unsupported()

    @validates_schema
    def _check_pairs(self, data: Mapping[str, Any], **_: Any) -> None:
        if None not in (data["max_tokens"], data["max_completion_tokens"]):
            raise ValidationError("Cannot be set together with max_tokens.", "max_completion_tokens")
        if data["top_logprobs"] is not None and not data["logprobs"]:
            raise ValidationError("Needs logprobs.", "top_logprobs")


class TokenUsageSchema(Schema):
    """What was computed."""

    prompt_tokens = fields.Integer(required=True)
    completion_tokens = fields.Integer(required=True)
    total_tokens = fields.Integer(required=True)


class GroundedSchema(Schema):
    """Not OpenAI's: what a grounded answer rests on."""

    grounded = fields.Boolean(metadata={"description": "With grounding only: whether there are sources."})
    sources = fields.List(fields.Nested(SourceSchema), metadata={"description": "With grounding only."})
    citations = fields.List(fields.Nested(CitationSchema), metadata={"description": "With grounding only."})
    notice = fields.String(metadata={"description": "A sentence that the person must see, if there is one."})


class AssistantMessageSchema(Schema):
    """The answer."""

    role = fields.String(required=True, validate=validate.Equal("assistant"))
    content = fields.String(required=True)
    refusal = fields.String(required=True, allow_none=True)


class ChatLogprobsSchema(Schema):
    """The tokens of the answer."""

    content = fields.List(fields.Nested(TokenSchema), required=True)
    refusal = fields.List(fields.Nested(TokenSchema), required=True, allow_none=True)


class EndSchema(Schema):
    """How an answer ended."""

    index = fields.Integer(required=True)
    finish_reason = fields.String(required=True, validate=validate.OneOf(FINISH_REASONS))
    native_finish_reason = fields.String(
        required=True, metadata={"description": "Not OpenAI's: as in /api/v1, which knows `deadline` and others."}
    )


class ChatChoiceSchema(EndSchema):
    """The one answer that there is."""

    message = fields.Nested(AssistantMessageSchema, required=True)
    logprobs = fields.Nested(ChatLogprobsSchema, required=True, allow_none=True)


class ChatCompletionSchema(GroundedSchema):
    """A finished answer."""

    id = fields.String(required=True)
    object = fields.String(required=True, validate=validate.Equal("chat.completion"))
    created = fields.Integer(required=True, metadata={"description": "Seconds since 1970."})
    model = fields.String(required=True)
    choices = fields.List(fields.Nested(ChatChoiceSchema), required=True, validate=validate.Length(equal=1))
    usage = fields.Nested(TokenUsageSchema, required=True)
