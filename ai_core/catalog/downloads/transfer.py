"""Fetches a plan's files: goes on where an earlier run stopped, tries again, believes only checksums."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.files import HubFile, require_inside
from ai_core.catalog.downloads.hub import Hub, no_space_or
from ai_core.catalog.downloads.plan import Plan
from ai_core.catalog.new_file import SPARE_BYTES

PART = ".part"
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 300.0  # seconds; a Hub that wants more is left alone
BLOCK = 4 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Patience:
    """`timeout` seconds without a byte end a request; `attempts` without progress end the download; the first pause
    between them is `pause` seconds, the next ones double."""

    timeout: float = 30.0
    attempts: int = 5
    pause: float = 1.0

    def before(self, attempt: int, error: DownloadError) -> float:
        """Seconds to wait before attempt number `attempt`, with jitter. Raises `error` when it is not worth it."""
        if not error.retry or attempt > self.attempts or (error.retry_after or 0) > LONGEST_RETRY_AFTER:
            raise error
        pause: float = min(self.pause * 2 ** (attempt - 2), LONGEST_PAUSE) * random.uniform(0.5, 1.5)
        return max(pause, error.retry_after or 0)


@dataclass(frozen=True, slots=True)
class Report:
    """Whom a transfer tells: bytes that are on the disk, the step it is at ("downloading", "verifying"), and the
    seconds it waits before it tries again, with the reason."""

    bytes: Callable[[int], None]
    step: Callable[[str], None]
    waiting: Callable[[float, DownloadError], None]


class Transfer:
    """Brings the files of `plan` into `folder`."""

    def __init__(self, hub: Hub, plan: Plan, folder: Path, patience: Patience, report: Report) -> None:
        self._hub = hub
        self._plan = plan
        self._folder = folder
        self._patience = patience
        self._report = report

    def there(self) -> int:
        """Bytes that are on the disk already."""
        return sum(_size(self._place(file)) or min(_size(self._part(file)), file.size) for file in self._plan.files)

    def run(self) -> None:
        """Fetch what is missing, each file checked before it gets its name. Raises DownloadError."""
        for file in sorted(self._plan.files, key=lambda file: file.size):  # what is wrong shows early
            if _size(self._place(file)) != file.size or not self._place(file).exists():
                self._bring(file)

    def _bring(self, file: HubFile) -> None:
        part = self._part(file)
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            for again in (True, False):
                self._fetch(file, part)
                self._report.step("verifying")
                if is_intact(part, file):
                    break
                part.unlink()
                if not again:
                    raise DownloadError("checksum_mismatch", f"{file.path} is damaged: its checksum is wrong, twice.")
                self._report.bytes(self.there())
            _sync(part)
            part.rename(self._place(file))
        except OSError as error:
            raise no_space_or(error) from error

    def _fetch(self, file: HubFile, part: Path) -> None:
        """Until the part is as long as the file. The attempts count anew whenever bytes have come."""
        self._report.step("downloading")
        attempt, reached = 1, _size(part)
        while True:
            try:
                self._stream(file, part)
                return
            except DownloadError as error:
                now = _size(part)
                attempt = 2 if now > reached else attempt + 1
                reached = now
                pause = self._patience.before(attempt, error)
                self._report.waiting(pause, error)
                time.sleep(pause)

    def _stream(self, file: HubFile, part: Path) -> None:
        start = _size(part)
        if start > file.size:
            part.unlink()
            start = 0
        if start == file.size and part.exists():
            return
        if file.size == 0:
            part.touch()
            return
        with self._hub.bytes_from(self._plan.commit, file.path, start) as (begins, chunks):
            if begins not in (0, start):
                raise DownloadError(
                    "hub_error", "The Hub sent another part of the file than was asked for.", retry=True
                )
            with part.open("r+b" if part.exists() else "wb") as out:
                out.seek(begins)
                out.truncate()
                for chunk in chunks:
                    self._write(chunk, out, file)
        if _size(part) < file.size:
            raise DownloadError("incomplete_download", f"The Hub sent only a part of {file.path}.", retry=True)

    def _write(self, chunk: bytes, out: BinaryIO, file: HubFile) -> None:
        if out.tell() + len(chunk) > file.size:
            raise DownloadError("wrong_size", f"{file.path} is longer than the Hub said.")
        if shutil.disk_usage(self._folder).free < SPARE_BYTES // 2:
            raise DownloadError("disk_full", "The disk is full.")
        out.write(chunk)
        out.flush()
        self._report.bytes(self.there())

    def _place(self, file: HubFile) -> Path:
        require_inside(file.path)  # the plan was read from the disk
        return self._folder / file.path

    def _part(self, file: HubFile) -> Path:
        place = self._place(file)
        return place.with_name(place.name + PART)


def is_intact(path: Path, file: HubFile) -> bool:
    """Whether the content is what the Hub has: by SHA-256, or git's hash of a small file."""
    if path.stat().st_size != file.size:
        return False
    if file.sha256 is not None:
        digest, expected = hashlib.sha256(), file.sha256
    elif file.blob_id is not None:
        digest, expected = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False), file.blob_id
    else:
        return False
    with path.open("rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
    return digest.hexdigest() == expected


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sync(path: Path) -> None:
    """A name must not outlive a power cut that the content did not."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
