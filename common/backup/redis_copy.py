"""Redis: a snapshot over the wire, and back as the beginning of its append-only file.

A server with `appendonly yes` does not read dump.rdb. It does read an append-only file that begins with a snapshot
(since 4.0, "REDIS" as its first bytes), and from 7.0 on moves such a file into its folder `appendonlydir` by itself.
"""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from common.backup.errors import BackupError
from common.backup.plan import RedisPlan
from common.backup.programs import run

APPEND_ONLY = ("appendonly.aof", "appendonlydir", "dump.rdb")


def size(redis: RedisPlan) -> int:
    """About how many bytes a snapshot will have at most."""
    told = _ask(redis, "info", "memory").decode()
    found = [line.partition(":")[2] for line in told.splitlines() if line.startswith("used_memory:")]
    if not found:
        raise BackupError("redis-cli: Redis does not say how much it holds (password?)")
    return int(found[0])


def save(redis: RedisPlan, into: Path) -> None:
    """A snapshot as of one moment. Raises BackupError."""
    _ask(redis, "--rdb", str(into))
    with into.open("rb") as file:
        if file.read(5) != b"REDIS":
            raise BackupError("redis-cli: wrote no snapshot")


def restore(redis: RedisPlan, snapshot: Path) -> None:
    """Make `snapshot` what Redis begins with. Redis must be stopped. Raises BackupError."""
    if _answers(redis):
        raise BackupError("Redis still runs: stop it first")
    fresh = redis.data / ".restored.aof"
    shutil.copyfile(snapshot, fresh)
    fresh.chmod(0o660)
    if redis.user is not None:
        shutil.chown(fresh, redis.user, redis.user)
    for name in APPEND_ONLY:
        place = redis.data / name
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    fresh.rename(redis.data / APPEND_ONLY[0])


def _ask(redis: RedisPlan, *words: str) -> bytes:
    secret = {"REDISCLI_AUTH": redis.password} if redis.password else {}
    return run(["redis-cli", "-h", redis.host, "-p", str(redis.port), "--no-auth-warning", *words], environment=secret)


def _answers(redis: RedisPlan) -> bool:
    try:
        socket.create_connection((redis.host, redis.port), timeout=2).close()
    except OSError:
        return False
    return True
