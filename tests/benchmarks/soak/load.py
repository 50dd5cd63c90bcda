"""Steady work for all three services, the same few questions again and again, so that every cache is soon full."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from ai_core.demo_model.questions import written_questions
from tests.benchmarks.api.asking import Client, Outcome
from tests.mail_service.service import mail
from tests.mail_system import ALICE
from tests.whole_system import WholeSystem

QUESTIONS, PEOPLE, SENDERS = 60, 20, 10
FILL = 60  # at a time: fewer than WEB_THREADS and MAX_WAITING_REQUESTS
COMMANDS = 60  # of each person, before it begins
FIRST_PERSON = 800_000_000
ANSWERED_WITHIN = 600.0  # seconds after the end


class SteadyLoad:
    """A context: a thread for each kind of work, each at its own rate a minute. `asked` counts by kind, `failed` what
    was not answered as it should be; both are complete after the end."""

    def __init__(self, system: WholeSystem, *, per_minute: dict[str, float]) -> None:
        self.asked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._system = system
        self._client = Client(system.core.port, system.key)
        self._ending = threading.Event()
        texts = [question.text for question in written_questions()[:QUESTIONS]]
        self._numbers: dict[str, Iterator[int]] = {kind: itertools.count() for kind in per_minute}
        self._texts = {kind: itertools.cycle(texts) for kind in per_minute}
        self._said: Counter[int] = Counter()
        work: dict[str, Callable[[int, str], None]] = {
            "api": self._api,
            "telegram": self._telegram,
            "mail": self._mail,
            "scrape": self._scrape,
        }
        self._threads = [
            threading.Thread(target=self._keep, args=(kind, work[kind], 60 / rate), daemon=True)
            for kind, rate in per_minute.items()
        ]

    def __enter__(self) -> SteadyLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def fill(self) -> None:
        """Every slot, kept conversation and thread is used: what is only taken when it is needed (the engine's cache,
        connections of a thread, its part of the heap) would seem to grow for as long as one of them is new."""
        for _ in range(COMMANDS):
            for person in range(FIRST_PERSON, FIRST_PERSON + PEOPLE):
                self._say(person, "/help")
            time.sleep(1)
        for person in range(FIRST_PERSON, FIRST_PERSON + PEOPLE):
            self._say(person, written_questions()[0].text)
        texts = [question.text for question in written_questions()[: 2 * FILL]]
        with ThreadPoolExecutor(FILL) as pool:
            outcomes = pool.map(lambda pair: self._client.stream(pair[1], f"person-{pair[0]}"), enumerate(texts))
            self.failed["fill"] = sum(not outcome.good for outcome in outcomes)

    def settle(self) -> None:
        """Wait for the last answers, and count what is missing in the end."""
        end = time.monotonic() + ANSWERED_WITHIN
        while time.monotonic() < end:
            self.failed["telegram"] = self._unanswered_chats()
            self.failed["mail"] = self.asked["mail"] - len(self._system.mail.mails(ALICE))
            if not self.failed["telegram"] and not self.failed["mail"]:
                return
            time.sleep(1)

    def _unanswered_chats(self) -> int:
        """Questions that nothing was said to, and updates that are still in the queue."""
        telegram = self._system.telegram
        lengths = telegram.mailbox.lengths()
        waiting = telegram.telegram.updates.waiting() + lengths["waiting"] + lengths["working"]
        return waiting + sum(max(0, asked - len(telegram.said_to(who))) for who, asked in self._said.items())

    def _keep(self, kind: str, work: Callable[[int, str], None], pause: float) -> None:
        due = time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            number = next(self._numbers[kind])
            work(number, next(self._texts[kind]))
            self.asked[kind] += 1
            due = max(due + pause, time.monotonic())

    def _api(self, number: int, text: str) -> None:
        """In turn a streamed answer that is computed, one that may come from the cache, and a search."""
        person = f"person-{number % PEOPLE}"
        asks: tuple[Callable[[], Outcome], ...] = (
            lambda: self._client.stream(text, person),
            lambda: self._client.chat(text, person),
            lambda: self._client.get("search", "/api/v1/knowledge/search?q=rupture+conventionnelle"),
        )
        self.failed["api"] += not asks[number % len(asks)]().good

    def _telegram(self, number: int, text: str) -> None:
        self._say(FIRST_PERSON + number % PEOPLE, text)

    def _say(self, person: int, text: str) -> None:
        self._said[person] += 1
        self._system.telegram.telegram.say(person, text)

    def _mail(self, number: int, text: str) -> None:
        sender = ALICE.replace("@", f"+{number % SENDERS}@")
        raw = mail(text, sender=sender, subject=f"Question {number}", message_id=f"soak-{number}@client.example")
        self._system.mail.deliver(raw, sender=sender)

    def _scrape(self, _: int, __: str) -> None:
        """As Prometheus and a watchdog look at the services."""
        system = self._system
        looks = [(port, "/health/ready") for port in (system.core.port, system.telegram.port, system.mail_port)]
        for port, path in (*looks, (system.core.port, "/metrics")):
            try:
                headers = {"X-API-Key": system.key}
                good = requests.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=30).ok
            except requests.RequestException:
                good = False
            self.failed["scrape"] += not good
