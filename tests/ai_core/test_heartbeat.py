"""An engine that hangs is not ready, and systemd hears no sign of life until it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ai_core.composition import heartbeat
from tests.fakes import Core, build_core
from tests.systemd import Systemd

ALIVE = "WATCHDOG=1"


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(str(tmp_path / "notify"))
    yield listening
    listening.close()


@pytest.fixture
def core(tmp_path: Path, systemd: Systemd) -> Iterator[Core]:
    built = build_core(
        tmp_path / "data", ENGINE_STALL_SECONDS="1", NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="100000"
    )
    yield built
    built.backend.thaw()
    built.parts.model.stop()


def engine_state(core: Core) -> tuple[int, str]:
    response = core.app.test_client().get("/health/ready")
    return response.status_code, response.get_json()["components"]["engine"]["status"]


def until_heard(systemd: Systemd, *, alive: bool) -> list[str]:
    """The first message that does, or does not, say that the engine lives."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        heard = systemd.hears()
        if (ALIVE in heard) is alive:
            return heard
    raise AssertionError(f"systemd never heard {'it' if alive else 'nothing'}")


def test_a_hanging_engine_is_not_ready_and_gives_no_sign_of_life_until_it_goes_on(core: Core, systemd: Systemd) -> None:
    beating = heartbeat(core.settings, core.parts.model)
    beating.start()
    assert systemd.hears() == ["READY=1", "STATUS=scripted is loaded. 0 of 4 slots busy, 0 waiting."]
    until_heard(systemd, alive=True)

    core.backend.freeze()
    headers = core.headers("chat")
    with ThreadPoolExecutor(1) as client:
        asking: Any = client.submit(
            lambda: core.app.test_client().post("/api/v1/chat", json={"message": "a"}, headers=headers)
        )
        heard = until_heard(systemd, alive=False)
        assert heard == ["STATUS=scripted is loaded. No step for 1 s while requests wait."]
        assert engine_state(core) == (503, "down")
        core.backend.thaw()
        assert asking.result(10).status_code == 200
    until_heard(systemd, alive=True)
    assert engine_state(core) == (200, "ok")
    beating.stop()


def test_a_model_that_is_being_loaded_is_no_reason_to_restart(core: Core, systemd: Systemd) -> None:
    core.parts.model.unload("scripted")
    beating = heartbeat(core.settings, core.parts.model)
    beating.beat()
    assert systemd.hears() == [ALIVE, "STATUS=No model is loaded. Waits for a model."]
