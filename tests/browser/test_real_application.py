"""The pages over the real API: what the scripted server promises is what the application does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from tests.browser.chat_page import ChatPage
from tests.browser.scripted_server import QuietHandler
from tests.fakes import Core


@pytest.fixture
def real_page(core: Core, page: ChatPage) -> Iterator[ChatPage]:
    listener = make_server("127.0.0.1", 0, core.app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    page.url = f"http://127.0.0.1:{listener.server_port}"
    yield page
    page.driver.get("about:blank")
    listener.shutdown()
    thread.join(5)
    listener.server_close()


def test_a_question_is_answered_and_missing_knowledge_is_told(core: Core, real_page: ChatPage) -> None:
    real_page.open(core.key("chat")).ask_and_wait("Quel est le préavis ?")
    assert real_page.answer == "Bonjour."
    assert "sans source" in real_page.texts(".banner-warning")[0]
    real_page.ask("Et en CDD ?")  # the real schema takes the context that the page sends
    real_page.wait(lambda: len(real_page.all(".answer[aria-busy=false]")) == 2)
    assert real_page.texts(".banner-danger") == []


def test_a_refused_key_opens_the_dialog(real_page: ChatPage) -> None:
    real_page.open("cdt-wrong").ask("Quel est le préavis ?")
    real_page.wait(lambda: real_page.visible("#key-problem"))


def test_swagger_ui_shows_the_real_operations(real_page: ChatPage) -> None:
    real_page.open(None, "/docs")
    paths = real_page.wait(lambda: real_page.texts(".opblock-summary-path") or None)
    assert {"/api/v1/chat", "/api/v1/generate", "/health"} <= set(paths)
    assert real_page.visible(".btn.authorize")
