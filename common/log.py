"""JSON log lines with request ids, on stdout and in files by day and level; secrets and texts stay out.

What a person wrote never goes into a log call. As a second line of defence keys and addresses are masked, and a
traceback is reduced to its places, because an exception's message may quote its input.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import traceback
from contextvars import ContextVar
from datetime import datetime, timezone
from pathlib import Path

from common.log_files import DayFiles

request_id: ContextVar[str] = ContextVar("request_id", default="")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECRETS = re.compile(
    r'\bcdt[-_][A-Za-z0-9_-]{8,}|(?i:bearer)\s+[^\s"]+'  # our keys, anybody's tokens
    r"|\bhf_[A-Za-z0-9]{16,}|(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,}"  # of the Hugging Face Hub, of a Telegram bot
    r"|[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"  # mail addresses
)
# JSON leaves these as they are, but they end a line or command a terminal where a log is looked at (UAX #14, ECMA-48).
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def current_request_id() -> str:
    """The id of the request being served, or an empty text."""
    return request_id.get()


def accepted_request_id(header: str | None) -> str:
    """`header` when it is a sane id, else a new random one."""
    return header if header and _REQUEST_ID.fullmatch(header) else secrets.token_hex(8)


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what `extra` brought stands beside the message."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        return _SECRETS.sub("[masked]", _UNSEEN.sub(_escaped, self.unmasked(record)))

    def unmasked(self, record: logging.LogRecord) -> str:
        """The line before secrets are masked in it: nothing of ours should need the mask."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current_request_id():
            line["request_id"] = current_request_id()
        line.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["places"] = _places(record)
        return json.dumps(line, ensure_ascii=False, default=str)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _places(record: logging.LogRecord) -> list[str]:
    assert record.exc_info is not None
    frames = traceback.extract_tb(record.exc_info[2])
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def configure_logging(service: str, level: str, directory: Path | None) -> None:
    """Log to stdout and, with a `directory`, to SERVICE.LEVEL.DAY.log in it."""
    formatter = JsonFormatter(service)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if directory is not None:
        handlers.append(DayFiles(directory, service))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(level)
    for chatty in ("werkzeug", "urllib3", "apscheduler"):  # they log addresses, and each run of each job
        logging.getLogger(chatty).setLevel(logging.WARNING)
