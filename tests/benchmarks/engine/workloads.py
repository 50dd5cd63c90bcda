"""What the clients ask: the same questions of every server.

A workload has two rounds. The cold one meets a server that has just started; in the warm one other questions follow the
same system prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ai_core.prompts import SYSTEM_PROMPT
from tests.benchmarks.engine.prompt_reader import PromptReader
from tests.benchmarks.engine.texts import Texts

SHARED_PREFIX, QUESTION, ANSWER = 460, 20, 64  # SPEC section 9
CLIENTS_OF_GROUNDED, GROUNDED_REQUESTS, GROUNDED_ANSWER = 8, 2, 128  # one client for 8 of --clients: long prompts
CLIENTS_OF_MULTI_TURN = 4
CONVERSATION_TURNS, CONVERSATION_QUESTION, CONVERSATION_SYSTEM = 5, 40, 200
STREAMING, STREAMING_ANSWER = 8, 256
LONG_PROMPT, LONG_ANSWER = 3_000, 16
LONG_ARRIVES_AFTER = 16  # texts received by every streaming client
SINGLE_REQUESTS, SINGLE_SYSTEM, SINGLE_ANSWER = 4, 50, 128


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


@dataclass(frozen=True, slots=True)
class Material:
    """What workloads are made of: `clients` of the command line, and questions with the articles that answer them."""

    reader: PromptReader
    clients: int
    grounded: Callable[[int], Sequence[str]]


def shared_prefix(material: Material) -> Workload:
    """(a) SPEC section 9: many clients, one long system prompt, short questions."""
    texts = Texts(material.reader)
    system = texts.system(SHARED_PREFIX)

    def a_round() -> Round:
        return Round(tuple(Client((Turn(texts.of_length(QUESTION), ANSWER),)) for _ in range(material.clients)))

    return _workload("shared_prefix", material, system, a_round(), a_round())


def grounded(material: Material) -> Workload:
    """(b) The service's own system prompt, four articles and a question."""
    clients = max(1, material.clients // CLIENTS_OF_GROUNDED)
    messages = iter(material.grounded(2 * clients * GROUNDED_REQUESTS))

    def a_round() -> Round:
        turns = [[Turn(next(messages), GROUNDED_ANSWER) for _ in range(GROUNDED_REQUESTS)] for _ in range(clients)]
        return Round(tuple(Client(tuple(some)) for some in turns))

    return _workload("grounded", material, SYSTEM_PROMPT, a_round(), a_round())


def multi_turn(material: Material) -> Workload:
    """(c) Conversations: each turn sends all that was said before."""
    texts = Texts(material.reader)
    conversations = max(1, material.clients // CLIENTS_OF_MULTI_TURN)
    system = texts.system(CONVERSATION_SYSTEM)

    def a_round(name: str) -> Round:
        clients = []
        for number in range(conversations):
            turns = [Turn(texts.of_length(CONVERSATION_QUESTION), ANSWER) for _ in range(CONVERSATION_TURNS)]
            clients.append(Client(tuple(turns), conversation=f"{name}-{number}"))
        return Round(tuple(clients))

    return _workload("multi_turn", material, system, a_round("cold"), a_round("warm"))


def mixed(material: Material) -> Workload:
    """(d) One long prompt arrives while other answers stream; then the same again without it, to compare."""
    texts = Texts(material.reader)
    system = SYSTEM_PROMPT
    marks = len(material.reader.prompt(system, "").tokens)

    def streaming() -> tuple[Client, ...]:
        return tuple(Client((Turn(texts.of_length(QUESTION), STREAMING_ANSWER),)) for _ in range(STREAMING))

    def a_round() -> Round:
        long = Client((Turn(texts.of_length(LONG_PROMPT - marks), LONG_ANSWER),), waits_for=LONG_ARRIVES_AFTER)
        return Round((*streaming(), long), alone=streaming())

    return _workload("mixed", material, system, a_round(), a_round())


def single(material: Material) -> Workload:
    """(e) One client, one question after the other."""
    texts = Texts(material.reader)
    system = texts.system(SINGLE_SYSTEM)

    def a_round() -> Round:
        turns = (Turn(texts.of_length(QUESTION), SINGLE_ANSWER) for _ in range(SINGLE_REQUESTS))
        return Round((Client(tuple(turns)),))

    return _workload("single", material, system, a_round(), a_round())


WORKLOADS: dict[str, Callable[[Material], Workload]] = {
    make.__name__: make for make in (shared_prefix, grounded, multi_turn, mixed, single)
}


def _workload(name: str, material: Material, system: str, cold: Round, warm: Round) -> Workload:
    longest = max(_longest(material.reader, system, client) for part in (cold, warm) for client in part.clients)
    return Workload(name, system, cold, warm, longest)


def _longest(reader: PromptReader, system: str, client: Client) -> int:
    marks = len(reader.prompt(system, "").tokens)
    sizes = [marks + reader.count(turn.message) + turn.new_tokens for turn in client.turns]
    if client.conversation is None:
        return max(sizes)
    return sum(sizes)  # a little too much: the system prompt comes once
