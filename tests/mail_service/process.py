"""A worker or poller process around a scripted AI core: `python -m tests.mail_service.process ROLE [POINT]`.

At POINT it kills itself as `kill -9` would, the first time that it comes there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imapclient import IMAPClient  # type: ignore[import-untyped]

from common.process import Progress, stop_on_signals
from mail_service import work
from mail_service.answering import Ask
from mail_service.composition import compose
from mail_service.outbox import Outbox
from mail_service.process import run_poller, run_worker
from mail_service.settings import Settings
from mail_service.smtp_client import SmtpClient
from tests.mail_service.service import ScriptedAnswerer

ROOT = Path(__file__).resolve().parents[2]

# Where in the code each point is: a class or module, one of its functions, and whether it has done its work by then.
POINTS: dict[str, tuple[Any, str, bool]] = {
    "before-answer-is-kept": (work, "conclude", False),
    "after-answer-is-kept": (work, "conclude", True),
    "before-smtp": (SmtpClient, "send", False),
    "after-smtp-accept": (SmtpClient, "send", True),
    "after-commit": (Outbox, "_note_sent", True),
    "before-flag": (IMAPClient, "add_flags", False),
    "after-flag": (IMAPClient, "add_flags", True),
    "after-move": (IMAPClient, "move", True),
}
POLLER_POINTS = ("before-flag", "after-flag", "after-move")


def start(role: str, environment: dict[str, str], point: str = "", log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start such a process."""
    command = [sys.executable, "-m", "tests.mail_service.process", role, *([point] if point else [])]
    path = os.environ.get("PATH", "")
    with (log or Path(os.devnull)).open("ab") as output:
        return subprocess.Popen(
            command, cwd=ROOT, env={"PATH": path, **environment}, stdout=output, stderr=subprocess.STDOUT
        )


def die_at(point: str) -> None:
    """Arrange to be killed at `point`."""
    place, name, afterwards = POINTS[point]
    real: Callable[..., Any] = getattr(place, name)

    def deadly(*arguments: Any, **options: Any) -> Any:
        if afterwards:
            real(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, name, deadly)


def slowly(_: Ask) -> str:
    """An answer that takes a while, so that there is something to be killed in."""
    time.sleep(0.2)
    return "Le préavis est de **deux mois**."


def main() -> None:
    """Run one role."""
    role, *points = sys.argv[1:]
    for point in points:
        die_at(point)
    settings = Settings.from_environment()
    parts = compose(settings, ScriptedAnswerer(says=slowly))
    stopping, progress = stop_on_signals(), Progress()
    if role == "worker":
        run_worker(parts.work(settings), stopping, progress)
    else:
        poller = parts.poller()
        run_poller(poller, parts.idle_watch(settings, poller), parts.scheduler(settings, poller), stopping, progress)


if __name__ == "__main__":
    main()
