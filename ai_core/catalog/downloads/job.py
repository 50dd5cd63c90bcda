"""One download from beginning to end, in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.folder import DownloadFolder
from ai_core.catalog.downloads.hub import Hub, no_space_or
from ai_core.catalog.downloads.plan import Plan, make_plan, require_disk
from ai_core.catalog.downloads.request import DownloadRequest
from ai_core.catalog.downloads.transfer import Patience, Report, Transfer
from ai_core.catalog.memory import Load

OUTDATED_PLAN = ("revision_not_found", "file_not_found")  # the next one is made anew
REPORT_EVERY = 0.2  # seconds
Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class DownloadJob:
    """What to fetch, from where, to where. `models` is DATA_DIR/models; `reserved` bytes of the disk belong to other
    downloads; `dry_run` only plans. The token shows in no representation."""

    request: DownloadRequest
    endpoint: str
    models: Path
    load: Load
    patience: Patience = field(default_factory=Patience)
    reserved: int = 0
    dry_run: bool = False
    token: str | None = field(default=None, repr=False)

    @property
    def folder(self) -> DownloadFolder:
        return DownloadFolder(self.models, self.request.key)

    def run(self, tell: Tell) -> None:
        """Fetch, check, and land the model; `tell` hears the events. Raises DownloadError.

        Events: planned (commit, total, format, files, reason), step (step), bytes (done), waiting (seconds,
        code, message), done (folder, path: what to load).
        """
        try:
            with self.folder.locked():
                self._run_locked(tell)
        except OSError as error:
            raise no_space_or(error) from error

    def _run_locked(self, tell: Tell) -> None:
        try:
            self._run(tell)
        except DownloadError as error:
            if error.code in OUTDATED_PLAN or Plan.read(self.folder.path) is None:
                self.folder.remove()
            raise

    def _run(self, tell: Tell) -> None:
        found = Plan.read(self.folder.path)
        plan = found or self._patiently(tell)
        tell({
            "event": "planned", "commit": plan.commit, "total": plan.total, "format": plan.format,
            "files": [[file.path, file.size] for file in plan.files], "reason": plan.reason,
        })  # fmt: skip
        if self.dry_run:
            if found is None:
                self.folder.remove()
            tell({"event": "done", "folder": None, "path": None})
            return
        plan.save(self.folder.path)
        place = self.folder.landed(plan)
        if place is None:
            place = self._fetch(plan, tell)
        else:
            self.folder.remove()
        tell({"event": "bytes", "done": plan.total})
        tell({"event": "done", "folder": str(place), "path": str(_to_load(place, plan))})

    def _fetch(self, plan: Plan, tell: Tell) -> Path:
        with _Reporter(tell) as report:
            transfer = Transfer(self._hub(), plan, self.folder.files, self.patience, report)
            require_disk(plan, self.folder.files, there=transfer.there(), reserved=self.reserved)
            tell({"event": "bytes", "done": transfer.there()})
            transfer.run()
        return self.folder.land(plan)

    def _patiently(self, tell: Tell) -> Plan:
        """The plan, asked for again while the Hub has trouble."""
        attempt = 1
        while True:
            try:
                self.folder.path.mkdir(parents=True, exist_ok=True)
                return make_plan(self._hub(), self.request, self.load, self.folder.path)
            except DownloadError as error:
                attempt += 1
                pause = self.patience.before(attempt, error)
                tell(_waiting(pause, error))
                time.sleep(pause)

    def _hub(self) -> Hub:
        return Hub(self.endpoint, self.request, self.token, timeout=self.patience.timeout)


def _to_load(place: Path, plan: Plan) -> Path:
    """The folder, but for GGUF files in a folder of their own inside it, where nobody would look."""
    first = PurePosixPath(plan.files[0].path)
    return place / first if plan.format == "gguf" and len(first.parts) > 1 else place


class _Reporter:
    """Tells how many bytes there are at regular times, so that the last ones before a pause are told too."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._mutex = threading.Lock()  # a line must not begin inside another
        self._done: int | None = None
        self._told: int | None = None
        self._ended = threading.Event()

    def __enter__(self) -> Report:
        threading.Thread(target=self._tick, name="download-report", daemon=True).start()
        return Report(self._set, lambda step: self._send({"event": "step", "step": step}), self._waiting)

    def __exit__(self, *_: object) -> None:
        with self._mutex:
            self._ended.set()

    def _tick(self) -> None:
        while not self._ended.wait(REPORT_EVERY):
            with self._mutex:
                if self._done != self._told and not self._ended.is_set():
                    self._told = self._done
                    self._tell({"event": "bytes", "done": self._told})

    def _set(self, done: int) -> None:
        self._done = done

    def _waiting(self, seconds: float, error: DownloadError) -> None:
        self._send(_waiting(seconds, error))

    def _send(self, event: dict[str, Any]) -> None:
        with self._mutex:
            self._tell(event)


def _waiting(seconds: float, error: DownloadError) -> dict[str, Any]:
    return {"event": "waiting", "seconds": round(seconds, 1), "code": error.code, "message": str(error)}
