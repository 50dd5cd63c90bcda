"""Whatever arrives, and whatever fails: every request ends once, no slot or cell leaks, none is counted twice."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from ai_core.engine.backends.base import DecodeFailed, OutOfCells
from ai_core.engine.backends.scripted import ScriptedBackend
from ai_core.engine.engine import Engine, EngineBusy, PromptTooLong
from ai_core.engine.request import Finished, FinishReason, GenerationRequest, Priority
from ai_core.engine.speculation import StepCosts
from tests.ai_core.engine.driving import Clock, answer, request

SYSTEMS = ("", "aaaa", "aaaabb", "cccccccccc")
MOST_STEPS = 2000


@dataclass(frozen=True)
class Arrival:
    step: int
    system: str
    question: str
    max_tokens: int
    priority: Priority
    cancelled_after: int | None
    conversation: str | None
    owner: str
    adapter: str | None


arrivals = st.builds(
    Arrival,
    step=st.integers(0, 20),
    system=st.sampled_from(SYSTEMS),
    question=st.text("xyz", max_size=30) | st.sampled_from(["xyzxyz", "xyzxyzxyz"]),
    max_tokens=st.integers(1, 30),
    priority=st.sampled_from(Priority),
    cancelled_after=st.none() | st.integers(0, 30),
    conversation=st.none() | st.sampled_from(["marie", "paul"]),
    owner=st.sampled_from("ab"),
    adapter=st.none() | st.just("adapter"),
)
failures = st.dictionaries(st.integers(0, 30), st.sampled_from([DecodeFailed("fatal"), OutOfCells()]), max_size=3)


def check(engine: Engine, backend: ScriptedBackend) -> None:
    scheduler = engine._scheduler
    reserved = sum(sequence.reserved_cells for sequence in scheduler.running)
    assert backend.cells_used == scheduler.cells_used
    assert scheduler.cells_used <= scheduler.prefixes.cells + reserved <= backend.limits.cells
    assert scheduler.prefixes.held <= backend.limits.held
    slots = [sequence.slot for sequence in scheduler.running]
    assert sorted(slots + scheduler._free_slots) == list(range(backend.limits.slots))
    assert engine.stats().waiting == len(scheduler.waiting)


def play(
    engine: Engine, backend: ScriptedBackend, clock: Clock, coming: list[Arrival], failing: dict[int, Exception]
) -> list[tuple[Arrival, GenerationRequest]]:
    """Submit, cancel, fail and step on the script's days, then until nothing is left."""
    accepted: list[tuple[Arrival, GenerationRequest]] = []
    for step in range(MOST_STEPS):
        for arrival in (one for one in coming if one.step == step):
            text = arrival.system + arrival.question
            shared = len(arrival.system)
            asked = request(
                text,
                shared=shared,
                max_tokens=arrival.max_tokens,
                priority=arrival.priority,
                conversation=arrival.conversation,
                owner=arrival.owner,
                adapter=arrival.adapter,
            )
            try:
                engine.submit(asked)
            except (PromptTooLong, EngineBusy, ValueError):
                continue
            accepted.append((arrival, asked))
        for arrival, asked in accepted:
            if arrival.cancelled_after is not None and step == arrival.step + arrival.cancelled_after:
                asked.cancel()
        if step in failing:
            backend.fail_next(failing[step])
        worked = engine.step()
        check(engine, backend)
        clock.now += 1
        if not worked and step > 51:
            return accepted
    raise AssertionError("starved")


@settings(max_examples=150, deadline=None)
@given(
    coming=st.lists(arrivals, max_size=25),
    failing=failures,
    slots=st.integers(1, 4),
    pinned=st.integers(0, 4),
    cells=st.integers(10, 120),
    held=st.integers(0, 100),
    separate=st.booleans(),
    batch_tokens=st.integers(4, 40),
    costs=st.sampled_from([None, StepCosts((1, 64), (1.0, 1.0)), StepCosts((1, 2, 64), (1.0, 1.2, 20.0))]),
)
def test_every_request_ends_and_memory_is_exact(
    coming: list[Arrival],
    failing: dict[int, Exception],
    slots: int,
    pinned: int,
    cells: int,
    held: int,
    separate: bool,
    batch_tokens: int,
    costs: StepCosts | None,
) -> None:
    backend = ScriptedBackend(
        lambda prompt: prompt * 2,
        slots=slots,
        pinned=pinned,
        cells=slots * 60 + held if separate else cells,
        held=held,
        separate=separate,
        context_length=60,
        batch_tokens=batch_tokens,
        costs=costs,
    )
    clock = Clock()
    engine = Engine(backend, clock=clock)
    accepted = play(engine, backend, clock, coming, failing)
    for arrival, asked in accepted:
        text, finished = answer(asked)
        whole = (arrival.system + arrival.question) * 2
        assert whole.startswith(text)
        assert finished.completion_tokens == len(text)
        assert finished.reused_tokens <= (len(arrival.system) if arrival.conversation is None else len(whole) // 2 - 1)
        check_reason(arrival, finished, text == whole, bool(failing))
    assert (engine.stats().slots_busy, engine.stats().waiting) == (0, 0)
    assert backend.cells_used == engine._scheduler.prefixes.idle_cells


def check_reason(arrival: Arrival, finished: Finished, complete: bool, may_fail: bool) -> None:
    if finished.reason is FinishReason.STOP:
        assert complete
    elif finished.reason is FinishReason.CANCELLED:
        assert arrival.cancelled_after is not None
    elif finished.reason is FinishReason.ERROR:
        assert may_fail
    else:
        assert finished.reason is FinishReason.LENGTH
