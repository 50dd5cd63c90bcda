"""The AI core, asked as mail asks: with the thread, with sources, behind everybody who waits at a screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from common.ai_client import AiAway, AiClient, AiRefused
from mail_service import texts
from mail_service.answering import Answer, AnswererAway, Ask, QuestionRefused
from mail_service.rendering import Source

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
        self._client = AiClient(url, key, attempts=1, clock=clock)
        self._parameters: Mapping[str, Any] = {
            "max_tokens": max_tokens,
            "temperature": temperature,
            "priority": "mail",
            "grounding": True,
            **({"model": model} if model else {}),
        }

    def answer(self, ask: Ask) -> Answer:
        """The answer. Raises AnswererAway, QuestionRefused."""
        try:
            return _answer(self._client.generate(self._body(ask), ask.request_id))
        except AiAway as away:
            raise AnswererAway(away.reason, away.retry_after) from None
        except AiRefused as refused:
            if refused.status in REFUSED:
                raise QuestionRefused from None
            raise AnswererAway(f"ai_{refused.status}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise AnswererAway("ai_unreadable") from error

    def why_away(self) -> str | None:
        """Why it cannot answer now, or None when it can."""
        return self._client.health()

    def _body(self, ask: Ask) -> dict[str, Any]:
        return {
            **self._parameters,
            "prompt": ask.question,
            "email_context": {
                "sender": ask.person,
                "subject": ask.subject,
                "thread_id": ask.thread_id,
                "previous_messages": list(ask.earlier),
            },
        }


def _answer(told: Mapping[str, Any]) -> Answer:
    text = str(told["response"]).strip()
    if not text:
        raise ValueError("an answer without words")
    unknown = [str(citation["number"]) for citation in told["citations"] if citation["status"] == "unknown"]
    notices = [str(told["notice"])] if told.get("notice") else []
    if unknown:
        notices.append(texts.UNKNOWN_CITATION.format(numbers=", ".join(unknown)))
    sources = [
        Source(source["number"], source["label"], source["url"], source["excerpt"]) for source in told["sources"]
    ]
    return Answer(text, told.get("suggested_subject") or texts.SUBJECT_WITHOUT_ONE, sources, notices)
