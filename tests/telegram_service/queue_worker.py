"""A worker process that only notes what it answers: `python -m tests.telegram_service.queue_worker REDIS_URL`.

An answer is noted once, as replies.py does it in the database; POISON kills the process as `kill -9` would.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common.crypto import Cipher
from common.process import stop_on_signals
from common.redis_store import RedisAway, RedisStore
from telegram_service.claim import Claim
from telegram_service.mailbox import PREFIX, Mailbox
from telegram_service.worker import Patience, Worker

ROOT = Path(__file__).resolve().parents[2]
LEASE = 1.0
POISON = "poison"
SECRET = "s" * 32
_NOTE = """
if redis.call('SADD', 'answered', ARGV[2]) == 0 then return 0 end
redis.call('RPUSH', 'answers:' .. ARGV[1], ARGV[2])
return 1
"""


def mailbox_of(url: str) -> tuple[RedisStore, Mailbox]:
    """The queue of the test."""
    store = RedisStore(url, prefix=PREFIX)
    return store, Mailbox(store, Cipher([SECRET]), lease=LEASE, dead_after=4, dead_letter_seconds=600)


class Noting:
    """Takes a moment for each update."""

    def __init__(self, store: RedisStore) -> None:
        self._note = store.script(_NOTE)

    def handle(self, claim: Claim) -> None:
        if claim.update["message"]["text"] == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(random.uniform(0, 0.01))
        self.tell(claim)

    def apologise(self, claim: Claim) -> None:
        self.tell(claim)

    def tell(self, claim: Claim) -> Any:
        return self._note(["answered"], [claim.lane, claim.update_id])


def start(url: str) -> subprocess.Popen[bytes]:
    """Start such a process."""
    command = [sys.executable, "-m", "tests.telegram_service.queue_worker", url]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def main() -> None:
    """Work until SIGTERM."""
    store, mailbox = mailbox_of(sys.argv[1])
    stopping = stop_on_signals()
    patience = Patience(retry=0.1, give_up=60, timeout=60, max_failures=3)
    worker = Worker(mailbox, Noting(store), threads=8, lease=LEASE, patience=patience)
    worker.start()
    while not stopping.is_set():
        try:
            worker.unit()
        except RedisAway:
            stopping.wait(0.5)
    worker.finish(2.0)


if __name__ == "__main__":
    main()
