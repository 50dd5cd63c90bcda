"""POST /v1/chat/completions."""

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
from ai_core.api.openai_compat.chat_schemas import ChatCompletionRequestSchema, ChatCompletionSchema
from ai_core.api.openai_compat.errors import documented
from ai_core.api.openai_compat.logprobs import chat_logprobs
from ai_core.api.openai_compat.messages import conversation
from ai_core.api.openai_compat.model_names import without_grounded
from ai_core.engine.request import TextChunk
from ai_core.running_answer import AnswerBeingTold


def chat_blueprint(asking: Asking) -> OpenAiBlueprint:
    """The route, bound to `asking`."""
    blueprint = OpenAiBlueprint("chat", __name__)

    @blueprint.route("/chat/completions", methods=["POST"])
    @requires("chat")
    @documented(blueprint, 400, 404, 409, 413, 415, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.alt_response(
        200, schema=sse.EVENT_SCHEMA, content_type=sse.MIME_TYPE, description="With `stream`: chunks", success=True
    )
    @blueprint.arguments(ChatCompletionRequestSchema, examples=examples.CHATS)
    @blueprint.response(200, ChatCompletionSchema, example=examples.CHAT_COMPLETION, description="The answer")
    def complete(body: dict[str, Any]) -> Response | dict[str, Any]:
        """Go on with a conversation

        As in OpenAI's API. The client's own system message takes the place of ours. Nothing is searched unless
        `grounding` is true or the model is `MODEL:grounded`: then the best articles of the Code du travail stand
        before the last message, and the answer brings `sources` and `citations` (in a stream: in its last chunk).
        """
        question = _question(asking, body)
        running = asking.begin(question, body["safety_identifier"] or body["user"])
        if body["stream"]:
            options = body["stream_options"] or {}
            chunks = _chunks(running, asking.events(running), question, with_usage=bool(options.get("include_usage")))
            return streamed(running, chunks)
        _, answer = asking.whole(running)
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": chat_logprobs(answer.logprobs), **end(answer)}
        head = Head.of(running, "chatcmpl", "chat.completion")
        return {**asdict(head), "choices": [choice], "usage": usage(answer), **_grounds(answer, question)}

    return blueprint


def _question(asking: Asking, body: Mapping[str, Any]) -> Question:
    talk = conversation(body["messages"], longest=asking.longest)
    model, grounded = without_grounded(body["model"])
    return Question(
        text=talk.text,
        text_field="messages",
        history=talk.history,
        system=talk.system,
        model=model,
        requested=_requested(body),
        grounding=grounded if body["grounding"] is None else body["grounding"],
    )


def _requested(body: Mapping[str, Any]) -> dict[str, Any]:
    found = requested(body)
    if body["max_completion_tokens"] is not None:
        found["max_length"] = body["max_completion_tokens"]
    if body["logprobs"]:
        found["logprobs"] = body["top_logprobs"] or 0
    form = body["response_format"] or {"type": "text"}
    if form["type"] == "json_object":
        found["json_schema"] = {"type": "object"}
    elif form["type"] == "json_schema":
        found["json_schema"] = form["json_schema"]["schema"] or {"type": "object"}
    return found


def _chunks(
    running: AnswerBeingTold, events: Iterator[Event], question: Question, *, with_usage: bool
) -> Iterator[str]:
    head = Head.of(running, "chatcmpl", "chat.completion.chunk")
    more = {"usage": None} if with_usage else {}
    yield head.chunk([_delta({"role": "assistant", "content": ""})], **more)
    for event in events:
        if isinstance(event, Answer):
            yield head.chunk([{**_delta({}), **end(event)}], **more, **_grounds(event, question))
            if with_usage:
                yield head.chunk([], usage=usage(event))
        elif isinstance(event, TextChunk):
            logprobs = chat_logprobs(event.logprobs or None)
            yield head.chunk([{**_delta({"content": event.text}), "logprobs": logprobs}], **more)
        else:
            yield sse.HEARTBEAT


def _delta(delta: Mapping[str, str]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}


def _grounds(answer: Answer, question: Question) -> dict[str, Any]:
    """What a grounded answer rests on, and what the person must see of any."""
    notice = {} if answer.notice is None else {"notice": answer.notice}
    if not question.grounding:
        return notice
    return {
        "grounded": answer.grounded,
        "sources": [asdict(source) for source in answer.sources],
        "citations": [asdict(citation) for citation in answer.citations],
        **notice,
    }
