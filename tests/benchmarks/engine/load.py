"""The clients, a thread each, in a process of their own. While an answer streams they only read lines and look at the
clock; JSON is read when all is over."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from ai_core.prompts import Message
from tests.benchmarks.engine.dialects import Dialect, Prompt, Told
from tests.benchmarks.engine.prompt_reader import reader_of
from tests.benchmarks.engine.workloads import Client, Turn

PATIENCE = 900.0  # seconds without a byte
NOTHING_TOLD = Told()


@dataclass(frozen=True, slots=True)
class Answer:
    """Times are of time.perf_counter, one for each event that brought text, in `texts_at`."""

    client: int
    prompt_tokens: int
    asked_at: float
    ended_at: float
    texts_at: tuple[float, ...] = ()
    text: str = ""
    told: Told = NOTHING_TOLD
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where the requests go and how they are written. `model` is the GGUF that the server has loaded."""

    port: int
    dialect: Dialect
    model: Path
    system: str


class ClientFailed(Exception):
    """The server refused, broke off or answered something else."""


def run_clients(target: Target, clients: Sequence[Client]) -> list[Answer]:
    """Start all clients at once; returns when the last answer has ended."""
    return _Load(target, clients).run()


@dataclass(slots=True)
class _Progress:
    """Opens the way of the late clients."""

    needed: int
    clients: int
    ready: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def one_is_far_enough(self) -> None:
        with self._lock:
            self.clients -= 1
            if self.clients <= 0:
                self.ready.set()


class _Load:
    def __init__(self, target: Target, clients: Sequence[Client]) -> None:
        self._target = target
        self._clients = clients
        self._reader = reader_of(target.model)
        self._gate = threading.Barrier(len(clients))
        early = sum(not client.waits_for for client in clients)
        self._progress = _Progress(max(client.waits_for for client in clients), early)
        self._answers: list[Answer] = []

    def run(self) -> list[Answer]:
        threads = [threading.Thread(target=self._client, args=pair) for pair in enumerate(self._clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._answers

    def _client(self, number: int, client: Client) -> None:
        history: tuple[Message, ...] = ()
        prompt = self._prompt(client, client.turns[0], history)
        self._gate.wait()
        if client.waits_for:
            self._progress.ready.wait(PATIENCE)
        for index, turn in enumerate(client.turns):
            if index:
                prompt = self._prompt(client, turn, history)
            answer = self._ask(number, prompt, counts=not client.waits_for)
            self._answers.append(answer)
            if client.conversation is not None:
                history = (*history, Message("user", turn.message), Message("assistant", answer.text))

    def _prompt(self, client: Client, turn: Turn, history: tuple[Message, ...]) -> Prompt:
        tokens = self._reader.prompt(self._target.system, turn.message, history).tokens
        return Prompt(turn.message, history, tuple(tokens), turn.new_tokens, client.conversation)

    def _ask(self, number: int, prompt: Prompt, *, counts: bool) -> Answer:
        asked_at = time.perf_counter()
        try:
            lines = self._stream(prompt, self._progress if counts else None)
            ended_at = time.perf_counter()
            return self._read(number, prompt, lines, asked_at, ended_at)
        except (OSError, HTTPException, ClientFailed, ValueError, KeyError) as error:
            return Answer(number, len(prompt.tokens), asked_at, time.perf_counter(), error=f"{error!r}"[:300])

    def _stream(self, prompt: Prompt, progress: _Progress | None) -> list[tuple[float, bytes]]:
        """The `data:` lines, each with the time when it was read."""
        path, headers, body = self._target.dialect.request(prompt)
        connection = HTTPConnection("127.0.0.1", self._target.port, timeout=PATIENCE)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            if response.status != 200:
                raise ClientFailed(f"{response.status} {response.read()[:200]!r}")
            lines: list[tuple[float, bytes]] = []
            while line := response.readline():
                if line.startswith(b"data: "):
                    lines.append((time.perf_counter(), line))
                    if progress is not None and len(lines) == progress.needed:
                        progress.one_is_far_enough()
            return lines
        finally:
            connection.close()

    def _read(
        self, number: int, prompt: Prompt, lines: Sequence[tuple[float, bytes]], asked_at: float, ended_at: float
    ) -> Answer:
        dialect = self._target.dialect
        events: list[tuple[float, dict[str, Any]]] = [
            (at, json.loads(line[6:])) for at, line in lines if not line.startswith(b"data: [DONE]")
        ]
        if not events or "error" in events[-1][1]:
            raise ClientFailed(f"{events[-1][1] if events else 'no event'}")
        texts = [(at, text) for at, event in events if (text := dialect.text(event))]
        times = tuple(at for at, _ in texts)
        whole = "".join(text for _, text in texts)
        told = dialect.told([event for _, event in events])
        return Answer(number, len(prompt.tokens), asked_at, ended_at, times, whole, told)
