"""What the routes for chat and text completions have in common: parameters, the person who asks, the answer's end."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Response, g

from ai_core.answer import Answer, CacheUse, Question
from ai_core.api import sse
from ai_core.api.access import Limits, current_key
from ai_core.api.answer_metrics import AnswerMetrics
from ai_core.api.client import ClientConnection, cache_wishes
from ai_core.api.openai_compat.errors import openai_form, renamed
from ai_core.assistant import Assistant
from ai_core.engine.request import FinishReason, TextChunk
from ai_core.engine.sampling import MAX_SEED
from ai_core.running_answer import AnswerBeingTold
from common.errors import InvalidFields, ServiceError

CHANNEL = "openai"
CLIENT_CLOSED_REQUEST = 499  # nginx's status: nobody reads it, the log does
Event = TextChunk | Answer | None
DONE = "data: [DONE]\n\n"
SAME_NAME = ("temperature", "top_p", "top_k", "repetition_penalty", "frequency_penalty", "presence_penalty", "stop")
OUR_NAMES = {"max_length": "max_tokens", "json_schema": "response_format"}


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks the assistant for the routes. A text may have `longest` characters; `hash_of` gives what stands for a
    person, by channel and id."""

    assistant: Assistant
    limits: Limits
    metrics: AnswerMetrics
    longest: int
    hash_of: Callable[[str, str], str]

    def begin(self, question: Question, user: str | None) -> AnswerBeingTold:
        """Start an answer to a question of `user`. Raises ServiceError in the client's words."""
        self.limits.count_user(CHANNEL, user)
        question = replace(
            question,
            channel=CHANNEL,
            owner=str(current_key().id),
            conversation=None if user is None else json.dumps([current_key().id, CHANNEL, user]),
            person=None if user is None else self.hash_of(CHANNEL, user),
            cache=_cache_use(question),
        )
        try:
            return self.assistant.ask(question)
        except InvalidFields as error:
            raise renamed(error, OUR_NAMES) from error

    def events(self, running: AnswerBeingTold) -> Iterator[Event]:
        """The events of `running`, measured on their way. To be called while the request is served."""
        return self.metrics.watched(running, g.arrived)

    def whole(self, running: AnswerBeingTold) -> tuple[list[TextChunk], Answer]:
        """Wait for the end. Raises ServiceError when the client left, or the answer failed."""
        client = ClientConnection()
        chunks: list[TextChunk] = []
        for event in self.events(running):
            if isinstance(event, Answer):
                return chunks, event
            if isinstance(event, TextChunk):
                chunks.append(event)
            if client.is_gone():
                break
        raise ServiceError(CLIENT_CLOSED_REQUEST, "client_closed_request", "The client went away.")


@dataclass(frozen=True, slots=True)
class Head:
    """What all the chunks of an answer begin with."""

    id: str
    object: str
    created: int
    model: str

    @classmethod
    def of(cls, running: AnswerBeingTold, prefix: str, kind: str) -> Head:
        return cls(f"{prefix}-{secrets.token_hex(12)}", kind, int(time.time()), running.model_id)

    def chunk(self, choices: list[dict[str, Any]], **more: Any) -> str:
        """One event of a stream."""
        return sse.unnamed({**asdict(self), "choices": choices, **more})


def streamed(running: AnswerBeingTold, events: Iterator[str]) -> Response:
    """`events` as they come; the generation ends when the client leaves. What fails on the way is the last event."""

    client = ClientConnection()

    def until_done() -> Iterator[str]:
        # The server closes this generator when a write fails; the look at the socket sees a client go before that.
        try:
            for event in events:
                if client.is_gone():
                    return
                yield event
        except ServiceError as error:
            yield sse.unnamed(openai_form(error)[1])
        finally:
            running.cancel()
        yield DONE

    response = Response(until_done(), mimetype=sse.MIME_TYPE, headers=sse.HEADERS)
    response.call_on_close(running.cancel)  # also when the stream was never begun
    return response


def requested(body: Mapping[str, Any]) -> dict[str, Any]:
    """The generation parameters that the client set, by our names."""
    found = {name: body[name] for name in SAME_NAME if body[name] is not None}
    if body["seed"] is not None:
        found["seed"] = body["seed"] % (MAX_SEED + 1)
    if body["max_tokens"] is not None:
        found["max_length"] = body["max_tokens"]
    return found


def usage(answer: Answer) -> dict[str, int]:
    """Tokens of the prompt and of the answer."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }


def end(answer: Answer) -> dict[str, str]:
    """Clients know `stop` and `length`; an answer that the clock or a switch of models ended is cut, as by length."""
    reason = "stop" if answer.finish_reason is FinishReason.STOP else "length"
    return {"finish_reason": reason, "native_finish_reason": answer.finish_reason.value}


def _cache_use(question: Question) -> CacheUse:
    """Who asks a chat again wants another answer, unless it is the Code that was asked or there is no choice."""
    varies = question.bare or not (question.grounding or question.requested.get("temperature") == 0)
    return CacheUse(read=False, keep=False) if varies else cache_wishes()
