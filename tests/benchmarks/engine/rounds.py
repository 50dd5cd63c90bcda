"""One server through one workload: start, cold, warm, stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import TracebackType

import psutil

from tests.benchmarks.engine.load import Answer, Target, run_clients
from tests.benchmarks.engine.measures import Figures, figures, gaps, percentile
from tests.benchmarks.engine.servers import SETTLE, Measured
from tests.benchmarks.engine.workloads import Client, Round, Workload


class MemoryPeak:
    """The most memory that a process and its children held together while this was open, looked at now and then."""

    EVERY = 0.25  # seconds

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.bytes = 0

    def __enter__(self) -> MemoryPeak:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, self._now())
            if self._over.wait(self.EVERY):
                return

    def _now(self) -> int:
        total = 0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue  # a child that has just ended
        return total


def measure(server: Measured, workload: Workload, model: Path, pool: ProcessPoolExecutor) -> dict[str, Figures]:
    """Figures by round; `pool` is where the clients run. Raises ServerFailed."""
    server.start()
    try:
        target = Target(server.port, server.dialect, model, workload.system)
        return {
            "cold": _round(server, target, workload.cold, pool),
            "warm": _round(server, target, workload.warm, pool),
        }
    finally:
        server.stop()


def _round(server: Measured, target: Target, part: Round, pool: ProcessPoolExecutor) -> Figures:
    before = server.counters()
    with MemoryPeak(server.pid) as memory:
        answers = _ask(target, part.clients, pool)
    time.sleep(SETTLE)
    measured = figures(answers, before, server.counters(), memory.bytes)
    if part.alone:
        undisturbed = percentile(gaps(_ask(target, part.alone, pool)), 95)
        disturbed = percentile(gaps(answers[: len(part.alone)]), 95)
        measured.more.update(
            running_itl_p95_s=disturbed, alone_itl_p95_s=undisturbed, itl_ratio=disturbed / max(undisturbed, 1e-9)
        )
    return measured


def _ask(target: Target, clients: Sequence[Client], pool: ProcessPoolExecutor) -> list[Answer]:
    return pool.submit(run_clients, target, clients).result()
