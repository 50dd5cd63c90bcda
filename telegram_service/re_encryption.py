"""What this service has to do for `re-encrypt` beside the columns of its tables: what waits in Redis, and the hashes
of people, whose ids are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import peewee

from common.crypto import Undecryptable
from common.database import connection
from common.re_encryption import Renewer, Tally
from common.redis_store import RedisStore
from telegram_service.history import Lane
from telegram_service.people import People
from telegram_service.reply_storage import Reply
from telegram_service.storage import Person, Turn, Usage

AT_ONCE = 100

# Only where it still is what was read: a worker may have dealt with it meanwhile.
_REPLACE_BODY = """if redis.call('HGET', KEYS[1], 'body') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'body', ARGV[2]) end return 1"""
_REPLACE_TEXT = """if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL') end return 1"""


def re_encrypt_redis(store: RedisStore, renewer: Renewer) -> Tally:
    """Updates that wait, dead letters, copies of conversations. Raises RedisAway."""
    tally = Tally()
    bodies, texts = store.script(_REPLACE_BODY), store.script(_REPLACE_TEXT)

    def body(client: Any, name: bytes) -> Any:
        return client.hget(name, "body")

    def text(client: Any, name: bytes) -> Any:
        return client.get(name)

    for pattern in (store.key("update", "*"), store.key("dead", "*")):
        _each(store, pattern, body, bodies, renewer, tally)
    for pattern in ("user:*:history", "chat:*:history"):
        _each(store, pattern, text, texts, renewer, tally)
    return tally


def _each(
    store: RedisStore,
    pattern: str,
    read: Callable[[Any, bytes], Any],
    replace: Callable[[Any, Any], Any],
    renewer: Renewer,
    tally: Tally,
) -> None:
    names: Any = store.call(lambda client: list(client.scan_iter(match=pattern, count=AT_ONCE)))
    for name in names:
        token: Any = store.call(lambda client, name=name: read(client, name))  # type: ignore[misc]
        if token is None:  # gone meanwhile
            continue
        fresh = renewer.renewed(token.decode(), tally)
        if fresh is not None:
            replace([name], [token, fresh])


def re_hash(database: peewee.Database, people: People, *, dry: bool = False) -> Tally:
    """Give each person, and all that hangs on them, the newest hash. Raises peewee's errors."""
    tally = Tally()
    with connection(database):
        for number, known, user in _people():
            if known == people.hash_of(user):
                tally.current += 1
                continue
            tally.renewed += 1
            if not dry:
                _renew(database, people, number, known, user)
    return tally


def _people() -> Iterator[tuple[int, str, int]]:
    numbers = [row.id for row in Person.select(Person.id).order_by(Person.id)]
    for number in numbers:
        try:
            row = Person.get_or_none(Person.id == number)
        except Undecryptable:  # re_encrypt_tables has counted it
            continue
        if row is not None:
            yield row.id, row.person, int(row.telegram_id)


def _renew(database: peewee.Database, people: People, number: int, old: str, user: int) -> None:
    new = people.hash_of(user)
    with database.atomic():
        if Person.select().where(Person.person == new).exists():
            Person.delete().where(Person.id == number).execute()  # they wrote meanwhile, and are known anew
        else:
            Person.update(person=new).where((Person.id == number) & (Person.person == old)).execute()
        for table in (Turn, Usage, Reply):
            table.update(person=new).where(table.person == old).execute()
        lane = Lane(user).name  # of a group nobody knows the id here: its conversation begins anew
        for earlier in people.earlier_lane_hashes(lane):
            Turn.update(lane=people.lane_hash(lane)).where(Turn.lane == earlier).execute()
