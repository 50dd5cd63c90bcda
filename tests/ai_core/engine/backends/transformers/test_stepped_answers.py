"""Models whose memory is not keys and values alone: one by one through the library, under the engine's control."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from ai_core.engine.backends.base import OutOfCells
from ai_core.engine.engine import Engine
from ai_core.engine.request import FinishReason
from tests.ai_core.engine.backends.transformers.asking import SYSTEM, ask, library_answer, text_of
from tests.ai_core.engine.backends.transformers.conftest import Load
from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_hub_model
from tests.ai_core.engine.driving import answer, run

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "recurrent": ("Mamba", {"state_size": 8}),
    "positions as a bias": ("Bloom", {"n_layer": 2, "n_head": 4}),
    "attention of its own kind": ("Gemma2", {"head_dim": 16, "sliding_window": 16}),
}


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    kind, fields = KINDS[request.param]
    return write_hub_model(tmp_path / "model", kind, **fields)


def test_answers_are_those_of_the_library_and_nothing_is_shared(load: Load, folder: Path) -> None:
    backend = load(folder)
    assert (backend.limits.pinned, backend.costs) == (0, None)
    asked = [ask(backend, f"Question {number} ?", shared=SYSTEM) for number in range(6)]
    expected = [text_of(backend, library_answer(folder, list(one.prompt))) for one in asked]
    answers = run(Engine(backend), *asked)
    assert [text for text, _ in answers] == expected
    assert {finished.reused_tokens for _, finished in answers} == {0}
    assert backend._sequences.cells == 0


def test_a_choice_takes_what_is_certain_at_once(load: Load, tmp_path: Path) -> None:
    backend = load(write_hub_model(tmp_path / "mamba", "Mamba", state_size=8))
    texts = [" licenciement pour motif économique", " licenciement sans cause", " démission"]
    choices = tuple(tuple(backend.tokenize(text, special=False)) for text in texts)
    engine = Engine(backend)
    answers = run(
        engine, *[ask(backend, f"Question {number} ?", choices=choices, max_tokens=60) for number in range(4)]
    )
    assert {text for text, _ in answers} <= set(texts)
    assert {finished.reason for _, finished in answers} == {FinishReason.STOP}
    assert engine.stats().steps_total < sum(finished.completion_tokens for _, finished in answers)


def test_a_cancelled_answer_ends_and_its_thread_with_it(load: Load, tmp_path: Path) -> None:
    backend = load(write_hub_model(tmp_path / "mamba", "Mamba", state_size=8))
    engine = Engine(backend)
    asked = ask(backend, "Question ?", max_tokens=400)
    before = set(threading.enumerate())
    engine.submit(asked)
    engine.step()
    engine.step()
    (thread,) = [each for each in set(threading.enumerate()) - before if each.name == "generation"]
    asked.cancel()
    engine.step()
    assert answer(asked)[1].reason is FinishReason.CANCELLED
    assert not thread.is_alive()


def test_a_request_computed_again_goes_on_where_it_was(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_hub_model(tmp_path / "mamba", "Mamba", state_size=8)
    backend = load(folder)
    engine = Engine(backend)
    asked = [ask(backend, f"Question {number} ?") for number in range(2)]
    for one in asked:
        engine.submit(one)
    for _ in range(3):
        engine.step()

    def full(_chunks: object) -> None:
        raise OutOfCells

    with monkeypatch.context() as patch:
        patch.setattr(backend, "decode", full)
        engine.step()
    while engine.step():
        pass
    for one in asked:
        assert answer(one)[0] == text_of(backend, library_answer(folder, list(one.prompt)))
