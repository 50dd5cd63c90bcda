"""A question and its answer: streamed, sourced, kept, stopped."""

from __future__ import annotations

from selenium.webdriver import Keys

from tests.browser import chromium
from tests.browser.chat_page import ChatPage
from tests.browser.scripted_server import KEY, SOURCES, Script, ScriptedServer


def test_the_answer_streams_and_its_sources_link_to_legifrance(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(tokens=["Le préavis ", "est de ", "30 jours (article L. 9001-1)."], pause=0.4))
    page.open(KEY).ask("Quel est le préavis ?")
    assert len(page.wait(lambda: page.visible(".card"))) == 2  # the sources stand there before the first word
    page.wait(lambda: page.answer == "Le préavis est de")
    assert page.attribute(".answer", "aria-busy") == "true"
    page.wait(lambda: page.all(".answer[aria-busy=false]"))
    assert page.answer.startswith("Le préavis est de 30 jours (article L. 9001-1")
    for selector, source in ((".citation-verified", SOURCES[0]), (".card:nth-child(2) a", SOURCES[1])):
        assert page.attribute(selector, "href") == source["url"]
        assert page.attribute(selector, "target") == "_blank"
        assert page.attribute(selector, "rel") == "noopener noreferrer"
    assert "L. 9001-1" in page.texts(".card-cited")[0]


def test_the_key_leaves_the_address_bar_and_goes_only_to_the_api(page: ChatPage, server: ScriptedServer) -> None:
    page.open(KEY)
    assert page.driver.current_url == server.url + "/"
    page.ask_and_wait()
    assert page.script("return localStorage.length") == 0  # this tab only, unless the person asks for more
    assert server.questions[0]["channel"] == "webapp"


def test_a_second_question_carries_the_first_turn(page: ChatPage, server: ScriptedServer) -> None:
    page.open(KEY).ask_and_wait("Et en CDI ?")
    page.ask("Et en CDD ?")
    page.wait(lambda: len(page.all(".answer[aria-busy=false]")) == 2)
    first, second = server.questions
    assert first["context"] == []
    assert [turn["role"] for turn in second["context"]] == ["user", "assistant"]
    assert second["context"][0]["content"] == "Et en CDI ?"
    assert first["user_id"] == second["user_id"]


def test_context_is_bounded(page: ChatPage, server: ScriptedServer) -> None:
    page.open(KEY)
    past = [{"question": f"Question {n}", "text": "x" * 1_000, "state": "done", "error": None} for n in range(40)]
    page.script("sessionStorage.setItem('conversation', JSON.stringify(arguments[0]))", past)
    page.driver.refresh()
    page.ask("Et maintenant ?")
    page.wait(lambda: server.questions)
    context = server.questions[0]["context"]
    assert len(context) == 12
    assert context[-2]["content"] == "Question 39"


def test_an_example_is_one_click(page: ChatPage, server: ScriptedServer) -> None:
    page.open(KEY).find(".example").click()
    page.wait(lambda: page.all(".answer[aria-busy=false]"))
    assert server.questions[0]["message"] == "Quelle est la durée légale du travail ?"
    assert not page.visible("#welcome")


def test_stop_ends_the_answer_and_the_server_sees_it(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(tokens=["mot "] * 200, pause=0.05))
    page.open(KEY).ask("Une longue question ?")
    page.wait(lambda: "mot" in page.answer)
    page.find("#stop").click()
    assert server.client_left.wait(2)
    page.wait(lambda: page.texts(".finish-note") == ["Réponse arrêtée."])
    assert page.answer.startswith("mot")
    assert page.visible("#send")


def test_a_reload_keeps_the_conversation_and_a_new_one_forgets_it(page: ChatPage) -> None:
    page.open(KEY).ask_and_wait("Quel est le préavis ?")
    page.driver.refresh()
    page.wait(lambda: page.texts(".question") == ["Quel est le préavis ?"])
    assert len(page.visible(".card")) == 2
    page.find("#new-conversation").click()
    page.wait(lambda: page.visible("#welcome"))
    assert not page.all(".turn")
    page.driver.refresh()
    assert page.find("#welcome")


def test_copy_gives_the_answer_with_the_addresses_of_its_sources(page: ChatPage) -> None:
    page.open(KEY).ask_and_wait()
    page.script("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.find("[data-action=copy]").click()
    page.wait(lambda: page.texts("[data-action=copy]") == ["Copié"])
    copied = page.script("return window.copied")
    assert copied.startswith("Le préavis est de 30 jours")
    assert SOURCES[0]["url"] in copied


def test_everything_works_from_the_keyboard(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(tokens=["mot "] * 200, pause=0.05))
    page.open(KEY)
    page.script("document.activeElement.blur()")
    page.type(Keys.TAB)
    assert page.focused == "skip-link"
    page.type(Keys.ENTER)
    page.wait(lambda: page.focused == "question")
    assert page.script("return getComputedStyle(document.querySelector('.composer-box')).outlineStyle") == "solid"
    page.type("Première ligne")
    page.new_line()
    page.type("seconde ligne" + Keys.ENTER)
    page.wait(lambda: "mot" in page.answer)
    assert server.questions[0]["message"] == "Première ligne\nseconde ligne"
    page.type(Keys.ESCAPE)
    assert server.client_left.wait(2)
    page.wait(lambda: page.visible("[data-action=retry]"))
    assert page.focused == "question"


def test_screen_readers_hear_the_answer_once(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(tokens=["un ", "deux ", "trois"], pause=0.1))
    page.open(KEY)
    page.script(
        "window.said = []; new MutationObserver(() => said.push(announcer.textContent))"
        ".observe(announcer, {childList: true, characterData: true, subtree: true})"
    )
    page.ask_and_wait()
    assert page.script("return said") == ["Recherche des articles…", "Réponse terminée. un deux trois"]


def test_the_smallest_phone_needs_no_sideways_scrolling(page: ChatPage, server: ScriptedServer) -> None:
    server.reset(Script(tokens=["anticonstitutionnellement" * 12]))
    chromium.resize(page.driver, chromium.SMALLEST)
    page.open(KEY)
    assert page.script("return document.documentElement.scrollWidth") <= chromium.SMALLEST[0]
    page.ask_and_wait("à" * 300)
    assert page.script("return document.documentElement.scrollWidth") <= chromium.SMALLEST[0]
    assert page.visible("#disclaimer")


def test_the_page_speaks_english_when_asked(page: ChatPage) -> None:
    page.open(KEY, "/?lang=en").ask_and_wait()
    assert page.attribute("html", "lang") == "en"
    assert page.texts("[data-action=copy]") == ["Copy"]
