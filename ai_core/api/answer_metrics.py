"""Each answer measured on its way: how long people wait, how it ends, what it used, and for whom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from flask import Flask, Response, current_app, g, has_request_context, request
from prometheus_client import CollectorRegistry, Counter, Histogram

from ai_core.answer import Answer
from ai_core.api.access import required_scope
from ai_core.engine.request import TextChunk
from ai_core.usage import Usage
from common.errors import ServiceError
from common.metrics import BUCKETS, ErrorCounter, error_code

BETWEEN_TOKENS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5)  # seconds
TOKENS = (1, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
NOT_NOTED = frozenset({401, 403, 404, 405, 429})  # floods and strays: counted as errors, not kept as rows


@dataclass(slots=True)
class Asker:
    """Who waits for the answer, taken from the request before its stream begins."""

    key_id: int | None
    channel: str
    person: str | None


class BeingTold(Protocol):
    """An answer whose events can be read once."""

    def events(self) -> Iterator[TextChunk | Answer | None]: ...


class AnswerMetrics:
    """Histograms and counters mean what vLLM's of the same names do (vllm:time_to_first_token_seconds, ...).

    `note` takes a row for each answer, `hash_of` gives what stands for a person in it.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        errors: ErrorCounter,
        note: Callable[[Usage], None],
        hash_of: Callable[[str, str], str],
    ) -> None:
        self._errors = errors
        self._note = note
        self._hash_of = hash_of
        self._first_token = Histogram(
            "ai_core_time_to_first_token_seconds",
            "From the arrival of the request to the first piece of its answer.",
            registry=registry,
            buckets=BUCKETS,
        )
        self._between = Histogram(
            "ai_core_inter_token_latency_seconds",
            "Between two pieces of an answer.",
            registry=registry,
            buckets=BETWEEN_TOKENS,
        )
        self._whole = Histogram(
            "ai_core_e2e_request_latency_seconds",
            "From the arrival of the request to the end of its answer.",
            registry=registry,
            buckets=BUCKETS,
        )
        self._prompt_tokens = Histogram(
            "ai_core_request_prompt_tokens", "Tokens of a prompt.", registry=registry, buckets=TOKENS
        )
        self._completion_tokens = Histogram(
            "ai_core_request_generation_tokens", "Tokens of an answer.", registry=registry, buckets=TOKENS
        )
        self._answers = Counter("ai_core_answers", "Answers by how they ended.", ("finish_reason",), registry=registry)

    def watch(self, app: Flask) -> None:
        """Also note the questions that were refused before any answer began. Call after `guard`."""

        def end(response: Response) -> Response:
            if response.status_code >= 400 and response.status_code not in NOT_NOTED and _is_refused_question():
                asker = self._asker()
                self._note(Usage(asker.channel, asker.key_id, asker.person, error=error_code(response)))
            return response

        app.after_request(end)

    def watched(self, running: BeingTold, arrived: float) -> Iterator[TextChunk | Answer | None]:
        """The events of `running`, measured on their way. `arrived` is a time.perf_counter() value. Call it while the
        request is served; the events may be read later."""
        g.is_noted = True
        return self._measured(running, arrived, self._asker())

    def note_computed(self, model: str, tokens: int, arrived: float) -> None:
        """A row for what is no answer: vectors, a transcript. `tokens` of the input."""
        asker = self._asker()
        seconds = time.perf_counter() - arrived
        self._note(Usage(asker.channel, asker.key_id, asker.person, model, tokens, seconds=seconds))

    def _measured(self, running: BeingTold, arrived: float, asker: Asker) -> Iterator[TextChunk | Answer | None]:
        usage = Usage(asker.channel, asker.key_id, asker.person, finish_reason="cancelled")
        moments: list[float] = []  # of the pieces
        try:
            for event in running.events():
                if isinstance(event, TextChunk):
                    moments.append(time.perf_counter())
                if isinstance(event, Answer):
                    _fill(usage, event)
                yield event
        except ServiceError as error:
            usage.finish_reason, usage.error = "error", error.code
            if not has_request_context():  # a stream, whose status says 200
                self._errors.count(error.code)
            raise
        finally:
            usage.seconds = time.perf_counter() - arrived
            usage.completion_tokens = usage.completion_tokens or len(moments)  # of an answer that broke off
            self._observe(usage, moments, arrived)
            self._note(usage)

    def _observe(self, usage: Usage, moments: list[float], arrived: float) -> None:
        self._answers.labels(usage.finish_reason).inc()
        self._whole.observe(usage.seconds)
        if moments:
            self._first_token.observe(moments[0] - arrived)
        if usage.cached:
            return  # nothing was computed for it
        for before, after in pairwise(moments):
            self._between.observe(after - before)
        if usage.model is not None:
            self._prompt_tokens.observe(usage.prompt_tokens)
            self._completion_tokens.observe(usage.completion_tokens)

    def _asker(self) -> Asker:
        channel, user_id = g.get("asked_by", ("api", None))
        return Asker(g.key.id, channel, None if not user_id else self._hash_of(channel, user_id))


def _fill(usage: Usage, answer: Answer) -> None:
    usage.model = answer.model
    usage.finish_reason = answer.finish_reason.value
    usage.prompt_tokens, usage.completion_tokens = answer.prompt_tokens, answer.completion_tokens
    usage.cached = answer.cached


def _is_refused_question() -> bool:
    if request.method != "POST" or request.endpoint is None or "key" not in g or "is_noted" in g:
        return False
    return required_scope(current_app, request.endpoint) == "chat"
