"""Many people with a question each, and what they were told in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from common.redis_store import RedisAway
from telegram_service.texts import say
from tests.telegram_service.running import Running

FIRST_USER = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was sent to the bot; no two are the same."""

    user: int
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """How many questions ended how. `lost`: neither answer nor apology; `doubled`: more than one of them."""

    answered: int
    apologised: int
    lost: int
    doubled: int
    strays: int

    @property
    def each_once(self) -> bool:
        return not self.lost and not self.doubled


class Crowd:
    """People who write to the bot of `running`, one question after another from each."""

    def __init__(self, running: Running, people: int) -> None:
        self.asked: list[Asked] = []
        self._running = running
        self._people = people

    def ask(self, count: int = 1) -> None:
        """`count` more questions, from one person after the other."""
        for _ in range(count):
            number = len(self.asked)
            self.ask_as(Asked(FIRST_USER + number % self._people, f"Question numéro {number} sur le préavis"))

    def ask_as(self, asked: Asked) -> None:
        """A question of one's own."""
        self.asked.append(asked)
        self._running.telegram.say(asked.user, asked.text)

    def settled(self) -> bool:
        """Whether everything that was asked is dealt with; no, while Redis cannot say."""
        try:
            lengths = self._running.mailbox.lengths()
        except RedisAway:
            return False
        return not self._running.telegram.updates.waiting() and not lengths["waiting"] and not lengths["working"]

    def told(self) -> Told:
        """What they were told."""
        apology = say("fr", "apology")
        counted = Counter[str]()
        for user, questions in self._by_user().items():
            said = self._running.said_to(user)
            apologies = sum(apology in text for text in said)
            answers = [sum(f"« {question} »" in text for text in said) for question in questions]
            unanswered = answers.count(0)
            counted["answered"] += sum(1 for times in answers if times)
            counted["apologised"] += min(apologies, unanswered)
            counted["lost"] += max(0, unanswered - apologies)
            counted["doubled"] += sum(max(0, times - 1) for times in answers) + max(0, apologies - unanswered)
            counted["strays"] += sum(text.strip() in ("…", "⏳ …") for text in said)
        return Told(*(counted[name] for name in ("answered", "apologised", "lost", "doubled", "strays")))

    def in_order(self) -> bool:
        """Whether the answers stand in each chat in the order of its questions."""
        for user, questions in self._by_user().items():
            said = self._running.said_to(user)
            places = [place for question in questions for place, text in enumerate(said) if f"« {question} »" in text]
            if places != sorted(places):
                return False
        return True

    def _by_user(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for asked in self.asked:
            found.setdefault(asked.user, []).append(asked.text)
        return found
