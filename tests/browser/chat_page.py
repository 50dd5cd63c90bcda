"""The chat page as a person meets it: what can be typed, pressed and read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 8  # seconds
T = TypeVar("T")


class ChatPage:
    """Each property reads the page anew."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, key: str | None, path: str = "/") -> ChatPage:
        """Load the page, `key` in the address as `make run` prints it."""
        self.driver.get(self.url + path + (f"#key={key}" if key else ""))
        return self.wait(lambda: self if self.script("return document.readyState") == "complete" else None)

    def ask(self, question: str) -> None:
        """Type into whatever has the focus after a click into the box, and press Enter."""
        self.find("#question").click()
        self.type(question + Keys.ENTER)

    def ask_and_wait(self, question: str = "Quel est le préavis ?") -> None:
        self.ask(question)
        self.wait(lambda: self.all(".answer[aria-busy=false]"))

    def type(self, keys: str) -> None:
        ActionChains(self.driver).send_keys(keys).perform()

    def new_line(self) -> None:
        ActionChains(self.driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()

    def find(self, selector: str) -> WebElement:
        return self.wait(lambda: next(iter(self.visible(selector)), None))

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def visible(self, selector: str) -> list[WebElement]:
        return [element for element in self.all(selector) if element.is_displayed()]

    def texts(self, selector: str) -> list[str]:
        return [_plain(element.text) for element in self.visible(selector)]

    def attribute(self, selector: str, name: str) -> str | None:
        value: str | None = self.find(selector).get_dom_attribute(name)
        return value

    @property
    def answer(self) -> str:
        return "\n".join(self.texts(".answer-text"))

    @property
    def question(self) -> str:
        return str(self.script("return document.getElementById('question').value"))

    @property
    def announcement(self) -> str:
        return str(self.script("return document.getElementById('announcer').textContent"))

    @property
    def focused(self) -> str:
        return str(self.script("return document.activeElement.id || document.activeElement.className"))

    def script(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def wait(self, condition: Callable[[], T | None]) -> T:
        """The first true value of `condition`; TimeoutException after PATIENCE seconds."""
        redrawn = (StaleElementReferenceException,)  # each token redraws the answer
        waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05, ignored_exceptions=redrawn)
        value = waiting.until(lambda _: condition())
        assert value is not None
        return value


def _plain(text: str) -> str:
    """Without the no-break spaces of French typography, which tests need not spell."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")
