"""The AI core behind a socket that is not its own, as systemd holds it: whoever connects during a restart waits."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

from tests.end_to_end.server import ROOT, Server

BACKLOG = 2048  # connections that wait, as in systemd/ai-core.socket
FIRST = 3  # descriptor of the first socket that systemd hands over (sd_listen_fds(3))
TAKE_OVER = f"""
import os, sys
os.dup2(int(sys.argv[1]), {FIRST})
os.set_inheritable({FIRST}, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "ai_core", "serve"])
"""


class HeldServer(Server):
    """`restart` is what `systemctl restart` does: SIGTERM, its end, a new start. A context, which closes the socket."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        super().__init__(data_dir, **variables)
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=BACKLOG)

    def __enter__(self) -> HeldServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        given = self._socket.fileno()
        command = [sys.executable, "-c", TAKE_OVER, str(given)]
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, pass_fds=(given,))

    def restart(self) -> None:
        """Returns when it is ready again."""
        self.stop(signal.SIGTERM)
        self.start()
