"""The engine on transformers: answers alone, together and with shared prefixes are the library's own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from ai_core.engine.backends.base import Chosen, Chunk, DecodeFailed, OutOfCells
from ai_core.engine.backends.transformers import TransformersBackend
from ai_core.engine.engine import Engine
from ai_core.engine.request import FinishReason, GenerationRequest, TextChunk
from ai_core.engine.sampling import SamplingParameters
from ai_core.engine.speculation import StepCosts
from tests.ai_core.engine.backends.transformers.asking import SYSTEM, ask, choose, library_answer, text_of
from tests.ai_core.engine.backends.transformers.conftest import Load
from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_hub_model
from tests.ai_core.engine.driving import answer, finish, run

QUESTIONS = [f"{'Pourquoi ' * number}travailler le dimanche {number} ?" for number in range(8)]


def library_text(backend: TransformersBackend, folder: Path, asked: GenerationRequest) -> str:
    tokens = library_answer(folder, list(asked.prompt), max_new_tokens=asked.sampling.max_tokens)
    return text_of(backend, tokens)


def unshared(asked: GenerationRequest) -> GenerationRequest:
    return GenerationRequest(asked.prompt, sampling=asked.sampling)


def held(backend: TransformersBackend) -> int:
    return backend._sequences.cells


@pytest.mark.parametrize("kind", ["llama_folder", "qwen_folder"])
def test_greedy_answers_are_those_of_the_library_alone_and_among_others(
    load: Load, kind: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    backend = load(folder, slots=8)
    expected = [library_text(backend, folder, ask(backend, question, shared=SYSTEM)) for question in QUESTIONS]
    engine = Engine(backend)
    alone = [run(engine, ask(backend, question, shared=SYSTEM))[0] for question in QUESTIONS[:3]]
    together = run(Engine(backend), *[unshared(ask(backend, question, shared=SYSTEM)) for question in QUESTIONS])
    shared = run(engine, *[ask(backend, question, shared=SYSTEM) for question in QUESTIONS])
    assert [text for text, _ in alone] == expected[:3]
    assert [text for text, _ in together] == expected
    assert [text for text, _ in shared] == expected
    assert len(set(expected)) == len(QUESTIONS)


def test_a_shared_prefix_is_computed_and_stored_once(llama: TransformersBackend) -> None:
    engine = Engine(llama)
    length = len(llama.tokenize(SYSTEM, special=True))
    answers = run(engine, *[ask(llama, question, shared=SYSTEM) for question in QUESTIONS])
    assert [finished.reused_tokens for _, finished in answers] == [0] + [length] * 7
    assert held(llama) == length == engine.stats().kv_cells_used


def test_a_conversation_goes_on_from_what_was_computed(llama: TransformersBackend) -> None:
    engine = Engine(llama)
    first, second = "Une question, longue ou courte. ", " Et encore une ?"
    ((text, _),) = run(engine, ask(llama, first, shared=SYSTEM, conversation="a", max_tokens=8))
    continued = ask(llama, first + text + second, shared=SYSTEM, conversation="a")
    alone = ask(llama, first + text + second, shared=SYSTEM)
    (again, finished), (expected, _) = *run(engine, continued), *run(Engine(llama), alone)
    assert again == expected
    assert finished.reused_tokens > len(llama.tokenize(SYSTEM, special=True))


def test_a_long_prompt_is_read_in_chunks_while_others_answer(llama: TransformersBackend, llama_folder: Path) -> None:
    engine = Engine(llama)
    running = [ask(llama, question, max_tokens=40) for question in QUESTIONS[:3]]
    for one in running:
        engine.submit(one)
    for _ in range(3):
        engine.step()
    long = ask(llama, SYSTEM * 10)
    engine.submit(long)
    finish(engine)
    assert len(long.prompt) > 200
    assert answer(long)[0] == library_text(llama, llama_folder, long)
    for one in running:
        assert answer(one)[0] == library_text(llama, llama_folder, one)


def test_a_model_with_a_window_sees_that_far_and_shares_prefixes(load: Load, tmp_path: Path) -> None:
    folder = write_hub_model(tmp_path / "window", "Mistral", sliding_window=9)
    backend = load(folder)
    assert backend.limits.pinned > 0
    expected = [library_text(backend, folder, ask(backend, question, shared=SYSTEM)) for question in QUESTIONS[:4]]
    answers = run(Engine(backend), *[ask(backend, question, shared=SYSTEM) for question in QUESTIONS[:4]])
    assert [text for text, _ in answers] == expected
    assert [finished.reused_tokens > 0 for _, finished in answers] == [False, True, True, True]


def test_right_drafts_are_taken_and_wrong_ones_forgotten(llama: TransformersBackend) -> None:
    prompt = llama.tokenize("Question ?", special=True)
    expected = choose(llama, 0, prompt, 6)
    wrong = (expected[3] + 1) % llama.limits.vocabulary
    sampler = llama.sampler(SamplingParameters(temperature=0), prompt)
    llama.decode([Chunk(1, 0, prompt, sampler)])
    drafted = Chunk(1, len(prompt), [expected[0], *expected[1:3], wrong], sampler, drafted=3)
    (chosen,) = llama.decode([drafted])
    assert [each.token for each in chosen] == expected[1:4]
    (after,) = llama.decode([Chunk(1, len(prompt) + 3, [expected[3]], sampler)])
    assert [each.token for each in after] == [expected[4]]


def test_answers_with_guesses_are_the_same(llama: TransformersBackend, llama_folder: Path) -> None:
    drafted: list[int] = []
    decode = llama.decode

    def recorded(chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        drafted.extend(chunk.drafted for chunk in chunks)
        return decode(chunks)

    llama.decode = recorded  # type: ignore[method-assign]
    llama.costs = StepCosts((1, 16), (1.0, 1.1))
    asked = ask(llama, "un deux trois quatre " * 6, max_tokens=100)
    ((text, _),) = run(Engine(llama), asked)
    assert text == library_text(llama, llama_folder, asked)
    assert max(drafted) > 0


def test_what_a_step_costs_is_measured(llama: TransformersBackend) -> None:
    assert llama.costs is not None
    assert all(seconds > 0 for seconds in llama.costs.seconds)


def test_memory_that_is_full_is_said_and_stays_as_it_was(load: Load, llama_folder: Path) -> None:
    backend = load(llama_folder, cells=64)
    backend.decode([Chunk(0, 0, [65] * 50, None)])
    with pytest.raises(OutOfCells):
        backend.decode([Chunk(1, 0, [65] * 20, None)])
    assert held(backend) == 50
    backend.drop(0)
    assert held(backend) == 0


def test_a_batch_that_makes_no_sense_is_refused(llama: TransformersBackend) -> None:
    too_many = [Chunk(0, 0, [65] * (llama.limits.batch_tokens + 1), None)]
    twice = [Chunk(0, 0, [65], None), Chunk(0, 1, [65], None)]
    adapter = [Chunk(0, 0, [65], None, adapter="missing")]
    for batch in ([], too_many, [Chunk(99, 0, [65], None)], twice, [Chunk(0, 5, [65], None)], adapter):
        with pytest.raises(DecodeFailed):
            llama.decode(batch)


def test_a_failed_batch_leaves_a_model_that_answers_as_before(
    llama: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(llama)
    ((before, _),) = run(engine, ask(llama, "Question ?", shared=SYSTEM))
    with monkeypatch.context() as patch:
        patch.setattr(llama._model.lm_head, "forward", lambda _: 1 / 0)
        ((_, failed),) = run(engine, ask(llama, "Question ?", shared=SYSTEM))
    assert failed.reason is FinishReason.ERROR
    assert run(engine, ask(llama, "Question ?", shared=SYSTEM))[0][0] == before


def test_answers_stream_side_by_side_and_a_cancelled_one_ends(llama: TransformersBackend) -> None:
    engine = Engine(llama)
    engine.start()
    cancelled, kept = (ask(llama, question, max_tokens=400) for question in QUESTIONS[:2])
    order: list[str] = []

    def read() -> None:
        order.extend("kept" for event in kept.events() if isinstance(event, TextChunk))

    reader = threading.Thread(target=read)
    engine.submit(cancelled)
    engine.submit(kept)
    reader.start()
    for event in cancelled.events():
        order.append("cancelled")
        if isinstance(event, TextChunk):
            cancelled.cancel()
    reader.join(60)
    assert order.index("kept") < len(order) - 1 - order[::-1].index("kept")
    assert order.count("kept") > order.count("cancelled")
    engine.stop()
    assert held(llama) == 0
