from __future__ import annotations

from ai_core.engine.backends.base import Limits
from ai_core.engine.pacing import StepLoad
from ai_core.engine.request import Priority
from ai_core.engine.scheduler import PRIORITY_SECONDS, Copy, Drop, Plan, Scheduler, rank
from ai_core.engine.sequence import SequenceState
from ai_core.engine.speculation import StepCosts
from tests.ai_core.engine.driving import request


def limits(
    *,
    slots: int = 2,
    pinned: int = 1,
    cells: int = 1000,
    batch_tokens: int = 64,
    held: int = 1000,
    outputs: int | None = None,
    separate: bool = False,
) -> Limits:
    return Limits(slots, pinned, 500, cells, batch_tokens, 257, outputs or slots, held, separate)


def sequence(
    text: str = "Question ?",
    *,
    shared: int = 0,
    max_tokens: int = 10,
    priority: Priority = Priority.INTERACTIVE,
    arrived: float = 0.0,
    conversation: str | None = None,
    owner: str = "",
    adapter: str | None = None,
    lookup: bool = False,
) -> SequenceState:
    asked = request(
        text,
        shared=shared,
        max_tokens=max_tokens,
        priority=priority,
        conversation=conversation,
        owner=owner,
        adapter=adapter,
    )
    place = rank(priority, arrived)
    return SequenceState(asked, object(), max_length=len(text) + max_tokens, rank=place, lookup=lookup)


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
    assert shape(plan) == [(answering.slot, 1), (reading.slot, 15)]  # 16 rows, a multiple of four
    assert [chunk.sampler is not None for _, chunk in plan.batch] == [True, False]


def test_a_prompt_alone_fills_the_batch_and_asks_for_a_token_only_at_its_end() -> None:
    scheduler = Scheduler(limits(batch_tokens=64))
    scheduler.add(sequence("b" * 100))
    plan = scheduler.schedule()
    assert shape(plan) == [(0, 64)]
    assert plan.batch[0][1].sampler is None
    compute(scheduler, plan)
    plan = scheduler.schedule()
    assert shape(plan) == [(0, 36)]
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
    assert scheduler.advance(first, 6) == [Copy(first.slot, 2, 20)]
    plan = scheduler.schedule()
    assert plan.started == [second]
    assert plan.memory == [Copy(2, second.slot, 20)]
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
    assert plan.memory == []
    assert all(state.reused == 0 for state in plan.started)


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
    assert plan.memory == [Drop(2)]
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


def test_a_request_that_shares_only_the_beginning_of_a_prefix_reuses_that_and_computes_the_rest_for_others() -> None:
    scheduler = Scheduler(limits(pinned=2))
    first = sequence("ssssaaaa?", shared=8)
    scheduler.add(first)
    compute(scheduler, scheduler.schedule())
    second = sequence("ssssbbbb?", shared=8)
    scheduler.add(second)
    plan = scheduler.schedule()
    assert (second.reused, plan.memory) == (4, [Copy(3, second.slot, 4)])
    assert shape(plan)[-1] == (second.slot, 5)
    assert scheduler.prefixes.cells == 8
    compute(scheduler, plan)
    assert scheduler.prefixes.cells == 12
    third = sequence("ssssbbbbb", shared=9)
    scheduler.release(first)
    scheduler.add(third)
    scheduler.schedule()
    assert third.reused == 8


def test_a_conversation_goes_on_where_its_last_turn_ended() -> None:
    scheduler = Scheduler(limits(pinned=3))
    first = sequence("ssss un", shared=4, conversation="marie")
    scheduler.add(first)
    compute(scheduler, scheduler.schedule())
    compute(scheduler, scheduler.schedule())
    assert bytes(first.tokens) == b"ssss unxx"
    assert scheduler.release(first) == [Copy(0, 3, 8), Drop(0)]
    assert scheduler.cells_used == 8
    second = sequence("ssss unxx deux", shared=4, conversation="marie")
    scheduler.add(second)
    plan = scheduler.schedule()
    assert second.reused == 8
    assert plan.memory == [Copy(3, second.slot, 8), Drop(3)]  # its own sequence has it all now
    assert scheduler.cells_used == 8


def test_nobody_else_sees_a_conversation_in_memory() -> None:
    scheduler = Scheduler(limits(pinned=3))
    first = sequence("ssss secret", shared=4, conversation="marie")
    scheduler.add(first)
    compute(scheduler, scheduler.schedule())
    scheduler.release(first)
    for conversation in ("paul", None):
        other = sequence("ssss secret", shared=4, conversation=conversation)
        scheduler.add(other)
        scheduler.schedule()
        assert other.reused == 4
        scheduler.release(other, keep=False)


def test_what_a_failed_request_computed_is_not_kept() -> None:
    scheduler = Scheduler(limits(pinned=3))
    failed = sequence("ssss un", conversation="marie")
    scheduler.add(failed)
    compute(scheduler, scheduler.schedule())
    assert scheduler.release(failed, keep=False) == [Drop(0)]
    assert scheduler.cells_used == 0


def test_the_conversation_that_nobody_went_on_with_for_longest_makes_room_for_another() -> None:
    scheduler = Scheduler(limits(pinned=2))
    for name in ("a", "b", "c"):
        state = sequence(name * 5, conversation=name)
        scheduler.add(state)
        compute(scheduler, scheduler.schedule())
        scheduler.release(state)
    reused = []
    for name in ("a", "b", "c"):
        state = sequence(name * 9, conversation=name)
        scheduler.add(state)
        scheduler.schedule()
        reused.append(state.reused)
        scheduler.release(state, keep=False)
    assert reused == [0, 5, 5]


def test_an_owner_with_many_requests_does_not_keep_the_others_waiting() -> None:
    scheduler = Scheduler(limits(slots=4))
    for number in range(10):
        scheduler.add(sequence("a", owner="greedy", arrived=number / 10))
    modest = sequence("b", owner="modest", arrived=1.5)
    scheduler.add(modest)
    assert modest in scheduler.schedule().started


def test_an_owner_with_many_requests_is_served_in_the_end() -> None:
    scheduler = Scheduler(limits(slots=2))
    many = [sequence("a", owner="greedy") for _ in range(2)]
    for state in many:
        scheduler.add(state)
    for second in range(100):
        scheduler.add(sequence("b", owner=f"other {second}", arrived=float(second)))
        started = scheduler.schedule().started
        if many[1] in started:
            break
        for state in started:
            if state is not many[0]:
                scheduler.release(state)
    assert second < 10


def test_a_batch_is_of_one_adapter_and_each_has_its_turn() -> None:
    scheduler = Scheduler(limits(slots=4, pinned=4))
    for adapter in ("b", "a", None, "a"):
        scheduler.add(sequence("question", adapter=adapter))
    seen = []
    for _ in range(6):
        plan = scheduler.schedule()
        compute(scheduler, plan)
        (adapter,) = {chunk.adapter for _, chunk in plan.batch}
        seen.append((adapter, len(plan.batch)))
    assert seen == [("a", 2), ("b", 1), (None, 1)] * 2


def test_an_adapter_does_not_share_what_the_bare_model_computed() -> None:
    scheduler = Scheduler(limits(pinned=2))
    first = sequence("ssss?", shared=4)
    scheduler.add(first)
    compute(scheduler, scheduler.schedule())
    adapted = sequence("ssss?", shared=4, adapter="a")
    scheduler.add(adapted)
    scheduler.schedule()
    assert adapted.reused == 0


def test_what_is_kept_for_later_is_bounded_and_the_oldest_goes_first() -> None:
    scheduler = Scheduler(limits(slots=2, pinned=4, cells=900, batch_tokens=500, held=450))
    for letter in "abc":
        state = sequence(letter * 200, shared=190)
        scheduler.add(state)
        compute(scheduler, scheduler.schedule())
        scheduler.release(state)
    assert scheduler.prefixes.held == scheduler.cells_used == 2 * 190
    for letter, reused in (("b", 190), ("a", 0)):
        again = sequence(letter * 200, shared=190)
        scheduler.add(again)
        compute(scheduler, scheduler.schedule())
        assert again.reused == reused
        scheduler.release(again)


def test_rows_beside_running_answers_are_a_number_that_libraries_compute_well() -> None:
    for separate, prompt in ((False, 125), (True, 128)):  # with the three answers, or apart from them
        scheduler = Scheduler(limits(slots=4, cells=4000, batch_tokens=512, separate=separate), prefill_tokens=120)
        for letter in "abc":
            scheduler.add(sequence(letter))
        compute(scheduler, scheduler.schedule())
        scheduler.add(sequence("d" * 400))
        assert scheduler.schedule().load == StepLoad(3, 1, prompt)


def test_where_slots_are_separate_a_chunk_ends_with_the_prefix_that_others_may_share() -> None:
    scheduler = Scheduler(limits(separate=True))
    state = sequence("s" * 20 + "question", shared=20)
    scheduler.add(state)
    plan = scheduler.schedule()
    assert shape(plan) == [(state.slot, 20)]
    assert scheduler.advance(state, 20) == [Copy(state.slot, 2, 20)]
    assert shape(scheduler.schedule()) == [(state.slot, 8)]


def test_where_slots_are_separate_all_answers_get_as_many_drafts() -> None:
    flat = StepCosts((1, 64), (1.0, 1.0))
    scheduler = Scheduler(limits(slots=2, pinned=0, outputs=16, separate=True), costs=flat)
    quoting, other = sequence("abcdefgh abc", max_tokens=30, lookup=True), sequence("xyz", max_tokens=9, lookup=True)
    for state in (quoting, other):
        scheduler.add(state)
    scheduler.schedule()
    for state, text in ((quoting, b"def"), (other, b"123")):
        for token in text:
            state.append(token, bytes([token]))
        state.computed = len(state.tokens) - 1
    (_, first), (_, second) = scheduler.schedule().batch
    assert (first.drafted, second.drafted) == (5, 5)  # as much as has room before the other's end
    assert bytes(first.tokens) == b"fgh ab"
    assert bytes(second.tokens) == b"333333"


def test_a_quoting_answer_gets_drafts_where_a_larger_step_costs_the_same() -> None:
    flat = StepCosts((1, 64), (1.0, 1.0))
    scheduler = Scheduler(limits(slots=1, pinned=0, outputs=16), costs=flat)
    state = sequence("abcdefgh abc", max_tokens=30, lookup=True)
    scheduler.add(state)
    plan = scheduler.schedule()
    state.computed = len(state.tokens)
    for token in b"def":
        state.append(token, bytes([token]))
    state.computed = len(state.tokens) - 1
    ((_, chunk),) = scheduler.schedule().batch
    assert bytes(chunk.tokens) == b"fgh abcdefgh abc"
    assert chunk.drafted == 15
    assert plan.batch[0][1].drafted == 0  # a prompt is never guessed at
    dear = Scheduler(limits(slots=1, pinned=0, outputs=16), costs=StepCosts((1, 2), (1.0, 2.0)))
    dear.running = scheduler.running
    ((_, chunk),) = dear.schedule().batch
    assert chunk.drafted == 0


def test_an_answer_near_its_end_is_not_guessed_beyond_it() -> None:
    scheduler = Scheduler(limits(slots=1, pinned=0, outputs=16), costs=StepCosts((1, 64), (1.0, 1.0)))
    state = sequence("abcdefgh abc", max_tokens=5, lookup=True)
    scheduler.add(state)
    scheduler.schedule()
    state.append(ord("d"), b"d")
    state.computed = len(state.tokens) - 1
    ((_, chunk),) = scheduler.schedule().batch
    assert bytes(chunk.tokens) == b"defg"
