"""What is done to the server, one scene after the other; each returns its figures by their names."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from ai_core.demo_model.questions import written_questions
from tests.benchmarks.api.asking import Client, Figures, Outcome, summary, times
from tests.deploy.load import Load
from tests.held_socket import HeldServer
from tests.redis_server import RedisServer

LOOK_EVERY = 0.2  # seconds
FIRST, SECOND = "first", "second"  # the models that change places
REDIS_AWAY = 2.0  # seconds
SETTLE = 3.0  # seconds of load before and after something is done to the server


@dataclass(frozen=True, slots=True)
class Scene:
    """The server and its counterparts, with a key for everything."""

    server: HeldServer
    redis: RedisServer
    client: Client
    key: str
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def question(self) -> tuple[str, str]:
        """A question that nobody has asked yet, and who asks it."""
        number = next(self.numbers)
        texts = written_questions()
        return f"{texts[number % len(texts)].text} (dossier {number})", f"person-{number % 500}"


def concurrent(scene: Scene, clients: int, seconds: float) -> Figures:
    """`clients` at the same time, each with one streamed answer after the other."""
    outcomes: list[Outcome] = []
    began = time.monotonic()

    def keep_asking(_: int) -> None:
        while time.monotonic() < began + seconds:
            outcomes.append(scene.client.stream(*scene.question()))

    with Peak(scene.server) as peak, ThreadPoolExecutor(clients) as pool:
        list(pool.map(keep_asking, range(clients)))
    return {
        "clients": clients,
        "requests in the engine at the same time, most": peak.requests,
        **summary(outcomes, time.monotonic() - began),
    }


def steady(scene: Scene, per_minute: int, seconds: float) -> Figures:
    """Requests of all kinds at a steady rate, whatever becomes of those before."""
    known = scene.question()
    scene.client.chat(*known)
    with _load(scene, per_minute / 60, known) as outcomes:
        began = time.monotonic()
        time.sleep(seconds)
    return {"requests a minute that were sent": per_minute, **summary(outcomes, time.monotonic() - began)}


def cached(scene: Scene, count: int) -> Figures:
    """The same question again and again."""
    known = scene.question()
    scene.client.chat(*known)
    answers = [scene.client.chat(*known) for _ in range(count)]
    return {
        "requests": count,
        "from the cache": sum(answer.cached for answer in answers),
        **times("cached answer", [answer.seconds for answer in answers if answer.good and answer.cached]),
    }


def switch(scene: Scene, count: int) -> Figures:
    """Two models change places; each then answers."""
    seconds, refused = [], 0
    for number in range(count):
        wanted = (SECOND, FIRST)[number % 2]
        began = time.monotonic()
        status, _ = scene.server.post(f"/api/v1/models/{wanted}/load", {}, scene.key)
        good = status == 200 and scene.client.stream(*scene.question()).good
        seconds.append(time.monotonic() - began)
        refused += not good
    return {
        "switches": count,
        "failed": refused,
        "slowest switch with its first answer (s)": round(max(seconds), 2),
    }


def restart(scene: Scene, per_second: float, count: int) -> Figures:
    """The service is restarted under load, `count` times, behind a socket that is held open."""
    return _under_load(scene, per_second, count, scene.server.restart)


def redis_restart(scene: Scene, per_second: float, count: int) -> Figures:
    """Redis goes away for a moment under load, `count` times."""

    def away() -> None:
        scene.redis.stop()
        time.sleep(REDIS_AWAY)
        scene.redis.start()

    return _under_load(scene, per_second, count, away)


def _under_load(scene: Scene, per_second: float, count: int, act: Callable[[], None]) -> Figures:
    known = scene.question()
    scene.client.chat(*known)
    seconds = []
    with _load(scene, per_second, known) as outcomes:
        for _ in range(count):
            time.sleep(SETTLE)
            began = time.monotonic()
            act()
            seconds.append(time.monotonic() - began)
        time.sleep(SETTLE)
    dropped = sum(not outcome.good for outcome in outcomes)
    return {
        "times": count,
        "slowest (s)": round(max(seconds), 2),
        "requests": len(outcomes),
        "dropped": dropped,
        "answered (%)": round(100 * (1 - dropped / len(outcomes)), 3),
        **times("all requests", [outcome.seconds for outcome in outcomes if outcome.good]),
    }


@contextmanager
def _load(scene: Scene, per_second: float, known: tuple[str, str]) -> Iterator[list[Outcome]]:
    """Every kind of request in turn; the outcomes are complete at the end."""
    client, outcomes = scene.client, list[Outcome]()
    kinds: tuple[Callable[[], Outcome], ...] = (
        lambda: client.stream(*scene.question()),
        lambda: client.chat(*known),
        lambda: client.get("search", "/api/v1/knowledge/search?q=rupture+conventionnelle"),
        lambda: client.get("models", "/api/v1/models"),
        lambda: client.chat(*known),
    )

    def ask(number: int) -> int:
        outcome = kinds[number % len(kinds)]()
        outcomes.append(outcome)
        return outcome.status

    with Load(ask, per_second=per_second):
        yield outcomes


class Peak:
    """The most requests that were in the engine, in a slot or waiting for one, at the same time while this was open."""

    def __init__(self, server: HeldServer) -> None:
        self.requests = 0
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            try:
                engine = self._server.readiness()["engine"]
            except OSError:
                continue  # too busy to say in time
            self.requests = max(self.requests, engine["slots_busy"] + engine["waiting"])
