from __future__ import annotations

from ai_core.engine.backends.base import Limits
from ai_core.engine.request import Priority
from ai_core.engine.scheduler import PRIORITY_SECONDS, Plan, Scheduler, rank
from ai_core.engine.sequence import SequenceState
from tests.ai_core.engine.driving import request


def limits(*, slots: int = 2, pinned: int = 1, cells: int = 1000, batch_tokens: int = 64) -> Limits:
    return Limits(slots, pinned, 500, cells, batch_tokens, vocabulary=257)


def sequence(
    text: str = "Question ?",
    *,
    shared: int = 0,
    max_tokens: int = 10,
    priority: Priority = Priority.INTERACTIVE,
    arrived: float = 0.0,
) -> SequenceState:
    asked = request(text, shared=shared, max_tokens=max_tokens, priority=priority)
    return SequenceState(asked, object(), max_length=len(text) + max_tokens, rank=rank(priority, arrived))


def shape(plan: Plan) -> list[tuple[int, int]]:
    """Sequence and number of tokens of each chunk."""
    return [(chunk.sequence, len(chunk.tokens)) for _, chunk in plan.batch]


def compute(scheduler: Scheduler, plan: Plan) -> None:
    """What the engine does after a batch, every prompt being answered by x."""
    for state, chunk in plan.batch:
        scheduler.advance(state, len(chunk.tokens))
        if chunk.sampler is not None:
            state.tokens.append(ord("x"))


def test_requests_start_in_order_of_arrival() -> None:
    scheduler = Scheduler(limits(slots=1))
    late, early = sequence(arrived=2.0), sequence(arrived=1.0)
    scheduler.add(late)
    scheduler.add(early)
    assert scheduler.schedule().started == [early]
    scheduler.release(early)
    assert scheduler.schedule().started == [late]


def test_an_interactive_request_comes_before_mail_and_batch_of_the_same_time() -> None:
    scheduler = Scheduler(limits(slots=3))
    batch, mail, interactive = (sequence(priority=priority) for priority in reversed(Priority))
    for state in (batch, mail, interactive):
        scheduler.add(state)
    assert scheduler.schedule().started == [interactive, mail, batch]


def test_a_batch_request_is_not_starved_by_a_stream_of_interactive_ones() -> None:
    scheduler = Scheduler(limits(slots=1))
    batch = sequence(priority=Priority.BATCH, arrived=0.0)
    scheduler.add(batch)
    for second in range(1000):
        scheduler.add(sequence(arrived=float(second)))
        scheduler.add(sequence(arrived=float(second)))
        (started,) = scheduler.schedule().started
        if started is batch:
            break
        scheduler.release(started)
    waited = 2 * PRIORITY_SECONDS[Priority.BATCH]  # two arrive a second, one is served
    assert second <= waited + 1


def test_running_answers_go_first_and_prompts_get_a_bounded_rest_of_the_batch() -> None:
    scheduler = Scheduler(limits(slots=3, batch_tokens=64), prefill_tokens=16)
    answering, reading = sequence("a"), sequence("b" * 100)
    scheduler.add(answering)
    compute(scheduler, scheduler.schedule())
    scheduler.add(reading)
    plan = scheduler.schedule()
    assert shape(plan) == [(answering.slot, 1), (reading.slot, 16)]
    assert [chunk.sampler is not None for _, chunk in plan.batch] == [True, False]


def test_a_prompt_alone_fills_the_batch_and_asks_for_a_token_only_at_its_end() -> None:
    scheduler = Scheduler(limits(batch_tokens=64))
    scheduler.add(sequence("b" * 100))
    plan = scheduler.schedule()
    assert shape(plan) == [(1, 64)]
    assert plan.batch[0][1].sampler is None
    compute(scheduler, plan)
    plan = scheduler.schedule()
    assert shape(plan) == [(1, 36)]
    assert plan.batch[0][1].position == 64
    assert plan.batch[0][1].sampler is not None


def test_the_second_request_waits_for_the_first_to_compute_their_prefix_then_reuses_it() -> None:
    scheduler = Scheduler(limits(batch_tokens=16))
    first, second = sequence("s" * 20 + "un", shared=20), sequence("s" * 20 + "deux", shared=20)
    scheduler.add(first)
    scheduler.add(second)
    plan = scheduler.schedule()
    assert plan.started == [first]
    compute(scheduler, plan)
    plan = scheduler.schedule()
    assert plan.started == []
    assert scheduler.advance(first, 6) is first.prefix
    plan = scheduler.schedule()
    assert plan.started == [second]
    assert (second.reused, second.computed) == (20, 20)
    assert scheduler.prefixes.cells == 20
    assert scheduler.cells_used == 22


def test_a_request_with_another_prefix_does_not_wait_for_a_prefix_that_is_being_computed() -> None:
    scheduler = Scheduler(limits(slots=3, pinned=2))
    scheduler.add(sequence("ssss un", shared=4))
    scheduler.add(sequence("ssss deux", shared=4, arrived=1.0))
    other = sequence("autre", arrived=2.0)
    scheduler.add(other)
    assert other in scheduler.schedule().started


def test_the_last_prompt_token_is_computed_even_when_the_whole_prompt_is_shared() -> None:
    scheduler = Scheduler(limits(slots=2))
    for arrived in (0.0, 1.0):
        scheduler.add(sequence("ssss", shared=4, arrived=arrived))
    compute(scheduler, scheduler.schedule())
    (second,) = scheduler.schedule().started
    assert second.reused == 3


def test_where_memory_cannot_be_copied_every_request_computes_its_whole_prompt() -> None:
    scheduler = Scheduler(limits(pinned=0))
    for arrived in (0.0, 1.0):
        scheduler.add(sequence("ssss un", shared=4, arrived=arrived))
    plan = scheduler.schedule()
    assert len(plan.started) == 2
    assert all(state.prefix is None for state in plan.started)


def test_a_request_waits_until_the_cells_of_its_longest_answer_are_free_and_is_not_overtaken() -> None:
    scheduler = Scheduler(limits(slots=3, cells=100))
    running = sequence("a" * 10, max_tokens=50)
    large, small = sequence("a" * 10, max_tokens=50, arrived=1.0), sequence("a", max_tokens=1, arrived=2.0)
    for state in (running, large, small):
        scheduler.add(state)
    assert scheduler.schedule().started == [running]
    assert scheduler.schedule().started == []
    scheduler.release(running)
    assert scheduler.schedule().started == [large, small]


def test_an_idle_prefix_makes_room_for_a_request_that_needs_its_cells() -> None:
    scheduler = Scheduler(limits(cells=100))
    first = sequence("s" * 40 + "?", shared=40)
    scheduler.add(first)
    compute(scheduler, scheduler.schedule())
    scheduler.release(first)
    assert scheduler.cells_used == 40
    scheduler.add(sequence("a" * 50, max_tokens=50))
    plan = scheduler.schedule()
    assert plan.evicted == [2]
    assert len(plan.started) == 1
    assert scheduler.cells_used == 0


def test_a_preempted_request_keeps_its_text_its_place_and_starts_again_once_another_ends() -> None:
    scheduler = Scheduler(limits(slots=2))
    first, second = sequence("un"), sequence("deux", arrived=1.0)
    scheduler.add(first)
    scheduler.add(second)
    compute(scheduler, scheduler.schedule())
    scheduler.preempt(second)
    scheduler.add(sequence("trois", arrived=2.0))
    assert scheduler.schedule().started == []
    scheduler.release(first)
    assert scheduler.schedule().started[0] is second
    assert bytes(second.tokens) == b"deuxx"
    assert second.remaining == 5
