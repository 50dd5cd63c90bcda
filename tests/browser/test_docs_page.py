"""Swagger UI, from our own host and under a policy without inline scripts."""

from __future__ import annotations

from tests.browser.chat_page import ChatPage
from tests.browser.scripted_server import KEY, ScriptedServer


def test_swagger_ui_shows_the_operations_and_tries_one_out(page: ChatPage, server: ScriptedServer) -> None:
    page.open(None, "/docs")
    assert page.wait(lambda: page.texts(".opblock-summary-path") or None) == ["/api/v1/chat", "/health"]
    page.find(".btn.authorize").click()
    page.find(".auth-container input").send_keys(KEY)
    page.find(".auth-btn-wrapper .authorize").click()
    page.find(".auth-btn-wrapper .btn-done").click()
    page.find(".opblock-summary-control").click()
    page.find(".btn.execute").click()
    page.wait(lambda: "422" in " ".join(page.texts(".live-responses-table .response-col_status")))
