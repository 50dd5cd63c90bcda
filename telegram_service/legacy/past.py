"""People and conversations of the earlier system as rows of ours, each once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from telegram_service.history import MAX_TURN, NOBODY
from telegram_service.people import People
from telegram_service.preferences import LANGUAGES, LENGTHS, Preferences
from telegram_service.storage import Person, Turn, Usage
from telegram_service.usage import ANSWERED

MAX_ID = 10**16


@dataclass(frozen=True, slots=True)
class OldTurn:
    """A question of the past. `answer` None: nobody knows it. `seconds` that the answer took, where that is known."""

    user: int
    at: datetime
    question: str
    answer: str | None = None
    seconds: float | None = None

    @property
    def number(self) -> int:
        """What stands for it, below zero where no update is."""
        said = f"{self.user} {self.at.isoformat()} {self.question}".encode("utf-8", "surrogatepass")
        return -1 - int.from_bytes(hashlib.sha256(said).digest()[:7], "big")


class Past:
    """Remembers; without `apply` it only says what it would."""

    def __init__(self, people: People, *, apply: bool) -> None:
        self._people = people
        self._apply = apply
        self._told: set[int] = set()

    def meet(
        self,
        user: int,
        *,
        first_seen: datetime | None = None,
        last_seen: datetime | None = None,
        messages: int = 0,
        blocked: bool = False,
    ) -> bool:
        """Keep a person; somebody who is known already is only seen earlier or later, and stays as they are. False for
        those."""
        row = self._known(user)
        if not self._apply:
            is_new = row is None and user not in self._told
            self._told.add(user)
            return is_new
        if row is None:
            seen = last_seen or first_seen or datetime(1970, 1, 1)
            Person.insert(
                person=self._people.hash_of(user),
                telegram_id=str(user),
                first_seen_at=first_seen or seen,
                last_seen_at=seen,
                messages=messages,
                blocked=blocked,
            ).execute()
            return True
        changes = {
            "first_seen_at": min(filter(None, (row.first_seen_at, first_seen))),
            "last_seen_at": max(filter(None, (row.last_seen_at, last_seen))),
            "messages": max(row.messages, messages),
        }
        Person.update(**changes).where(Person.id == row.id).execute()
        return False

    def remember(self, turn: OldTurn) -> bool:
        """Keep a question and its answer; False when it is here already."""
        number = turn.number
        if number in self._told or Turn.select().where(Turn.update_id == number).exists():
            return False
        self._told.add(number)
        if self._apply:
            self._store(turn)
        return True

    def choose(self, user: int, chosen: Mapping[str, Any]) -> bool:
        """Keep what a person had chosen; False for somebody whose settings here are not the first ones any more."""
        row = self._known(user)
        if row is not None and row.preferences not in ("{}", Preferences().as_json()):
            return False
        if self._apply:
            self.meet(user)
            preferences = replace(Preferences(), **{name: value for name, value in chosen.items() if value is not None})
            Person.update(preferences=preferences.as_json()).where(
                Person.person.in_(self._people.hashes_of(user))
            ).execute()
        return True

    def _known(self, user: int) -> Person | None:
        row: Person | None = Person.get_or_none(Person.person.in_(self._people.hashes_of(user)))
        return row

    def _store(self, turn: OldTurn) -> None:
        person = self._people.hash_of(turn.user)
        with Turn._meta.database.atomic():
            self.meet(turn.user, first_seen=turn.at, last_seen=turn.at)
            Turn.insert(
                lane=self._people.lane_hash(f"{turn.user}:0"),
                session=NOBODY,
                person=person,
                update_id=turn.number,
                at=turn.at,
                question=turn.question[:MAX_TURN],
                answer=None if turn.answer is None else turn.answer[:MAX_TURN],
            ).execute()
            Person.update(messages=Person.messages + 1).where(Person.person == person).execute()
            if turn.seconds is not None:
                Usage.insert(
                    update_id=turn.number, person=person, at=turn.at, outcome=ANSWERED, seconds=turn.seconds
                ).on_conflict_ignore().execute()


def chosen_from(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of ours that an earlier person's settings tell of; what does not fit is left out."""
    language = str(fields.get("language") or fields.get("lang") or "").lower()[:2]
    length = str(fields.get("length") or fields.get("response_length") or "").lower()
    model = str(fields.get("model") or fields.get("current_model") or "")
    try:
        temperature: float | None = float(str(fields["temperature"]))
    except (KeyError, ValueError):
        temperature = None
    found = {
        "language": language if language in LANGUAGES else None,
        "length": length if length in LENGTHS else None,
        "model": model if 0 < len(model) <= 200 else None,
        "temperature": temperature if temperature is not None and 0 <= temperature <= 2 else None,
    }
    return {name: value for name, value in found.items() if value is not None}
