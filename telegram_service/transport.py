"""How telebot's requests leave this process: by POST with a body, since what stands in an address stands in logs.

telebot keeps its sender in a module variable, so one sender serves every bot of the process, by token. The address of
the Bot API holds the token by design; no exception and no log line of this module tells it.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
import telebot
import urllib3
from requests.adapters import HTTPAdapter
from telebot import apihelper

from common.circuit import Circuit
from telegram_service.telegram_errors import TelegramAway

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
AWAY_SECONDS = 2.0
FAILURES = 5  # calls in a row without an answer: a single one may have been bad luck
ATTEMPTS = 3
REPEATABLE = frozenset(
    {"getMe", "getFile", "setWebhook", "deleteWebhook", "getWebhookInfo", "editMessageText", "editMessageReplyMarkup"}
    | {
        "deleteMessage",
        "sendChatAction",
        "sendMessageDraft",
        "answerCallbackQuery",
        "setMyCommands",
        "setMyDescription",
    }
    | {"setMyShortDescription", "setMessageReaction", "getMyCommands"}
)
"""Methods that may be called twice: they say how something shall be."""
_NOT_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.SSLError,
)


Result = TypeVar("Result")


class Answer:
    """What telebot reads of a response. A body that is no answer of the Bot API has no JSON."""

    text = ""  # telebot puts it into exceptions

    def __init__(self, response: requests.Response) -> None:
        self.status_code = response.status_code
        self.reason = ""
        self._content = response.content

    def json(self) -> dict[str, Any]:
        """The object of the Bot API, with all the fields that telebot relies on. Raises ValueError."""
        told = json.loads(self._content)
        if not isinstance(told, dict) or not isinstance(told.get("ok"), bool):
            raise ValueError("not an answer of the Bot API")
        if told["ok"] and "result" not in told:
            raise ValueError("an answer without a result")
        return told if told["ok"] else {"error_code": self.status_code, "description": "", **told}


class Transport:
    """One bot's connections to the Bot API at `url`. `timeout` seconds are waited for an answer."""

    def __init__(
        self,
        token: str,
        url: str,
        *,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._sleep = sleep
        self._circuit = Circuit(seconds=AWAY_SECONDS, failures=FAILURES, clock=clock)
        self._session = requests.Session()
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=2, pool_maxsize=64))
        _serve(token, self)

    def post(self, method: str, params: Mapping[str, Any] | None, files: Any, timeout: float) -> Answer:
        """Call `method` of the Bot API. A `timeout` below telebot's own says that it is not worth a second attempt; a
        longer one is for getUpdates, which waits on purpose. Raises TelegramAway."""
        address = f"{self._url}/bot{self._token}/{method}"
        wait = timeout if method == "getUpdates" else min(timeout, self._timeout)
        attempts = ATTEMPTS if timeout >= apihelper.READ_TIMEOUT else 1

        def call() -> Answer:
            waits = (min(CONNECT_TIMEOUT, wait), wait)
            return Answer(
                self._session.post(address, data=params or {}, files=files, timeout=waits, allow_redirects=False)
            )

        return self._tried(call, attempts, repeatable=method in REPEATABLE)

    def download(self, path: str, most_bytes: int) -> bytes:
        """The content of a file, by the `file_path` of getFile. Raises TelegramAway, ValueError where it is larger."""
        address = f"{self._url}/file/bot{self._token}/{path}"
        return self._tried(lambda: self._read(address, most_bytes), ATTEMPTS, repeatable=True)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _read(self, address: str, most_bytes: int) -> bytes:
        with self._session.get(
            address, stream=True, timeout=(CONNECT_TIMEOUT, self._timeout), allow_redirects=False
        ) as response:
            if response.status_code != 200:
                raise TelegramAway(f"status_{response.status_code}", uncertain=False)
            content = b""
            for block in response.iter_content(65_536):
                content += block
                if len(content) > most_bytes:
                    raise ValueError("larger than it may be")
            return content

    def _tried(self, call: Callable[[], Result], attempts: int, *, repeatable: bool) -> Result:
        for attempt in range(1, attempts + 1):
            wait = self._circuit.admit()
            if wait > 0:
                raise TelegramAway("away", uncertain=False, retry_after=wait)
            try:
                answer = call()
            except requests.RequestException as error:
                self._circuit.failed()
                reason, uncertain = type(error).__name__, not _was_not_sent(error)
            else:
                self._circuit.answered()
                return answer
            logger.warning("Telegram does not answer", extra={"reason": reason, "attempt": attempt})
            if attempt == attempts or (uncertain and not repeatable):
                break
            self._sleep(random.uniform(0.1, 0.3) * 2**attempt)
        raise TelegramAway(reason, uncertain=uncertain)  # what requests says holds the address


_transports: dict[str, Transport] = {}


def _serve(token: str, transport: Transport) -> None:
    # Its lines hold what people wrote, and go to stderr by a handler of its own; urllib3's hold the address.
    telebot.logger.handlers.clear()
    for name, level in (("TeleBot", logging.ERROR), ("urllib3.connectionpool", logging.ERROR),
                        ("urllib3.connection", logging.CRITICAL)):  # fmt: skip
        logging.getLogger(name).setLevel(level)
    _transports[token] = transport
    # With files telebot makes every multipart request of the process send names as they are, unquoted.
    apihelper.format_header_param = None
    apihelper.API_URL = "{0}/{1}"  # type: ignore[assignment]
    apihelper.CUSTOM_REQUEST_SENDER = _send  # type: ignore[assignment]


def _send(_: str, url: str, *, params: Any, files: Any, timeout: tuple[float, float], proxies: Any) -> Answer:
    token, _, method = url.partition("/")
    assert proxies is None, "apihelper.proxy is not ours"
    return _transports[token].post(method, params, files, timeout[1])


def _was_not_sent(error: requests.RequestException) -> bool:
    """Whether there was no connection to send it over."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), _NOT_SENT)
