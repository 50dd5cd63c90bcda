"""Requests for tests, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ai_core.engine.backends.remote import RemoteEngine
from ai_core.engine.request import Finished, GenerationRequest, Priority, SamplingParameters, TextChunk, TokenLogprob

MESSAGES = (("system", "Sois bref."), ("user", "Bonjour"))


def request(
    *,
    deadline: float | None = None,
    owner: str = "",
    priority: Priority = Priority.INTERACTIVE,
    tokens: int = 20,
    messages: tuple[tuple[str, str], ...] = MESSAGES,
    **sampling: Any,
) -> GenerationRequest:
    parameters = SamplingParameters(**sampling)
    return GenerationRequest(
        [0] * tokens, sampling=parameters, deadline=deadline, owner=owner, priority=priority, messages=messages
    )


def text_of(asked: GenerationRequest) -> tuple[str, Finished]:
    """The whole answer to a request that was submitted."""
    *chunks, finished = asked.events()
    assert isinstance(finished, Finished)
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk)), finished


def ask(engine: RemoteEngine, **options: Any) -> tuple[str, Finished]:
    asked = request(**options)
    engine.submit(asked)
    return text_of(asked)


def logprobs_of(asked: GenerationRequest) -> list[TokenLogprob]:
    return [logprob for event in asked.events() if isinstance(event, TextChunk) for logprob in event.logprobs]


def eventually(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until `holds`. The time is only there to fail instead of hanging."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
