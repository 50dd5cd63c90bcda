"""What can be done to a house, and undone: each fault is a context over which it lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from tests.faults.house import House

Victims = Sequence[str]
Fault = Callable[[House, Victims], AbstractContextManager[None]]

LASTS = 4.0  # seconds, longer than the leases (2 s) and than RestartSec
HOUR = 3600
LATENCY, BANDWIDTH = 0.15, 64_000.0  # seconds for each piece; bytes a second


@contextmanager
def kill(house: House, victims: Victims) -> Iterator[None]:
    """kill -9; over at once, since systemd starts it again."""
    for name in victims:
        house.components[name].kill()
    yield


@contextmanager
def pause(house: House, victims: Victims) -> Iterator[None]:
    """SIGSTOP, then SIGCONT: a machine that stands still, and a lease that ran out meanwhile."""
    for name in victims:
        house.components[name].pause()
    yield
    time.sleep(LASTS)
    for name in victims:
        house.components[name].resume()


@contextmanager
def restart(house: House, victims: Victims) -> Iterator[None]:
    """`systemctl restart`, of one after the other."""
    for name in victims:
        house.components[name].restart()
    yield


@contextmanager
def disk(house: House, victims: Victims) -> Iterator[None]:
    """No byte left on the disk, then free again."""
    for name in victims:
        house.disks[name].fill()
    yield
    for _ in range(round(LASTS)):
        time.sleep(1.0)
        for name in victims:
            house.disks[name].fill()  # what somebody gave back meanwhile
    for name in victims:
        house.disks[name].free()


@contextmanager
def ahead(house: House, victims: Victims) -> Iterator[None]:
    """The clock jumps an hour ahead, and stays there; then it is set right, an hour back."""
    for name in victims:
        house.clocks[name].set(HOUR)
    yield
    time.sleep(LASTS)
    for name in victims:
        house.clocks[name].set(0)


@contextmanager
def behind(house: House, victims: Victims) -> Iterator[None]:
    """The clock jumps an hour back, and stays there; then it is set right, an hour ahead."""
    for name in victims:
        house.clocks[name].set(-HOUR)
    yield
    time.sleep(LASTS)
    for name in victims:
        house.clocks[name].set(0)


@contextmanager
def boot(house: House, victims: Victims) -> Iterator[None]:
    """A host whose clock is an hour ahead loses power, and boots with the right time."""
    for clock in house.clocks.values():
        clock.set(HOUR)
    time.sleep(LASTS)
    for name in victims:
        house.components[name].kill()
    for clock in house.clocks.values():
        clock.set(0)
    yield


@contextmanager
def slow(house: House, victims: Victims) -> Iterator[None]:
    """A line with latency and little bandwidth."""
    for name in victims:
        house.lines[name].slow(LATENCY, BANDWIDTH)
    yield
    time.sleep(LASTS)
    for name in victims:
        house.lines[name].mend()


@contextmanager
def cut(house: House, victims: Victims) -> Iterator[None]:
    """A line on which every connection, old or new, is reset."""
    for name in victims:
        house.lines[name].cut()
    yield
    time.sleep(LASTS)
    for name in victims:
        house.lines[name].mend()


KILLING = ("kill", "boot")
FAULTS: dict[str, Fault] = {
    fault.__name__: fault for fault in (kill, pause, restart, disk, ahead, behind, boot, slow, cut)
}
