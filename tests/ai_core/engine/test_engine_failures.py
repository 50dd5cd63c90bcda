from __future__ import annotations

from collections.abc import Sequence

import pytest

from ai_core.engine.backends.base import Chosen, Chunk, DecodeFailed, OutOfCells
from ai_core.engine.backends.scripted import ScriptedBackend
from ai_core.engine.engine import COMPUTATION_FAILED, Engine
from ai_core.engine.request import Finished, FinishReason
from tests.ai_core.engine.driving import answer, finish, request, run


@pytest.mark.parametrize("error", [DecodeFailed("fatal"), RuntimeError("a bug")])
def test_a_failed_batch_fails_its_requests_and_the_next_one_works(error: Exception) -> None:
    backend = ScriptedBackend("Oui.")
    engine = Engine(backend)
    backend.fail_next(error)
    failed = run(engine, request(), request("système ?", shared=7))
    assert failed[0] == ("", Finished(FinishReason.ERROR, 10, 0, 0, COMPUTATION_FAILED))
    assert failed[1][1].reason is FinishReason.ERROR
    assert run(engine, request("système ?", shared=7))[0][0] == "Oui."
    assert backend.cells_used == 7


def test_a_failed_batch_does_not_fail_requests_outside_it() -> None:
    backend = ScriptedBackend("Oui.", slots=2, batch_tokens=16)
    engine = Engine(backend)
    first, second, waiting = request("a" * 20), request("b" * 20), request("c")
    for asked in (first, second, waiting):
        engine.submit(asked)
    backend.fail_next(DecodeFailed("fatal"))
    engine.step()  # carries a chunk of the first prompt only
    finish(engine)
    assert answer(first)[1].reason is FinishReason.ERROR
    assert answer(second)[0] == answer(waiting)[0] == "Oui."


def test_a_full_cache_sends_the_last_started_request_back_and_every_answer_is_complete() -> None:
    backend = ScriptedBackend(lambda prompt: prompt * 4, slots=3)
    engine = Engine(backend)
    asked = [request(f"{n}-") for n in range(3)]
    for one in asked:
        engine.submit(one)
    for _ in range(3):
        engine.step()
    backend.fail_next(OutOfCells(), OutOfCells())
    finish(engine)
    assert [answer(one)[0] for one in asked] == [f"{n}-" * 4 for n in range(3)]
    assert backend.cells_used == 0


def test_a_full_cache_gives_up_an_idle_prefix_first() -> None:
    backend = ScriptedBackend("Oui.")
    engine = Engine(backend)
    run(engine, request("système ?", shared=7))
    backend.fail_next(OutOfCells())
    assert run(engine, request())[0][0] == "Oui."
    assert backend.cells_used == 0


def test_a_request_alone_that_finds_no_room_fails_with_a_reason() -> None:
    backend = ScriptedBackend()
    engine = Engine(backend)
    backend.fail_next(OutOfCells())
    ((_, finished),) = run(engine, request())
    assert finished.reason is FinishReason.ERROR
    assert finished.error
    assert run(engine, request())[0][1].reason is FinishReason.STOP


def test_an_error_on_one_token_fails_that_request_only() -> None:
    class Picky(ScriptedBackend):
        def piece(self, token: int) -> bytes:
            if token == ord("!"):
                raise RuntimeError("no such piece")
            return super().piece(token)

    backend = Picky(lambda prompt: f"{prompt}.")
    answers = run(Engine(backend), request("bien"), request("mal!"), request("bon"))
    assert [finished.reason.value for _, finished in answers] == ["stop", "error", "stop"]
    assert backend.cells_used == 0


def test_the_thread_survives_an_error_outside_the_batch() -> None:
    class Forgetful(ScriptedBackend):
        broken = True

        def copy(self, source: int, target: int, length: int) -> None:
            if self.broken:
                raise RuntimeError("cannot copy")
            super().copy(source, target, length)

    backend = Forgetful("Oui.")
    engine = Engine(backend)
    engine.start()
    asked = [request("système ?", shared=7) for _ in range(3)]
    for one in asked[:2]:
        engine.submit(one)
    assert {answer(one)[1].reason for one in asked[:2]} == {FinishReason.ERROR}
    backend.broken = False
    engine.submit(asked[2])
    assert answer(asked[2]) == ("Oui.", Finished(FinishReason.STOP, 10, 4, 0))
    engine.stop()
    assert backend.cells_used == 7


def test_a_batch_is_never_larger_than_the_backend_takes() -> None:
    class Counting(ScriptedBackend):
        def decode(self, chunks: Sequence[Chunk]) -> list[list[Chosen]]:
            assert sum(len(chunk.tokens) for chunk in chunks) <= self.limits.batch_tokens
            return super().decode(chunks)

    backend = Counting("Oui.", slots=8, batch_tokens=8)
    answers = run(Engine(backend), *[request("question " * 3) for _ in range(16)])
    assert {text for text, _ in answers} == {"Oui."}
