"""Each command does what the menu says it does, in both languages."""

from __future__ import annotations

import pytest

from telegram_service.commands import COMMANDS
from telegram_service.formatting import LONGEST, parts, units
from telegram_service.texts import LANGUAGES, menu, say, texts
from tests.telegram_chats import Shown
from tests.telegram_service.talking import Start, Talker, Talking, plain

MARIE, ADMIN = 71, 99
QUESTION = "Quel est mon préavis ?"
PLACEHOLDERS = {"days": 90}


def button(message: Shown, beginning: str) -> str:
    return next(text for text in message.buttons if text.startswith(beginning))


def step(person: Talker, beginning: str) -> Shown:
    """Press a button of the settings; the settings afterwards."""
    settings = person.last()
    person.press(settings, button(settings, beginning))
    assert person.last().id == settings.id, "the message itself changes"
    return person.last()


# -- texts ------------------------------------------------------------------------------------------------------------


def test_both_languages_say_the_same_things() -> None:
    french, english = (texts(language) for language in LANGUAGES)
    assert french.keys() == english.keys()
    for name, text in french.items():
        assert fields(text) == fields(english[name]), name


def fields(text: str) -> set[str]:
    from string import Formatter

    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_fit_where_telegram_shows_them(language: str) -> None:
    """https://core.telegram.org/bots/api#setmycommands, #setmydescription, #setmyshortdescription"""
    commands = menu(language)
    assert commands.keys() <= COMMANDS.keys(), "what the menu shows exists"
    assert all(0 < len(text) <= 256 for text in commands.values())
    assert len(say(language, "description")) <= 512
    assert len(say(language, "short_description")) <= 120
    for name, text in texts(language).items():
        shown = parts(text)
        assert len(shown) == 1, name
        assert 0 < units(shown[0].text) < LONGEST


def test_help_names_every_command_of_the_menu() -> None:
    for language in LANGUAGES:
        told = say(language, "help")
        missing = [command for command in menu(language) if f"/{command}" not in told and command != "help"]
        assert missing in ([], ["start"]), missing


# -- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "text"), [("help", "help"), ("aide", "help"), ("privacy", "privacy")])
def test_what_is_only_told(talking: Talking, command: str, text: str) -> None:
    marie = talking.person(MARIE)
    marie.say(f"/{command}")
    assert marie.is_told(text, **({"days": 90} if text == "privacy" else {}))


def test_ask_without_a_question_says_how(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/ask")
    assert marie.is_told("ask_what")
    marie.say(f"/ask {QUESTION}")
    assert talking.ai.asked[QUESTION] == 1


def test_settings_step_through_their_values_and_are_kept(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/settings")
    assert "normale" in step(marie, "📏").text or "longue" in marie.last().text
    marie.say("/settings")
    assert "longue" in marie.last().text, "they are kept"
    settings = step(marie, "🌐")
    assert settings.text.startswith("Settings")
    assert "long" in settings.text
    marie.say("/help")
    assert plain(marie.last().text) == plain(say("en", "help"))


def test_settings_reach_the_ai_core(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    marie.say("/settings")
    step(marie, "📏")
    step(marie, "🎨")
    marie.say("Et en CDI ?")
    before, after = talking.ai.bodies
    assert (before["max_tokens"], after["max_tokens"]) == (512, 1024)
    assert after["temperature"] == 0.0


def test_without_a_history_nothing_of_the_conversation_is_kept(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say(QUESTION)
    marie.say("/settings")
    step(marie, "🗂")
    marie.say("Et en CDI ?")
    marie.say("Et en intérim ?")
    assert [body["context"] for body in talking.ai.bodies[1:]] == [[], []]
    exported = talking.parts.bot.personal_data.export(MARIE)
    assert "Et en CDI ?" not in str(exported)


def test_models_are_listed_with_the_one_in_service(talking: Talking) -> None:
    talking.ai.models["other"] = "available"
    marie = talking.person(MARIE)
    marie.say("/models")
    assert f"scripted{say('fr', 'model_loaded')}" in marie.last().text
    assert "other" in marie.last().text


def test_a_model_is_chosen_by_button(talking: Talking) -> None:
    talking.ai.models["other"] = "available"
    marie = talking.person(MARIE)
    marie.say("/switch")
    choice = marie.last()
    assert len(choice.buttons) == 3
    marie.press(choice, "other")
    assert "other" in marie.last().text
    assert talking.ai.models["other"] == "available", "one person's choice is not everybody's"
    marie.say(QUESTION)
    assert talking.ai.bodies[0]["model"] == "other"
    marie.say("/switch")
    marie.press(marie.last(), say("fr", "switch_default"))
    marie.say(QUESTION)
    assert "model" not in talking.ai.bodies[-1]


def test_a_model_that_there_is_not_is_not_chosen(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/switch nonsense")
    assert marie.is_told("unknown_model", model="nonsense")


def test_while_the_ai_core_is_away_nobody_waits_for_a_list_of_models(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/switch")
    talking.ai.go_away()
    marie.press(marie.last(), marie.last().buttons[0])
    assert marie.is_told("assistant_away")
    marie.say("/models")
    assert marie.is_told("assistant_away")
    marie.say("/switch")
    assert marie.last().buttons == [say("fr", "switch_default")]
    talking.ai.come_back()


def test_an_administrators_choice_is_loaded(talk: Start) -> None:
    talking = talk(ADMIN_USERS=str(ADMIN))
    talking.ai.models["other"] = "available"
    admin = talking.person(ADMIN)
    admin.say("/switch other")
    assert talking.ai.models == {"scripted": "available", "other": "loaded"}


def test_status_tells_whether_the_ai_core_answers(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/status")
    assert say("fr", "status_ok") in marie.last().text
    assert "scripted" in marie.last().text
    talking.ai.go_away()
    marie.say("/status")
    assert say("fr", "status_away") in marie.last().text
    talking.ai.come_back()


@pytest.mark.parametrize("data", ["", "nonsense", "rate:5:1", "rate:1:999999", "set:nonsense", "v1:x", "delete:yes:1"])
def test_a_button_that_means_nothing_any_more_does_nothing(talking: Talking, data: str) -> None:
    marie = talking.person(MARIE)
    marie.say("/help")
    shown, sender = marie.last(), talking.telegram.person(MARIE)
    below = {"message_id": shown.id, "date": 1, "chat": {"id": MARIE, "type": "private"}, "text": shown.text}
    talking.telegram.update({"callback_query": {"id": "77", "from": sender, "message": below, "data": data}})
    talking.idle()
    assert len(marie.sees()) == 2, "the notice and the help"
    assert talking.parts.bot.people.figures()[0] == 1
