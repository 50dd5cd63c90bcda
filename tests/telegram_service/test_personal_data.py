"""What the service keeps of a person is theirs: told, exported, erased everywhere, and forgotten by itself."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from common.crypto import person_hash
from telegram_service.storage import Person, Turn, Usage
from telegram_service.tables import utc_now
from telegram_service.texts import say
from tests.telegram_service.talking import GROUP, SECRET_KEY, Start, Talker, Talking
from tests.telegram_service.traces import Traces
from tests.waiting import until

MARIE, PAUL = 700_000_071, 700_000_072
QUESTION, OTHER = "Puis-je refuser une mutation ?", "Et en intérim, alors ?"


def traces(talking: Talking, user: int, *texts: str) -> list[str]:
    """Where anything stands of a person, or one of `texts`."""
    found, words = Traces([SECRET_KEY]), [str(user), person_hash(SECRET_KEY, "telegram", str(user)), *texts]
    return [*found.in_database(talking.database, words), *found.in_redis(talking.redis.url, words)]


def erase(person: Talker) -> None:
    person.say("/delete")
    person.press(person.last(), say("fr", "delete_yes"))


def exported(person: Talker) -> dict[str, object]:
    person.say("/export")
    file = person.last().file
    assert file is not None
    told: dict[str, object] = json.loads(file[1])
    return told


def test_an_export_holds_everything_that_is_kept(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    marie.press(marie.last(), "👍")
    told = exported(marie)
    assert told["telegram_id"] == MARIE
    assert QUESTION in json.dumps(told["conversations"], ensure_ascii=False)
    assert "scripted" in json.dumps(told["questions"])
    assert '"rating": 1' in json.dumps(told["questions"])
    assert told["ai_core"] == {"channel": "telegram", "requests": [{"model": "scripted"}]}


def test_an_export_while_the_ai_core_is_away_says_what_is_missing(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    talking.ai.go_away()
    told = exported(marie)
    assert told["ai_core"] is None
    assert marie.last().text == say("fr", "export_failed")
    talking.ai.come_back()


def test_erasing_leaves_nothing_of_the_person_and_all_of_the_others(talking: Talking) -> None:
    marie, paul = talking.person(MARIE), talking.person(PAUL)
    for person in (marie, paul):
        person.say(QUESTION)
        person.press(person.last(), "👍")
        person.say("/settings")
        person.press(person.last(), next(button for button in person.last().buttons if button.startswith("📏")))
        person.say(f"/ask {OTHER}", chat=GROUP)
    assert len(traces(talking, MARIE)) > 8
    kept = traces(talking, PAUL)
    erase(marie)
    assert marie.last().text.startswith("Tout est effacé")
    assert traces(talking, MARIE) == []
    assert [place for place in kept if place not in traces(talking, PAUL)] == []
    assert talking.ai.erased == [str(MARIE)]


def test_what_was_asked_in_a_group_is_erased_in_redis_too(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(f"/ask {QUESTION}", chat=GROUP)
    assert any(place.startswith("chat:") for place in traces(talking, MARIE, QUESTION))
    erase(marie)
    assert traces(talking, MARIE, QUESTION) == []


def test_what_was_said_about_writing_too_much_is_erased_too(talk: Start) -> None:
    talking = talk(MAX_MESSAGES_PER_MINUTE="3")
    marie = talking.person(MARIE)
    marie.say("/delete")
    asked = marie.last()
    for _ in range(4):
        marie.say("/help")
    marie.press(asked, say("fr", "delete_yes"))
    assert traces(talking, MARIE) == []


def test_dead_letters_are_erased(talk: Start) -> None:
    talking = talk(GIVE_UP_AFTER_MINUTES="0.01")
    marie = talking.person(MARIE)
    marie.say("/help")
    talking.ai.go_away()
    marie.say(QUESTION)
    talking.ai.come_back()
    assert len(talking.parts.mailbox.dead_letters()) == 1
    erase(marie)
    assert talking.parts.mailbox.dead_letters() == []
    assert traces(talking, MARIE, QUESTION) == []


def test_changing_ones_mind_keeps_everything(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    marie.say("/delete")
    marie.press(marie.last(), say("fr", "delete_no"))
    assert marie.is_told("delete_kept")
    assert traces(talking, MARIE)


def test_while_the_ai_core_is_away_it_is_said_and_done_later(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    marie.say("/delete")
    talking.ai.go_away()
    query = talking.telegram.press(MARIE, marie.last(), say("fr", "delete_yes"))
    until(lambda: marie.is_told("deleted_partly") or None)
    talking.ai.come_back()
    talking.idle()
    assert query in dict(talking.telegram.answers)
    assert marie.last().text.startswith("Tout est effacé")
    assert traces(talking, MARIE) == []


def test_where_the_key_has_no_right_over_people_what_is_ours_is_erased_all_the_same(talking: Talking) -> None:
    talking.ai.knows_people = False
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    assert exported(marie)["ai_core"] is None
    erase(marie)
    assert marie.last().text.startswith("Vos conversations, réglages et statistiques sont effacés")
    assert traces(talking, MARIE) == []


def test_who_comes_back_is_met_anew(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    erase(marie)
    marie.say(OTHER)
    assert talking.ai.bodies[-1]["context"] == []
    assert sum("Je suis une intelligence artificielle" in message.text for message in marie.sees()) == 2


def test_pressing_twice_erases_once_and_says_so_twice(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    marie.say("/delete")
    asked = marie.last()
    yes = next(button["callback_data"] for button in asked.keyboard if button["text"] == say("fr", "delete_yes"))
    marie.press(asked, say("fr", "delete_yes"))
    message = talking.telegram.chats.all[MARIE].message_object(asked)
    sender = talking.telegram.person(MARIE)
    talking.telegram.update({"callback_query": {"id": "55", "from": sender, "message": message, "data": yes}})
    talking.idle()
    assert traces(talking, MARIE) == []


def test_what_is_old_is_forgotten_by_itself(talking: Talking) -> None:
    marie, paul = talking.person(MARIE), talking.person(PAUL)
    for person in (marie, paul):
        person.say(QUESTION)
    before = utc_now() - timedelta(days=91)
    database = talking.parts.database
    with database.connection_context():
        mine = person_hash(SECRET_KEY, "telegram", str(MARIE))
        for table in (Turn, Usage):
            table.update(at=before).where(table.person == mine).execute()
        Person.update(last_seen_at=before).where(Person.person == mine).execute()
    talking.parts.bot.personal_data.forget_old(timedelta(days=90))
    by_themselves = ("reply", "user:", "telegram:", "bot:")  # replies after two days, keys of Redis when they expire
    assert [place for place in traces(talking, MARIE) if not place.startswith(by_themselves)] == []
    assert len(traces(talking, PAUL)) > 3


@pytest.mark.parametrize("text", [QUESTION, "x" * 5_000])
def test_texts_are_encrypted_wherever_they_are_kept(talking: Talking, text: str) -> None:
    talking.person(MARIE).say(text)
    raw = b"".join(file.read_bytes() for file in talking.home.glob("*.sqlite3*"))
    assert text[:40].encode() not in raw
    assert str(MARIE).encode() not in raw
