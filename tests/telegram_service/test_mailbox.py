"""The queue over a real Redis: order, leases, fences, suspects, dead letters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.crypto import Cipher
from common.redis_store import RedisAway, RedisStore
from telegram_service.claim import Claim
from telegram_service.mailbox import PREFIX, SUSPECT_AFTER, Mailbox
from telegram_service.updates import NotAnUpdate
from tests.faults.clock import Clock, build_library
from tests.redis_server import RedisServer
from tests.waiting import until

LEASE = 30.0
DEAD_AFTER = 4
ANNA, BEN = 101, 202


def message(number: int, user: int = ANNA, text: str = "Quel préavis ?", chat: int | None = None) -> dict[str, Any]:
    place = {"id": user, "type": "private"} if chat is None else {"id": chat, "type": "supergroup"}
    return {
        "update_id": number,
        "message": {"message_id": number, "from": {"id": user}, "chat": place, "date": 1_790_000_000, "text": text},
    }


@pytest.fixture
def mailbox(redis_server: RedisServer) -> Iterator[Mailbox]:
    store = RedisStore(redis_server.url, prefix=PREFIX)
    yield build(store)
    store.close()


@pytest.fixture
def dying(redis_server: RedisServer) -> Iterator[Mailbox]:
    """Its leases end within a millisecond, as if every worker died."""
    store = RedisStore(redis_server.url, prefix=PREFIX)
    yield build(store, lease=0.001)
    store.close()


def build(store: RedisStore, lease: float = LEASE, secret: str = "s" * 32) -> Mailbox:
    return Mailbox(store, Cipher([secret]), lease=lease, dead_after=DEAD_AFTER, dead_letter_seconds=3_600)


def claimed(mailbox: Mailbox, worker: str = "w") -> Claim:
    claim = mailbox.claim(worker)
    assert claim is not None
    return claim


def lost(dying: Mailbox, worker: str = "dead") -> Claim:
    """What a worker claimed that died."""
    claim = claimed(dying, worker)
    time.sleep(0.003)
    return claim


def keys(redis_server: RedisServer) -> set[str]:
    with RedisStore(redis_server.url, prefix=PREFIX).client as client:
        found: Any = client.keys()
        return {key.decode() for key in found}


def test_an_update_comes_out_as_it_went_in(mailbox: Mailbox) -> None:
    update = message(7, text="Congés payés : é 😀 \x00 \ud800 " + "x" * 100_000)
    assert mailbox.put(update)
    claim = claimed(mailbox)
    assert (claim.update_id, claim.lane, claim.update, claim.attempts) == (7, "101:0", update, 1)
    assert claim.waited < 60
    assert mailbox.done(claim)
    assert mailbox.claim("w") is None


def test_an_update_that_was_here_is_not_taken_again(mailbox: Mailbox) -> None:
    assert mailbox.put(message(1))
    assert not mailbox.put(message(1))
    claim = claimed(mailbox)
    assert not mailbox.put(message(1))
    mailbox.done(claim)
    assert not mailbox.put(message(1))
    assert mailbox.claim("w") is None
    assert mailbox.figures()["duplicates"] == 3


@pytest.mark.parametrize(
    "thing", [{}, {"update_id": "1"}, {"update_id": -1}, {"update_id": 2**53}, [], {"update_id": True}]
)
def test_what_is_no_update_is_refused(mailbox: Mailbox, thing: Any) -> None:
    with pytest.raises(NotAnUpdate):
        mailbox.put(thing)


def test_a_chat_has_one_update_in_work_and_the_others_in_order(mailbox: Mailbox) -> None:
    for number in (12, 11, 14, 13):  # webhooks come over several connections
        mailbox.put(message(number))
    mailbox.put(message(20, BEN))
    first, other = claimed(mailbox), claimed(mailbox)
    assert {first.update_id, other.update_id} == {11, 20}
    assert mailbox.claim("w") is None
    order = [11]
    mailbox.done(first)
    while (claim := mailbox.claim("w")) is not None:
        order.append(claim.update_id)
        mailbox.done(claim)
    assert order == [11, 12, 13, 14]


def test_topics_of_a_group_are_lanes_of_their_own(mailbox: Mailbox) -> None:
    for number, topic in ((1, 5), (2, 6), (3, 5)):
        update = message(number, chat=-900)
        update["message"].update(is_topic_message=True, message_thread_id=topic)
        mailbox.put(update)
    assert [claimed(mailbox).lane, claimed(mailbox).lane] == ["-900:5", "-900:6"]
    assert mailbox.claim("w") is None


def test_chats_take_turns(mailbox: Mailbox) -> None:
    for number in range(1, 6):
        mailbox.put(message(number))
    mailbox.put(message(6, BEN))
    mailbox.done(claimed(mailbox))
    assert claimed(mailbox).update_id == 6, "who writes much does not hold up the others"


def test_a_dead_workers_updates_come_back_and_the_dead_cannot_touch_them(dying: Mailbox, mailbox: Mailbox) -> None:
    mailbox.put(message(1))
    gone = lost(dying)
    taken = claimed(mailbox, "living")
    assert (taken.update_id, taken.attempts, taken.deaths) == (1, 2, 1)
    for act in (mailbox.done, mailbox.renew, mailbox.give_back):
        assert not act(gone)
    assert not mailbox.later(gone, 1)
    assert not mailbox.bury(gone, "x")
    assert not mailbox.absorb(gone, [2])
    assert mailbox.renew(taken)
    assert mailbox.done(taken)
    assert not mailbox.done(taken)


def test_a_lease_that_is_renewed_does_not_end(redis_server: RedisServer) -> None:
    short = build(RedisStore(redis_server.url, prefix=PREFIX), lease=0.2)
    short.put(message(1))
    claim = claimed(short)
    for _ in range(6):
        time.sleep(0.05)
        if not short.renew(claim):  # this machine slept
            return
        assert short.claim("other") is None


def test_later_keeps_the_order_of_the_chat(mailbox: Mailbox) -> None:
    mailbox.put(message(1))
    mailbox.put(message(2))
    mailbox.later(claimed(mailbox), 0.3, failed=True)
    assert mailbox.claim("w") is None
    again = until(lambda: mailbox.claim("w"))
    assert (again.update_id, again.attempts, again.failures, again.deaths) == (1, 2, 1, 0)


def test_what_is_given_back_counts_as_untouched(mailbox: Mailbox) -> None:
    mailbox.put(message(1))
    mailbox.give_back(claimed(mailbox))
    assert claimed(mailbox).attempts == 1


def test_what_killed_workers_is_handed_out_alone(dying: Mailbox, mailbox: Mailbox) -> None:
    mailbox.put(message(2, BEN))
    busy = claimed(mailbox, "one")
    mailbox.put(message(1))
    for _ in range(SUSPECT_AFTER):
        lost(dying)
    mailbox.put(message(3, 303))
    assert mailbox.claim("one") is None, "it is to take the suspect, once it has nothing else"
    assert mailbox.lengths()["suspects"] == 1
    assert claimed(mailbox, "two").update_id == 3, "the others go on"
    assert mailbox.claim("two") is None
    mailbox.done(busy)
    assert claimed(mailbox, "one").update_id == 1


def test_a_worker_with_a_suspect_takes_nothing_beside_it(dying: Mailbox, mailbox: Mailbox) -> None:
    mailbox.put(message(1))
    mailbox.put(message(2))
    for _ in range(SUSPECT_AFTER):
        lost(dying)
    suspect = claimed(mailbox, "one")
    assert (suspect.update_id, suspect.deaths) == (1, SUSPECT_AFTER)
    mailbox.put(message(3, BEN))
    assert mailbox.claim("one") is None
    assert claimed(mailbox, "two").update_id == 3
    mailbox.done(suspect)
    assert claimed(mailbox, "one").update_id == 2, "the chat goes on, and the worker too"


def test_poison_is_handed_out_for_an_apology_and_then_buried(dying: Mailbox, mailbox: Mailbox) -> None:
    mailbox.put(message(1))
    mailbox.put(message(2))
    claims = [lost(dying, f"dead{turn}") for turn in range(DEAD_AFTER + 1)]
    assert [mailbox.is_doomed(claim) for claim in claims] == [False] * DEAD_AFTER + [True]
    innocent = claimed(mailbox)
    assert (innocent.update_id, innocent.deaths) == (2, 0)
    (letter,) = mailbox.dead_letters()
    assert (letter.update_id, letter.deaths, letter.reason) == (1, DEAD_AFTER + 1, "killed its workers")
    assert mailbox.lengths()["dead"] == 1


def test_a_dead_letter_comes_back_when_an_operator_wants_it(mailbox: Mailbox) -> None:
    mailbox.put(message(1))
    mailbox.put(message(2))
    assert mailbox.bury(claimed(mailbox), "no luck")
    assert not mailbox.revive(2)
    assert mailbox.revive(1)
    assert not mailbox.revive(1)
    again = claimed(mailbox)
    assert (again.update_id, again.attempts, again.update) == (1, 1, message(1))
    assert mailbox.dead_letters() == []


def test_dead_letters_expire(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url, prefix=PREFIX)
    mailbox = Mailbox(store, Cipher(["s" * 32]), lease=LEASE, dead_after=4, dead_letter_seconds=1)
    mailbox.put(message(1))
    mailbox.bury(claimed(mailbox), "no luck")
    until(lambda: mailbox.dead_letters() == [])
    assert mailbox.lengths()["dead"] == 0
    assert not [key for key in keys(redis_server) if "101" in key]


def test_parts_of_a_split_text_end_together(mailbox: Mailbox) -> None:
    for number in (1, 2, 3, 4):
        mailbox.put(message(number, text=f"part {number}"))
    claim = claimed(mailbox)
    assert [(number, update["message"]["text"]) for number, update in mailbox.following(claim.lane)] == [
        (number, f"part {number}") for number in (2, 3, 4)
    ]
    assert mailbox.absorb(claim, [2, 3, 99])
    assert mailbox.lengths()["waiting"] == 3, "nothing is gone before the answer is out"
    mailbox.done(claim)
    assert claimed(mailbox).update_id == 4
    assert mailbox.figures()["done"] == 3


def test_what_comes_late_is_not_behind(mailbox: Mailbox) -> None:
    mailbox.put(message(5))
    claim = claimed(mailbox)
    mailbox.put(message(4))
    mailbox.put(message(6))
    assert [number for number, _ in mailbox.following(claim.lane)] == [6]
    assert mailbox.following("202:0") == []


def test_what_was_absorbed_by_a_worker_that_died_is_still_there(dying: Mailbox, mailbox: Mailbox) -> None:
    mailbox.put(message(1))
    mailbox.put(message(2))
    absorbed = claimed(dying, "dead")
    dying.absorb(absorbed, [2])
    time.sleep(0.003)
    mailbox.done(claimed(mailbox))
    assert claimed(mailbox).update_id == 2


def test_a_stop_ends_what_the_same_person_asked_there_before_it(mailbox: Mailbox) -> None:
    assert not mailbox.is_stopped("-900:0", ANNA, 5)
    mailbox.stop("-900:0", ANNA, 8)
    assert mailbox.is_stopped("-900:0", ANNA, 5)
    assert not mailbox.is_stopped("-900:0", ANNA, 9)
    assert not mailbox.is_stopped("-900:0", BEN, 5)
    assert not mailbox.is_stopped("101:0", ANNA, 5)
    mailbox.forget(ANNA)
    assert not mailbox.is_stopped("-900:0", ANNA, 5)


def test_nothing_of_a_person_is_left_but_the_update_that_asks_for_it(
    mailbox: Mailbox, redis_server: RedisServer
) -> None:
    for number in (1, 2, 3):
        mailbox.put(message(number))
    mailbox.put(message(4, chat=-900))
    mailbox.put(message(5, BEN, chat=-900))
    mailbox.bury(claimed(mailbox), "no luck")
    mailbox.stop("-900:0", ANNA, 3)
    in_group = claimed(mailbox)
    assert in_group.update_id == 4
    asking = claimed(mailbox)
    assert mailbox.forget(ANNA, but=asking.update_id) == 3
    assert not mailbox.done(in_group)
    assert claimed(mailbox).update_id == 5, "the group goes on"
    assert mailbox.done(asking)
    assert not [key for key in keys(redis_server) if "101" in key]
    assert mailbox.claim("w") is None


def test_no_text_is_in_redis(mailbox: Mailbox, redis_server: RedisServer) -> None:
    mailbox.put(message(1, text="Mon employeur est la Boulangerie Dupont"))
    with RedisStore(redis_server.url, prefix=PREFIX).client as client:
        body: Any = client.hgetall("telegram:update:1")
    assert b"Dupont" not in b"".join(body.values())


def test_what_no_secret_can_read_is_buried_and_the_rest_goes_on(mailbox: Mailbox, redis_server: RedisServer) -> None:
    mailbox.put(message(1))
    mailbox.put(message(2, BEN))
    other = build(RedisStore(redis_server.url, prefix=PREFIX), secret="t" * 32)
    assert other.claim("w") is None
    assert [letter.update_id for letter in other.dead_letters()] == [1]
    assert claimed(mailbox).update_id == 2


def test_lengths_and_ages(mailbox: Mailbox) -> None:
    assert mailbox.lengths() == {"waiting": 0, "working": 0, "suspects": 0, "dead": 0, "oldest": 0}
    for number in (1, 2, 3):
        mailbox.put(message(number))
    claim = claimed(mailbox)
    assert mailbox.lengths()["waiting"] == 2
    assert mailbox.lengths()["working"] == 1
    mailbox.done(claim)
    figures = mailbox.figures()
    assert (figures["received"], figures["done"]) == (3, 1)
    assert sum(value for name, value in figures.items() if name.startswith("age_ms:") and name != "age_ms:sum") == 1


def test_a_redis_that_may_lose_updates_is_known(mailbox: Mailbox, redis_server: RedisServer) -> None:
    client = RedisStore(redis_server.url, prefix=PREFIX).client
    assert "appendonly yes" in str(mailbox.weakness())
    client.config_set("appendonly", "yes")
    assert mailbox.weakness() is None
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", "1gb")
    assert "noeviction" in str(mailbox.weakness())
    client.config_set("maxmemory", "0")
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("appendonly", "no")


def test_waiting_ends_when_something_comes(mailbox: Mailbox) -> None:
    mailbox.put(message(1))
    mailbox.wait()  # an old signal does not keep the next from coming
    assert mailbox.claim("w") is not None


def test_all_is_still_there_after_redis_was_killed() -> None:
    server = RedisServer(durable=True)
    server.start()
    try:
        mailbox = build(RedisStore(server.url, prefix=PREFIX, timeout=0.5))
        assert mailbox.weakness() is None
        for number in (1, 2):
            mailbox.put(message(number))
        claim = claimed(mailbox)
        server.kill()
        with pytest.raises(RedisAway):
            mailbox.done(claim)
        server.start()
        until(mailbox.is_up)
        assert mailbox.done(claim)
        assert claimed(mailbox).update_id == 2
        assert not mailbox.put(message(1))
    finally:
        server.remove()


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(build_library(tmp_path), tmp_path / "offset")


@pytest.fixture
def on_a_clock(clock: Clock) -> Iterator[Mailbox]:
    """A queue in a Redis whose clock can be set; leases end after half a second."""
    server = RedisServer(environment=clock.environment)
    server.start()
    store = RedisStore(server.url, prefix=PREFIX)
    yield build(store, lease=0.5)
    store.close()
    server.remove()


def test_a_clock_that_is_set_back_keeps_nobody_waiting(on_a_clock: Mailbox, clock: Clock) -> None:
    clock.set(3_600)
    for user in (ANNA, BEN, 303):
        on_a_clock.put(message(user, user))
    dies, waits = claimed(on_a_clock, "dead"), claimed(on_a_clock)
    on_a_clock.later(waits, 0.5)
    clock.set(0)
    found: set[int] = set()

    def all_came() -> bool:
        claim = on_a_clock.claim("w")
        found.update([] if claim is None else [claim.update_id])
        return found == {dies.update_id, waits.update_id, 303}

    until(all_came, 30)
    assert 0 <= on_a_clock.lengths()["oldest"] < 600


def test_a_clock_that_is_set_ahead_ends_leases_and_nothing_else(on_a_clock: Mailbox, clock: Clock) -> None:
    on_a_clock.put(message(1))
    first = claimed(on_a_clock)
    clock.set(3_600)
    second = claimed(on_a_clock, "another")
    assert second.update_id == first.update_id
    assert not on_a_clock.done(first)
    assert on_a_clock.done(second)
    clock.set(0)
    on_a_clock.put(message(2))
    assert on_a_clock.done(claimed(on_a_clock))
