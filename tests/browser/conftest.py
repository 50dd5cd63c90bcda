"""One server and one browser for the whole folder; a new tab, empty storage and clean logs for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome

from tests.browser import chromium
from tests.browser.chat_page import ChatPage
from tests.browser.scripted_server import ScriptedServer


def unavailable(what: str) -> None:
    """Skip by name, or fail where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    program = chromium.missing()
    if program is not None:
        unavailable(program)
    profile: Path = tmp_path_factory.mktemp("chromium")
    driver = chromium.start(profile)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Chrome, server: ScriptedServer) -> Iterator[ChatPage]:
    """The chat page, not opened yet. Afterwards: nothing in the console, no request to any other host."""
    server.reset()
    old = browser.current_window_handle
    browser.switch_to.new_window("tab")
    fresh = browser.current_window_handle
    browser.switch_to.window(old)
    browser.close()
    browser.switch_to.window(fresh)
    browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": server.url, "storageTypes": "all"})
    chromium.resize(browser, chromium.DESKTOP)
    chromium.complaints(browser)
    chromium.hosts_asked(browser)
    chat = ChatPage(browser, server.url)
    yield chat
    assert chromium.complaints(browser) == []
    assert chromium.hosts_asked(browser) <= {urlsplit(chat.url).netloc}
