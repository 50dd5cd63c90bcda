"""How long people wait for the first word, and how answers end."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram

from ai_core.answer import Answer
from ai_core.engine.request import TextChunk
from ai_core.running_answer import RunningAnswer
from common.errors import ServiceError
from common.metrics import BUCKETS


class AnswerMetrics:
    """Named as vLLM names them: time_to_first_token_seconds, request_success by finished_reason."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._first_token = Histogram(
            "ai_core_time_to_first_token_seconds",
            "From the arrival of the request to the first piece of its answer.",
            registry=registry,
            buckets=BUCKETS,
        )
        self._answers = Counter("ai_core_answers", "Answers by how they ended.", ("finish_reason",), registry=registry)

    def watched(self, running: RunningAnswer, arrived: float) -> Iterator[TextChunk | Answer | None]:
        """The events of `running`, measured on their way. `arrived` is a time.perf_counter() value."""
        waiting, ended = True, "cancelled"
        try:
            for event in running.events():
                if waiting and isinstance(event, TextChunk):
                    waiting = False
                    self._first_token.observe(time.perf_counter() - arrived)
                if isinstance(event, Answer):
                    ended = event.finish_reason.value
                yield event
        except ServiceError:
            ended = "error"
            raise
        finally:
            self._answers.labels(ended).inc()
