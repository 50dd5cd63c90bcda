"""Two thousand requests leave nothing behind."""

from __future__ import annotations

import logging
from pathlib import Path

import psutil
import pytest

from ai_core import heap
from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.engine import Engine
from ai_core.engine.request import Finished, GenerationRequest
from tests.ai_core.engine.driving import answer, request

WARM_UP = 1_000
REQUESTS = 2_000
LEAK = 512  # bytes a request: about the text of one answer with its objects


def resident() -> int:
    heap.give_back()
    bytes_: int = psutil.Process().memory_info().rss
    return bytes_


def make(number: int) -> GenerationRequest:
    """Half of them share a prefix, each third is a conversation's; all have text of their own."""
    text = f"{'système ' if number % 2 else ''}question {number}"
    asked = request(text, shared=8 if number % 2 else 0, max_tokens=4, temperature=1.0, seed=number)
    if number % 3 == 0:
        asked.conversation = f"person {number % 30}"
    return asked


def run(engine: Engine, numbers: range) -> list[Finished]:
    ends = []
    for start in range(numbers.start, numbers.stop, 16):
        asked = [make(number) for number in range(start, min(start + 16, numbers.stop))]
        for one in asked:
            engine.submit(one)
        ends += [answer(one)[1] for one in asked]
    return ends


def test_memory_is_flat_over_two_thousand_requests(tiny_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "ai_core")  # pytest would keep each line
    backend = LlamaCppBackend(tiny_model, slots=16, threads=1)
    engine = Engine(backend)
    engine.start()
    run(engine, range(WARM_UP))
    before = resident()
    ends = run(engine, range(WARM_UP, WARM_UP + REQUESTS))
    after = resident()
    engine.stop()
    backend.close()
    assert {end.completion_tokens for end in ends} == {4}
    assert after - before < REQUESTS * LEAK, f"{(after - before) / REQUESTS:.0f} bytes a request"
