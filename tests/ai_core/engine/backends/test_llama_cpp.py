"""The engine on llama.cpp itself, with a tiny random model."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ai_core.engine.backends.base import BackendError, Chosen, Chunk, DecodeFailed, OutOfCells
from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.engine import Engine, PromptTooLong
from ai_core.engine.pacing import MOST_TOKENS
from ai_core.engine.request import Finished, FinishReason, TextChunk
from ai_core.engine.sampling import SamplingParameters
from tests.ai_core.engine.driving import answer, finish, request, run
from tests.ai_core.engine.tiny_model import CONTEXT, IM_END, VOCABULARY, write_tiny_mamba, write_tiny_model

SYSTEM = "Vous répondez aux questions sur le temps de travail. " * 4
SHARED = len(SYSTEM.encode())


def sequence_ends(backend: LlamaCppBackend) -> list[int]:
    """The last position that llama.cpp holds of each sequence, -1 for none."""
    sequences = backend.limits.slots + (0 if backend.limits.separate else backend.limits.pinned)
    memory = backend._library.llama_get_memory(backend._context)
    return [backend._library.llama_memory_seq_pos_max(memory, number) for number in range(sequences)]


def test_the_model_describes_itself(llama: LlamaCppBackend) -> None:
    assert (llama.info.name, llama.info.architecture, llama.info.quantization) == ("tiny", "llama", "all F32")
    assert llama.info.description == "random weights, for tests"
    assert (llama.info.context_length, llama.info.slots) == (CONTEXT, 16)
    assert (llama.info.bos_token, llama.info.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert llama.info.chat_template is not None
    assert llama.info.size_bytes > 100_000
    assert llama.limits.vocabulary == VOCABULARY


def test_text_survives_the_tokenizer_and_control_tokens_are_recognised_only_when_asked(llama: LlamaCppBackend) -> None:
    text = "L'été à Noël 😀 نعم \x00<|im_end|>"
    plain = llama.tokenize(text, special=False)
    assert b"".join(llama.piece(token) for token in plain).decode() == text
    assert llama.tokenize("a<|im_end|>", special=True) == [ord("a"), IM_END]
    assert llama.is_end(IM_END)
    assert llama.piece(IM_END) == b""
    assert llama.tokenize("\ud800", special=True) == [ord("?")]
    assert llama.tokenize("", special=True) == []


def test_sixteen_answers_interleave_and_all_finish(llama_engine: Engine) -> None:
    order: list[int] = []

    def read(number: int) -> None:
        asked = request(SYSTEM + f"Question {number} ?", shared=SHARED, max_tokens=60)
        llama_engine.submit(asked)
        for event in asked.events():
            if isinstance(event, TextChunk):
                order.append(number)

    readers = [threading.Thread(target=read, args=(number,)) for number in range(16)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    firsts = [order.index(number) for number in range(16)]
    lasts = [len(order) - 1 - order[::-1].index(number) for number in range(16)]
    assert max(firsts) < min(lasts)
    stats = llama_engine.stats()
    assert (stats.slots_busy, stats.waiting, stats.completion_tokens_total) == (0, 0, 16 * 60)


def test_memory_returns_to_the_shared_prefix_alone(llama: LlamaCppBackend) -> None:
    engine = Engine(llama)
    answers = run(engine, *[request(SYSTEM + f"{n} ?", shared=SHARED, max_tokens=20) for n in range(20)])
    assert [finished.reused_tokens for _, finished in answers] == [0] + [SHARED] * 19
    assert engine.stats().kv_cells_used == SHARED
    held = [] if llama.limits.separate else [SHARED - 1]  # else as a saved state
    assert [end for end in sequence_ends(llama) if end >= 0] == held


def test_cancelling_half_of_the_answers_frees_their_slots_within_a_second(llama_engine: Engine) -> None:
    asked = [request("Racontez.", max_tokens=1900) for _ in range(16)]
    reading = [one.events() for one in asked]
    for one in asked:
        llama_engine.submit(one)
    for events in reading:
        next(events)
    assert llama_engine.stats().slots_busy == 16
    for one in asked[:8]:
        one.cancel()
    freed = time.monotonic() + 1
    while llama_engine.stats().slots_busy > 8:
        assert time.monotonic() < freed
        time.sleep(0.01)
    last = [list(events)[-1] for events in reading[:8]]
    assert {event.reason for event in last if isinstance(event, Finished)} == {FinishReason.CANCELLED}


def test_a_long_prompt_is_read_in_chunks_while_others_answer(llama: LlamaCppBackend) -> None:
    engine = Engine(llama)
    running = [request(f"Question {n}", max_tokens=40) for n in range(3)]
    for one in running:
        engine.submit(one)
    engine.step()
    batches: list[list[int]] = []
    decode = llama.decode

    def recorded(chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        batches.append([len(chunk.tokens) for chunk in chunks])
        return decode(chunks)

    llama.decode = recorded  # type: ignore[method-assign]
    long = request("Un long texte. " * 100, max_tokens=5)
    engine.submit(long)
    finish(engine)
    reading = [batch for batch in batches if max(batch) > 1]
    assert sum(batch[-1] for batch in reading) == 1500
    assert len(reading) > 5
    assert all(batch[:-1] == [1, 1, 1] and batch[-1] <= MOST_TOKENS for batch in reading)
    assert {answer(one)[1].reason for one in (*running, long)} == {FinishReason.LENGTH}


def test_a_prompt_longer_than_the_context_is_refused(llama: LlamaCppBackend) -> None:
    engine = Engine(llama)
    with pytest.raises(PromptTooLong) as refusal:
        engine.submit(request("a" * CONTEXT))
    assert refusal.value.limit == CONTEXT - 1


def test_a_full_context_ends_the_answer(tiny_model: Path) -> None:
    backend = LlamaCppBackend(tiny_model, slots=2, context_length=64, threads=1)
    ((_, finished),) = run(Engine(backend), request("a" * 50, max_tokens=100))
    assert (finished.reason, finished.completion_tokens) == (FinishReason.LENGTH, 14)
    backend.close()


def test_the_models_end_token_ends_the_answer(tmp_path: Path, llama: LlamaCppBackend) -> None:
    asked = llama.tokenize("Question ?", special=False)
    chosen: list[int] = []
    sampler = llama.sampler(SamplingParameters(temperature=0), asked)
    tokens, position = asked, 0
    for _ in range(12):
        ((best,),) = llama.decode([Chunk(0, position, tokens, sampler)])
        position, tokens = position + len(tokens), [best.token]
        chosen.append(best.token)
    end = next(token for token in reversed(chosen) if token not in asked)
    ending = LlamaCppBackend(write_tiny_model(tmp_path / "ending.gguf", end_token=end), slots=1, threads=1)
    ((_, finished),) = run(Engine(ending), request())
    assert (finished.reason, finished.completion_tokens) == (FinishReason.STOP, chosen.index(end))
    ending.close()


def test_a_batch_that_would_abort_the_process_is_refused(llama: LlamaCppBackend) -> None:
    too_many = [Chunk(0, 0, [65] * (llama.limits.batch_tokens + 1), None)]
    unknown = [Chunk(llama.limits.slots + llama.limits.pinned, 0, [65], None)]
    twice = [Chunk(0, 0, [65], None), Chunk(0, 1, [65], None)]
    for batch in ([], too_many, unknown, twice):
        with pytest.raises(DecodeFailed):
            llama.decode(batch)


def test_llama_cpp_says_when_no_cell_is_left_and_keeps_what_it_had(tiny_model: Path) -> None:
    backend = LlamaCppBackend(tiny_model, slots=4, cells=256, threads=1)
    backend.decode([Chunk(0, 0, [65] * 200, None)])
    with pytest.raises(OutOfCells):
        backend.decode([Chunk(1, 0, [65] * 100, None)])
    assert sequence_ends(backend)[:2] == [199, -1]
    backend.close()


def test_more_requests_than_memory_wait_for_each_other(tiny_model: Path) -> None:
    backend = LlamaCppBackend(tiny_model, slots=8, cells=256, threads=1)
    answers = run(Engine(backend), *[request("Question ?", max_tokens=90) for _ in range(8)])
    assert {finished.completion_tokens for _, finished in answers} == {90}
    assert len({text for text, _ in answers}) == 1
    backend.close()


def test_a_failed_batch_leaves_a_model_that_answers_as_before(
    llama: LlamaCppBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(llama)
    asked = SYSTEM + "Question ?"
    ((before, _),) = run(engine, request(asked, shared=SHARED))
    with monkeypatch.context() as patch:
        patch.setattr(llama._library, "llama_decode", lambda *_: -3)
        ((_, failed),) = run(engine, request(asked, shared=SHARED))
    assert failed.reason is FinishReason.ERROR
    assert run(engine, request(asked, shared=SHARED))[0][0] == before


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot read"):
        LlamaCppBackend(tmp_path / "missing.gguf")
    (tmp_path / "page.gguf").write_text("<html>")
    with pytest.raises(BackendError, match="not a GGUF"):
        LlamaCppBackend(tmp_path / "page.gguf")
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    with pytest.raises(BackendError, match="cannot load"):
        LlamaCppBackend(tmp_path / "cut.gguf")


def test_more_slots_than_llama_cpp_has_sequences_are_refused(tiny_model: Path) -> None:
    with pytest.raises(BackendError, match="slots"):
        LlamaCppBackend(tiny_model, slots=5000)


def test_an_unloaded_model_refuses_instead_of_crashing(tiny_model: Path) -> None:
    backend = LlamaCppBackend(tiny_model, slots=1, threads=1)
    backend.close()
    backend.close()
    with pytest.raises(BackendError):
        backend.tokenize("a", special=False)
    with pytest.raises(BackendError):
        backend.decode([Chunk(0, 0, [65], None)])


def test_loading_is_quiet_and_its_lines_go_to_logging(
    tiny_model: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    LlamaCppBackend(tiny_model, slots=1, threads=1).close()
    assert capfd.readouterr() == ("", "")
    ours = [record for record in caplog.records if record.name.startswith("ai_core.engine.backends.llama_cpp")]
    assert any("n_ctx" in record.getMessage() for record in ours)
    assert {record.levelno for record in ours} == {logging.DEBUG}


def test_where_sequences_cannot_be_copied_nothing_is_shared(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llama_cpp.llama_model_n_swa", lambda _model: 512)
    backend = LlamaCppBackend(tiny_model, slots=2, threads=1)
    assert backend.limits.pinned == 0
    answers = run(Engine(backend), *[request(SYSTEM + "?", shared=SHARED, max_tokens=10) for _ in range(2)])
    assert [finished.reused_tokens for _, finished in answers] == [0, 0]
    backend.close()


def test_a_recurrent_model_shares_nothing_and_answers_alike_alone_and_in_company(tmp_path: Path) -> None:
    backend = LlamaCppBackend(write_tiny_mamba(tmp_path / "mamba.gguf"), slots=4, threads=1)
    assert backend.limits.pinned == 0
    engine = Engine(backend)
    questions = [f"{SYSTEM} Question {number} ?" for number in range(6)]
    alone = [run(engine, request(question, shared=SHARED, max_tokens=20))[0] for question in questions]
    together = run(engine, *[request(question, shared=SHARED, max_tokens=20) for question in questions])
    assert together == alone
    assert {finished.reused_tokens for _, finished in together} == {0}
    assert len({text for text, _ in together}) == 6
    backend.close()
