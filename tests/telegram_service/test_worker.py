"""Updates are worked on in parallel, retried, given up and given back as they should be, over a real Redis."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import peewee
import pytest

from common.crypto import Cipher
from common.redis_store import RedisStore
from telegram_service.claim import Claim, RetryLater
from telegram_service.mailbox import PREFIX, Mailbox
from telegram_service.worker import Patience, Worker
from tests.redis_server import RedisServer
from tests.telegram_service.test_mailbox import message
from tests.waiting import until

PATIENCE = Patience(retry=0.01, give_up=30.0, timeout=60.0, max_failures=3)
QUESTION = "Puis-je être licencié pendant un arrêt ?"


class Scripted:
    """Handles updates as `script` says, and notes what it was given."""

    def __init__(self, script: Callable[[Claim], None] = lambda _: None) -> None:
        self.script = script
        self.handled: list[Claim] = []
        self.apologised: list[int] = []
        self.apology: Callable[[Claim], None] = lambda _: None
        self._guard = threading.Lock()

    def handle(self, claim: Claim) -> None:
        with self._guard:
            self.handled.append(claim)
        self.script(claim)

    def apologise(self, claim: Claim) -> None:
        self.apology(claim)
        self.apologised.append(claim.update_id)

    def times(self, number: int) -> int:
        return sum(claim.update_id == number for claim in self.handled)


class Running:
    """A worker and its loop."""

    def __init__(self, url: str, handler: Scripted, patience: Patience = PATIENCE, threads: int = 8) -> None:
        self.mailbox = build(url)
        self.worker = Worker(self.mailbox, handler, threads=threads, lease=30.0, patience=patience)
        self._stopping = threading.Event()
        self._loop = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Running:
        self.worker.start()
        self._loop.start()
        return self

    def stop(self, grace: float = 5.0) -> None:
        self._stopping.set()
        self._loop.join(10)
        self.worker.finish(grace)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.worker.unit()


def build(url: str, lease: float = 30.0) -> Mailbox:
    store = RedisStore(url, prefix=PREFIX, timeout=2.0)
    return Mailbox(store, Cipher(["s" * 32]), lease=lease, dead_after=4, dead_letter_seconds=600)


@pytest.fixture
def run(redis_server: RedisServer) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(handler: Scripted, patience: Patience = PATIENCE, threads: int = 8) -> Running:
        started.append(Running(redis_server.url, handler, patience, threads).start())
        return started[-1]

    yield start
    for running in started:
        running.stop()


def is_empty(mailbox: Mailbox) -> bool:
    lengths = mailbox.lengths()
    return not lengths["waiting"] and not lengths["working"]


def test_chats_are_served_in_parallel_and_each_in_order(run: Callable[..., Running]) -> None:
    meeting = threading.Barrier(4)

    def script(claim: Claim) -> None:
        if claim.update_id < 10:
            meeting.wait(30)  # passes only if four chats are served at the same time

    handler = Scripted(script)
    running = run(handler)
    for number in range(1, 5):
        for turn in range(5):
            running.mailbox.put(message(number + 10 * turn, user=100 + number))
    until(lambda: is_empty(running.mailbox))
    by_lane: dict[str, list[int]] = defaultdict(list)
    for claim in handler.handled:
        by_lane[claim.lane].append(claim.update_id)
    assert by_lane == {f"{100 + number}:0": [number + 10 * turn for turn in range(5)] for number in range(1, 5)}


def test_what_must_wait_is_tried_again_and_holds_up_its_chat_only(run: Callable[..., Running]) -> None:
    def script(claim: Claim) -> None:
        if claim.update_id == 1 and claim.attempts < 4:
            raise RetryLater(0.01, "the AI core is away")

    handler = Scripted(script)
    running = run(handler)
    for number, user in ((1, 101), (2, 101), (3, 102)):
        running.mailbox.put(message(number, user))
    until(lambda: is_empty(running.mailbox))
    assert handler.times(1) == 4
    assert [claim.update_id for claim in handler.handled if claim.lane == "101:0"] == [1, 1, 1, 1, 2]
    assert handler.apologised == []


@pytest.mark.parametrize("error", [peewee.OperationalError("no"), peewee.InterfaceError("no")])
def test_a_database_that_is_away_is_no_failure_of_the_update(run: Callable[..., Running], error: Exception) -> None:
    def script(claim: Claim) -> None:
        if claim.attempts <= PATIENCE.max_failures + 2:
            raise error

    handler = Scripted(script)
    running = run(handler)
    running.mailbox.put(message(1))
    until(lambda: is_empty(running.mailbox))
    assert handler.apologised == []
    assert running.mailbox.figures()["done"] == 1


def test_what_fails_again_and_again_ends_with_an_apology(
    run: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    def script(claim: Claim) -> None:
        if claim.update_id == 1:
            raise ValueError(claim.update["message"]["text"])

    handler = Scripted(script)
    running = run(handler)
    running.mailbox.put(message(1, text=QUESTION))
    running.mailbox.put(message(2))
    until(lambda: is_empty(running.mailbox))
    assert handler.times(1) == PATIENCE.max_failures
    assert (handler.apologised, handler.times(2)) == ([1], 1)
    (letter,) = running.mailbox.dead_letters()
    assert (letter.update_id, letter.reason) == (1, "failed too often")
    assert all(QUESTION not in record.getMessage() for record in caplog.records)


def test_what_waits_too_long_ends_with_an_apology(run: Callable[..., Running]) -> None:
    def script(claim: Claim) -> None:
        raise RetryLater(0.01, "Telegram is away")

    handler = Scripted(script)
    running = run(handler, Patience(retry=0.01, give_up=0.1, timeout=60, max_failures=3))
    running.mailbox.put(message(1))
    until(lambda: is_empty(running.mailbox))
    assert handler.apologised == [1]
    assert running.mailbox.dead_letters()[0].reason == "waited too long: Telegram is away"


def test_an_apology_that_cannot_be_sent_now_is_sent_later(run: Callable[..., Running]) -> None:
    attempts: list[int] = []

    def script(claim: Claim) -> None:
        raise ValueError

    def apology(claim: Claim) -> None:
        attempts.append(claim.attempts)
        if len(attempts) < 3:
            raise RetryLater(0.01, "flood")

    handler = Scripted(script)
    handler.apology = apology
    running = run(handler)
    running.mailbox.put(message(1))
    until(lambda: is_empty(running.mailbox))
    assert handler.apologised == [1]
    assert len(attempts) == 3
    assert len(running.mailbox.dead_letters()) == 1


def test_an_apology_that_fails_ends_the_matter(run: Callable[..., Running]) -> None:
    def broken(claim: Claim) -> None:
        raise ValueError

    handler = Scripted(broken)
    handler.apology = broken
    running = run(handler)
    running.mailbox.put(message(1))
    until(lambda: is_empty(running.mailbox))
    assert len(running.mailbox.dead_letters()) == 1


def test_what_killed_many_workers_only_gets_an_apology(run: Callable[..., Running], redis_server: RedisServer) -> None:
    dying = build(redis_server.url, lease=0.001)
    dying.put(message(1))
    for _ in range(4):
        until(lambda: dying.claim("dead"))
        time.sleep(0.003)
    handler = Scripted()
    running = run(handler)
    until(lambda: is_empty(running.mailbox))
    assert (handler.handled, handler.apologised) == ([], [1])
    assert running.mailbox.dead_letters()[0].reason == "killed its workers"


def test_a_worker_that_ends_finishes_what_it_can_and_gives_back_the_rest(
    run: Callable[..., Running], redis_server: RedisServer
) -> None:
    let_short_one_end, forever = threading.Event(), threading.Event()

    def script(claim: Claim) -> None:
        (let_short_one_end if claim.update_id == 1 else forever).wait(60)

    handler = Scripted(script)
    running = run(handler)
    running.mailbox.put(message(1, 101))
    running.mailbox.put(message(2, 102))
    until(lambda: len(handler.handled) == 2)
    threading.Timer(0.2, let_short_one_end.set).start()
    running.stop(grace=2.0)
    forever.set()
    other = build(redis_server.url)
    assert other.figures()["done"] == 1
    claim = other.claim("other")
    assert claim is not None
    assert (claim.update_id, claim.attempts, claim.deaths) == (2, 1, 0)


def test_the_end_of_an_update_is_told_when_redis_is_back() -> None:
    server = RedisServer(durable=True)
    server.start()
    at_work, go_on = threading.Event(), threading.Event()

    def script(_: Claim) -> None:
        at_work.set()
        go_on.wait(60)

    try:
        handler = Scripted(script)
        mailbox = build(server.url)
        worker = Worker(mailbox, handler, threads=2, lease=30.0, patience=PATIENCE)
        worker.start()
        mailbox.put(message(1))
        assert worker.unit()
        at_work.wait(30)
        server.kill()
        go_on.set()
        server.start()
        until(mailbox.is_up)
        until(lambda: mailbox.figures().get("done") == 1)
        assert len(handler.handled) == 1
        worker.finish(1.0)
    finally:
        server.remove()


def test_leases_are_renewed_while_work_lasts(redis_server: RedisServer) -> None:
    go_on = threading.Event()
    handler = Scripted(lambda _: (go_on.wait(60), None)[1])
    mailbox = build(redis_server.url, lease=0.6)
    worker = Worker(mailbox, handler, threads=2, lease=0.6, patience=PATIENCE)
    worker.start()
    mailbox.put(message(1))
    assert worker.unit()
    with RedisStore(redis_server.url, prefix=PREFIX).client as client:
        first = client.zscore("telegram:leases", "1")
        until(lambda: (client.zscore("telegram:leases", "1") or 0) > first + 500)
    go_on.set()
    worker.finish(5.0)
    assert mailbox.figures()["done"] == 1


def test_what_takes_much_too_long_makes_the_worker_unwell(redis_server: RedisServer) -> None:
    go_on = threading.Event()
    handler = Scripted(lambda _: (go_on.wait(60), None)[1])
    mailbox = build(redis_server.url)
    patience = Patience(retry=0.01, give_up=30, timeout=0.05, max_failures=3)
    worker = Worker(mailbox, handler, threads=2, lease=0.3, patience=patience)
    assert worker.is_well()
    worker.start()
    mailbox.put(message(1))
    assert worker.unit()
    until(lambda: not worker.is_well())
    go_on.set()
    until(worker.is_well)
    worker.finish(1.0)
