"""When no answer comes: plain French, a way on, and the question kept."""

from __future__ import annotations

from selenium.webdriver import Keys

from common.errors import InvalidFields, ServiceError
from tests.browser import chromium
from tests.browser.chat_page import ChatPage
from tests.browser.scripted_server import KEY, Script, ScriptedServer


def test_without_a_key_the_page_asks_for_one_before_it_sends(page: ChatPage, server: ScriptedServer) -> None:
    page.open(None).ask("Quel est le préavis ?")
    assert page.find("#key-dialog")
    page.type(Keys.ESCAPE)
    page.wait(lambda: not page.visible("#key-dialog"))
    assert page.question == "Quel est le préavis ?"
    assert server.questions == []
    page.type(Keys.ENTER)
    page.find("#key-input")
    page.type(KEY + Keys.ENTER)
    page.wait(lambda: page.all(".answer[aria-busy=false]"))
    assert "30 jours" in page.answer


def test_a_refused_key_opens_the_dialog_and_the_new_one_sends_the_question(
    page: ChatPage, server: ScriptedServer
) -> None:
    page.open("wrong-key").ask("Quel est le préavis ?")
    page.wait(lambda: page.visible("#key-problem"))
    page.type("clé avec espace" + Keys.ENTER)
    page.wait(lambda: "ni espace" in "".join(page.texts("#key-problem")))
    page.find("#key-input").clear()
    page.find("#key-input").send_keys(KEY)
    page.find("#key-remember").click()
    page.find("#key-form [type=submit]").click()
    page.wait(lambda: "30 jours" in page.answer)
    assert page.texts(".question") == ["Quel est le préavis ?"]
    assert page.question == ""
    assert page.script("return localStorage.getItem('api-key')") == KEY


def test_too_many_questions_says_how_long_to_wait_and_then_retries(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(error=ServiceError(429, "rate_limited", "Slow down.", retry_after=2)), Script())
    page.open(KEY).ask("Quel est le préavis ?")
    [banner] = page.wait(lambda: page.texts(".banner-danger"))
    assert "Trop de questions" in banner
    assert "Réessayez dans 2 s" in banner
    assert "req-test-1" in banner
    assert page.question == "Quel est le préavis ?"
    retry = page.find("[data-action=retry]")
    assert not retry.is_enabled()
    page.wait(retry.is_enabled)
    retry.click()
    page.wait(lambda: "30 jours" in page.answer)
    assert len(page.all(".turn")) == 1
    assert page.question == ""


def test_a_busy_server_is_named_as_such(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(error=ServiceError(503, "busy", "Busy.", retry_after=30)))
    page.open(KEY).ask_and_wait()
    assert "Réessayez dans 30 s" in page.texts(".banner-danger")[0]
    assert "très demandé" in page.texts(".banner-danger")[0]


def test_a_question_that_is_too_long_says_what_to_do(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(error=InvalidFields({"message": ["Longer than maximum length 20000."]})))
    page.open(KEY).ask_and_wait()
    assert "trop longue" in page.texts(".banner-danger")[0]


def test_an_error_on_the_way_keeps_what_came(page: ChatPage, server: ScriptedServer) -> None:
    failure = ServiceError(500, "internal_error", "An unexpected error occurred.")
    server.reset(Script(tokens=["Un début "], error_after_tokens=failure))
    page.open(KEY).ask_and_wait("Quel est le préavis ?")
    assert page.answer == "Un début"
    assert "req-test-2" in page.texts(".banner-danger")[0]
    assert page.question == "Quel est le préavis ?"


def test_a_connection_that_breaks_is_not_taken_for_an_answer(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(tokens=["Un début "], ends_early=True))
    page.open(KEY).ask_and_wait()
    assert "interrompue" in page.texts(".banner-danger")[0]


def test_offline_the_question_is_kept_and_can_be_sent_later(page: ChatPage) -> None:
    page.open(KEY)
    chromium.go_offline(page.driver, True)
    try:
        page.ask_and_wait("Quel est le préavis ?")
    finally:
        chromium.go_offline(page.driver, False)
    assert "hors ligne" in page.texts(".banner-danger")[0]
    assert page.question == "Quel est le préavis ?"
    page.type(Keys.ENTER)
    page.wait(lambda: "30 jours" in page.answer)
    assert len(page.all(".turn")) == 1
