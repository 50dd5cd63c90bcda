"""The engine of models that answer as a whole, on a model without weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_core.engine.batch_engine import BatchEngine
from ai_core.engine.errors import EngineBusy, EngineStopped
from ai_core.engine.job import Job, JobCancelled, JobFailed, JobLate
from tests.ai_core.engine.driving import Clock

TextJob = Job[str, str, str]


class Shouting:
    """Upper-cases up to `most_pieces` words of at most `letters` together; a batch takes a second of `clock`."""

    def __init__(self, clock: Clock, *, most_pieces: int = 4, letters: int = 100) -> None:
        self.clock = clock
        self.most_pieces = most_pieces
        self.letters = letters
        self.batches: list[list[str]] = []
        self.between: Callable[[], None] = lambda: None
        self.asked: list[bool] = []

    def fitting(self, pieces: Sequence[str]) -> int:
        count = sum(sum(map(len, pieces[: end + 1])) <= self.letters for end in range(len(pieces)))
        return max(1, count)

    def compute(self, pieces: Sequence[str], wanted: Callable[[], bool]) -> list[str]:
        self.batches.append(list(pieces))
        self.clock.now += 1
        self.between()
        self.asked.append(wanted())
        if "broken" in pieces:
            raise ValueError("broken")
        return [piece.upper() for piece in pieces]


def shout(text: str, *, deadline: float | None = None) -> TextJob:
    return Job(text.split(), " ".join, deadline=deadline)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def model(clock: Clock) -> Shouting:
    return Shouting(clock)


@pytest.fixture
def engine(model: Shouting, clock: Clock) -> BatchEngine[str, str]:
    return BatchEngine(model, max_waiting=8, clock=clock)


def submitted(engine: BatchEngine[str, str], *jobs: TextJob) -> None:
    for job in jobs:
        engine.submit(job)


def finish(engine: BatchEngine[str, str]) -> None:
    for _ in range(1000):
        if not engine.step():
            return
    raise AssertionError("the engine never came to rest")


def test_a_result_joins_the_parts_in_their_order(engine: BatchEngine[str, str], model: Shouting) -> None:
    job = shout("a b c d e f")
    submitted(engine, job)
    finish(engine)
    assert job.result(0) == "A B C D E F"
    assert model.batches == [["a", "b", "c", "d"], ["e", "f"]]


def test_a_batch_takes_pieces_of_all_jobs_in_turn(engine: BatchEngine[str, str], model: Shouting) -> None:
    long, short = shout("a b c d e f g h"), shout("x y")
    submitted(engine, long, short)
    engine.step()
    assert model.batches == [["a", "x", "b", "y"]]
    assert short.ended
    assert not long.ended


def test_who_found_no_place_in_a_batch_comes_first_in_the_next(engine: BatchEngine[str, str], model: Shouting) -> None:
    submitted(engine, *[shout(f"{letter}1 {letter}2") for letter in "abcdef"])
    finish(engine)
    assert model.batches[:2] == [["a1", "b1", "c1", "d1"], ["e1", "f1", "a2", "b2"]]


def test_a_batch_holds_what_the_model_says_that_fits(engine: BatchEngine[str, str], model: Shouting) -> None:
    model.letters = 5
    job = shout("four ab toolongforany c d")
    submitted(engine, job)
    finish(engine)
    assert model.batches == [["four"], ["ab"], ["toolongforany"], ["c", "d"]]
    assert job.result(0) == "FOUR AB TOOLONGFORANY C D"


def test_a_failing_batch_fails_its_jobs_and_no_others(engine: BatchEngine[str, str], model: Shouting) -> None:
    model.most_pieces = 2
    beside, broken, apart = shout("a b"), shout("broken"), shout("c")
    submitted(engine, beside, broken, apart)
    finish(engine)
    for job in (beside, broken):
        with pytest.raises(JobFailed, match="the model failed"):
            job.result(0)
    assert apart.result(0) == "C"
    assert (engine.stats().jobs_total, engine.stats().failed_total) == (3, 2)


def test_parts_that_do_not_join_fail_their_own_job(engine: BatchEngine[str, str]) -> None:
    job: Job[str, str, int] = Job(["one"], lambda parts: int(parts[0]))
    other = shout("two")
    engine.submit(job)
    engine.submit(other)
    finish(engine)
    with pytest.raises(JobFailed):
        job.result(0)
    assert other.result(0) == "TWO"


def test_a_model_that_loses_a_part_fails_the_jobs_and_the_next_one_works(model: Shouting) -> None:
    def losing(pieces: Sequence[str], wanted: Callable[[], bool]) -> list[str]:
        return []

    computing, model.compute = model.compute, losing  # type: ignore[method-assign]
    running = BatchEngine(model)
    running.start()
    lost = shout("a")
    running.submit(lost)
    with pytest.raises(JobFailed):
        lost.result(10)
    model.compute = computing  # type: ignore[method-assign]
    found = shout("b")
    running.submit(found)
    assert found.result(10) == "B"
    running.stop()


def test_a_cancelled_job_ends_and_the_others_of_its_batch_go_on(engine: BatchEngine[str, str], model: Shouting) -> None:
    going, stopping = shout("a b c d e"), shout("x y z")
    model.between = stopping.cancel
    submitted(engine, going, stopping)
    finish(engine)
    with pytest.raises(JobCancelled):
        stopping.result(0)
    assert going.result(0) == "A B C D E"
    assert model.asked[0] is True
    assert "z" not in [word for batch in model.batches for word in batch]


def test_a_batch_that_nobody_waits_for_any_more_is_unwanted(engine: BatchEngine[str, str], model: Shouting) -> None:
    job = shout("a b")
    model.between = job.cancel
    submitted(engine, job)
    finish(engine)
    assert model.asked == [False]
    assert engine.stats().jobs == 0


def test_a_deadline_ends_a_job_between_steps(engine: BatchEngine[str, str], clock: Clock) -> None:
    late, early = shout("a b c d e f g h", deadline=clock.now + 1), shout("x", deadline=clock.now + 1.5)
    submitted(engine, late, early)
    finish(engine)
    with pytest.raises(JobLate):
        late.result(0)
    assert early.result(0) == "X"


def test_a_full_engine_says_when_to_come_back(engine: BatchEngine[str, str], clock: Clock) -> None:
    submitted(engine, shout("a"))
    finish(engine)  # a piece takes a second
    submitted(engine, *[shout("a b c") for _ in range(8)])
    with pytest.raises(EngineBusy) as refusal:
        engine.submit(shout("one too many"))
    assert refusal.value.retry_after == pytest.approx(24)  # three pieces of each of eight
    finish(engine)
    engine.submit(shout("now there is room"))


def test_a_job_that_cannot_end_in_time_is_refused_at_once(engine: BatchEngine[str, str], clock: Clock) -> None:
    submitted(engine, shout("a"))
    finish(engine)
    submitted(engine, shout("a b c d e f"))
    engine.submit(shout("x", deadline=clock.now + 1.5))  # goes beside the first piece
    with pytest.raises(EngineBusy):
        engine.submit(shout("x y z", deadline=clock.now + 1.5))
    with pytest.raises(EngineBusy):
        engine.refuse_if_unable(clock.now)


def test_an_idle_engine_takes_a_job_whatever_it_measured_before(engine: BatchEngine[str, str], clock: Clock) -> None:
    submitted(engine, shout("slow"))
    finish(engine)
    engine.submit(shout("a b c d", deadline=clock.now + 0.1))


def test_stop_lets_jobs_end_within_the_grace(model: Shouting) -> None:
    running = BatchEngine(model)
    job = shout("a b c d e f")
    running.submit(job)
    running.start()
    running.stop(grace_seconds=10)
    assert job.result(0) == "A B C D E F"


def test_stop_ends_what_does_not_end_in_time_and_refuses_more(model: Shouting) -> None:
    running = BatchEngine(model)
    at_work = threading.Event()

    def endless(pieces: Sequence[str], wanted: Callable[[], bool]) -> list[str]:
        at_work.set()
        while wanted():
            pass
        return []

    model.compute = endless  # type: ignore[method-assign]
    running.start()
    job, waiting = shout("a"), shout("b c d e f g")
    running.submit(job)
    assert at_work.wait(10)
    running.submit(waiting)
    running.stop()
    for ended in (job, waiting):
        with pytest.raises(EngineStopped):
            ended.result(0)
    with pytest.raises(EngineStopped):
        running.submit(shout("late"))
    assert running.is_stalled(60)  # its thread is gone


def test_an_engine_that_never_ran_stops_too(engine: BatchEngine[str, str]) -> None:
    job = shout("a")
    submitted(engine, job)
    engine.stop()
    with pytest.raises(EngineStopped):
        job.result(0)


def test_jobs_without_a_sign_of_life_are_a_stall(engine: BatchEngine[str, str], clock: Clock) -> None:
    clock.now += 100
    assert not engine.is_stalled(60)  # nothing to do
    submitted(engine, shout("a"))
    assert not engine.is_stalled(60)
    clock.now += 61
    assert engine.is_stalled(60)
    finish(engine)
    assert not engine.is_stalled(60)


def test_a_long_batch_is_alive_as_long_as_it_asks(engine: BatchEngine[str, str], model: Shouting, clock: Clock) -> None:
    seen: list[bool] = []

    def long(pieces: Sequence[str], wanted: Callable[[], bool]) -> list[str]:
        for seconds in (50, 50, 70):
            wanted()
            clock.now += seconds
            seen.append(engine.is_stalled(60))
        return list(pieces)

    model.compute = long  # type: ignore[method-assign]
    submitted(engine, shout("a"))
    finish(engine)
    assert seen == [False, False, True]


def test_waiting_for_a_result_may_end_before_it(engine: BatchEngine[str, str]) -> None:
    job = shout("a")
    submitted(engine, job)
    with pytest.raises(TimeoutError):
        job.result(0)
    finish(engine)
    assert job.result(0) == "A"


def test_a_job_has_at_least_one_piece() -> None:
    with pytest.raises(ValueError, match="without pieces"):
        Job([], len)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from(["a", "bb", "ccc", "broken"]), min_size=1, max_size=9), max_size=8),
    most=st.integers(1, 5),
    letters=st.integers(1, 8),
    cancelled=st.sets(st.integers(0, 7)),
)
def test_every_job_ends_once_with_its_own_result(
    texts: list[list[str]], most: int, letters: int, cancelled: set[int]
) -> None:
    clock = Clock()
    engine = BatchEngine(Shouting(clock, most_pieces=most, letters=letters), clock=clock)
    jobs = [shout(" ".join(words)) for words in texts]
    submitted(engine, *jobs)
    engine.step()
    for place in cancelled & set(range(len(jobs))):
        jobs[place].cancel()
    finish(engine)
    for job, words in zip(jobs, texts, strict=True):
        try:
            assert job.result(0) == " ".join(words).upper()
            assert "broken" not in words
        except JobCancelled:
            assert jobs.index(job) in cancelled
        except JobFailed:
            assert any("broken" in other for other in texts)
    assert (engine.stats().jobs, engine.stats().pieces, engine.stats().jobs_total) == (0, 0, len(jobs))
