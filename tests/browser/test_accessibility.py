"""axe-core finds nothing to object to, in any state of the page and in both colour schemes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import Keys

from common.errors import ServiceError
from tests.browser import axe, chromium
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import unavailable
from tests.browser.scripted_server import KEY, SOURCES, Script, ScriptedServer

CITATIONS = [{"number": "L9001-1", "status": "verified"}, {"number": "L9999-9", "status": "unknown"}]


@pytest.fixture(scope="module")
def checker() -> str:
    try:
        return axe.source()
    except OSError:
        unavailable("axe-core from the npm registry")
        raise


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest, page: ChatPage) -> Iterator[str]:
    chromium.prefer(page.driver, request.param)
    yield request.param
    chromium.prefer(page.driver, "light")


@pytest.mark.usefixtures("scheme")
def test_every_state_of_the_page_is_accessible(page: ChatPage, server: ScriptedServer, checker: str) -> None:
    text = "Voir L. 9001-1, R9800-2 et L9999-9.\n- un\n- deux"
    citations = [*CITATIONS, {"number": "R9800-2", "status": "exists"}]
    server.reset(
        Script(
            tokens=[text],
            sources=SOURCES * 3,
            answer={"citations": citations, "notice": "Attention.", "grounded": False},
        ),
        Script(error=ServiceError(429, "rate_limited", "Slow down.", retry_after=30)),
        Script(tokens=["mot "] * 100, pause=0.05),
    )
    chromium.resize(page.driver, chromium.PHONE)
    page.open(KEY)
    assert axe.violations(page.driver, checker) == []
    page.ask_and_wait("Une première question ?")
    page.script("document.querySelector('.more summary').focus()")
    page.type(Keys.ENTER)
    page.wait(lambda: len(page.visible(".card")) == 6)
    assert axe.violations(page.driver, checker) == []
    page.ask("Une deuxième question ?")
    page.wait(lambda: page.visible("[data-action=retry]"))
    assert axe.violations(page.driver, checker) == []
    page.script("document.getElementById('question').value = ''")
    page.ask("Une troisième question ?")
    page.wait(lambda: "mot" in page.answer)
    assert axe.violations(page.driver, checker) == []
    page.find("#stop").click()
    page.find("#open-key").click()
    page.wait(lambda: page.visible("#key-dialog"))
    assert axe.violations(page.driver, checker) == []
