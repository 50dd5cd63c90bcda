from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai_core.engine.backends.base import Chosen, Chunk
from ai_core.engine.backends.llama_cpp import LlamaCppBackend, calibration
from ai_core.engine.backends.llama_cpp.calibration import Calibration, calibrate, usual_candidates
from ai_core.engine.backends.llama_cpp.calibration_file import CalibrationFile
from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.backends.llama_cpp.model import load_model
from ai_core.engine.backends.llama_cpp.tuning import Tuning
from ai_core.engine.engine import Engine
from ai_core.engine.sampling import SamplingParameters
from ai_core.engine.speculation import StepCosts
from tests.ai_core.engine.driving import request, run

FLAT = StepCosts((1, 64), (1.0, 1.0))
FIRST = Tuning(2, 2)


def measured(monkeypatch: pytest.MonkeyPatch, seconds: dict[Tuning, float]) -> list[Tuning]:
    """Let each tuning take so many seconds; the tunings in the order of their measurement."""
    seen: list[Tuning] = []

    def measure(model: Any, tuning: Tuning, deadline: float, separate: bool) -> tuple[float, StepCosts]:
        seen.append(tuning)
        if tuning not in seconds:
            raise ValueError("not possible")
        return seconds[tuning], FLAT

    monkeypatch.setattr(calibration, "_measure", measure)
    return seen


def test_the_fastest_candidate_wins_and_the_next_ones_start_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    one = replace(FIRST, threads=1, threads_batch=1)
    quantised = replace(one, key_type="q8_0")
    seen = measured(monkeypatch, {FIRST: 1.0, replace(FIRST, flash_attention=False): 2.0, one: 0.8, quantised: 0.7})
    assert calibrate(None, FIRST, usual_candidates([1])).tuning == quantised
    assert seen[-1] == replace(quantised, value_type="q8_0")  # not possible here, and passed over


def test_a_difference_that_may_be_noise_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, {FIRST: 1.0, replace(FIRST, key_type="q8_0"): 0.97})
    assert calibrate(None, FIRST, usual_candidates([])).tuning == FIRST


def test_flash_attention_stays_where_the_scores_of_a_batch_would_take_much_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = measured(monkeypatch, {FIRST: 1.0})
    calibrate(None, FIRST, usual_candidates([], other_attention=False))
    assert all(tuning.flash_attention for tuning in seen)


@pytest.mark.parametrize("separate", [False, True])
def test_every_candidate_can_be_measured_in_both_kinds_of_memory(tiny_model: Path, separate: bool) -> None:
    model = load_model(tiny_model)
    tuning = FIRST
    for change in [lambda same: same, *usual_candidates([1])]:
        tuning = change(tuning)
        seconds, costs = calibration._measure(model, tuning, time.perf_counter() + 60, separate)
        assert seconds > 0
        assert costs.rows == calibration.STEPS
    assert tuning == Tuning(1, 1, flash_attention=False, key_type="q8_0")
    library().llama_model_free(model)


def test_without_time_the_first_tuning_stands_unmeasured_and_is_measured_again_the_next_time(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "BUDGET_SECONDS", 0.0)
    monkeypatch.setattr(calibrate, "__kwdefaults__", {"separate": False, "budget": 0.0})
    backend = LlamaCppBackend(tiny_model, slots=2, threads=1, calibration_file=tmp_path / "calibration.json")
    assert (backend.tuning, backend.costs) == (Tuning(1, 1), None)
    backend.close()
    assert not (tmp_path / "calibration.json").exists()


def test_a_machine_is_measured_once_for_each_model(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "calibration.json"
    first = LlamaCppBackend(tiny_model, slots=2, threads=1, calibration_file=file)
    assert first.costs is not None
    assert min(first.costs.seconds) > 0
    assert first.tuning.threads == 1
    first.close()
    monkeypatch.setattr(calibration, "_measure", lambda *_: pytest.fail("measured twice"))
    second = LlamaCppBackend(tiny_model, slots=2, threads=1, calibration_file=file)
    assert (second.tuning, second.costs) == (first.tuning, first.costs)
    second.close()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"key": {}}', '{"key": {"tuning": {"odd": 1}, "costs": null}}'])
def test_a_damaged_file_counts_as_none_and_is_written_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(content)
    file = CalibrationFile(path)
    assert file.get("key") is None
    file.put("key", Calibration(FIRST, FLAT))
    assert CalibrationFile(path).get("key") == Calibration(FIRST, FLAT)


def test_a_file_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    CalibrationFile(tmp_path / "missing" / "calibration.json").put("key", Calibration(FIRST, None))


@pytest.fixture
def drafting(tiny_model: Path) -> Iterator[LlamaCppBackend]:
    """To which a larger step costs nothing, so that it drafts whenever it has a guess."""
    backend = LlamaCppBackend(tiny_model, slots=4, threads=1)
    backend.costs = FLAT
    yield backend
    backend.close()


def test_an_answer_is_the_same_with_and_without_drafts(drafting: LlamaCppBackend, tiny_model: Path) -> None:
    plain = LlamaCppBackend(tiny_model, slots=4, threads=1)
    asked = [f"Article {n}. Le contrat est écrit. " * 4 for n in range(4)]
    answers = []
    drafted: list[int] = []
    decode = drafting.decode

    def recorded(chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        drafted.extend(chunk.drafted for chunk in chunks)
        return decode(chunks)

    drafting.decode = recorded  # type: ignore[method-assign]
    for backend in (plain, drafting):
        requests = [request(text, max_tokens=120) for text in asked]
        answers.append([text for text, _ in run(Engine(backend), *requests)])
    plain.close()
    assert answers[0] == answers[1]
    assert sum(drafted) > 100


def test_right_drafts_are_taken_together_and_wrong_ones_leave_nothing_in_memory(drafting: LlamaCppBackend) -> None:
    prompt = list(b"Le contrat de travail.")
    greedy = SamplingParameters(temperature=0)
    sampler = drafting.sampler(greedy, prompt)
    ((first,),) = drafting.decode([Chunk(0, 0, prompt, sampler)])
    following = [first.token]
    for _ in range(4):
        ((next_one,),) = drafting.decode([Chunk(0, len(prompt) + len(following) - 1, following[-1:], sampler)])
        following.append(next_one.token)
    drafting.clear()
    again = drafting.sampler(greedy, prompt)
    drafting.decode([Chunk(0, 0, prompt, again)])
    wrong = (following[3] + 1) % 256
    draft = [*following[1:3], wrong, wrong]
    (chosen,) = drafting.decode([Chunk(0, len(prompt), [first.token, *draft], again, drafted=4)])
    assert [each.token for each in chosen] == following[1:4]
    last = drafting._library.llama_memory_seq_pos_max(drafting._library.llama_get_memory(drafting._context), 0)
    assert last == len(prompt) + 2  # the first token and the two right drafts


@pytest.mark.parametrize(("cells", "attentions"), [(None, {True, False}), (300, {True})])
def test_a_shared_cache_is_for_little_memory_and_keeps_flash_attention(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: int | None, attentions: set[bool]
) -> None:
    seen = measured(monkeypatch, {Tuning(1, 1): 1.0})
    file = tmp_path / "calibration.json"
    LlamaCppBackend(tiny_model, slots=2, threads=1, cells=cells, calibration_file=file).close()
    assert {tuning.flash_attention for tuning in seen} == attentions


def test_a_model_that_reads_too_slowly_is_given_up_after_a_little_of_the_prompt(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(tiny_model)
    bench = calibration._Bench(model, FIRST, time.perf_counter() + 0.5, False)
    read = bench._decode
    chunks: list[int] = []

    def slowly(rows: list[tuple[int, int, bool]]) -> None:
        chunks.append(len(rows))
        time.sleep(0.1)  # 0.8 s for the whole
        read(rows)

    monkeypatch.setattr(bench, "_decode", slowly)
    with pytest.raises(calibration._OutOfTime):
        bench.begin()
    assert chunks == [calibration.CHUNK]
    bench.close()
    library().llama_model_free(model)
