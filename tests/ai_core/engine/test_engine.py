from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from ai_core.engine.backends.scripted import ScriptedBackend
from ai_core.engine.engine import Engine, EngineBusy, EngineStopped, InvalidRequest, PromptTooLong
from ai_core.engine.request import Finished, FinishReason, GenerationRequest, Priority, SamplingParameters
from tests.ai_core.engine.driving import Clock, answer, finish, request, run


def test_an_answer_ends_where_the_model_ends_it_and_counts_its_tokens() -> None:
    (answered,) = run(Engine(ScriptedBackend("Oui, l'été.")), request("Quand ?"))
    assert answered == ("Oui, l'été.", Finished(FinishReason.STOP, 7, 13, 0))


def test_an_answer_ends_at_max_tokens() -> None:
    ((text, finished),) = run(Engine(ScriptedBackend("abcdef")), request(max_tokens=3))
    assert (text, finished.reason, finished.completion_tokens) == ("abc", FinishReason.LENGTH, 3)


def test_an_answer_ends_when_the_context_is_full() -> None:
    backend = ScriptedBackend("a" * 50, context_length=20)
    ((text, finished),) = run(Engine(backend), request("0123456789"))
    assert (text, finished.reason) == ("a" * 10, FinishReason.LENGTH)


def test_a_stop_string_over_several_tokens_is_never_shown() -> None:
    ((text, finished),) = run(Engine(ScriptedBackend("Oui.\nQuestion : encore")), request(stop=("\nQuestion",)))
    assert (text, finished.reason) == ("Oui.", FinishReason.STOP)


def test_what_looked_like_a_stop_string_is_shown_at_the_end() -> None:
    ((text, _),) = run(Engine(ScriptedBackend("Oui.\nQuest")), request(stop=("\nQuestion",)))
    assert text == "Oui.\nQuest"


def test_characters_of_several_tokens_arrive_whole_and_one_cut_by_the_limit_is_dropped() -> None:
    engine = Engine(ScriptedBackend("é😀ع"))
    asked = request()
    engine.submit(asked)
    finish(engine)
    chunks = [event.text for event in asked.events() if not isinstance(event, Finished)]
    assert chunks == ["é", "😀", "ع"]
    ((text, _),) = run(engine, request(max_tokens=3))
    assert text == "é"


def test_answers_of_many_requests_are_computed_in_the_same_batches() -> None:
    backend = ScriptedBackend(lambda prompt: prompt * 3, slots=4)
    answers = run(Engine(backend), *[request(f"question {n} ") for n in range(10)])
    assert [text for text, _ in answers] == [f"question {n} " * 3 for n in range(10)]
    assert max(len(batch) for batch in backend.batches) == 4


def test_a_shared_prefix_is_computed_once_and_only_it_stays_in_memory() -> None:
    backend = ScriptedBackend(slots=4)
    engine = Engine(backend)
    answers = run(engine, *[request("système" * 5 + str(n), shared=40) for n in range(8)])
    assert [finished.reused_tokens for _, finished in answers] == [0] + [40] * 7
    assert backend.cells_used == engine.stats().kv_cells_used == 40
    assert engine.stats().reused_tokens_total == 280


def test_what_follows_the_shared_prefix_is_never_reused() -> None:
    backend = ScriptedBackend()
    answers = run(Engine(backend), *[request("système, question intime", shared=8) for _ in range(2)])
    assert answers[1][1].reused_tokens == 8


def test_prefixes_beyond_the_pinned_sequences_push_out_the_least_recently_used() -> None:
    backend = ScriptedBackend(slots=1, pinned=2)
    engine = Engine(backend)
    for system in ("un--", "deux", "un--", "troi"):
        run(engine, request(system + " ?", shared=4))
    assert [run(engine, request(system + " ?", shared=4))[0][1].reused_tokens for system in ("un--", "deux")] == [4, 0]


def test_cancel_frees_the_slot_within_one_step() -> None:
    backend = ScriptedBackend("a" * 50, slots=2)
    engine = Engine(backend)
    asked = [request() for _ in range(3)]
    for one in asked:
        engine.submit(one)
    engine.step()
    asked[0].cancel()
    engine.step()
    assert engine.stats().slots_busy == 2
    assert engine.stats().waiting == 0
    assert answer(asked[0])[1].reason is FinishReason.CANCELLED
    finish(engine)
    assert [answer(one)[1].reason for one in asked[1:]] == [FinishReason.STOP] * 2
    assert backend.cells_used == 0


def test_a_waiting_request_can_be_cancelled() -> None:
    engine = Engine(ScriptedBackend("a" * 50, slots=1))
    first, second = request(), request()
    engine.submit(first)
    engine.submit(second)
    engine.step()
    second.cancel()
    finish(engine)
    assert answer(second) == ("", Finished(FinishReason.CANCELLED, 10, 0, 0))


def test_a_reader_that_goes_away_cancels_its_request() -> None:
    engine = Engine(ScriptedBackend("a" * 5000))
    asked = request(max_tokens=4000)
    engine.submit(asked)
    engine.step()
    events = asked.events()
    next(events)
    events.close()  # type: ignore[attr-defined]
    finish(engine, most=3)
    assert engine.stats().slots_busy == 0


def test_nothing_of_a_finished_request_stays_in_the_engine() -> None:
    engine = Engine(ScriptedBackend("a" * 50))
    finished, left = request("système ?", shared=8), request()
    engine.submit(left)
    run(engine, finished)
    left.cancel()
    references = [weakref.ref(finished), weakref.ref(left)]
    del finished, left
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_a_deadline_ends_the_answer_with_what_there_is() -> None:
    clock = Clock()
    engine = Engine(ScriptedBackend("abcdef"), clock=clock)
    asked = request(deadline=clock.now + 10)
    engine.submit(asked)
    engine.step()
    engine.step()
    clock.now += 10
    finish(engine)
    text, finished = answer(asked)
    assert (text, finished.reason) == ("ab", FinishReason.DEADLINE)


def test_a_deadline_ends_a_request_that_still_waits() -> None:
    clock = Clock()
    engine = Engine(ScriptedBackend("a" * 50, slots=1), clock=clock)
    first, second = request(), request(deadline=clock.now + 10)
    engine.submit(first)
    engine.submit(second)
    engine.step()
    clock.now += 11
    finish(engine)
    assert answer(second)[1].reason is FinishReason.DEADLINE
    assert answer(first)[1].reason is FinishReason.STOP


def test_beyond_the_waiting_limit_a_request_is_refused_with_an_estimate() -> None:
    engine = Engine(ScriptedBackend(slots=2), max_waiting=1)
    for _ in range(3):
        engine.submit(request())
    with pytest.raises(EngineBusy) as refusal:
        engine.submit(request())
    assert refusal.value.retry_after >= 1
    finish(engine)
    engine.submit(request())


def test_a_queue_full_of_batch_requests_does_not_refuse_an_interactive_one() -> None:
    engine = Engine(ScriptedBackend(slots=1), max_waiting=1)
    for _ in range(2):
        engine.submit(request(priority=Priority.BATCH))
    with pytest.raises(EngineBusy):
        engine.submit(request(priority=Priority.BATCH))
    engine.submit(request(priority=Priority.INTERACTIVE))


def test_a_request_that_cannot_start_before_its_deadline_is_refused_at_once() -> None:
    clock = Clock()
    engine = Engine(ScriptedBackend(slots=1), clock=clock)
    engine.submit(request())
    with pytest.raises(EngineBusy):
        engine.submit(request(deadline=clock.now + 0.5))
    engine.submit(request(deadline=clock.now + 500))


def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused_with_the_figures() -> None:
    engine = Engine(ScriptedBackend(context_length=100, slots=4, cells=50))
    with pytest.raises(PromptTooLong) as refusal:
        engine.submit(request("a" * 50))
    assert (refusal.value.prompt_tokens, refusal.value.limit) == (50, 49)
    assert run(engine, request("a" * 49))[0][1].reason is FinishReason.LENGTH


@pytest.mark.parametrize("prompt", [[], [257], [-1], [65, 100_000]])
def test_a_prompt_without_tokens_or_with_unknown_ones_is_refused(prompt: list[int]) -> None:
    with pytest.raises(InvalidRequest):
        Engine(ScriptedBackend()).submit(GenerationRequest(prompt, sampling=SamplingParameters()))


def test_stop_ends_running_and_waiting_requests_with_the_reason_and_takes_no_more() -> None:
    backend = ScriptedBackend("a" * 5000, slots=1, step_seconds=0.001)
    engine = Engine(backend)
    engine.start()
    asked = [request(max_tokens=4000) for _ in range(3)]
    for one in asked:
        engine.submit(one)
    next(asked[0].events())
    engine.stop()
    assert all(answer(one)[1].reason is FinishReason.MODEL_UNLOADED for one in asked)
    assert backend.cells_used == 0
    with pytest.raises(EngineStopped):
        engine.submit(request())


def test_stop_lets_answers_finish_within_its_grace() -> None:
    engine = Engine(ScriptedBackend("abc", step_seconds=0.01))
    engine.start()
    asked = request()
    engine.submit(asked)
    engine.stop(grace_seconds=30)
    assert answer(asked)[1].reason is FinishReason.STOP


def test_a_step_that_hangs_is_seen_and_an_idle_engine_is_not_stalled() -> None:
    backend = ScriptedBackend()
    engine = Engine(backend)
    engine.start()
    assert not engine.is_stalled(0)
    backend.freeze()
    asked = request()
    engine.submit(asked)
    assert not engine.is_stalled(30)
    time.sleep(0.05)
    assert engine.is_stalled(0.04)
    backend.thaw()
    answer(asked)
    engine.stop()
    assert engine.is_stalled(30)


def test_threads_that_submit_and_cancel_at_once_all_get_their_last_event() -> None:
    backend = ScriptedBackend("a" * 30, slots=4, step_seconds=0.0002)
    engine = Engine(backend)
    engine.start()
    reasons: list[FinishReason] = []

    def ask(number: int) -> None:
        for turn in range(5):
            asked = request(f"commun {number} {turn}", shared=6)
            engine.submit(asked)
            if (number + turn) % 3 == 0:
                asked.cancel()
            reasons.append(answer(asked)[1].reason)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    engine.stop()
    assert len(reasons) == 60
    assert set(reasons) <= {FinishReason.STOP, FinishReason.CANCELLED}
    assert (engine.stats().slots_busy, engine.stats().waiting) == (0, 0)
    assert backend.cells_used == 6


def test_the_queue_is_told_by_priority() -> None:
    engine = Engine(ScriptedBackend(slots=1))
    for priority in (Priority.INTERACTIVE, Priority.MAIL, Priority.MAIL, Priority.BATCH):
        engine.submit(request("Question ?", priority=priority))
    engine.step()
    stats = engine.stats()
    assert (stats.slots_busy, stats.waiting) == (1, 3)
    assert stats.waiting_by_priority == {"interactive": 0, "mail": 2, "batch": 1}
