"""A model that nobody asks leaves memory, and comes back with the next question."""

from __future__ import annotations

from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from ai_core.idle_model import IdleModel
from common.health import Status
from tests.fakes import Core, build_core


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(core: Core, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time of the core's idle model, which rests after ten minutes."""
    ticking, idle = Clock(), core.parts.operations.idle
    for name, value in (("_clock", ticking), ("_after_seconds", 600.0), ("_used_at", ticking.now)):
        monkeypatch.setattr(idle, name, value)
    return ticking


def ask(core: Core) -> TestResponse:
    return core.app.test_client().post("/api/v1/chat", json={"message": "Bonjour"}, headers=core.headers("chat"))


def test_it_rests_after_a_while_and_wakes_for_a_question(core: Core, clock: Clock) -> None:
    idle, host = core.parts.operations.idle, core.parts.model
    clock.now += 599
    idle.look()
    assert host.current_or_none() is not None
    clock.now += 1
    idle.look()
    assert (host.current_or_none(), idle.resting()) == (None, "scripted")
    core.loader.allowed.clear()
    waking = ask(core)
    assert (waking.status_code, waking.get_json()["code"]) == (503, "model_loading")
    assert int(waking.headers["Retry-After"]) > 0
    core.loader.allowed.set()
    assert host.wait(30)
    assert ask(core).status_code == 200
    assert idle.resting() is None


def test_a_question_keeps_it_awake(core: Core, clock: Clock) -> None:
    clock.now += 599
    assert ask(core).status_code == 200
    clock.now += 599
    core.parts.operations.idle.look()
    assert core.parts.model.current_or_none() is not None


def test_a_long_answer_is_not_cut_off(tmp_path: Path) -> None:
    core = build_core(tmp_path, "mot " * 2000, step_seconds=0.01)
    idle = IdleModel(core.parts.model, after_seconds=0.0)
    response = core.app.test_client().post(
        "/api/v1/chat", json={"message": "Bonjour", "stream": True}, headers=core.headers("chat")
    )
    idle.look()
    assert core.parts.model.current_or_none() is not None
    response.close()
    core.parts.model.stop()


def test_while_it_rests_the_service_is_ready(core: Core, clock: Clock) -> None:
    clock.now += 600
    core.parts.operations.idle.look()
    ready = core.app.test_client().get("/health/ready")
    assert ready.status_code == 200
    assert ready.get_json()["components"]["model"]["status"] == Status.OK.value


def test_a_model_that_an_operator_unloaded_stays_away(core: Core, clock: Clock) -> None:
    core.parts.model.unload("scripted")
    clock.now += 600
    core.parts.operations.idle.look()
    assert ask(core).status_code == 409
    assert core.app.test_client().get("/health/ready").status_code == 503


def test_a_model_that_an_operator_loads_meanwhile_is_left_alone(core: Core, clock: Clock) -> None:
    clock.now += 600
    idle, host = core.parts.operations.idle, core.parts.model
    entry = host.current().entry
    idle.look()
    host.load(entry)
    assert idle.resting() is None
    assert ask(core).status_code == 200
    assert len(core.loader.backends) == 2
