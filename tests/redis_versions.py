"""Which commands a Redis was sent, and which of them are newer than 6.0 (Ubuntu 22.04), by the server's own account."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

OLDEST = (6, 0)
OF_THE_CLIENT = {"client", "hello", "monitor", "info", "command"}  # redis-py asks on connecting, and bears a refusal


@contextmanager
def watched_commands(url: str) -> Iterator[set[tuple[str, ...]]]:
    """Each different command, with those of scripts, that the server gets within the block."""
    seen: set[tuple[str, ...]] = set()
    client: Any = redis.Redis.from_url(url)
    with client.monitor() as monitor:
        mark = "end-of-watch"

        def listen() -> None:
            for told in monitor.listen():
                words = tuple(told["command"].split(" "))
                if mark in words:
                    return
                seen.add(words)

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield seen
        redis.Redis.from_url(url).echo(mark)
        listener.join(10)


def can_tell_ages(url: str) -> bool:
    """Whether the server knows since when it has its commands; one that does not is of 6.x itself."""
    client: Any = redis.Redis.from_url(url)
    return int(client.info("server")["redis_version"].split(".")[0]) >= 7


def newer_ones(url: str, commands: set[tuple[str, ...]]) -> list[str]:
    """Commands, and options of commands, that Redis 6.0 does not have. Needs COMMAND DOCS (7.0)."""
    client: Any = redis.Redis.from_url(url)
    found = set()
    docs: dict[str, dict[str, Any]] = {}
    for words in commands:
        name = words[0].lower()
        if name in OF_THE_CLIENT:
            continue
        if name not in docs:
            (docs[name],) = map(_as_dict, _as_dict(client.execute_command("COMMAND DOCS", name)).values())
        if _is_newer(docs[name]):
            found.add(name)
        given = {word.upper() for word in words[1:]}
        found |= {f"{name} {token}" for token in _newer_tokens(docs[name]) if token in given}
    return sorted(found)


def _newer_tokens(doc: dict[str, Any], within_newer: bool = False) -> Iterator[str]:
    for argument in map(_as_dict, doc.get("arguments", [])):
        newer = within_newer or _is_newer(argument)
        if newer and "token" in argument:
            yield argument["token"].upper()
        yield from _newer_tokens(argument, newer)


def _is_newer(doc: dict[str, Any]) -> bool:
    since = doc.get("since")
    return since is not None and tuple(map(int, since.split(".")[:2])) > OLDEST


def _as_dict(flat: Any) -> dict[str, Any]:
    if isinstance(flat, dict):
        return {_text(name): _text(value) for name, value in flat.items()}
    return {_text(name): _text(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
