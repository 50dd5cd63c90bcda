"""`python -m telegram_service` in which one text kills the process as `kill -9` would, and, in the folder POINTS_DIR,
points of the code that do it once each, to the person whose turn it is."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from telegram_service import conversation
from telegram_service.claim import Claim
from telegram_service.cli import main
from telegram_service.history import History
from telegram_service.mailbox import Mailbox
from telegram_service.replies import Replies
from telegram_service.telegram_api import TelegramApi
from telegram_service.updates import sender_of
from telegram_service.worker import Worker

POISON = "Ce message tue le processus qui le lit"
FIRST_VICTIM = 500

# Where in the code each point is: a class or module, one of its functions, and whether it has done its work by then.
POINTS: dict[str, tuple[Any, str, bool]] = {
    "after-the-first-message": (TelegramApi, "send", True),
    "after-the-placeholder-is-noted": (Replies, "place", True),
    "after-the-ai-core-answered": (conversation, "_stream", True),
    "within-the-transaction": (History, "add", True),
    "after-the-answer-is-frozen": (conversation, "_conclude", True),
    "after-an-edit": (TelegramApi, "edit", True),
    "after-the-answer-is-delivered": (Replies, "_deliver", True),
    "before-done": (Mailbox, "done", False),
    "after-done": (Mailbox, "done", True),
}
_user: ContextVar[int | None] = ContextVar("user", default=None)


def poison_workers() -> None:
    """Let POISON kill this process, and note in each thread whose update it works on."""
    work = Worker._work

    def deadly(self: Worker, claim: Claim) -> None:
        mailbox: Mailbox = self._mailbox
        if claim.update.get("message", {}).get("text") == POISON and not mailbox.is_doomed(claim):
            die()
        _user.set(sender_of(claim.update))
        work(self, claim)

    Worker._work = deadly  # type: ignore[method-assign]


def die_at_points(folder: Path) -> None:
    """Let each point kill this process once, when it is come to for its own victim."""
    for number, (point, (place, name, afterwards)) in enumerate(POINTS.items()):
        real: Callable[..., Any] = getattr(place, name)
        setattr(place, name, _deadly(real, FIRST_VICTIM + number, folder / point, afterwards))


def _deadly(real: Callable[..., Any], victim: int, mark: Path, afterwards: bool) -> Callable[..., Any]:
    def deadly(*arguments: Any, **options: Any) -> Any:
        is_due = _user.get() == victim and not mark.exists()
        result = real(*arguments, **options) if afterwards or not is_due else None
        if is_due:
            mark.touch()
            die()
        return result

    return deadly


def die() -> None:
    """As `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    poison_workers()
    if "POINTS_DIR" in os.environ:
        die_at_points(Path(os.environ["POINTS_DIR"]))
    sys.exit(main(sys.argv[1:]))
