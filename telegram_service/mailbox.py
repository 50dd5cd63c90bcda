"""The queue of updates in Redis: each once, each chat in order, nothing lost when a worker dies.

An update is handed out under a lease with a fence. A worker that dies loses its updates to others; one that died with
`suspect_after` workers is handed out alone, one that died with `dead_after` only for an apology, and after one death
more it lies among the dead letters. So work may be done twice, and its effects have to bear that. What is kept is
encrypted, except for ids. The scripts are in lua/, and what is where is said in lua/common.lua.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import redis

from common.crypto import Cipher, Undecryptable
from common.redis_store import RedisStore
from telegram_service.claim import Claim, RetryLater
from telegram_service.updates import lane_of, sender_of, update_id

__all__ = ["Claim", "DeadLetter", "Mailbox", "RetryLater"]

PREFIX = "telegram"
SEEN_SECONDS = 86_400  # Telegram keeps updates for a day, and so may repeat them
STOP_SECONDS = 900
SUSPECT_AFTER = 2  # deaths
WAKE_SECONDS = 1.0  # less than the store's timeout
AGE_BUCKETS = (250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000)  # milliseconds
_LUA = Path(__file__).with_name("lua")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An update that was given up, without its content."""

    update_id: int
    reason: str
    died_at: datetime
    attempts: int
    deaths: int


class Mailbox:
    """One queue for any number of processes and threads. Every method raises RedisAway. `lease` in seconds; dead
    letters are kept for `dead_letter_seconds`."""

    def __init__(
        self, store: RedisStore, cipher: Cipher, *, lease: float, dead_after: int, dead_letter_seconds: int
    ) -> None:
        self._store = store
        self._cipher = cipher
        self._lease = round(lease * 1000)
        self._dead_after = dead_after
        self._keep = dead_letter_seconds
        common = (_LUA / "common.lua").read_text(encoding="utf-8")
        self._scripts = {
            path.stem: store.script(common + path.read_text(encoding="utf-8"))
            for path in sorted(_LUA.glob("*.lua"))
            if path.stem != "common"
        }

    # -- the edge -----------------------------------------------------------------------------------------------------

    def put(self, update: Mapping[str, Any]) -> bool:
        """Take an update in; False when it was taken within 24 hours before. Raises NotAnUpdate."""
        number, sender = update_id(update), sender_of(update)
        body = self._cipher.encrypt(json.dumps(update))
        values = (number, lane_of(update), "" if sender is None else sender, body)
        return bool(self._run("put", *values, SEEN_SECONDS, self._keep, SUSPECT_AFTER))

    def stop(self, lane: str, user: int, number: int) -> None:
        """End what is worked on for `user` in `lane`, and what waits there from before update `number`. What others
        asked in a group goes on."""

        def note(client: redis.Redis) -> None:
            with client.pipeline(transaction=True) as pipe:
                pipe.hset(_stops_key(user), lane, str(number))
                pipe.expire(_stops_key(user), STOP_SECONDS)
                pipe.execute()

        self._store.call(note)

    def is_stopped(self, lane: str, user: int, since: int) -> bool:
        """Whether a stop of `user` came after update `since`."""
        found: Any = self._store.call(lambda client: client.hget(_stops_key(user), lane))
        return found is not None and int(found) > since

    # -- workers ------------------------------------------------------------------------------------------------------

    def claim(self, worker: str) -> Claim | None:
        """The next update for the process named `worker`; None when there is none for it now."""
        found = self._run("claim", worker, self._lease, SUSPECT_AFTER, self._dead_after, self._keep)
        if not found:
            return None
        number, lane, body, attempts, fence, deaths, failures, age = found
        update = self._read(body)
        claim = Claim(int(number), lane.decode(), update or {}, attempts, fence, deaths, failures, age / 1000)
        if update is None:
            self.bury(claim, "encrypted with a secret that is gone")
            return None
        return claim

    def wait(self) -> None:
        """Return as soon as there may be something to claim, or after WAKE_SECONDS."""
        found: Any = self._store.call(lambda client: client.zrange(self._store.key("ready"), 0, 0, withscores=True))
        due = found[0][1] / 1000 - time.time() if found else WAKE_SECONDS
        # What is due already is for others: this worker just asked.
        seconds = min(max(due, 0.01), WAKE_SECONDS) if due > 0 else WAKE_SECONDS
        self._store.call(lambda client: client.blpop([self._store.key("wake")], timeout=seconds))

    def is_doomed(self, claim: Claim) -> bool:
        """Whether it died with so many workers that nobody should try again: it is handed out for an apology only."""
        return claim.deaths >= self._dead_after

    def renew(self, claim: Claim) -> bool:
        """Lengthen the lease; False when the claim was lost."""
        return self._owned("renew", claim, self._lease)

    def done(self, claim: Claim) -> bool:
        """It is dealt with, and what it absorbed too; False when the claim was lost."""
        return self._owned("done", claim, SUSPECT_AFTER, *AGE_BUCKETS)

    def later(self, claim: Claim, seconds: float, *, failed: bool = False) -> bool:
        """Hand it out again in `seconds`, and nothing of its lane before."""
        return self._owned("later", claim, round(seconds * 1000), "failures" if failed else "", SUSPECT_AFTER)

    def give_back(self, claim: Claim) -> bool:
        """Hand it out again at once: this worker ends."""
        return self._owned("later", claim, 0, "attempts", SUSPECT_AFTER)

    def bury(self, claim: Claim, reason: str) -> bool:
        """To the dead letters, with a `reason` that holds nobody's text; its lane goes on."""
        return self._owned("bury", claim, reason, self._keep, SUSPECT_AFTER)

    def following(self, lane: str, most: int = 20) -> Sequence[tuple[int, Mapping[str, Any]]]:
        """What waits in `lane` behind the update that is worked on, oldest first: number and update."""

        def look(client: redis.Redis) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            pipe.hget(self._store.key("busy"), lane)
            pipe.zrange(self._store.key("lane", lane), 0, most + 1)
            return list(pipe.execute())

        current, names = self._store.call(look)
        behind = [number for number in map(int, names) if current is not None and number > int(current)]
        found = ((number, self._content(number)) for number in behind[:most])
        return [(number, update) for number, update in found if update is not None]

    def absorb(self, claim: Claim, numbers: Sequence[int]) -> bool:
        """Let these updates of the same lane end together with `claim`; False when the claim was lost."""
        return self._owned("absorb", claim, *numbers)

    # -- operators, people --------------------------------------------------------------------------------------------

    def lengths(self) -> Mapping[str, int]:
        """waiting, working, suspects (chats), dead; and oldest, the age in seconds of what has been here longest."""

        def look(client: redis.Redis) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            for name in ("all", "leases", "suspects"):
                pipe.zcard(self._store.key(name))
            pipe.zcount(self._store.key("dead"), (time.time() - self._keep) * 1000, "+inf")
            pipe.zrange(self._store.key("all"), 0, 0, withscores=True)
            pipe.hget(self._store.key("clock"), "ahead")
            return list(pipe.execute())

        everything, working, suspects, dead, oldest, ahead = self._store.call(look)
        age = max(0, round(time.time() + (float(ahead or 0) - oldest[0][1]) / 1000)) if oldest else 0
        waiting = everything - working
        return {"waiting": waiting, "working": working, "suspects": suspects, "dead": dead, "oldest": age}

    def figures(self) -> Mapping[str, int]:
        """Counters since Redis was new: received, duplicates, done, later, given_back, reclaimed, buried; age_ms:BOUND
        (one bucket each, "inf" above the last) and age_ms:sum, from arrival to the end."""
        found: Any = self._store.call(lambda client: client.hgetall(self._store.key("figures")))
        return {name.decode(): int(value) for name, value in found.items()}

    def dead_letters(self) -> list[DeadLetter]:
        """Those that are still kept, oldest first."""
        names: Any = self._store.call(lambda client: client.zrange(self._store.key("dead"), 0, -1))
        letters = (self._dead_letter(int(name)) for name in names)
        return [letter for letter in letters if letter is not None]

    def revive(self, number: int) -> bool:
        """Put a dead letter in its place again, as if it were new; False when there is none."""
        return bool(self._run("revive", number, SUSPECT_AFTER))

    def forget(self, user: int, *, but: int | None = None) -> int:
        """Remove every update of a person, dead letters included, and their stops; `but` is the update that
        asks for it. Returns how many updates went."""
        self._store.call(lambda client: client.delete(_stops_key(user)))
        return int(self._run("forget", user, "" if but is None else but, SUSPECT_AFTER))

    def weakness(self) -> str | None:
        """Why Redis, as it is configured, may lose updates; None where it keeps them."""

        def look(client: redis.Redis) -> tuple[Any, Any]:
            return client.info("persistence"), client.info("memory")

        persistence, memory = self._store.call(look)
        if not persistence["aof_enabled"]:
            return "Redis keeps no append-only file (appendonly yes): updates are lost when it is killed."
        if memory["maxmemory"] and memory["maxmemory_policy"] != "noeviction":
            return "Redis throws updates away when it is full (maxmemory-policy noeviction)."
        return None

    def is_up(self) -> bool:
        """Whether Redis answers."""
        return self._store.is_up()

    def _content(self, number: int) -> Mapping[str, Any] | None:
        key = self._store.key("update", number)
        body: Any = self._store.call(lambda client: client.hget(key, "body"))
        return None if body is None else self._read(body)

    def _read(self, body: bytes) -> Mapping[str, Any] | None:
        try:
            update: Mapping[str, Any] = json.loads(self._cipher.decrypt(body.decode()))
        except Undecryptable:
            return None
        return update

    def _dead_letter(self, number: int) -> DeadLetter | None:
        key = self._store.key("dead", number)
        found: Any = self._store.call(lambda client: client.hmget(key, "reason", "died", "attempts", "deaths"))
        if None in found:
            return None  # expired
        reason, died, attempts, deaths = found
        died_at = datetime.fromtimestamp(float(died) / 1000, timezone.utc)
        return DeadLetter(number, reason.decode(), died_at, int(attempts), int(deaths))

    def _owned(self, name: str, claim: Claim, *arguments: object) -> bool:
        return bool(self._run(name, claim.update_id, claim.fence, *arguments))

    def _run(self, name: str, *arguments: object) -> Any:
        return self._scripts[name]([self._store.key()], arguments)


def _stops_key(user: int) -> str:
    return f"user:{user}:stops"
