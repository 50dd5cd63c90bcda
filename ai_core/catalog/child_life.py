"""What the catalog's child processes do first: step back behind the server, and make sure to end with their parent."""

from __future__ import annotations

import os
import threading
from pathlib import Path

NICENESS = 10
STDIN = 0


def live_with_parent(unfinished: Path) -> None:
    """End this process when its standard input does, which the parent holds open, and remove the `unfinished` file.

    A pipe, since PR_SET_PDEATHSIG would follow the thread that started the child, not the process.
    """
    os.nice(NICENESS)
    threading.Thread(target=_watch, args=(unfinished,), name="parent-watch", daemon=True).start()


def _watch(unfinished: Path) -> None:
    while os.read(STDIN, 1):  # not through sys.stdin, whose lock would be held when the interpreter ends
        pass
    unfinished.unlink(missing_ok=True)
    os._exit(1)
