"""POST /v1/embeddings."""

from __future__ import annotations

import base64
from typing import Any

from flask import g
from marshmallow import Schema, fields, validate

from ai_core.api.access import SECURITY, Limits, requires
from ai_core.api.answer_metrics import AnswerMetrics
from ai_core.api.client import ClientConnection
from ai_core.api.openai_compat import examples
from ai_core.api.openai_compat.asking import CHANNEL
from ai_core.api.openai_compat.blueprint import OpenAiBlueprint
from ai_core.api.openai_compat.errors import documented
from ai_core.api.openai_compat.fields import OneOrMany
from ai_core.api.schemas import Strict
from ai_core.embedding_model import EmbeddingModel
from ai_core.engine.embedding import Vector
from common.errors import ServiceError

MOST_TEXTS = 2_048
"""As in OpenAI's API."""


class EmbeddingRequestSchema(Strict):
    """Texts to turn into vectors."""

    model = fields.String(required=True, validate=validate.Length(1, 200))
    input = OneOrMany(most=MOST_TEXTS, required=True, example=["licenciement"])
    encoding_format = fields.String(
        load_default=None,
        validate=validate.OneOf(("float", "base64")),
        metadata={"description": "base64: little-endian 32-bit numbers."},
    )
    dimensions = fields.Integer(
        strict=True,
        load_default=None,
        validate=validate.Range(min=1),
        metadata={"description": "The model's own number only."},
    )
    user = fields.String(load_default=None, validate=validate.Length(1, 128))


class EmbeddingSchema(Schema):
    """The vector of one text, of length 1: a list of numbers, or these in base64."""

    object = fields.String(required=True, validate=validate.Equal("embedding"))
    index = fields.Integer(required=True)
    embedding = fields.Raw(
        required=True,
        metadata={"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string", "format": "byte"}]},
    )


class EmbeddingUsageSchema(Schema):
    """What was computed."""

    prompt_tokens = fields.Integer(required=True)
    total_tokens = fields.Integer(required=True)


class EmbeddingListSchema(Schema):
    """A vector for each text, in their order."""

    object = fields.String(required=True, validate=validate.Equal("list"))
    data = fields.List(fields.Nested(EmbeddingSchema), required=True)
    model = fields.String(required=True)
    usage = fields.Nested(EmbeddingUsageSchema, required=True)


def embeddings_blueprint(model: EmbeddingModel | None, limits: Limits, metrics: AnswerMetrics) -> OpenAiBlueprint:
    """The route, bound to `model`; None: there is none."""
    blueprint = OpenAiBlueprint("embeddings", __name__)

    @blueprint.route("/embeddings", methods=["POST"])
    @requires("chat")
    @documented(blueprint, 400, 404, 413, 415, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(EmbeddingRequestSchema, example=examples.EMBEDDING_REQUEST)
    @blueprint.response(200, EmbeddingListSchema, example=examples.EMBEDDINGS)
    def embed(body: dict[str, Any]) -> dict[str, Any]:
        """Turn texts into vectors

        As in OpenAI's API. 404 with the code `no_embedding_model` where the server has none (EMBEDDING_MODEL_FILE).
        """
        chosen = _chosen(model, body["model"])
        limits.count_user(CHANNEL, body["user"])
        client = ClientConnection()
        found = chosen.embed(body["input"], dimension=body["dimensions"], is_wanted=lambda: not client.is_gone())
        in_base64 = body["encoding_format"] == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _in_base64(vector) if in_base64 else vector.tolist()}
            for index, vector in enumerate(found.vectors)
        ]
        tokens = sum(found.tokens)
        metrics.note_computed(chosen.id, tokens, g.arrived)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": chosen.id, "usage": usage}

    return blueprint


def _chosen(model: EmbeddingModel | None, name: str) -> EmbeddingModel:
    if model is None:
        raise ServiceError(404, "no_embedding_model", "This server has no embedding model (EMBEDDING_MODEL_FILE).")
    if name != model.id:
        message = f"The embedding model of this server is {model.id}."
        raise ServiceError(404, "unknown_model", message, errors={"model": ["Unknown model."]})
    return model


def _in_base64(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
