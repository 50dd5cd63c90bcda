"""In groups the bot answers who addresses it, in the topic where they do, and keeps one conversation for each."""

from __future__ import annotations

import pytest

from telegram_service.history import Lane
from telegram_service.texts import say
from tests.telegram_server import USERNAME
from tests.telegram_service.scripted_ai import answer_to
from tests.telegram_service.talking import GROUP, Start, Talker, Talking
from tests.waiting import until

MARIE, PAUL = 71, 72
QUESTION = "Quel est mon préavis ?"


@pytest.fixture
def marie(talking: Talking) -> Talker:
    return talking.person(MARIE)


def test_what_people_say_to_each_other_is_none_of_its_business(talking: Talking, marie: Talker) -> None:
    marie.say(QUESTION, chat=GROUP)
    marie.say("/help@another_bot", chat=GROUP)
    assert marie.sees(GROUP) == []
    assert not talking.ai.bodies
    assert talking.parts.bot.people.figures() == (0, 0), "nor who they are"


@pytest.mark.parametrize(
    "text", [f"/ask {QUESTION}", f"/ask@{USERNAME} {QUESTION}", f"@{USERNAME} {QUESTION}", f"{QUESTION} @{USERNAME}"]
)
def test_who_addresses_it_is_answered(talking: Talking, marie: Talker, text: str) -> None:
    marie.say(text, chat=GROUP)
    assert [body["message"] for body in talking.ai.bodies] == [QUESTION]
    answer = marie.last(GROUP)
    assert answer.text.startswith(answer_to(QUESTION))
    assert answer.reply_to is not None, "one sees which question it answers"


def test_who_replies_to_it_goes_on_with_the_conversation(talking: Talking, marie: Talker) -> None:
    marie.say(f"/ask {QUESTION}", chat=GROUP)
    talking.person(PAUL).say("Et en CDI ?", chat=GROUP, to=marie.last(GROUP))
    assert [turn["content"] for turn in talking.ai.bodies[1]["context"]] == [QUESTION, answer_to(QUESTION)]


def test_each_topic_has_a_conversation_of_its_own(talking: Talking, marie: Talker) -> None:
    marie.say(f"/ask {QUESTION}", chat=GROUP, topic=5)
    marie.say("/ask Et en CDI ?", chat=GROUP, topic=6)
    marie.say("/ask Et en intérim ?", chat=GROUP, topic=5)
    assert [len(body["context"]) for body in talking.ai.bodies] == [0, 0, 2]
    assert [message.topic for message in marie.sees(GROUP) if "«" in message.text] == [5, 6, 5]


def test_what_is_said_in_a_group_stays_out_of_private_chats(talking: Talking, marie: Talker) -> None:
    marie.say(f"/ask {QUESTION}", chat=GROUP)
    marie.say("Et en CDI ?")
    assert talking.ai.bodies[1]["context"] == []


def test_only_who_asked_can_rate_an_answer(talking: Talking, marie: Talker) -> None:
    marie.say(f"/ask {QUESTION}", chat=GROUP)
    assert talking.person(PAUL).press(marie.last(GROUP), "👍") == say("fr", "not_yours")
    assert marie.press(marie.last(GROUP), "👍") == say("fr", "thanks")
    assert talking.parts.bot.usage.figures().good == 1


def test_only_who_asked_can_stop_an_answer(talk: Start) -> None:
    talking = talk(pause=0.2)
    marie, paul = talking.person(MARIE), talking.person(PAUL)
    marie.begin(f"/ask {QUESTION}", chat=GROUP)
    live = until(lambda: next((m for m in marie.sees(GROUP) if m.buttons == [say("fr", "stop")]), None))
    paul.begin(f"/cancel@{USERNAME}", chat=GROUP)
    assert paul.press(live, say("fr", "stop")) == say("fr", "not_yours")
    assert any(answer_to(QUESTION) in message.text for message in marie.sees(GROUP))


def test_who_asked_can_stop_it(talk: Start) -> None:
    talking = talk(pause=0.2)
    marie = talking.person(MARIE)
    marie.begin(f"/ask {QUESTION}", chat=GROUP)
    live = until(lambda: next((m for m in marie.sees(GROUP) if m.buttons == [say("fr", "stop")]), None))
    assert marie.press(live, say("fr", "stop")) == say("fr", "stopping")
    assert not any(answer_to(QUESTION) in message.text for message in marie.sees(GROUP))


def test_only_who_asked_for_it_can_erase_their_data(talking: Talking, marie: Talker) -> None:
    marie.say("/delete", chat=GROUP)
    paul = talking.person(PAUL)
    assert paul.press(marie.last(GROUP), say("fr", "delete_yes")) == say("fr", "not_yours")
    assert not talking.ai.erased


def test_an_export_goes_to_the_person_alone(talking: Talking, marie: Talker) -> None:
    marie.say("/help")
    marie.say("/export", chat=GROUP)
    assert marie.last().file is not None
    assert all(message.file is None for message in marie.sees(GROUP))


def test_what_a_person_asked_is_gone_from_the_group_when_they_erase_their_data(talking: Talking, marie: Talker) -> None:
    marie.say(f"/ask {QUESTION}", chat=GROUP)
    talking.person(PAUL).say("/ask Et en CDI ?", chat=GROUP)
    marie.say("/delete")
    marie.press(marie.last(), say("fr", "delete_yes"))
    turns = talking.parts.bot.history.turns(Lane(GROUP))
    assert [turn["content"] for turn in turns[::2]] == ["Et en CDI ?"]
