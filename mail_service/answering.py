"""What the responder asks and hears, whoever answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mail_service.rendering import Source


@dataclass(frozen=True, slots=True)
class Ask:
    """A question. `person` is the keyed hash of the sender; `earlier` are turns of the thread, oldest first."""

    question: str
    subject: str
    thread_id: str
    person: str
    earlier: Sequence[Mapping[str, str]]
    request_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in Markdown, the subject of its mail, and sentences that the person must see."""

    text: str
    subject: str
    sources: Sequence[Source]
    notices: Sequence[str]


class AnswererAway(Exception):
    """No answer for now; asking again later can succeed."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class QuestionRefused(Exception):
    """This question will not be answered, however often it is asked."""
