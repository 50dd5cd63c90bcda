"""One model serves; another one takes its place while requests run, or fails to and leaves things as they were."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.formats import Format
from ai_core.catalog.loading import Prepared
from ai_core.catalog.memory import NotEnoughMemory
from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.scripted import ScriptedBackend
from ai_core.engine.engine import Engine
from ai_core.engine.request import FinishReason, GenerationRequest, SamplingParameters
from ai_core.engine.serving import Serving
from ai_core.model_host import LoadFailed, ModelHost
from ai_core.model_state import ModelStatus
from common.errors import ServiceError
from tests.ai_core.engine.driving import answer
from tests.waiting import until


def model(name: str, **changes: object) -> ModelEntry:
    return replace(ModelEntry(name, Format.GGUF, path=Path(f"{name}.gguf")), **changes)  # type: ignore[arg-type]


A, B = model("a"), model("b")


class Backend(ScriptedBackend):
    """Answers with its model's name; tells when it is closed."""

    def __init__(self, name: str, history: list[str]) -> None:
        super().__init__(name * 20)
        self._name, self._history = name, history

    def close(self) -> None:
        super().close()
        self._history.append(f"close {self._name}")


class Machine:
    """Loads what is asked for, with room `beside` or not, and fails as a test says. `history` is what happened."""

    def __init__(self) -> None:
        self.beside = True
        self.failures: dict[str, list[Exception]] = {}
        self.refusals: dict[str, Exception] = {}
        self.history: list[str] = []
        self.backends: dict[str, Backend] = {}
        self.prepared, self.made = threading.Event(), threading.Event()
        self.made.set()
        self.loading = threading.Event()
        self.allowed = threading.Event()
        self.allowed.set()

    def prepare(self, entry: ModelEntry, current: ModelEntry | None, report: Callable[[str], None]) -> Prepared:
        if entry.id in self.refusals:
            raise self.refusals[entry.id]
        report("making it smaller: 40 %")
        self.prepared.set()
        assert self.made.wait(30)
        return Prepared(entry, self.beside)

    def load(self, entry: ModelEntry) -> Serving:
        self.history.append(f"load {entry.id}")
        self.loading.set()
        assert self.allowed.wait(30)
        if self.failures.get(entry.id):
            raise self.failures[entry.id].pop()
        backend = self.backends[entry.id] = Backend(entry.id, self.history)
        return Serving(backend, Engine(backend))


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def host(machine: Machine) -> Iterator[ModelHost]:
    running = ModelHost(machine, grace_seconds=30)
    yield running
    machine.allowed.set()
    for backend in machine.backends.values():
        backend.thaw()
    running.wait(30)
    running.stop()


@pytest.fixture
def helper() -> Iterator[ThreadPoolExecutor]:
    """Another operator, or a client, beside the test."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def ask(host: ModelHost) -> GenerationRequest:
    request = GenerationRequest(list(b"?"), sampling=SamplingParameters(max_tokens=100))
    host.current().engine.submit(request)
    return request


def refusal(host: ModelHost) -> tuple[int, str]:
    with pytest.raises(ServiceError) as refused:
        host.current()
    return refused.value.status, refused.value.code


def test_a_loaded_model_answers_and_its_state_says_since_when(host: ModelHost) -> None:
    outcome = host.load(A)
    assert outcome.changed
    assert outcome.state.status is ModelStatus.LOADED
    assert outcome.state.loaded_at is not None
    assert answer(ask(host))[0] == "a" * 20
    assert host.states.get("b").status is ModelStatus.AVAILABLE


def test_loading_the_model_that_serves_changes_nothing_and_says_so(host: ModelHost, machine: Machine) -> None:
    first = host.load(A)
    second = host.load(A)
    assert not second.changed
    assert second.state == first.state
    assert machine.history == ["load a"]


def test_unloading_twice_is_fine(host: ModelHost, machine: Machine) -> None:
    host.load(A)
    outcome = host.unload("a")
    assert (outcome.changed, outcome.state.status) == (True, ModelStatus.AVAILABLE)
    assert outcome.state.unloaded_at is not None
    assert not host.unload("a").changed
    assert machine.history == ["load a", "close a"]
    assert refusal(host) == (409, "model_not_loaded")


def test_unloading_another_model_leaves_the_one_that_serves(host: ModelHost) -> None:
    host.load(A)
    assert not host.unload("b").changed
    assert host.current().id == "a"


def test_with_room_for_both_the_old_model_answers_until_the_new_one_does(
    host: ModelHost, machine: Machine, helper: ThreadPoolExecutor
) -> None:
    host.load(A)
    machine.allowed.clear()
    machine.loading.clear()
    switch = helper.submit(host.load, B)
    assert machine.loading.wait(10)
    assert answer(ask(host))[0] == "a" * 20
    machine.allowed.set()
    switch.result(10)
    assert answer(ask(host))[0] == "b" * 20
    assert machine.history == ["load a", "load b", "close a"]
    assert host.states.get("a").status is ModelStatus.AVAILABLE


def test_answers_that_run_are_finished_by_the_old_model_while_the_new_one_serves(
    host: ModelHost, machine: Machine, helper: ThreadPoolExecutor
) -> None:
    host.load(A)
    machine.backends["a"].freeze()
    running = ask(host)
    switch = helper.submit(host.load, B)
    until(lambda: host.current().id == "b")
    assert answer(ask(host))[0] == "b" * 20
    machine.backends["a"].thaw()
    text, finished = answer(running)
    assert (text, finished.reason) == ("a" * 20, FinishReason.STOP)
    assert switch.result(10).changed


def test_answers_that_last_longer_than_the_grace_end_and_say_why(machine: Machine) -> None:
    host = ModelHost(machine, grace_seconds=0)
    host.load(A)
    machine.backends["a"].step_seconds = 0.05
    running = ask(host)
    host.load(B)
    assert answer(running)[1].reason is FinishReason.MODEL_UNLOADED
    host.stop()


def test_without_room_for_both_the_old_model_leaves_first_and_requests_wait_outside(
    host: ModelHost, machine: Machine, helper: ThreadPoolExecutor
) -> None:
    host.load(A)
    machine.beside = False
    machine.allowed.clear()
    machine.loading.clear()
    switch = helper.submit(host.load, B)
    assert machine.loading.wait(10)
    assert machine.history == ["load a", "close a", "load b"]
    assert refusal(host) == (503, "model_loading")
    machine.allowed.set()
    switch.result(10)
    assert answer(ask(host))[0] == "b" * 20


def test_a_failed_load_leaves_the_old_model_serving(host: ModelHost, machine: Machine) -> None:
    host.load(A)
    running = ask(host)
    machine.failures["b"] = [BackendError("b.gguf is cut off")]
    with pytest.raises(LoadFailed, match=r"b could not be loaded: b\.gguf is cut off"):
        host.load(B)
    assert answer(running)[1].reason is FinishReason.STOP
    assert host.current().id == "a"
    assert host.states.get("b").status is ModelStatus.ERROR
    assert host.states.get("b").error == "b.gguf is cut off"
    assert machine.history == ["load a", "load b"]


def test_a_failed_load_brings_the_old_model_back_where_it_had_to_leave(host: ModelHost, machine: Machine) -> None:
    host.load(A)
    machine.beside = False
    machine.failures["b"] = [BackendError("no")]
    with pytest.raises(LoadFailed):
        host.load(B)
    assert machine.history == ["load a", "close a", "load b", "load a"]
    assert answer(ask(host))[0] == "a" * 20
    assert host.states.get("a").status is ModelStatus.LOADED
    assert host.states.get("b").status is ModelStatus.ERROR


def test_when_the_old_model_cannot_come_back_either_both_say_why(host: ModelHost, machine: Machine) -> None:
    host.load(A)
    machine.beside = False
    machine.failures = {"b": [BackendError("no b")], "a": [BackendError("no a")]}
    with pytest.raises(LoadFailed, match="no b"):
        host.load(B)
    assert refusal(host) == (503, "model_unavailable")
    assert (host.states.get("a").error, host.states.get("b").error) == ("no a", "no b")
    host.load(A)
    assert host.states.get("a").error is None
    assert answer(ask(host))[0] == "a" * 20


def test_a_model_too_large_even_alone_is_refused_before_anything_is_unloaded(host: ModelHost, machine: Machine) -> None:
    host.load(A)
    machine.beside = False
    machine.refusals["b"] = NotEnoughMemory(8 * 2**30, 4 * 2**30, "take a smaller one")
    with pytest.raises(LoadFailed, match=r"needs 8\.0 GiB of memory, 4\.0 GiB are available") as refused:
        host.load(B)
    assert (refused.value.status, refused.value.code) == (409, "not_enough_memory")
    assert machine.history == ["load a"]
    assert host.current().id == "a"


def test_a_long_preparation_says_how_far_it_is_while_the_old_model_serves(
    host: ModelHost, machine: Machine, helper: ThreadPoolExecutor
) -> None:
    host.load(A)
    machine.beside = False
    machine.made.clear()
    machine.prepared.clear()
    switch = helper.submit(host.load, B)
    assert machine.prepared.wait(10)
    assert host.states.get("b").step == "making it smaller: 40 %"
    assert answer(ask(host))[0] == "a" * 20
    machine.made.set()
    switch.result(10)
    assert host.states.get("b").step is None


def test_one_operation_runs_at_a_time(host: ModelHost, machine: Machine, helper: ThreadPoolExecutor) -> None:
    host.load(A)
    machine.allowed.clear()
    machine.loading.clear()
    switch = helper.submit(host.load, B)
    assert machine.loading.wait(10)
    for operation in (lambda: host.load(A), lambda: host.load(B), lambda: host.unload("a"), lambda: host.begin(A)):
        with pytest.raises(ServiceError) as refused:
            operation()
        assert (refused.value.status, refused.value.code) == (409, "operation_running")
    machine.allowed.set()
    switch.result(10)
    assert host.operating_on is None
    assert host.current().id == "b"


def test_another_version_of_a_model_takes_its_place(host: ModelHost, machine: Machine) -> None:
    host.load(A)
    assert host.load(replace(A, context_length=512)).changed
    assert host.current().entry.context_length == 512
    assert host.states.get("a").status is ModelStatus.LOADED


@pytest.mark.parametrize("beside", [True, False])
def test_a_version_that_fails_leaves_the_one_before_with_the_reason(
    host: ModelHost, machine: Machine, beside: bool
) -> None:
    host.load(A)
    machine.beside = beside
    machine.failures["a"] = [BackendError("too long a context")]
    with pytest.raises(LoadFailed):
        host.load(replace(A, context_length=512))
    assert host.current().entry == A
    assert host.states.get("a").status is ModelStatus.LOADED
    assert host.states.get("a").error == "too long a context"


def test_a_load_that_nobody_waits_for_ends_in_the_model_or_its_error(host: ModelHost, machine: Machine) -> None:
    machine.failures["a"] = [BackendError("no")]
    host.begin(A)
    assert not host.wait(10)
    assert refusal(host) == (503, "model_unavailable")
    host.begin(A)
    assert host.wait(10)
    assert host.states.get("a").error is None


def test_servers_that_are_not_up_yet_are_tried_again_until_they_are(host: ModelHost, machine: Machine) -> None:
    machine.failures["a"] = [BackendError("no server answers")] * 3
    host.begin(A, retry_every=0.01)
    until(lambda: host.current_or_none() is not None)
    assert machine.history == ["load a"] * 4


def test_they_are_not_tried_again_once_somebody_asks_for_another_model(host: ModelHost, machine: Machine) -> None:
    machine.failures["a"] = [BackendError("no server answers")] * 3
    host.begin(A, retry_every=30)
    assert not host.wait(10)
    host.load(B)
    until(lambda: not any(thread.name == "model-loader" for thread in threading.enumerate()))
    assert machine.history == ["load a", "load b"]


def test_a_model_whose_files_are_none_is_an_error_without_a_load(host: ModelHost, machine: Machine) -> None:
    host.refuse("a", BackendError("a.gguf is empty"))
    assert host.states.get("a").error == "a.gguf is empty"
    assert refusal(host) == (503, "model_unavailable")
    assert machine.history == []


def test_after_the_end_nothing_is_loaded_and_what_was_loading_is_let_go(host: ModelHost, machine: Machine) -> None:
    machine.allowed.clear()
    host.begin(A)
    assert machine.loading.wait(10)
    host.stop()
    machine.allowed.set()
    assert not host.wait(10)
    assert machine.history == ["load a", "close a"]
    assert refusal(host) == (503, "stopping")
    with pytest.raises(ServiceError, match="being stopped"):
        host.load(B)


def test_an_engine_that_hangs_is_seen_also_while_it_leaves(
    host: ModelHost, machine: Machine, helper: ThreadPoolExecutor
) -> None:
    host.load(A)
    assert not host.is_stalled(0.01)
    machine.backends["a"].freeze()
    ask(host)
    switch = helper.submit(host.load, B)
    until(lambda: host.current().id == "b")
    until(lambda: host.is_stalled(0.01))
    assert not host.current().engine.is_stalled(0.01)
    machine.backends["a"].thaw()
    switch.result(10)
    assert not host.is_stalled(0.01)
