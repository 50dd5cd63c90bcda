"""What must hold after a fault: nothing acknowledged lost, nothing answered twice, order per chat kept, errors honest.

Knows nothing of processes: it compares what was acknowledged with what people have in the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

HONEST = frozenset({0, 429, 503})  # no connection, a limit, "not now": a client tries again


@dataclass(frozen=True, slots=True)
class Chat:
    """What one person asked, in order, of which the webhook said 200; and the questions that the bot's messages answer,
    in the order in which they stand in the chat."""

    asked: Sequence[str]
    answered: Sequence[str]


@dataclass(frozen=True, slots=True)
class Post:
    """Message-IDs that Postfix took; those that replies in people's mailboxes, and copies in Sent, answer."""

    taken: Sequence[str]
    replies: Sequence[str]
    copies: Sequence[str]


@dataclass(frozen=True, slots=True)
class Calls:
    """Of the API's clients: requests sent, answers read and how many of them were wrong, statuses beside 200, and how
    many answers are on record. `unsure`: answers so short before a kill that their record may have gone with it, since
    it is written behind the answer."""

    sent: int
    answered: int
    wrong: int
    refused: Mapping[int, int]
    stored: int
    unsure: int = 0


@dataclass(slots=True)
class Verdict:
    """`broken` is empty where every invariant holds."""

    telegram: int = 0
    mail: int = 0
    api: int = 0
    broken: list[str] = field(default_factory=list)

    def count(self, number: int, what: str) -> None:
        """Broken, if there is any of it."""
        if number:
            self.broken.append(f"{number} {what}")


def judge(chats: Sequence[Chat], post: Post, calls: Calls) -> Verdict:
    """What the people of one scenario say of it."""
    verdict = Verdict(sum(len(chat.asked) for chat in chats), len(set(post.taken)), calls.answered)
    _judge_chats(verdict, chats)
    _judge_post(verdict, post)
    _judge_calls(verdict, calls)
    return verdict


def _judge_chats(verdict: Verdict, chats: Sequence[Chat]) -> None:
    lost = doubled = strange = disordered = 0
    for chat in chats:
        answers = Counter(chat.answered)
        lost += sum(question not in answers for question in chat.asked)
        doubled += sum(answers[question] - 1 for question in chat.asked if question in answers)
        strange += sum(times for answer, times in answers.items() if answer not in chat.asked)
        places = [chat.asked.index(answer) for answer in chat.answered if answer in chat.asked]
        disordered += places != sorted(places)
    verdict.count(lost, "Telegram questions lost")
    verdict.count(doubled, "Telegram questions answered twice")
    verdict.count(strange, "Telegram messages that answer nothing asked")
    verdict.count(disordered, "chats out of order")


def _judge_post(verdict: Verdict, post: Post) -> None:
    for name, found in (("replies", post.replies), ("copies in Sent", post.copies)):
        times = Counter(found)
        verdict.count(sum(one not in times for one in set(post.taken)), f"mails without {name}")
        verdict.count(sum(number - 1 for number in times.values()), f"{name} too many")
        verdict.count(sum(one not in post.taken for one in times), f"{name} to mails that were not taken")


def _judge_calls(verdict: Verdict, calls: Calls) -> None:
    verdict.count(calls.wrong, "API answers about something else")
    verdict.count(max(0, calls.answered - calls.unsure - calls.stored), "API answers not on record")
    verdict.count(max(0, calls.stored - calls.sent), "API answers on record that nobody asked for")
    for status, times in sorted(calls.refused.items()):
        if status not in HONEST:
            verdict.broken.append(f"{times} API errors {status}")
