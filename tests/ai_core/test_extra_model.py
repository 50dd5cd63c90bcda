"""A model that is loaded by its first request, serves many, and leaves when nobody asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ai_core.engine.backends.base import BackendError
from ai_core.engine.job import InvalidInput, Job
from ai_core.extra_model import ExtraModel
from common.errors import InvalidFields, ServiceError

Doubling = Job[int, int, list[int]]


class Doubler:
    """Doubles numbers, once it is `allowed`; -1 breaks it. A stubborn one does not stop for anybody."""

    most_pieces = 4

    def __init__(self) -> None:
        self.allowed = threading.Event()
        self.allowed.set()
        self.begun = threading.Event()
        self.stubborn = False
        self.closed = False

    def job(self, numbers: Sequence[int], deadline: float | None = None) -> Doubling:
        if not numbers:
            raise InvalidInput("numbers", "none given")
        return Doubling(numbers, list, deadline=deadline)

    def fitting(self, pieces: Sequence[int]) -> int:
        return len(pieces)

    def compute(self, pieces: Sequence[int], wanted: Callable[[], bool]) -> list[int]:
        self.begun.set()
        while not self.allowed.wait(0.01):
            if not wanted() and not self.stubborn:
                return []
        if -1 in pieces:
            raise RuntimeError("le texte d'une personne")
        return [2 * piece for piece in pieces]

    def close(self) -> None:
        self.closed = True


class Factory:
    """Loads Doublers, once it is `allowed`; or fails."""

    def __init__(self) -> None:
        self.made: list[Doubler] = []
        self.allowed = threading.Event()
        self.allowed.set()
        self.failure: Exception | None = None

    def __call__(self) -> Doubler:
        assert self.allowed.wait(10)
        if self.failure is not None:
            raise self.failure
        self.made.append(Doubler())
        return self.made[-1]


@pytest.fixture
def factory() -> Factory:
    return Factory()


@pytest.fixture
def model(factory: Factory) -> Iterator[ExtraModel[Doubler]]:
    extra = ExtraModel("doubler", factory, max_waiting=2, timeout=5.0, idle_seconds=60.0)
    yield extra
    extra.stop()


def double(model: ExtraModel[Doubler], *numbers: int, is_wanted: Callable[[], bool] = lambda: True) -> list[int]:
    return model.run(lambda doubler, deadline: doubler.job(numbers, deadline), is_wanted=is_wanted)


def test_it_is_loaded_by_the_first_request_only(model: ExtraModel[Doubler], factory: Factory) -> None:
    assert not model.is_loaded
    assert double(model, 1, 2, 3) == [2, 4, 6]
    assert double(model, 5) == [10]
    assert len(factory.made) == 1


def test_those_who_ask_while_it_loads_wait_for_the_same_one(model: ExtraModel[Doubler], factory: Factory) -> None:
    factory.allowed.clear()
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(double, model, number) for number in range(2)]
        factory.allowed.set()
        assert [answer.result(5) for answer in answers] == [[0], [2]]
    assert len(factory.made) == 1


def test_who_cannot_wait_that_long_is_told_when_to_come_back(factory: Factory) -> None:
    model = ExtraModel("doubler", factory, max_waiting=2, timeout=0.1, idle_seconds=60.0)
    factory.allowed.clear()
    for _ in range(2):
        with pytest.raises(ServiceError) as caught:
            double(model, 1)
        assert (caught.value.status, caught.value.code) == (503, "model_loading")
        assert caught.value.retry_after
    factory.allowed.set()
    while not model.is_loaded:
        time.sleep(0.01)
    assert double(model, 1) == [2]
    assert len(factory.made) == 1
    model.stop()


@pytest.mark.parametrize("stubborn", [False, True])
def test_what_takes_too_long_ends_at_its_deadline(
    factory: Factory, stubborn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_core.extra_model.PAST_DEADLINE", 0.2)
    model = ExtraModel("doubler", factory, max_waiting=2, timeout=0.3, idle_seconds=60.0)
    double(model, 1)
    factory.made[0].stubborn = stubborn
    factory.made[0].allowed.clear()
    with pytest.raises(ServiceError, match="longer than a request may") as caught:
        double(model, 2)
    assert (caught.value.status, caught.value.code) == (503, "deadline")
    factory.made[0].allowed.set()
    assert double(model, 3) == [6]
    model.stop()


def test_a_model_that_comes_after_the_end_goes_at_once(model: ExtraModel[Doubler], factory: Factory) -> None:
    factory.allowed.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(double, model, 1)
        while not model._loading:
            time.sleep(0.01)
        model.stop()
        with pytest.raises(ServiceError, match="being stopped"):
            waiting.result(5)
    factory.allowed.set()
    while not factory.made or not factory.made[0].closed:
        time.sleep(0.01)
    assert not model.is_loaded


@pytest.mark.parametrize("failure", [BackendError("broken.gguf: no"), OSError("gone"), ImportError("no torch")])
def test_one_that_cannot_be_loaded_is_tried_again(
    model: ExtraModel[Doubler], factory: Factory, failure: Exception
) -> None:
    factory.failure = failure
    for _ in range(2):
        with pytest.raises(ServiceError) as caught:
            double(model, 1)
        assert (caught.value.status, caught.value.code) == (503, "model_unavailable")
        assert str(failure) not in caught.value.message, "paths are for the log"
    factory.failure = None
    assert double(model, 1) == [2]


def test_wrong_input_is_refused_by_its_name(model: ExtraModel[Doubler]) -> None:
    with pytest.raises(InvalidFields) as caught:
        double(model)
    assert caught.value.errors == {"numbers": ["None given."]}


def test_a_failure_is_told_without_its_cause(model: ExtraModel[Doubler]) -> None:
    with pytest.raises(ServiceError) as caught:
        double(model, -1)
    assert (caught.value.status, caught.value.code) == (500, "model_failed")
    assert "personne" not in caught.value.message
    assert double(model, 1) == [2], "the next one works"


def test_a_client_that_left_ends_its_job(model: ExtraModel[Doubler], factory: Factory) -> None:
    double(model, 1)
    factory.made[0].allowed.clear()
    with pytest.raises(ServiceError) as caught:
        double(model, 1, is_wanted=lambda: False)
    assert caught.value.status == 499
    factory.made[0].allowed.set()
    assert double(model, 2) == [4]


def test_at_capacity(model: ExtraModel[Doubler], factory: Factory) -> None:
    double(model, 1)
    factory.made[0].allowed.clear()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(double, model, number) for number in (1, 2)]
        while model._users < 2 or model._serving is None or model._serving[1].stats().jobs < 2:
            time.sleep(0.01)
        with pytest.raises(ServiceError) as caught:
            double(model, 3)
        assert (caught.value.status, caught.value.code) == (503, "at_capacity")
        factory.made[0].allowed.set()
        assert [answer.result(5) for answer in waiting] == [[2], [4]]


def test_it_leaves_when_nobody_has_asked_for_a_while(factory: Factory) -> None:
    now = [0.0]
    model = ExtraModel("doubler", factory, max_waiting=2, timeout=5.0, idle_seconds=60.0, clock=lambda: now[0])
    assert not model.unload_if_idle(), "it was never loaded"
    double(model, 1)
    now[0] = 59.0
    assert not model.unload_if_idle()
    double(model, 1)
    now[0] = 118.0
    assert not model.unload_if_idle(), "59 s after its last use"
    now[0] = 119.0
    assert model.unload_if_idle()
    assert factory.made[0].closed
    assert double(model, 4) == [8]
    assert len(factory.made) == 2
    model.stop()


def test_zero_keeps_it_for_ever(factory: Factory) -> None:
    now = [0.0]
    model = ExtraModel("doubler", factory, max_waiting=2, timeout=5.0, idle_seconds=0.0, clock=lambda: now[0])
    double(model, 1)
    now[0] = 1e9
    assert not model.unload_if_idle()
    model.stop()


def test_it_does_not_leave_under_a_request(factory: Factory) -> None:
    now = [0.0]
    model = ExtraModel("doubler", factory, max_waiting=2, timeout=5.0, idle_seconds=60.0, clock=lambda: now[0])
    double(model, 1)
    factory.made[0].begun.clear()
    factory.made[0].allowed.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(double, model, 3)
        assert factory.made[0].begun.wait(5)
        now[0] = 1000.0
        assert not model.unload_if_idle()
        factory.made[0].allowed.set()
        assert running.result(5) == [6]
    model.stop()


def test_the_end_of_the_process_ends_what_runs_and_loads_nothing_more(
    model: ExtraModel[Doubler], factory: Factory
) -> None:
    double(model, 1)
    factory.made[0].begun.clear()
    factory.made[0].allowed.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(double, model, 3)
        assert factory.made[0].begun.wait(5)
        model.stop()
        with pytest.raises(ServiceError) as caught:
            running.result(5)
    assert caught.value.code == "stopping"
    assert factory.made[0].closed
    with pytest.raises(ServiceError, match="being stopped"):
        double(model, 1)
