"""What systemd hears, over a real datagram socket."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.systemd import Heartbeat, Notifier, watchdog_interval
from tests.systemd import Systemd


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@notify-{os.getpid()}-{id(request)}"
    listening = Systemd(address)
    yield listening
    listening.close()


def heartbeat(address: str | None, *, interval: float | None = 1.0, able: bool = True) -> Heartbeat:
    return Heartbeat(Notifier(address), interval=interval, is_able=lambda: able, status=lambda: "Serves.")


def test_it_says_that_it_is_ready_and_how_it_is(systemd: Systemd) -> None:
    beating = heartbeat(systemd.address)
    beating.start()
    beating.stop()
    assert systemd.hears() == ["READY=1", "STATUS=Serves."]


def test_signs_of_life_come_by_themselves(systemd: Systemd) -> None:
    beating = heartbeat(systemd.address, interval=0.01)
    beating.start()
    assert systemd.hears()[0] == "READY=1"
    assert [systemd.hears(), systemd.hears()] == [["WATCHDOG=1", "STATUS=Serves."]] * 2
    beating.stop()
    while not systemd.hears_nothing():
        systemd.hears()
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_there_is_no_sign_of_life_while_it_is_not_able(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    beating = heartbeat(systemd.address, able=False)
    beating.beat()
    beating.beat()
    assert [systemd.hears(), systemd.hears()] == [["STATUS=Serves."]] * 2
    assert len(caplog.records) == 1, "one line when it begins, not one for each beat"


def test_without_a_watchdog_only_the_status_is_told(systemd: Systemd) -> None:
    heartbeat(systemd.address, interval=None).beat()
    assert systemd.hears() == ["STATUS=Serves."]


def test_without_systemd_nothing_happens() -> None:
    heartbeat(None).beat()


def test_a_socket_that_is_gone_is_logged_and_nothing_breaks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heartbeat(str(tmp_path / "gone")).beat()
    assert caplog.records[0].message == "systemd cannot be told"


@pytest.mark.parametrize("pid", [0, os.getpid(), os.getppid()], ids=["nobody", "this", "its parent"])
def test_half_of_the_time_allowed_is_between_two_signs_of_life(pid: int) -> None:
    assert watchdog_interval(30_000_000, pid) == 15.0


@pytest.mark.parametrize(
    ("microseconds", "pid"),
    [(0, 0), (-1, 0), (30_000_000, 1 if os.getppid() != 1 else 2)],
    ids=["off", "negative", "not for us"],
)
def test_no_signs_are_given_where_none_are_expected_of_us(microseconds: int, pid: int) -> None:
    assert watchdog_interval(microseconds, pid) is None
