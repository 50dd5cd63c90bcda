"""Who may write to the bot, and how often."""

from __future__ import annotations

from telegram_service.texts import say
from tests.telegram_service.talking import Start, Talker

MARIE, PAUL, ADMIN = 71, 72, 99


def told(person: Talker, beginning: str) -> int:
    """How many messages begin as our text of that name does."""
    words = say("fr", beginning, seconds=0).partition("0")[0]
    return sum(message.text.startswith(words) for message in person.sees())


def test_who_writes_too_much_is_told_so_once(talk: Start) -> None:
    talking = talk(MAX_MESSAGES_PER_MINUTE="3")
    marie = talking.person(MARIE)
    for number in range(8):
        marie.say(f"Question {number}")
    assert len(talking.ai.bodies) == 3
    assert told(marie, "rate_limited") == 1
    talking.person(PAUL).say("Question de Paul")
    assert len(talking.ai.bodies) == 4, "others are not concerned"


def test_a_burst_is_cut_short(talk: Start) -> None:
    talking = talk(MAX_MESSAGES_BURST="2")
    marie = talking.person(MARIE)
    for number in range(6):
        marie.begin(f"Question {number}")
    talking.idle()
    assert len(talking.ai.bodies) < 6
    assert told(marie, "rate_limited") == 1


def test_too_many_people_at_once_are_told_to_wait(talk: Start) -> None:
    talking = talk(MAX_MESSAGES_PER_MINUTE_GLOBAL="2")
    people = [talking.person(user) for user in range(71, 75)]
    for person in people:
        person.say("/help")
    assert [told(person, "busy") for person in people] == [0, 0, 1, 1]


def test_the_limit_is_kept_under_the_key_that_everybody_knows(talk: Start) -> None:
    import redis

    talking = talk()
    talking.person(MARIE).say("/help")
    with redis.Redis.from_url(talking.redis.url) as client:
        assert client.exists(f"user:{MARIE}:rate_limit")


def test_only_those_who_may_are_served(talk: Start) -> None:
    talking = talk(ALLOWED_USERS=str(MARIE), ADMIN_USERS=str(ADMIN))
    paul = talking.person(PAUL)
    paul.say("Quel est mon préavis ?")
    assert paul.is_told("not_allowed")
    for user in (MARIE, ADMIN):
        talking.person(user).say("Quel est mon préavis ?")
    assert [body["user_id"] for body in talking.ai.bodies] == [str(MARIE), str(ADMIN)]


def test_who_is_blocked_is_not_answered_at_all(talk: Start) -> None:
    talking = talk(BLOCKED_USERS=str(PAUL))
    paul = talking.person(PAUL)
    paul.say("Quel est mon préavis ?")
    assert paul.sees() == []
    assert not talking.ai.bodies


def test_in_a_crowd_answers_are_shorter_and_that_is_said(talk: Start) -> None:
    talking = talk(WORKER_THREADS="1", pause=0.01)
    people = [talking.person(user) for user in range(100, 110)]
    for person in people:
        person.begin("Quel est mon préavis ?")
    talking.idle()
    asked = [body["max_tokens"] for body in talking.ai.bodies]
    assert min(asked) == 256
    assert asked[-1] == 512, "the last one finds no crowd any more"
    assert any(say("fr", "shorter") in person.last().text for person in people)
