"""The parent's side of an extraction: one child for one file, killed with all that it started when its time is over."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from common.extraction.outcome import Extracted, ExtractionRefused, Kind, Limits, Refusal

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]  # where `-m common...` finds us
# Nothing of ours goes to the child. tesseract is eight times slower when its threads wait for one another.
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
    "OMP_THREAD_LIMIT": "1",
}
GRACE = 2.0  # seconds beyond its own alarm: to start, and to end by itself


def extract(data: bytes, filename: str | None, limits: Limits | None = None) -> Extracted:
    """The text of `data`. The kind is told by the content; `filename` only helps to name it in the log by its suffix.
    Raises ExtractionRefused."""
    limits = limits or Limits()
    if len(data) > limits.bytes:
        raise ExtractionRefused(Refusal.TOO_LARGE)
    try:
        return _extracted(_run_child(data, limits))
    except ExtractionRefused as refused:
        logger.info("no text extracted", extra={"reason": refused.reason.value, "suffix": _suffix(filename)})
        raise


def _run_child(data: bytes, limits: Limits) -> bytes:
    command = [sys.executable, "-m", "common.extraction.child", json.dumps(asdict(limits))]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
        given.write(data)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - our interpreter, our module
            command,
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=given,
            stdout=told,
            stderr=subprocess.DEVNULL,  # libraries quote the file there
            start_new_session=True,
        )
        try:
            status = process.wait(limits.seconds + GRACE)
        except subprocess.TimeoutExpired:
            raise ExtractionRefused(Refusal.TOO_COSTLY) from None
        finally:
            _end(process)
        if status:
            raise ExtractionRefused(Refusal.TOO_COSTLY if status < 0 else Refusal.UNREADABLE)
        told.seek(0)
        return told.read()


def _end(process: subprocess.Popen[bytes]) -> None:
    # Also after a regular end: a program that the child started may have outlived it.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def _extracted(told: bytes) -> Extracted:
    try:
        answer = json.loads(told)
        if "refused" in answer:
            raise ExtractionRefused(Refusal(answer["refused"]))
        return Extracted(answer["text"], Kind(answer["kind"]), answer["pages"], answer["truncated"])
    except (ValueError, KeyError, TypeError):
        raise ExtractionRefused(Refusal.UNREADABLE) from None


def _suffix(filename: str | None) -> str:
    suffix = Path(filename or "").suffix.lower()
    return suffix if len(suffix) <= 6 and suffix.isascii() else ""
