"""Long work on models that somebody watches and may cancel: a conversion, a quantisation."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

from ai_core.catalog.child_process import ChildProcess
from ai_core.catalog.errors import Cancelled, CatalogError

logger = logging.getLogger(__name__)


class JobStatus(str, Enum):
    """Life of a job; the last three are its ends."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job:
    """Does `work` in a thread of its own; the file that it makes is the `result`. Any thread may read the fields,
    cancel and wait; only the job's own thread writes them.

    `percent` is 0-100 of the whole, `step` what is done at present; `error` is one line for the operator.
    """

    def __init__(self, title: str, work: Callable[[Progress], Path]) -> None:
        self.title = title
        self.status = JobStatus.WAITING
        self.percent = 0
        self.step = ""
        self.error: str | None = None
        self.result: Path | None = None
        self._work = work
        self._mutex = threading.Lock()
        self._cancelled = False
        self._child: ChildProcess | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-job", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds for the job's end; True when it has ended."""
        # Not through Thread.join: interrupted by Ctrl-C, it takes the thread for ended (until Python 3.13).
        return self._ended.wait(timeout)

    def cancel(self) -> None:
        """Ask the job to stop; its child process is killed at once. What it was writing is removed."""
        with self._mutex:
            self._cancelled = True
            child = self._child
        if child is not None:
            child.kill()

    def require_not_cancelled(self) -> None:
        """Raises Cancelled once somebody has called `cancel`."""
        if self._cancelled:
            raise Cancelled(f"{self.title}: cancelled")

    def run_child(self, child: ChildProcess, on_line: Callable[[str], None]) -> None:
        """Run `child` so that `cancel` reaches it. Raises ChildFailed, Cancelled."""
        with self._mutex:
            self._child = child
            if self._cancelled:
                child.kill()
        try:
            child.run(on_line)
        finally:
            with self._mutex:
                self._child = None

    def _run(self) -> None:
        self.status = JobStatus.RUNNING
        try:
            self.result = self._work(Progress(self))
            self.percent, self.status = 100, JobStatus.DONE
        except Cancelled:
            self.status = JobStatus.CANCELLED
        except (CatalogError, OSError) as error:
            self.error, self.status = str(error), JobStatus.FAILED
        except Exception as error:
            # The top of the job's thread: without this the job would seem to run for ever.
            logger.exception("model job failed", extra={"job": self.title})
            self.error, self.status = f"{error.__class__.__name__}: {error}", JobStatus.FAILED
        finally:
            self._ended.set()


class Progress:
    """What a job's work reports to: a stretch of the job's 0-100 percent."""

    def __init__(self, job: Job, start: float = 0.0, end: float = 100.0) -> None:
        self._job = job
        self._start = start
        self._end = end

    def part(self, start: float, end: float) -> Progress:
        """The stretch from `start` to `end` percent of this one, for a step of the work."""
        scale = (self._end - self._start) / 100
        return Progress(self._job, self._start + start * scale, self._start + end * scale)

    def set(self, percent: float) -> None:
        """`percent` of this stretch is done. Raises Cancelled. 100 is left to the end of the job."""
        self._job.require_not_cancelled()
        whole = self._start + min(max(percent, 0.0), 100.0) * (self._end - self._start) / 100
        self._job.percent = max(self._job.percent, min(int(whole), 99))

    def say(self, step: str) -> None:
        """What is being done now. Raises Cancelled."""
        self._job.require_not_cancelled()
        self._job.step = step

    def run_child(self, module: str, arguments: Sequence[str], on_line: Callable[[str], None], *, lock: int) -> None:
        """Run a module of ours in a process of its own, to its end. Raises ChildFailed, Cancelled."""
        self._job.run_child(ChildProcess(module, arguments, lock=lock), on_line)
