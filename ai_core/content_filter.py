"""Questions that the operator does not want answered: a file of words and expressions, read again when it changes."""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from pathlib import Path

from common.errors import InvalidFields

logger = logging.getLogger(__name__)

EXPRESSION = re.compile(r"/(.+)/")
COMMENT = "#"


class FilterError(ValueError):
    """A line of the file is no expression."""


class ContentFilter:
    """One word, phrase or `/regular expression/` a line, without regard to case and accents; `#` begins a comment. A
    file that cannot be read any more leaves the rules as they were. Any thread may call."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._rules: re.Pattern[str] | None = None
        if file is not None:
            self._rules, self._seen = _read(file), _state(file)

    def check(self, field: str, text: str) -> None:
        """Raises InvalidFields for a text that a rule finds something in; which one, nobody is told."""
        rules = self._current()
        if rules is not None and rules.search(_plain(text)):
            logger.info("question refused by the content filter", extra={"field": field})
            raise InvalidFields({field: ["This content is not accepted here."]}, code="content_refused")

    def _current(self) -> re.Pattern[str] | None:
        if self._file is None:
            return None
        with self._lock:
            try:
                seen = _state(self._file)
                if seen != self._seen:
                    self._seen = seen
                    self._rules = _read(self._file)
                    logger.info("content filter read again")
            except (OSError, ValueError) as error:
                logger.warning("content filter not read", extra={"reason": type(error).__name__})
            return self._rules


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _read(file: Path) -> re.Pattern[str] | None:
    """Raises FilterError, OSError, UnicodeDecodeError."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    rules = [_rule(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith(COMMENT)]
    return re.compile("|".join(rules), re.IGNORECASE) if rules else None


def _rule(number: int, line: str) -> str:
    expression = EXPRESSION.fullmatch(line)
    if expression is None:
        words = r"\s+".join(re.escape(word) for word in _plain(line).split())
        return rf"(?<!\w){words}(?!\w)"
    try:
        re.compile(expression[1])
    except re.error as error:
        raise FilterError(f"line {number}: {error}") from None
    return f"(?:{expression[1]})"


def _plain(text: str) -> str:
    """Without accents, in one kind of letters and spaces."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char))
