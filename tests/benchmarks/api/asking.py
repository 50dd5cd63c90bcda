"""One request as a client sees it, and what many of them add up to."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

import numpy as np

BROKEN = 0  # in the place of a status: no answer, or half of one
PATIENCE = 100.0  # seconds without a byte
NOT_CACHED = {"Cache-Control": "no-cache"}
GOOD_ENDS = ("stop", "length")
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`first` is the time to the first words of a streamed answer, None where there were none. Times in seconds."""

    kind: str
    status: int
    seconds: float
    first: float | None = None
    cached: bool = False

    @property
    def good(self) -> bool:
        return self.status == 200


class Client:
    """Asks the server on `port` with `key`; each request has a connection of its own, as behind nginx."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._headers = {"X-API-Key": key, "Content-Type": "application/json"}

    def stream(self, question: str, user: str) -> Outcome:
        """A streamed answer, computed anew."""
        body = {"message": question, "user_id": user, "stream": True}
        return self._timed("streamed answer", "POST", "/api/v1/chat", body, NOT_CACHED)

    def chat(self, question: str, user: str) -> Outcome:
        """A whole answer, from the cache where it is there."""
        return self._timed("whole answer", "POST", "/api/v1/chat", {"message": question, "user_id": user})

    def generate(self, prompt: str, tokens: int) -> Outcome:
        """A streamed continuation of `tokens` tokens at most, without articles, the same each time."""
        body = {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "grounding": False, "stream": True}
        return self._timed("generated", "POST", "/api/v1/generate", body, NOT_CACHED)

    def get(self, kind: str, path: str) -> Outcome:
        return self._timed(kind, "GET", path)

    def _timed(
        self, kind: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Outcome:
        began = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            if response.headers.get_content_type() == "text/event-stream":
                status, first, cached = _read_stream(response, began)
            else:
                status, first, cached = response.status, None, bool(json.loads(response.read()).get("cached"))
        except (OSError, HTTPException, ValueError):
            status, first, cached = BROKEN, None, False
        finally:
            connection.close()
        return Outcome(kind, status, time.perf_counter() - began, first, cached)


def _read_stream(response: HTTPResponse, began: float) -> tuple[int, float | None, bool]:
    """Status (BROKEN where the stream ends without its last event, or the answer before its end), time to the first
    words, whether it came from the cache."""
    first, name, last = None, b"", b""
    for line in response:
        if line.startswith(b"event: "):
            name = line[7:].strip()
        elif line.startswith(b"data: "):
            last = line[6:]
            if name == b"token" and first is None:
                first = time.perf_counter() - began
    if name != b"done":
        return BROKEN, first, False
    done = json.loads(last)
    return (response.status if done["finish_reason"] in GOOD_ENDS else BROKEN), first, bool(done["cached"])


def times(name: str, seconds: Sequence[float]) -> Figures:
    """p50, p95 and p99 in milliseconds; nothing where nothing was measured."""
    if not seconds:
        return {}
    found = np.percentile(np.array(seconds) * 1000, (50, 95, 99))
    return {
        f"{name}, {share} (ms)": round(float(value), 1)
        for share, value in zip(("p50", "p95", "p99"), found, strict=True)
    }


def summary(outcomes: Sequence[Outcome], wall: float) -> Figures:
    """Counts, rates and times of all requests, and times of each kind of request."""
    good = [outcome for outcome in outcomes if outcome.good]
    kinds = sorted({outcome.kind for outcome in good})
    figures: Figures = {
        "requests": len(outcomes),
        "errors": len(outcomes) - len(good),
        "error rate (%)": round(100 * (1 - len(good) / len(outcomes)), 3) if outcomes else 100.0,
        "requests a minute": round(60 * len(good) / wall, 1),
        **times("all requests", [outcome.seconds for outcome in good]),
    }
    for kind in kinds:
        figures |= times(kind, [outcome.seconds for outcome in good if outcome.kind == kind])
    return figures | times("first words", [outcome.first for outcome in good if outcome.first is not None])
