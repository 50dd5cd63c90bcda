"""Ways to make requests and to read their answers, for the tests of the engine."""

from __future__ import annotations

from ai_core.engine.engine import Engine
from ai_core.engine.request import Finished, GenerationRequest, Priority, SamplingParameters, TextChunk


def request(
    text: str = "Question ?",
    *,
    shared: int = 0,
    max_tokens: int = 100,
    stop: tuple[str, ...] = (),
    priority: Priority = Priority.INTERACTIVE,
    deadline: float | None = None,
    temperature: float = 0.0,
    seed: int | None = None,
    repetition_penalty: float = 1.0,
    conversation: str | None = None,
    owner: str = "",
    adapter: str | None = None,
) -> GenerationRequest:
    """One byte of `text` is one token, for the scripted backend and for the tiny model."""
    sampling = SamplingParameters(
        temperature=temperature, max_tokens=max_tokens, stop=stop, seed=seed, repetition_penalty=repetition_penalty
    )
    return GenerationRequest(
        list(text.encode()),
        shared_prefix=shared,
        sampling=sampling,
        priority=priority,
        deadline=deadline,
        conversation=conversation,
        owner=owner,
        adapter=adapter,
    )


def answer(asked: GenerationRequest) -> tuple[str, Finished]:
    """The whole text and the last event; blocks until then."""
    text = ""
    for event in asked.events():
        if isinstance(event, Finished):
            return text, event
        assert isinstance(event, TextChunk)
        assert event.text
        text += event.text
    raise AssertionError("the answer never finished")


def run(engine: Engine, *requests: GenerationRequest) -> list[tuple[str, Finished]]:
    """Submit to an engine that was not started, step until nothing is left, read the answers."""
    for asked in requests:
        engine.submit(asked)
    finish(engine)
    return [answer(asked) for asked in requests]


def finish(engine: Engine, most: int = 10_000) -> None:
    """Step until nothing is left to compute."""
    for _ in range(most):
        if not engine.step():
            return
    raise AssertionError("the engine never came to rest")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
