"""An answer of the AI core as it is written: Server-Sent Events (WHATWG HTML, section 9.2), read as they come."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3

BLOCK = 65_536  # bytes read at most at once; what is there is taken, nothing is waited for
LONGEST_LINE = 4 * 1024 * 1024  # bytes: an answer with its sources is far below
LONGEST_ANSWER = 120.0  # seconds, whatever comes meanwhile: twice what the AI core takes at most


class AiAway(Exception):
    """No answer for now: asking again, `retry_after` seconds later where it is known, can succeed."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class AiRefused(Exception):
    """This request will not be answered, however often it is made. `message` is the AI core's own and shown to nobody
    unread: people are told by `code`, in their language."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: sources, token, citation, done, heartbeat; `data` as ai_core/api/answers.py sends it."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


HEARTBEAT = Event("heartbeat")


def events_of(response: requests.Response, timeout: float) -> Iterator[Event]:
    """The events of `response` up to `done`; `timeout` seconds are waited for each byte, by the socket. Raises AiAway,
    AiRefused."""
    end = time.monotonic() + max(LONGEST_ANSWER, timeout)
    kind, data = "", ""
    for line in _lines(response, end):
        if line.startswith(":"):
            yield HEARTBEAT
        elif line.startswith("event:"):
            kind = line[6:].strip()
        elif line.startswith("data:"):
            data = line[5:].strip()
        elif not line and data:
            event = _event(kind, data)
            yield event
            if event.kind == "done":
                return
            kind, data = "", ""
    raise AiAway("ai_cut")


def _event(kind: str, data: str) -> Event:
    try:
        told = json.loads(data)
    except ValueError:
        raise AiAway("ai_unreadable") from None
    if not isinstance(told, dict):
        raise AiAway("ai_unreadable")
    if kind != "error":
        return Event(kind, told)
    status, code = int(told.get("status", 500)), str(told.get("code", "error"))
    if status < 500 and status != 429:
        raise AiRefused(status, code, str(told.get("message", "")))
    raise AiAway(f"ai_{status}")


def _lines(response: requests.Response, end: float) -> Iterator[str]:
    rest = b""
    try:
        while block := response.raw.read1(BLOCK):
            if time.monotonic() > end or len(rest) > LONGEST_LINE:
                raise AiAway("ai_too_long")
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace").rstrip("\r")
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError, AttributeError):
        raise AiAway("ai_cut") from None  # also what reading gives after `close`
    finally:
        response.close()
