"""The parent's side of a download: starts the child process, hears its events, kills it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ai_core.catalog.child_process import ROOT
from ai_core.catalog.downloads.job import DownloadJob

QUIET = ("HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_IMPLICIT_TOKEN=1", "HF_DEBUG=0")
CHILD = "ai_core.catalog.downloads.child"


class DownloadProcess:
    """One run of `job` in a process of its own. `kill` may come from any thread, also before `events`."""

    def __init__(self, job: DownloadJob) -> None:
        self._job = job
        self._mutex = threading.Lock()
        self._killed = False
        self._process: subprocess.Popen[str] | None = None

    def events(self) -> Iterator[dict[str, Any]]:
        """Start the child and give its events (see DownloadJob.run), to its end; the last is `done` or `failed`, unless
        it was killed."""
        process = self._start()
        if process is None:
            return
        try:
            assert process.stdout is not None
            ended = False
            for line in process.stdout:
                if not line.startswith("{") or not line.endswith("\n"):
                    continue  # a library's own words, or the half of a line that a killed child leaves
                event: dict[str, Any] = json.loads(line)
                ended = event["event"] in ("done", "failed")
                yield event
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()
        if not ended and not self._killed:
            yield {
                "event": "failed",
                "code": "download_failed",
                "message": f"Its process ended ({process.returncode}).",
            }

    def kill(self) -> None:
        """End the child at once, or keep it from starting."""
        with self._mutex:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> subprocess.Popen[str] | None:
        with self._mutex:
            if self._killed:
                return None
            self._process = subprocess.Popen(  # noqa: S603 - our interpreter, our module
                ["/usr/bin/env", *QUIET, sys.executable, "-m", CHILD],
                cwd=ROOT,
                stdin=subprocess.PIPE,  # stays open: the child ends with it
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libraries write there, and what they write is not ours to keep
                text=True,
                start_new_session=True,
            )
            assert self._process.stdin is not None
            content = asdict(self._job) | {"models": str(self._job.models.absolute())}
            with suppress(BrokenPipeError):  # it ended at once: its status tells
                self._process.stdin.write(json.dumps(content) + "\n")
                self._process.stdin.flush()
            return self._process
