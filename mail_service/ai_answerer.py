"""The AI core, asked as mail asks: with the thread, with sources, without haste."""

from __future__ import annotations

from typing import Any

import requests

from mail_service import texts
from mail_service.answering import Answer, AnswererAway, Ask, QuestionRefused
from mail_service.rendering import Source

TIMEOUT = 75.0


class AiAnswerer:
    """Asks POST /api/v1/generate."""

    def __init__(self, url: str, key: str, *, model: str | None, max_tokens: int, temperature: float) -> None:
        self._url = url.rstrip("/") + "/api/v1/generate"
        self._key = key
        self._model = model
        self._max_tokens = max_tokens
        self._temperature = temperature

    def answer(self, ask: Ask) -> Answer:
        """The answer. Raises AnswererAway, QuestionRefused."""
        body: dict[str, Any] = {
            "prompt": ask.question,
            "max_tokens": self._max_tokens,
            "temperature": self._temperature,
            "priority": "mail",
            "grounding": True,
            "email_context": {
                "sender": ask.person,
                "subject": ask.subject,
                "thread_id": ask.thread_id,
                "previous_messages": list(ask.earlier),
            },
        }
        try:
            response = requests.post(
                self._url,
                json=body,
                headers={"X-API-Key": self._key, "X-Request-ID": ask.request_id},
                timeout=TIMEOUT,
            )
        except requests.RequestException as error:
            raise AnswererAway("ai_away") from error
        if response.status_code in (400, 413, 422):
            raise QuestionRefused
        if response.status_code != 200:
            raise AnswererAway("ai_away", float(response.headers.get("Retry-After", 0)))
        return self._answer(response.json())

    def why_away(self) -> str | None:
        """Why it cannot answer now, or None when it can."""
        try:
            response = requests.get(self._url.rpartition("/api/")[0] + "/health/ready", timeout=5)
        except requests.RequestException as error:
            return type(error).__name__
        return None if response.status_code == 200 else "not ready"

    def _answer(self, told: dict[str, Any]) -> Answer:
        unknown = [c["number"] for c in told["citations"] if c["status"] == "unknown"]
        notices = [told["notice"]] if told.get("notice") else []
        if unknown:
            notices.append(texts.UNKNOWN_CITATION.format(numbers=", ".join(unknown)))
        sources = [Source(s["number"], s["title"], s["url"], s["excerpt"]) for s in told["sources"]]
        return Answer(told["response"], told.get("suggested_subject") or texts.SUBJECT_WITHOUT_ONE, sources, notices)
