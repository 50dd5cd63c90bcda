"""What the services take at one moment: memory, descriptors and threads of each process, sizes of what they write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import peewee
import psutil
import redis

from common.database import connection, open_database
from tests.whole_system import SERVICES, WholeSystem

MEMORY, DESCRIPTORS, THREADS = "memory (MB)", "descriptors", "threads"
DATABASE, LOGS, REDIS = "database (MB)", "logs (MB)", "Redis: memory (MB)"
MB = 1e6
Sample = dict[str, float]


class Sampler:
    """Looks at one system. A figure is named `PART: KIND`."""

    def __init__(self, system: WholeSystem) -> None:
        self._system = system

    def sample(self) -> Sample:
        """All figures of this moment; `at` is in seconds of a steady clock."""
        found: Sample = {"at": time.monotonic()}
        for name, pid in self._system.pids().items():
            found |= {f"{name}: {kind}": figure for kind, figure in _process(pid).items()}
        for service in SERVICES:
            found[f"{service}: {DATABASE}"] = self._database(service) / MB
            found[f"{service}: {LOGS}"] = sum(_sizes(self._system.homes[service], "*.log*")) / MB
        with redis.Redis.from_url(self._system.redis.url) as client:
            found[REDIS] = client.info("memory")["used_memory"] / MB
        return found

    def _database(self, service: str) -> float:
        """Bytes of a service's SQLite files or PostgreSQL database."""
        postgres = self._system.postgres
        if postgres is None:
            return sum(_sizes(self._system.homes[service], "*.sqlite3*"))
        database: peewee.Database = open_database(postgres.url_of(service))
        with connection(database):
            return float(database.execute_sql("SELECT pg_database_size(current_database())").fetchone()[0])


def _process(pid: int) -> Sample:
    """Of a process and its children together."""
    found = {MEMORY: 0.0, DESCRIPTORS: 0.0, THREADS: 0.0}
    top = psutil.Process(pid)
    for process in (top, *top.children(recursive=True)):
        try:
            with process.oneshot():
                found[MEMORY] += process.memory_info().rss / MB
                found[DESCRIPTORS] += process.num_fds()
                found[THREADS] += process.num_threads()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue  # a child that has just ended
    return found


def _sizes(folder: Path, pattern: str) -> Iterator[float]:
    for path in folder.rglob(pattern):
        try:
            if path.is_file():
                yield float(path.stat().st_size)
        except FileNotFoundError:
            continue  # a journal that has just been merged
