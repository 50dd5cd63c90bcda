"""A module of ours in a process of its own: it may crash, be killed or take all memory without harm to this one."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from ai_core.catalog.errors import Cancelled, ChildFailed

ROOT = Path(__file__).resolve().parents[2]  # where `-m ai_core...` finds us
KEPT_LINES = 20
OFFLINE = ("HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1")  # a model's files are at hand; nothing is to be fetched


class ChildProcess:
    """Runs `python -m module arguments` once. `lock` is a file descriptor that the child keeps open while it lives.

    Its standard input is a pipe that ends with this process: see child_life.py. `kill` may come from any thread, also
    before `run`.
    """

    def __init__(self, module: str, arguments: Sequence[str], *, lock: int) -> None:
        self._command = ["/usr/bin/env", *OFFLINE, sys.executable, "-u", "-m", module, *arguments]
        self._name = module.rpartition(".")[2]
        self._descriptor = lock
        self._mutex = threading.Lock()
        self._killed = False
        self._process: subprocess.Popen[str] | None = None

    def run(self, on_line: Callable[[str], None]) -> None:
        """Start the child and give each line that it prints to `on_line`, to its end. Raises ChildFailed, Cancelled."""
        process = self._start()
        lines: deque[str] = deque(maxlen=KEPT_LINES)
        try:
            assert process.stdout is not None
            for line in process.stdout:  # universal newlines: progress bars end their lines with a carriage return
                if line.strip():
                    lines.append(line.rstrip())
                    on_line(line.rstrip())
        finally:
            if sys.exc_info()[0] is not None:
                process.kill()
            code = process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()
        if self._killed:
            raise Cancelled("cancelled")
        if code:
            raise ChildFailed(self._name, code, list(lines))

    def kill(self) -> None:
        """End the child at once, or keep it from starting."""
        with self._mutex:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> subprocess.Popen[str]:
        with self._mutex:
            if self._killed:
                raise Cancelled("cancelled")
            self._process = subprocess.Popen(  # noqa: S603 - our interpreter, our module
                self._command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=(self._descriptor,),
                start_new_session=True,  # Ctrl-C in a terminal is for the parent to handle
            )
            return self._process
