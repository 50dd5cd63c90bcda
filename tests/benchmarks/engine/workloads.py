"""What the clients ask: the same questions of every server.

A workload has two rounds. The cold one meets a server that has just started; in the warm one other questions follow the
same system prompt. Texts are French words; lengths are in tokens of the model that is measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.engine.prompt_reader import PromptReader

SEED = 20
QUESTIONS = Path(__file__).resolve().parents[3] / "ai_core" / "demo_model" / "questions.tsv"
SHARED_PREFIX, QUESTION, ANSWER = 460, 20, 64  # SPEC section 9
GROUNDED_ANSWER = 128
CONVERSATION_TURNS, CONVERSATION_QUESTION, CONVERSATION_SYSTEM = 5, 40, 200
STREAMING, STREAMING_ANSWER = 8, 256
LONG_PROMPT, LONG_ANSWER = 3_000, 16
LONG_ARRIVES_AFTER = 16  # texts received by every streaming client
SINGLE_REQUESTS, SINGLE_SYSTEM, SINGLE_ANSWER = 4, 40, 128


@dataclass(frozen=True, slots=True)
class Turn:
    """A message and the most tokens of its answer."""

    message: str
    new_tokens: int


@dataclass(frozen=True, slots=True)
class Client:
    """Sends its turns one after the other. With a `conversation` each turn carries the ones before it, with their
    answers; else they have nothing to do with each other. `waits_for` holds it back until every client that waits for
    nothing has received that many texts."""

    turns: tuple[Turn, ...]
    conversation: str | None = None
    waits_for: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """All clients begin together. `alone` is the same round without its late client, where one is compared."""

    clients: tuple[Client, ...]
    alone: tuple[Client, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """`longest` is the most tokens of one prompt with its answer, `clients` the most at a time."""

    name: str
    system: str
    cold: Round
    warm: Round
    longest: int

    @property
    def clients(self) -> int:
        return max(len(self.cold.clients), len(self.warm.clients))


class Texts:
    """Texts of an exact number of tokens, of words in an order that never comes again."""

    def __init__(self, reader: PromptReader) -> None:
        self._reader = reader
        self._random = random.Random(SEED)
        self._words = sorted({word for line in questions() for word in line.split() if word.isalpha()})

    def of_length(self, tokens: int, count: Callable[[str], int] | None = None) -> str:
        """A text that `count` (default: tokens of the text) finds to be `tokens` long."""
        count = count or self._reader.count
        text = self._random.choice(self._words)
        while (missing := tokens - count(text)) > 0:
            step = max(1, missing // 4)
            longer = " ".join([text, *(self._random.choice(self._words) for _ in range(step))])
            if count(longer) <= tokens:
                text = longer
        return text

    def system(self, shared: int) -> str:
        """A system prompt with which everybody's first `shared` tokens are the same, the chat template's included."""
        return self.of_length(shared, lambda text: self._reader.prompt(text, "?").shared_prefix)


def questions() -> list[str]:
    """The questions that the demonstration model is trained with."""
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[0] for line in lines if line and not line.startswith("#")]


def shared_prefix(reader: PromptReader, clients: int) -> Workload:
    """(a) SPEC section 9: many clients, one long system prompt, short questions."""
    texts = Texts(reader)
    system = texts.system(SHARED_PREFIX)

    def a_round() -> Round:
        return Round(tuple(Client((Turn(texts.of_length(QUESTION), ANSWER),)) for _ in range(clients)))

    return _workload("shared_prefix", reader, system, a_round(), a_round())


def _workload(name: str, reader: PromptReader, system: str, cold: Round, warm: Round) -> Workload:
    longest = max(_longest(reader, system, client) for part in (cold, warm) for client in part.clients)
    return Workload(name, system, cold, warm, longest)


def _longest(reader: PromptReader, system: str, client: Client) -> int:
    marks = len(reader.prompt(system, "").tokens)
    sizes = [marks + reader.count(turn.message) + turn.new_tokens for turn in client.turns]
    if client.conversation is None:
        return max(sizes)
    return sum(sizes)  # a little too much: the system prompt comes once
