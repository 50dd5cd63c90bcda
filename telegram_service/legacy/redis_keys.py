"""The earlier system's Redis: `user:{id}:settings`, `user:{id}:history`, `user:{id}:session`, as JSON, hash or list.

It is only read. Its messages carry no time, so that those of a history are dated one second after the other, up to when
the person was last seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import redis

from common.legacy.fields import BadField, moment
from common.legacy.report import ImportReport
from telegram_service.legacy.past import MAX_ID, OldTurn, Past, chosen_from

KIND = "redis keys"
UNKNOWN_TIME = datetime(1970, 1, 1)
_KEY = re.compile(r"user:(\d{1,16}):(settings|history|session)")

BROKEN = (BadField, ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What reading a value of another form leads to."""


def import_redis(client: redis.Redis, past: Past, report: ImportReport) -> None:
    """Take over what `client` holds of people. Raises redis.RedisError."""
    seen: dict[int, datetime] = {}
    found = sorted(_keys(client), key=lambda key: key.rsplit(":", 1)[1] != "session")  # when they were seen comes first
    for key in found:
        match = _KEY.fullmatch(key)
        if match is None or not 0 < int(match[1]) <= MAX_ID:
            report.count(KIND, "of no use")
            continue
        user, kind = int(match[1]), match[2]
        try:
            value = _value(client, key)
            taken = _take(user, kind, value, past, seen)
        except BROKEN as problem:
            reason = str(problem) if isinstance(problem, BadField) else "is not of a form that we know"
            report.reject(KIND, key, 1, reason)
        else:
            report.count(KIND, "taken" if taken else "here already")


def _take(user: int, kind: str, value: Any, past: Past, seen: dict[int, datetime]) -> bool:
    if kind == "session":
        fields = value if isinstance(value, dict) else {}
        last = moment(fields, "last_activity", "last_seen", "updated_at", "timestamp")
        seen[user] = last or UNKNOWN_TIME
        return past.meet(user, first_seen=moment(fields, "created_at", "started_at") or last, last_seen=last)
    if kind == "settings":
        chosen = chosen_from(value)
        if not chosen:
            raise BadField("none of language, length, model, temperature is one that we have")
        return past.choose(user, chosen)
    pairs = list(_pairs(value))
    begin = seen.get(user, UNKNOWN_TIME) - timedelta(seconds=len(pairs))
    taken = [
        past.remember(OldTurn(user, begin + timedelta(seconds=at), question, answer))
        for at, (question, answer) in enumerate(pairs)
    ]
    return any(taken)


def _pairs(turns: Any) -> Iterator[tuple[str, str | None]]:
    """Questions with their answers, of {"role", "content"} or {"question", "answer"} objects."""
    question: str | None = None
    for turn in turns:
        turn = json.loads(turn) if isinstance(turn, str) else turn
        if "role" in turn:
            if turn["role"] == "assistant":
                if question is not None:
                    yield question, str(turn["content"])
                question = None
            elif turn["role"] == "user":
                if question is not None:
                    yield question, None
                question = str(turn["content"])
        else:
            answer = turn.get("answer") or turn.get("response")
            yield str(turn.get("question") or turn["message"]), None if answer is None else str(answer)
    if question is not None:
        yield question, None


def _keys(client: redis.Redis) -> Iterator[str]:
    for key in client.scan_iter(match="user:*", count=500):
        yield key.decode("utf-8", "replace")


def _value(client: redis.Redis, key: str) -> Any:
    kind: Any = client.type(key)
    if kind == b"hash":
        return {_text(name): _text(value) for name, value in _mapping(client.hgetall(key)).items()}
    if kind == b"list":
        told: Any = client.lrange(key, 0, -1)
        return [_text(value) for value in told]
    told = client.get(key)
    return json.loads(_text(told)) if told else {}


def _mapping(value: Any) -> Mapping[bytes, bytes]:
    found: Mapping[bytes, bytes] = value
    return found


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
