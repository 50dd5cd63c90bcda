"""Questions, their generation parameters, and answers."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from ai_core.api.schemas import Strict, Text
from ai_core.engine.request import FinishReason
from ai_core.engine.sampling import MAX_LOGPROBS
from ai_core.grounding import ARTICLE, SHEET

MAX_GRAMMAR_LENGTH = 20_000
MAX_TURNS = 100
MAX_TURN_LENGTH = 20_000
PRIORITIES = ("interactive", "mail", "batch")


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
    frequency_penalty = fields.Float(validate=validate.Range(-2, 2))
    presence_penalty = fields.Float(validate=validate.Range(-2, 2))
    logprobs = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(0, MAX_LOGPROBS),
        metadata={"description": "Log-probability of each token, with that many alternatives."},
    )
    grammar = fields.String(
        validate=validate.Length(1, MAX_GRAMMAR_LENGTH), metadata={"description": "GBNF that the answer follows."}
    )
    json_schema = fields.Dict(
        keys=fields.String(), metadata={"description": "JSON schema of the answer; instead of a grammar."}
    )


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
    """What the model was given: an article, or a practical sheet of service-public.fr."""

    kind = fields.String(required=True, validate=validate.OneOf((ARTICLE, SHEET)))
    number = fields.String(required=True, metadata={"example": "L3121-27", "description": "F2883 for a sheet."})
    title = fields.String(required=True)
    label = fields.String(required=True, metadata={"description": "For people: what it is, its number, its title."})
    url = fields.Url(required=True)
    excerpt = fields.String(required=True)
    score = fields.Float(required=True)
    section = fields.List(fields.String(), required=True, metadata={"description": "Titles, from the part down."})
    state = fields.String(required=True, metadata={"example": "in_force", "description": "Empty for a sheet."})
    in_force_from = fields.String(required=True, allow_none=True, metadata={"example": "2016-08-10"})
    in_force_until = fields.String(
        required=True, allow_none=True, metadata={"description": "First day on which it no longer applies."}
    )
    updated = fields.String(
        required=True,
        allow_none=True,
        metadata={"example": "2020-08-21", "description": "Of a sheet: last changed."},
    )
    articles = fields.List(
        fields.String(), required=True, metadata={"description": "Of a sheet: the articles that it names."}
    )
    changed = fields.List(
        fields.String(), required=True, metadata={"description": "Of a sheet: those that changed since."}
    )


class CitationSchema(Schema):
    """An article number that the answer names."""

    number = fields.String(required=True)
    status = fields.String(
        required=True,
        validate=validate.OneOf(("verified", "exists", "unknown")),
        metadata={"description": "verified: among the sources; exists: in the Code, not among them; unknown: neither."},
    )


class LikelihoodSchema(Schema):
    """A token with its natural log-probability before any filter; its bytes, because it may be part of a character."""

    token = fields.String(required=True)
    logprob = fields.Float(required=True)
    bytes = fields.List(fields.Integer(), required=True)


class TokenSchema(LikelihoodSchema):
    """A token of the answer and those that might have stood there, likeliest first."""

    top_logprobs = fields.List(fields.Nested(LikelihoodSchema), required=True)


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
    logprobs = fields.List(fields.Nested(TokenSchema), metadata={"description": "With the parameter logprobs only."})
    suggested_subject = fields.String(metadata={"description": "With email_context only."})
    thread_id = fields.String(metadata={"description": "As given in email_context."})
