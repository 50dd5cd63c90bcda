"""What administrators can do by Telegram, and nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.telegram_service.talking import Talker, Talking

ADMIN, MARIE, PAUL = 99, 71, 72
QUESTION = "Quel est mon préavis ?"
NEWS = "Le service sera **arrêté** ce soir à 20 h."


@pytest.fixture
def talking(talk: Callable[..., Talking]) -> Talking:
    return talk(ADMIN_USERS=str(ADMIN))


@pytest.fixture
def admin(talking: Talking) -> Talker:
    return talking.person(ADMIN)


@pytest.mark.parametrize("command", ["stats", f"broadcast {NEWS}", f"block {PAUL}", f"unblock {PAUL}"])
def test_everybody_else_is_refused(talking: Talking, command: str) -> None:
    marie, paul = talking.person(MARIE), talking.person(PAUL)
    paul.say("/help")
    marie.say(f"/{command}")
    assert marie.is_told("admin_only")
    paul.say(QUESTION)
    assert len(talking.ai.bodies) == 1
    assert len(paul.sees()) == 3, "the notice, the help, the answer"


def test_statistics_count_people_questions_and_opinions(talking: Talking, admin: Talker) -> None:
    for user in (MARIE, PAUL):
        person = talking.person(user)
        person.say(QUESTION)
    person.press(person.last(), "👍")
    admin.say("/stats")
    told = admin.last().text
    assert "Personnes : 3" in told
    assert "Questions : 2" in told
    assert "👍 1" in told
    assert "scripted : 2" in told
    assert str(MARIE) not in told


def test_a_broadcast_reaches_everybody_once(talking: Talking, admin: Talker) -> None:
    people = [talking.person(user) for user in (MARIE, PAUL)]
    for person in people:
        person.say("/help")
    talking.telegram.block(PAUL)
    admin.say(f"/broadcast {NEWS}")
    assert people[0].last().text == NEWS.replace("**", "")
    assert len(people[0].sees()) == 3
    assert len(people[1].sees()) == 2, "who blocked the bot is left alone"
    assert admin.is_told("broadcast_done", sent=2), "the administrator is one of them"


def test_a_flood_delays_a_broadcast_and_nobody_gets_it_twice(talking: Talking, admin: Talker) -> None:
    people = [talking.person(user) for user in range(71, 76)]
    for person in people:
        person.say("/help")
    talking.telegram.flood_next("sendMessage", retry_after=1, times=2)
    admin.say(f"/broadcast {NEWS}")
    assert [sum(m.text == NEWS.replace("**", "") for m in person.sees()) for person in people] == [1] * 5


def test_a_broadcast_of_nothing_says_how(talking: Talking, admin: Talker) -> None:
    admin.say("/broadcast")
    assert admin.is_told("broadcast_what")


def test_who_is_blocked_gets_no_answer_until_they_are_not(talking: Talking, admin: Talker) -> None:
    paul = talking.person(PAUL)
    paul.say(QUESTION)
    admin.say(f"/block {PAUL}")
    assert admin.is_told("blocked", user=PAUL)
    paul.say("Et en CDI ?")
    paul.say("/delete")
    assert len(talking.ai.bodies) == 1
    admin.say(f"/unblock {PAUL}")
    paul.say("Et en CDI ?")
    assert len(talking.ai.bodies) == 2


@pytest.mark.parametrize(
    ("argument", "text"), [("", "block_whom"), ("@paul", "block_whom"), ("424242", "block_unknown")]
)
def test_blocking_nobody_is_said(talking: Talking, admin: Talker, argument: str, text: str) -> None:
    admin.say(f"/block {argument}".strip())
    assert admin.is_told(text, **({"user": argument} if text == "block_unknown" else {}))
