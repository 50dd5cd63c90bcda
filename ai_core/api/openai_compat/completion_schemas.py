"""POST /v1/completions: what comes in and what goes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from ai_core.api.openai_compat.chat_schemas import EndSchema, GenerationSchema, TokenUsageSchema
from ai_core.api.openai_compat.fields import OneOrMany, Unsupported
from ai_core.engine.sampling import MAX_LOGPROBS


class CompletionRequestSchema(GenerationSchema):
    """A text to go on with."""

    prompt = OneOrMany(most=1, required=True, example="La durée légale du travail est")
    logprobs = fields.Integer(strict=True, load_default=None, validate=validate.Range(0, MAX_LOGPROBS))
    best_of = Unsupported(1)
    echo = Unsupported(False)
    suffix = Unsupported("")

    @validates_schema
    def _check_prompt(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data["prompt"][0].strip():
            raise ValidationError("Must not be blank.", "prompt")


class CompletionLogprobsSchema(Schema):
    """Parallel lists, one entry for each token; `text_offset` in characters."""

    tokens = fields.List(fields.String(), required=True)
    token_logprobs = fields.List(fields.Float(), required=True)
    top_logprobs = fields.List(fields.Dict(keys=fields.String(), values=fields.Float()), required=True)
    text_offset = fields.List(fields.Integer(), required=True)


class CompletionChoiceSchema(EndSchema):
    """The one continuation that there is."""

    text = fields.String(required=True)
    logprobs = fields.Nested(CompletionLogprobsSchema, required=True, allow_none=True)


class CompletionSchema(Schema):
    """A finished continuation."""

    id = fields.String(required=True)
    object = fields.String(required=True, validate=validate.Equal("text_completion"))
    created = fields.Integer(required=True, metadata={"description": "Seconds since 1970."})
    model = fields.String(required=True)
    choices = fields.List(fields.Nested(CompletionChoiceSchema), required=True, validate=validate.Length(equal=1))
    usage = fields.Nested(TokenUsageSchema, required=True)
