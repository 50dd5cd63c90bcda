"""The only HTTP client of the AI core: questions whole or streamed, recordings, models, people.

Failures are two words: AiRefused is about the request and stays; AiAway is about the service and passes. A connection
that fails is tried once more, since the AI core did nothing; while it is away one call a moment finds out, and all
others are told.
"""

from __future__ import annotations

import json
import logging
import random
import re
import ssl
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from common.ai_stream import AiAway, AiRefused, Event, events_of
from common.circuit import Circuit

__all__ = ["AiAway", "AiClient", "AiRefused", "Event", "Stream"]

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 70.0  # the AI core takes 60 at most
SHORT_TIMEOUT = 5.0  # for what it answers at once
AWAY_SECONDS = 5.0  # between two calls that find out whether it is back
LONGEST_WAIT = 600.0  # seconds that we let the AI core tell us to wait
CONNECTIONS = 32
NOT_YET = (401, 403, 408, 425, 429)  # of the statuses below 500 those that are not about the request


class AiClient:
    """For any thread. `url` without a path; `timeout` in seconds between two bytes of an answer; `attempts` to connect.

    Every method raises AiAway and, but for `health`, AiRefused. `request_id` goes into the log of the AI core.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = ANSWER_TIMEOUT,
        attempts: int = 2,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"X-API-Key": key, "Accept-Encoding": "identity"}  # compressed events would come in lumps
        self._timeout = timeout
        self._attempts = attempts
        self._sleep = sleep
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no netrc: what it talks to is a setting
        host = ssl.get_default_verify_paths()  # the host's authorities, which an operator can add to, before certifi's
        self._session.verify = host.cafile or host.capath or True
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=CONNECTIONS))
        self._circuit = Circuit(seconds=AWAY_SECONDS, clock=clock)

    def chat(self, body: Mapping[str, Any], request_id: str) -> Mapping[str, Any]:
        """The answer object of POST /api/v1/chat."""
        return self._object("POST", "/api/v1/chat", request_id, json=dict(body))

    def generate(self, body: Mapping[str, Any], request_id: str) -> Mapping[str, Any]:
        """The answer object of POST /api/v1/generate."""
        return self._object("POST", "/api/v1/generate", request_id, json=dict(body))

    def stream(self, body: Mapping[str, Any], request_id: str) -> Stream:
        """The same answer as `chat`, as it is written."""
        sent = {**body, "stream": True}
        return Stream(self._asked("POST", "/api/v1/chat", request_id, json=sent, stream=True), self._timeout)

    def transcribe(self, recording: bytes, filename: str, request_id: str, *, language: str | None = None) -> str:
        """What is said in a recording. AiRefused with the code `no_speech_model` where nothing can listen."""
        form = {"model": "whisper-1", **({"language": language} if language else {})}
        files = {"file": (_plain(filename), recording)}
        told = self._object("POST", "/v1/audio/transcriptions", request_id, data=form, files=files)
        return str(told.get("text", ""))

    def models(self) -> list[Mapping[str, Any]]:
        """The models that there are, as GET /api/v1/models has them."""
        return list(self._object("GET", "/api/v1/models", timeout=SHORT_TIMEOUT).get("models", []))

    def load_model(self, model_id: str) -> Mapping[str, Any]:
        """Let the AI core serve another model; the key needs the scope `models`."""
        return self._object("POST", f"/api/v1/models/{quote(model_id, safe='')}/load")

    def export(self, channel: str, user_id: str) -> Mapping[str, Any]:
        """What the AI core keeps of a person; the key needs the scope `admin`."""
        return self._object("GET", f"{_person(channel, user_id)}/export")

    def erase(self, channel: str, user_id: str) -> Mapping[str, Any]:
        """Let the AI core forget a person, once or again; how much it erased, by kind. Needs the scope `admin`."""
        erased: Mapping[str, Any] = self._object("DELETE", _person(channel, user_id)).get("erased", {})
        return erased

    def health(self) -> str | None:
        """Why it cannot answer now, or None when it can; asks also while it was away."""
        try:
            response = self._session.get(f"{self._url}/health/ready", timeout=SHORT_TIMEOUT)
        except requests.RequestException as error:
            return type(error).__name__
        return None if response.status_code == 200 else f"status {response.status_code}"

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _object(self, method: str, path: str, request_id: str = "", **more: Any) -> Mapping[str, Any]:
        response = self._asked(method, path, request_id, **more)
        try:
            told = response.json()
        except (ValueError, requests.RequestException):  # not JSON, or cut
            raise AiAway("ai_unreadable") from None
        if not isinstance(told, dict):
            raise AiAway("ai_unreadable")
        return told

    def _asked(self, method: str, path: str, request_id: str, *, timeout: float | None = None, **more: Any) -> Any:
        """A response with status 200."""
        headers = {**self._headers, **({"X-Request-ID": request_id} if request_id else {})}
        waits = (CONNECT_TIMEOUT, timeout or self._timeout)
        wait = self._circuit.admit()
        if wait > 0:
            raise AiAway("ai_away", wait)
        response = self._sent(method, self._url + path, request_id, headers=headers, timeout=waits, **more)
        self._circuit.answered()
        if response.status_code != 200:
            raise _failure(response, request_id)
        return response

    def _sent(self, method: str, url: str, request_id: str, **more: Any) -> requests.Response:
        for attempt in range(1, self._attempts + 1):
            try:
                return self._session.request(method, url, allow_redirects=False, **more)
            except requests.RequestException as error:
                # Who waited in vain for an answer made the AI core work: it is not asked for the same again.
                again = isinstance(error, requests.ConnectionError) and not isinstance(error, requests.Timeout)
                reason = type(error).__name__
            if not again or attempt == self._attempts:
                break
            self._sleep(random.uniform(0.1, 0.4) * attempt)
        self._circuit.failed()
        logger.warning("AI core away", extra={"request": request_id, "reason": reason})
        raise AiAway("ai_away")  # what requests says holds the address


class Stream:
    """The events of an answer as they come: sources, token, citation, heartbeat (nothing came for a moment), and `done`
    with the answer object as the last one. Leaving it, or `close`, ends the generation on the server.

    Iterating raises AiRefused and AiAway: `ai_cut` where it ends before it is done.
    """

    def __init__(self, response: requests.Response, timeout: float) -> None:
        self._response = response
        self._events = events_of(response, timeout)

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Read no more: the AI core sees it and stops."""
        self._response.close()


def _plain(filename: str) -> str:
    """A file's name, which people choose, as a header can carry it; of a long one the end, which tells the format."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", filename)[-100:]


def _person(channel: str, user_id: str) -> str:
    return f"/api/v1/admin/users/{quote(channel, safe='')}/{quote(user_id, safe='')}"


def _failure(response: requests.Response, request_id: str) -> AiAway | AiRefused:
    status = response.status_code
    try:
        told = json.loads(response.content)
    except (ValueError, requests.RequestException):
        told = {}
    told = told.get("error", told) if isinstance(told, dict) else {}  # under /v1 in OpenAI's shape
    logger.warning("AI core gave no answer", extra={"request": request_id, "status": status})
    code = "body_too_large" if status == 413 else told.get("code")  # a proxy refuses large bodies, in HTML
    if 400 <= status < 500 and status not in NOT_YET and code:
        return AiRefused(status, str(code), str(told.get("message") or ""))
    text = response.headers.get("Retry-After", "")
    return AiAway(f"ai_{status}", min(float(text), LONGEST_WAIT) if text.isdecimal() else None)
