"""A list of messages as OpenAI's clients send it, as the question, its history and the system prompt that it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai_core.prompts import Message
from common.errors import InvalidFields

SYSTEM_ROLES = ("system", "developer")
BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
class Conversation:
    """`system` is the client's own system prompt, None where it sent none."""

    system: str | None
    history: tuple[Message, ...]
    text: str


def conversation(messages: Sequence[Mapping[str, Any]], *, longest: int) -> Conversation:
    """Several system messages become one, and so do the user's at the end. Raises InvalidFields for a message of more
    than `longest` characters and where the user has not the last word."""
    long = [place for place, message in enumerate(messages) if len(message["content"]) > longest]
    if long:
        raise _refused(f"Message {long[0]} is longer than maximum length {longest}.")
    system = [message["content"] for message in messages if message["role"] in SYSTEM_ROLES]
    others = [message for message in messages if message["role"] not in SYSTEM_ROLES]
    turns = [Message(message["role"], message["content"]) for message in others]
    last = len(turns)
    while last and turns[last - 1].role == "user":
        last -= 1
    text = BETWEEN.join(turn.content for turn in turns[last:])
    if not text.strip():
        raise _refused("The last message must be the user's, with a text.")
    return Conversation(BETWEEN.join(system) if system else None, tuple(turns[:last]), text)


def _refused(problem: str) -> InvalidFields:
    return InvalidFields({"messages": [problem]})
