"""One scenario: people ask, something breaks and is mended, everything recovers by itself, the judge looks."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.fault import FAULTS, KILLING
from tests.faults.house import House
from tests.faults.judge import Verdict, judge
from tests.faults.people import Crowd, People
from tests.faults.scenarios import Scenario

LEAD = (1.0, 2.0)  # seconds of load before the fault
LOAD_GOES_ON = 15.0  # seconds after the fault, or less, until the first answers are there
TAIL = 1.0  # seconds of load after that
PATIENCE = 180.0  # seconds in which something has to be answered while anything is open
QUIET = 1.5  # seconds in which a second answer would come
NEW_CHAT = 90
LOOK_EVERY = 0.1


@dataclass(slots=True)
class Outcome:
    """Seconds from the end of the fault: `recovery` to the first answer by each way to a question asked then,
    `caught_up` until everything is answered. `died`: processes that were started again, by component."""

    scenario: str
    verdict: Verdict
    recovery: Mapping[str, float] = field(default_factory=dict)
    caught_up: float = 0.0
    seconds: float = 0.0
    died: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Aftermath:
    """Who was there, to be asked again when the house is left: a second answer may come late."""

    outcome: Outcome
    people: People
    killed_at: float | None

    def look_again(self) -> None:
        """Judge once more."""
        broken = judge(self.people.chats(), self.people.post(), self.people.calls(self.killed_at)).broken
        news = [what for what in broken if what not in self.outcome.verdict.broken]
        self.outcome.verdict.broken += [f"{what} (seen later)" for what in news]


def run(scenario: Scenario, house: House, number: int, chance: random.Random) -> Aftermath:
    """Scenario `number` of this house."""
    began, died = time.monotonic(), _deaths(house)
    people, killed_at = People(house, number), None
    with Crowd(people):
        time.sleep(chance.uniform(*LEAD))
        with FAULTS[scenario.fault](house, scenario.victims):
            if scenario.fault in KILLING and "ai-core" in scenario.victims:
                killed_at = time.monotonic()
        first = FirstAnswers(people)
        _wait(first.all_came, LOAD_GOES_ON)
        time.sleep(TAIL)
    recovered = _wait_while_it_goes_on(lambda: [*first.missing(), *people.open()])
    caught_up = time.monotonic() - first.asked_at
    left = people.open()
    time.sleep(QUIET)
    people.leave()
    verdict = judge(people.chats(), people.post(), people.calls(killed_at))
    if not recovered:
        verdict.broken.insert(0, f"nothing came for {PATIENCE:.0f} s, and {', '.join(left)} are open")
    restarted = {name: times - died[name] for name, times in _deaths(house).items() if times > died[name]}
    outcome = Outcome(scenario.name, verdict, first.seconds, caught_up, time.monotonic() - began, restarted)
    return Aftermath(outcome, people, killed_at)


class FirstAnswers:
    """A question by each way at the end of a fault, and the `seconds` until each was seen to be answered."""

    def __init__(self, people: People) -> None:
        self.seconds: dict[str, float] = {}
        self.asked_at = time.monotonic()
        user, article = people.write_to_the_bot(NEW_CHAT)
        call, mail = people.call_the_api(), people.new_mail()
        threading.Thread(target=people.hand_in, args=(mail,), daemon=True).start()
        self._ways: dict[str, Callable[[], bool]] = {
            "telegram": lambda: article in people.answers_in(user),
            "api": lambda: not call.is_alive(),
            "mail": lambda: people.name_of(mail) in people.post().replies,
        }

    def missing(self) -> list[str]:
        """By which ways no answer came yet."""
        for way, is_answered in self._ways.items():
            if way not in self.seconds and is_answered():
                self.seconds[way] = round(time.monotonic() - self.asked_at, 2)
        return [f"the first answer by {way}" for way in self._ways if way not in self.seconds]

    def all_came(self) -> bool:
        return not self.missing()


def _deaths(house: House) -> dict[str, int]:
    return {name: component.died for name, component in house.components.items()}


def _wait(look: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_EVERY)
    return True


def _wait_while_it_goes_on(left: Callable[[], list[str]]) -> bool:
    """Until nothing is left; False where PATIENCE passed in which nothing became less: machines that test are busy."""
    before, since = left(), time.monotonic()
    while before:
        time.sleep(LOOK_EVERY)
        now = left()
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            return False
    return True
