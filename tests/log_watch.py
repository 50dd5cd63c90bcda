"""Watches what the application logs during the whole test run: no question, no key, no token, no address.

The plugin looks at each record before secrets are masked in it, whichever test makes it, and fails the run at its end.
What people write is learnt from the requests themselves (`learn_texts`). `leaks` checks the log of a server process.
"""

from __future__ import annotations

import functools
import json
import logging
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.exceptions import HTTPException

from common.log import JsonFormatter

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("ai_core", "common", "telegram_service", "mail_service")
SECRETS = {
    "a key": re.compile(r"\bcdt[-_][0-9a-f]{12}[-_][A-Za-z0-9_-]{20,}"),
    "a bearer token": re.compile(r"(?i:bearer)\s+[^\s\"]{8,}"),
    "a token of the Hub": re.compile(r"\bhf_[A-Za-z0-9]{16,}"),
    "a bot's token": re.compile(r"(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,}"),
    "a mail address": re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
}
TEXT_FIELDS = frozenset({"message", "prompt", "content", "text", "input", "subject", "user_id"})
NAME = re.compile(r"\w+")
SHORTEST_TEXT = 12  # characters: "Bonjour" may stand in a log by chance
WORKER_FOUND = "log_watch"
REMEMBERED = 500  # texts: those of the last tests


def leaks(log: str, texts: Iterable[str] = ()) -> list[str]:
    """What kinds of things a log holds that it must not: secrets, addresses, or one of `texts`."""
    return _secrets_in(log) + [f"a text of {len(text)} characters" for text in texts if _escaped(text) in log]


def _secrets_in(log: str) -> list[str]:
    return [kind for kind, pattern in SECRETS.items() if pattern.search(log)]


def _escaped(text: str) -> str:
    """As it stands in a line of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _is_constant(text: str, record: logging.LogRecord) -> bool:
    """Whether it is the record's own sentence, or a name (of a migration, a component) in our sources."""
    return text in str(record.msg) or (NAME.fullmatch(text) is not None and text in _sources())


@functools.cache
def _sources() -> str:
    files = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


class LogWatch(logging.Handler):
    """The plugin: a handler on the loggers of our packages."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._formatter = JsonFormatter("tests")
        self._texts: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)  # each, and as it would stand in the log
        self._test = ""
        self._found: dict[tuple[str, str, str], None] = {}  # in order, each once
        self._guard = threading.Lock()

    def learn(self, texts: Iterable[str]) -> None:
        """Texts that must not be logged from now on."""
        with self._guard:
            known = {text for text, _ in self._texts}
            self._texts.extend(
                (text, _escaped(text)) for text in texts if len(text) >= SHORTEST_TEXT and text not in known
            )

    def emit(self, record: logging.LogRecord) -> None:
        line = self._formatter.unmasked(record)
        with self._guard:
            told = [text for text, escaped in self._texts if escaped in line]
        # A constant of ours is no leak, though a test (or a fuzzer that reads our files) may send it.
        texts = [f"a text of {len(text)} characters" for text in told if not _is_constant(text, record)]
        for kind in (*_secrets_in(line), *texts):
            self._found[self._test, kind, f"{record.name}:{record.lineno}"] = None

    def pytest_configure(self) -> None:
        for package in PACKAGES:
            logging.getLogger(package).addHandler(self)
            logging.getLogger(package).setLevel(logging.DEBUG)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._test = item.nodeid

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)  # of pytest-xdist: we run beside other processes
        if output is not None:
            output[WORKER_FOUND] = list(self._found)
        if self._found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What another process of the run has found, told here by pytest-xdist."""
        self._found.update(dict.fromkeys(map(tuple, getattr(node, "workeroutput", {}).get(WORKER_FOUND, ()))))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._found:
            terminalreporter.section("what must not be in a log", red=True)
        for test, kind, place in self._found:
            terminalreporter.line(f"{kind}, logged by {place} in {test}")


WATCH = LogWatch()


def learn_texts(app: Flask) -> Flask:
    """Let the watch learn what the requests to `app` say."""

    def learn() -> None:
        try:
            WATCH.learn(_texts_in(request.get_json(silent=True) if request.is_json else None))
        except (HTTPException, RecursionError, ValueError):
            return  # too large, too deep: what the application answers to that is for others to test

    app.before_request_funcs.setdefault(None, []).insert(0, learn)
    return app


def _texts_in(value: Any) -> Iterator[str]:
    """The texts of a body that people wrote, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in TEXT_FIELDS and isinstance(inner, str):
                yield inner
            else:
                yield from _texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)
