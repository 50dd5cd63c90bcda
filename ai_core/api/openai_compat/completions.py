"""POST /v1/completions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from flask import Response

from ai_core.answer import Answer, Question
from ai_core.api import sse
from ai_core.api.access import SECURITY, requires
from ai_core.api.openai_compat import examples
from ai_core.api.openai_compat.asking import Asking, Event, Head, end, requested, streamed, usage
from ai_core.api.openai_compat.blueprint import OpenAiBlueprint
from ai_core.api.openai_compat.completion_schemas import CompletionRequestSchema, CompletionSchema
from ai_core.api.openai_compat.errors import documented
from ai_core.api.openai_compat.logprobs import text_logprobs
from ai_core.engine.request import TextChunk
from ai_core.running_answer import AnswerBeingTold
from common.errors import InvalidFields

NEW_TOKENS = 16
"""OpenAI's own default."""


def completions_blueprint(asking: Asking) -> OpenAiBlueprint:
    """The route, bound to `asking`."""
    blueprint = OpenAiBlueprint("completions", __name__)

    @blueprint.route("/completions", methods=["POST"])
    @requires("chat")
    @documented(blueprint, 400, 404, 409, 413, 415, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.alt_response(
        200, schema=sse.EVENT_SCHEMA, content_type=sse.MIME_TYPE, description="With `stream`: chunks", success=True
    )
    @blueprint.arguments(CompletionRequestSchema, example=examples.COMPLETION_REQUEST)
    @blueprint.response(200, CompletionSchema, example=examples.COMPLETION, description="The continuation")
    def complete(body: dict[str, Any]) -> Response | dict[str, Any]:
        """Go on with a text

        As in OpenAI's API, and without a system prompt or a chat template: names of control tokens in the text are
        control tokens. A model on another server (REMOTE_URLS) takes conversations only.
        """
        running = asking.begin(_question(asking, body), body["user"])
        if body["stream"]:
            options = body["stream_options"] or {}
            chunks = _chunks(running, asking.events(running), with_usage=bool(options.get("include_usage")))
            return streamed(running, chunks)
        pieces, answer = asking.whole(running)
        text = "".join(piece.text for piece in pieces)  # the answer's own has lost its spaces at both ends
        choice = {"index": 0, "text": text, "logprobs": text_logprobs(answer.logprobs), **end(answer)}
        return {**asdict(Head.of(running, "cmpl", "text_completion")), "choices": [choice], "usage": usage(answer)}

    return blueprint


def _question(asking: Asking, body: Mapping[str, Any]) -> Question:
    (prompt,) = body["prompt"]
    if len(prompt) > asking.longest:
        raise InvalidFields({"prompt": [f"Longer than maximum length {asking.longest}."]})
    found = {"max_length": NEW_TOKENS, **requested(body)}
    if body["logprobs"] is not None:
        found["logprobs"] = body["logprobs"]
    return Question(
        text=prompt,
        text_field="prompt",
        model=body["model"],
        requested=found,
        grounding=False,
        bare=True,
    )


def _chunks(running: AnswerBeingTold, events: Iterator[Event], *, with_usage: bool) -> Iterator[str]:
    head = Head.of(running, "cmpl", "text_completion")
    more = {"usage": None} if with_usage else {}
    offset = 0
    for event in events:
        if isinstance(event, Answer):
            yield head.chunk([{**_piece(""), **end(event)}], **more)
            if with_usage:
                yield head.chunk([], usage=usage(event))
        elif isinstance(event, TextChunk):
            logprobs = text_logprobs(event.logprobs or None, offset=offset)
            offset += len(event.text)
            yield head.chunk([{**_piece(event.text), "logprobs": logprobs}], **more)
        else:
            yield sse.HEARTBEAT


def _piece(text: str) -> dict[str, Any]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": None}
