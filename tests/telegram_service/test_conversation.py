"""A person talks with the bot: what is asked of the AI core, and what they are told."""

from __future__ import annotations

import pytest
import redis

from telegram_service.history import Lane
from telegram_service.texts import say
from tests.telegram_service.scripted_ai import answer_to
from tests.telegram_service.talking import Start, Talking
from tests.waiting import until

MARIE, PAUL = 71, 72
QUESTION = "Quel est mon préavis ?"


def test_who_writes_for_the_first_time_is_told_that_this_is_an_ai_and_what_is_kept(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/start")
    [welcome] = marie.sees()
    for word in ("Code du Travail Neo", "Je suis une intelligence artificielle", "90 jours", "/privacy"):
        assert word in welcome.text
    marie.say(QUESTION)
    assert sum("Je suis une intelligence artificielle" in message.text for message in marie.sees()) == 1


def test_who_asks_at_once_is_told_the_same_before_the_answer(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    notice, answer = marie.sees()
    assert "Je suis une intelligence artificielle" in notice.text
    assert "90 jours" in notice.text
    assert answer.text.startswith(answer_to(QUESTION))


def test_a_question_is_answered_with_its_sources_and_can_be_rated(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    answer = marie.last()
    assert answer.text.startswith(answer_to(QUESTION))
    assert "Article L1234-1" in answer.text
    assert len(answer.links) == 2, "the citation, and the list of sources"
    assert answer.buttons == ["👍", "👎"]
    assert marie.press(answer, "👎") == say("fr", "thanks")
    assert marie.last().buttons == []
    assert talking.parts.bot.usage.figures().bad == 1
    assert (MARIE, "typing") in talking.telegram.actions


def test_the_ai_core_gets_the_profile_of_the_channel_and_the_conversation(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    marie.say("Et en CDI ?")
    first, second = talking.ai.bodies
    assert first["context"] == []
    assert second["context"] == [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": answer_to(QUESTION)},
    ]
    assert (second["channel"], second["user_id"], second["message"]) == ("telegram", str(MARIE), "Et en CDI ?")


def test_people_do_not_hear_of_each_other(talking: Talking) -> None:
    talking.person(MARIE).say(QUESTION)
    talking.person(PAUL).say("Et en CDI ?")
    assert talking.ai.bodies[1]["context"] == []


def test_only_the_last_turns_are_told(talk: Start) -> None:
    talking = talk(MAX_CONVERSATION_LENGTH="2")
    marie = talking.person(MARIE)
    for number in range(4):
        marie.say(f"Question numéro {number}")
    assert [turn["content"] for turn in talking.ai.bodies[3]["context"][::2]] == [
        "Question numéro 1",
        "Question numéro 2",
    ]


def test_reset_begins_a_new_conversation(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    marie.say("/reset")
    assert marie.is_told("reset_done")
    marie.say("Et en CDI ?")
    assert talking.ai.bodies[1]["context"] == []


def test_a_conversation_ends_with_its_session(talk: Start) -> None:
    talking = talk(SESSION_TIMEOUT="1")
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    until(lambda: not talking.parts.bot.history.turns(Lane(MARIE)) or None, seconds=10)
    marie.say("Et en CDI ?")
    assert talking.ai.bodies[1]["context"] == []


def test_the_conversation_survives_a_redis_that_forgot_everything(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    talking.redis.flush()
    marie.say("Et en CDI ?")
    assert len(talking.ai.bodies[1]["context"]) == 2


def test_redis_knows_how_many_people_there_are_also_after_it_forgot(talking: Talking) -> None:
    talking.person(MARIE).say("/help")
    talking.redis.flush()
    talking.person(PAUL).say("/help")
    with redis.Redis.from_url(talking.redis.url) as client:
        assert client.get("bot:total_users") == b"2"
        assert client.zcard("bot:active_users") == 1
        assert client.get("bot:total_messages") == b"1"


def test_retry_asks_again_and_the_new_answer_takes_the_place_of_the_old_one(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/retry")
    assert marie.is_told("nothing_to_retry")
    marie.say(QUESTION)
    marie.say("/retry")
    assert talking.ai.asked[QUESTION] == 2
    assert talking.ai.bodies[1]["context"] == []
    assert marie.last().text.startswith(answer_to(QUESTION))
    assert len(talking.parts.bot.history.turns(Lane(MARIE))) == 2


def test_stop_ends_the_answer_that_is_being_written(talk: Start) -> None:
    talking = talk(pause=0.2)
    marie = talking.person(MARIE)
    marie.begin(QUESTION)
    live = until(lambda: next((m for m in marie.sees() if m.buttons == [say("fr", "stop")]), None))
    assert marie.press(live, say("fr", "stop")) == say("fr", "stopping")
    answer = marie.last()
    assert say("fr", "stopped_notice") in answer.text or say("fr", "stopped") in answer.text
    assert answer_to(QUESTION) not in answer.text
    assert answer.buttons == []


def test_cancel_ends_the_answer_that_is_being_written(talk: Start) -> None:
    talking = talk(pause=0.2)
    marie = talking.person(MARIE)
    marie.begin(QUESTION)
    until(lambda: talking.ai.bodies or None)
    marie.say("/cancel")
    assert not any(answer_to(QUESTION) in message.text for message in marie.sees())
    assert marie.is_told("stopped")


def test_a_text_that_telegram_cut_is_one_question(talking: Talking) -> None:
    marie = talking.person(MARIE)
    long = " ".join(f"mot{number}" for number in range(1_200))
    for piece in (long[:4_096], long[4_096:8_192]):
        marie.begin(piece)
    marie.say(long[8_192:])
    assert len(talking.ai.bodies) == 1
    assert "".join(talking.ai.bodies[0]["message"].split()) == "".join(long.split())


def test_what_somebody_else_writes_in_between_is_not_joined(talking: Talking) -> None:
    marie = talking.person(MARIE)
    talking.telegram.say(MARIE, "x" * 4_050)
    talking.telegram.say(MARIE, "/help")
    talking.idle()
    assert talking.ai.bodies[0]["message"] == "x" * 4_050
    assert marie.is_told("help")


def test_a_model_that_is_not_loaded_is_replaced_by_the_default_one_and_that_is_said(talking: Talking) -> None:
    talking.ai.models["other"] = "available"
    marie = talking.person(MARIE)
    marie.say("/switch other")
    marie.say(QUESTION)
    answer = marie.last()
    assert answer.text.startswith(answer_to(QUESTION))
    assert say("fr", "other_model", model="other") in answer.text


def test_parameters_that_the_model_cannot_honour_are_left_away(talking: Talking) -> None:
    talking.ai.refusals.append((422, "invalid_fields"))
    marie = talking.person(MARIE)
    marie.say("/settings")
    marie.press(marie.last(), next(button for button in marie.last().buttons if button.startswith("🎨")))
    marie.say(QUESTION)
    asked, again = talking.ai.bodies
    assert asked["temperature"] == 0.0
    assert "temperature" not in again
    assert marie.last().text.startswith(answer_to(QUESTION))


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [(400, "content_refused", "refused_content"), (413, "body_too_large", "refused_too_long")],
)
def test_a_question_that_is_refused_for_good_is_refused_in_words(
    talking: Talking, status: int, code: str, text: str
) -> None:
    talking.ai.refusals += [(status, code)] * 2
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    assert marie.is_told(text)


def test_while_the_ai_core_is_away_the_person_is_told_and_then_answered_once(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/help")
    talking.ai.go_away()
    marie.begin(QUESTION)
    until(lambda: marie.is_told("still_trying") or None)
    talking.ai.come_back()
    talking.idle()
    assert [answer_to(QUESTION) in message.text for message in marie.sees()[-2:]] == [False, True]


def test_after_too_long_there_is_one_honest_apology(talk: Start) -> None:
    talking = talk(GIVE_UP_AFTER_MINUTES="0.02")
    talking.ai.go_away()
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    assert marie.is_told("apology")
    assert sum(message.text == marie.last().text for message in marie.sees()) == 1
    talking.ai.come_back()


def test_who_speaks_english_is_answered_in_english(talking: Talking) -> None:
    john = talking.person(PAUL, language="en")
    john.say("/help")
    assert "I" in john.last().text.split()
    assert "Posez" not in john.last().text


@pytest.mark.parametrize("content", [{"sticker": {"file_id": "x", "emoji": "👍"}}, {"location": {"latitude": 1}}])
def test_what_the_bot_cannot_read_is_said(talking: Talking, content: dict[str, object]) -> None:
    marie = talking.person(MARIE)
    marie.say("/help")
    sender = talking.telegram.person(MARIE)
    message = {"message_id": 99, "date": 1, "chat": {"id": MARIE, "type": "private"}, "from": sender, **content}
    talking.telegram.update({"message": message})
    talking.idle()
    assert marie.is_told("unsupported")
    assert not talking.ai.bodies


def test_an_unknown_command_is_no_question(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/nonsense")
    assert marie.is_told("unknown_command")
    assert not talking.ai.bodies


def test_who_blocked_the_bot_is_not_written_to_until_they_come_back(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/help")
    talking.telegram.block(MARIE)
    talking.idle()
    assert talking.parts.bot.people.figures()[0] == 1
    talking.telegram.block(MARIE, blocked=False)
    marie.say(QUESTION)
    assert marie.last().text.startswith(answer_to(QUESTION))


def test_a_text_whose_rest_does_not_come_is_a_question_too(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("y" * 4_096)
    assert [body["message"] for body in talking.ai.bodies] == ["y" * 4_096]
