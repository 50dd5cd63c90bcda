"""The AI core, asked as mail asks: with the thread, with sources, behind everybody who waits at a screen."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from mail_service import texts
from mail_service.answering import Answer, AnswererAway, Ask, QuestionRefused
from mail_service.rendering import Source

logger = logging.getLogger(__name__)

TIMEOUT = (5.0, 70.0)  # seconds to connect, and to answer: the AI core takes 60 at most
READY_TIMEOUT = 5.0
AWAY_SECONDS = 5.0  # after a failed connection nobody tries again for so long
LONGEST_WAIT = 600.0  # seconds that we let the AI core tell us to wait
REFUSED = (400, 413, 422)  # statuses that are about the question; all others are about the service


class AiAnswerer:
    """Asks POST /api/v1/generate. Its failures are the queue's to try again: here each question is asked once."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        model: str | None,
        max_tokens: int,
        temperature: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"X-API-Key": key}
        self._parameters: Mapping[str, Any] = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "priority": "mail",
            "grounding": True,
            **({"model": model} if model else {}),
        }
        self._clock = clock
        self._away_until = 0.0

    def answer(self, ask: Ask) -> Answer:
        """The answer. Raises AnswererAway, QuestionRefused."""
        wait = self._away_until - self._clock()
        if wait > 0:
            raise AnswererAway("ai_away", wait)
        response = self._post(ask)
        if response.status_code in REFUSED:
            logger.warning("question refused", extra={"request": ask.request_id, "status": response.status_code})
            raise QuestionRefused
        if response.status_code != 200:
            logger.warning("no answer", extra={"request": ask.request_id, "status": response.status_code})
            raise AnswererAway(f"ai_{response.status_code}", _retry_after(response))
        try:
            return _answer(response.json())
        except (ValueError, KeyError, TypeError) as error:
            raise AnswererAway("ai_unreadable") from error

    def why_away(self) -> str | None:
        """Why it cannot answer now, or None when it can."""
        try:
            response = requests.get(f"{self._url}/health/ready", timeout=READY_TIMEOUT)
        except requests.RequestException as error:
            return type(error).__name__
        return None if response.status_code == 200 else f"status {response.status_code}"

    def _post(self, ask: Ask) -> requests.Response:
        body = {
            **self._parameters,
            "prompt": ask.question,
            "email_context": {
                "sender": ask.person,
                "subject": ask.subject,
                "thread_id": ask.thread_id,
                "previous_messages": list(ask.earlier),
            },
        }
        headers = {**self._headers, "X-Request-ID": ask.request_id}
        try:
            return requests.post(f"{self._url}/api/v1/generate", json=body, headers=headers, timeout=TIMEOUT)
        except requests.RequestException as error:
            self._away_until = self._clock() + AWAY_SECONDS
            logger.warning("AI core away", extra={"request": ask.request_id, "reason": type(error).__name__})
            raise AnswererAway("ai_away") from None  # its text holds the address


def _answer(told: Mapping[str, Any]) -> Answer:
    text = str(told["response"]).strip()
    if not text:
        raise ValueError("an answer without words")
    unknown = [str(citation["number"]) for citation in told["citations"] if citation["status"] == "unknown"]
    notices = [str(told["notice"])] if told.get("notice") else []
    if unknown:
        notices.append(texts.UNKNOWN_CITATION.format(numbers=", ".join(unknown)))
    sources = [
        Source(source["number"], source["title"], source["url"], source["excerpt"]) for source in told["sources"]
    ]
    return Answer(text, told.get("suggested_subject") or texts.SUBJECT_WITHOUT_ONE, sources, notices)


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), LONGEST_WAIT) if text.isdecimal() else None
