"""POST /chat and POST /generate: a question in, an answer with its sources out, whole or streamed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from flask import Response, g

from ai_core.answer import Answer, Question
from ai_core.api import examples, sse
from ai_core.api.access import SECURITY, Limits, current_key, requires
from ai_core.api.answer_metrics import AnswerMetrics
from ai_core.api.answer_schemas import AnswerSchema, ChatSchema, GenerateSchema
from ai_core.api.blueprint import Blueprint
from ai_core.api.cited_so_far import CitedSoFar
from ai_core.api.client import ClientConnection, cache_wishes
from ai_core.api.documented import KEYED, WITH_BODY, errors
from ai_core.api.token_logprobs import as_objects
from ai_core.assistant import Assistant
from ai_core.engine.request import Priority, TextChunk, TokenLogprob
from ai_core.prompts import Message
from ai_core.running_answer import AnswerBeingTold
from common.errors import InvalidFields, ServiceError, error_body

CLIENT_CLOSED_REQUEST = 499  # nginx's status: nobody reads it, the log does
Event = TextChunk | Answer | None
_REPLY_MARKS = re.compile(r"^(?:\s*(?:re|ref|tr|fw|fwd)\s*:\s*)+", re.IGNORECASE)


def answers_blueprint(
    assistant: Assistant,
    limits: Limits,
    metrics: AnswerMetrics,
    *,
    max_prompt_length: int,
    hash_of: Callable[[str, str], str],
) -> Blueprint:
    """The routes, bound to `assistant`. A text longer than `max_prompt_length` characters is refused; `hash_of` gives
    what stands for a person, by channel and id."""
    blueprint = Blueprint("answers", __name__, url_prefix="/api/v1", description="Questions and answers")
    as_events = blueprint.alt_response(
        200, schema=sse.EVENT_SCHEMA, content_type=sse.MIME_TYPE, description="With `stream`: events", success=True
    )
    answer_errors = errors(blueprint, *KEYED, *WITH_BODY, 404, 409, 503)

    @blueprint.route("/chat", methods=["POST"])
    @requires("chat")
    @answer_errors
    @blueprint.doc(security=SECURITY)
    @as_events
    @blueprint.arguments(ChatSchema, example=examples.CHAT)
    @blueprint.response(200, AnswerSchema, example=examples.ANSWER, description="The answer, or a stream of events")
    def chat(body: dict[str, Any]) -> Response | dict[str, Any]:
        """Answer a person's message

        With `stream` the answer comes as Server-Sent Events: `sources` once, `token` for each piece of text, `citation`
        as soon as an article number is complete in it (with its `status`: one that is `unknown` is no law), then one
        `done` with the whole answer object; `error` with the error object if it fails on the way.
        """
        _check_length("message", body["message"], max_prompt_length)
        limits.count_user(body["channel"], body.get("user_id"))
        question = Question(
            text=body["message"],
            channel=body["channel"],
            history=_turns(body.get("context")),
            model=body.get("model"),
            requested=_requested(body),
            grounding=body["grounding"],
            owner=_owner(),
            conversation=_conversation(body["channel"], body.get("user_id")),
            person=_person(hash_of, body["channel"], body.get("user_id")),
            cache=cache_wishes(),
        )
        return _respond(assistant.ask(question), metrics, stream=body["stream"], extra={})

    @blueprint.route("/generate", methods=["POST"])
    @requires("chat")
    @answer_errors
    @blueprint.doc(security=SECURITY)
    @as_events
    @blueprint.arguments(GenerateSchema, example=examples.GENERATE)
    @blueprint.response(200, AnswerSchema, example=examples.ANSWER, description="The answer, or a stream of events")
    def generate(body: dict[str, Any]) -> Response | dict[str, Any]:
        """Answer a prompt

        Streams as /chat does. With `email_context` the prompt is the text of a mail: its subject goes before it, and
        the answer brings `suggested_subject` and `thread_id`.
        """
        _check_length("prompt", body["prompt"], max_prompt_length)
        mail = body.get("email_context")
        if mail is not None:
            limits.count_user("mail", mail.get("sender"))
        question = Question(
            text=_with_subject(body["prompt"], mail),
            text_field="prompt",
            channel="api" if mail is None else "mail",
            history=_turns((mail or {}).get("previous_messages") or body.get("context")),
            model=body.get("model"),
            requested=_requested(body),
            grounding=body["grounding"],
            priority=Priority[body["priority"].upper()],
            owner=_owner(),
            person=_person(hash_of, "mail", (mail or {}).get("sender")),
            cache=cache_wishes(),
        )
        return _respond(assistant.ask(question), metrics, stream=body["stream"], extra=_mail_fields(mail))

    return blueprint


def answer_object(answer: Answer) -> dict[str, Any]:
    """The API's form of `answer`."""
    return {
        "response": answer.text,
        "model": answer.model,
        "tokens_used": answer.prompt_tokens + answer.completion_tokens,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "processing_time": round(answer.processing_time, 3),
        "timestamp": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "finish_reason": answer.finish_reason.value,
        "parameters_used": dict(answer.parameters_used),
        "grounded": answer.grounded,
        "sources": [asdict(source) for source in answer.sources],
        "citations": [asdict(citation) for citation in answer.citations],
        "notice": answer.notice,
        "cached": answer.cached,
        **_logprobs(answer.logprobs),
    }


def _respond(
    running: AnswerBeingTold, metrics: AnswerMetrics, *, stream: bool, extra: Mapping[str, Any]
) -> Response | dict[str, Any]:
    client = ClientConnection()
    events = metrics.watched(running, g.arrived)
    if stream:
        response = Response(_stream(running, events, client, extra), mimetype=sse.MIME_TYPE, headers=sse.HEADERS)
        response.call_on_close(running.cancel)  # also when the stream was never begun
        return response
    for event in events:
        if isinstance(event, Answer):
            return {**answer_object(event), **extra}
        if client.is_gone():
            break
    raise ServiceError(CLIENT_CLOSED_REQUEST, "client_closed_request", "The client went away.")


def _stream(
    running: AnswerBeingTold, events: Iterator[Event], client: ClientConnection, extra: Mapping[str, Any]
) -> Iterator[str]:
    # The server closes this generator when a write fails; the look at the socket sees a client go before that.
    cited = CitedSoFar(running.check)
    try:
        yield sse.event(
            "sources", {"sources": [asdict(source) for source in running.sources], "grounded": running.grounded}
        )
        for event in events:
            if client.is_gone():
                return
            if isinstance(event, Answer):
                yield sse.event("done", {**answer_object(event), **extra})
            elif event is None:
                yield sse.HEARTBEAT
            else:
                yield sse.event("token", _token(event))
                for citation in cited.take(event.text):
                    yield sse.event("citation", asdict(citation))
    except ServiceError as error:
        yield sse.event("error", error_body(error))
    finally:
        running.cancel()


def _token(chunk: TextChunk) -> dict[str, Any]:
    return {"text": chunk.text, **_logprobs(chunk.logprobs or None)}


def _logprobs(tokens: Sequence[TokenLogprob] | None) -> dict[str, Any]:
    return {} if tokens is None else {"logprobs": as_objects(tokens)}


def _owner() -> str:
    """Who waits for answers by turns with the others: the key."""
    return str(current_key().id)


def _conversation(channel: str, user_id: str | None) -> str | None:
    """One person's key for what may be reused of earlier prompts; None for somebody unknown. Names that clients choose
    cannot run into one another in JSON."""
    return None if user_id is None else json.dumps([_owner(), channel, user_id])


def _person(hash_of: Callable[[str, str], str], channel: str, user_id: str | None) -> str | None:
    return hash_of(channel, user_id) if user_id else None


def _check_length(field: str, text: str, maximum: int) -> None:
    if len(text) > maximum:
        raise InvalidFields({field: [f"Longer than maximum length {maximum}."]})


def _turns(context: list[dict[str, str]] | None) -> tuple[Message, ...]:
    return tuple(Message(turn["role"], turn["content"]) for turn in context or ())


def _requested(body: Mapping[str, Any]) -> dict[str, Any]:
    """The generation parameters that the client set; the top level wins over `parameters`."""
    requested = dict(body.get("parameters") or {})
    top_level = {name: body[name] for name in ("temperature", "top_p", "top_k", "stop", "seed") if name in body}
    if "max_tokens" in body:
        top_level["max_length"] = body["max_tokens"]
    return {**requested, **top_level}


def _with_subject(prompt: str, mail: Mapping[str, Any] | None) -> str:
    subject = _bare_subject(mail)
    return f"{subject}\n\n{prompt}" if subject else prompt


def _bare_subject(mail: Mapping[str, Any] | None) -> str:
    subject = " ".join(((mail or {}).get("subject") or "").split())
    return _REPLY_MARKS.sub("", subject)


def _mail_fields(mail: Mapping[str, Any] | None) -> dict[str, str]:
    if mail is None:
        return {}
    subject = _bare_subject(mail)
    fields = {"suggested_subject": f"Re: {subject}" if subject else "Re: votre question"}
    return {**fields, "thread_id": mail["thread_id"]} if "thread_id" in mail else fields
