"""`python -m telegram_service` with one text that kills the process as `kill -9` would."""

from __future__ import annotations

import os
import signal
import sys

from telegram_service.claim import Claim
from telegram_service.cli import main
from telegram_service.mailbox import Mailbox
from telegram_service.worker import Worker

POISON = "Ce message tue le processus qui le lit"


def poison_workers() -> None:
    """Let POISON kill this process."""
    work = Worker._work

    def deadly(self: Worker, claim: Claim) -> None:
        mailbox: Mailbox = self._mailbox
        if claim.update.get("message", {}).get("text") == POISON and not mailbox.is_doomed(claim):
            os.kill(os.getpid(), signal.SIGKILL)
        work(self, claim)

    Worker._work = deadly  # type: ignore[method-assign]


if __name__ == "__main__":
    poison_workers()
    sys.exit(main(sys.argv[1:]))
