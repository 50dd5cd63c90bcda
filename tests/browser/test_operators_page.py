"""The operator's page over the real API: what it shows, what its buttons do, with the keyboard alone too."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from werkzeug.serving import make_server

from ai_core.catalog.entry import ModelEntry
from ai_core.keys import list_keys
from common.database import connection
from tests.ai_core.engine.tiny_model import write_tiny_model
from tests.browser import axe, chromium
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import unavailable
from tests.browser.scripted_server import QuietHandler
from tests.fakes import Core, build_core

PATH = "/admin/ui"


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    """`first` is loaded, `second` and a broken one are declared."""
    first, _ = (write_tiny_model(tmp_path / f"{name}.gguf") for name in ("first", "second"))
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    declared = {"second": {"path": "../second.gguf"}, "broken": {"path": "nowhere.gguf"}}
    (data_dir / "models.json").write_text(json.dumps({"models": declared}))
    limits = {"RATE_LIMIT_PER_MINUTE": "100000", "RATE_LIMIT_GLOBAL_PER_MINUTE": "100000"}
    built = build_core(data_dir, model=ModelEntry.from_path(first), context_length=256, **limits)  # type: ignore[arg-type]
    yield built
    built.parts.model.stop()


@pytest.fixture
def admin(core: Core, page: ChatPage) -> Iterator[ChatPage]:
    """The page, open, with a key that may do everything."""
    listener = make_server("127.0.0.1", 0, core.app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    page.url = f"http://127.0.0.1:{listener.server_port}"
    yield page.open(core.key("admin", "models", "chat"), PATH)
    page.driver.get("about:blank")
    listener.shutdown()
    thread.join(5)
    listener.server_close()


def row(admin: ChatPage, section: str, name: str) -> str:
    """The text of the row that begins with `name`, once it is there."""
    return admin.wait(
        lambda: next(
            (text for text in admin.texts(f"#{section} tbody tr") if text.replace("\n", " ").startswith(name)), None
        )
    )


def press(admin: ChatPage, section: str, label: str) -> None:
    admin.find(f"#{section} button[aria-label='{label}']").click()


def test_it_shows_the_state_the_models_the_keys_and_the_actions(admin: ChatPage) -> None:
    assert admin.wait(lambda: admin.texts("#overview .state"))[0] in ("En bon état", "À surveiller")
    assert "chargé" in row(admin, "models", "first")
    assert "disponible" in row(admin, "models", "second")
    assert "nowhere.gguf" in row(admin, "models", "broken")
    assert "active" in row(admin, "keys", "test")
    assert admin.wait(lambda: admin.texts("#downloads .quiet-text")) == ["Rien pour l’instant."]
    plots = admin.wait(lambda: [svg for svg in admin.all(".plot") if svg.find_elements(By.TAG_NAME, "polyline")])
    assert "Dernières" in (plots[0].get_attribute("aria-label") or "")


def test_models_are_switched_and_unloaded_after_a_question(core: Core, admin: ChatPage) -> None:
    row(admin, "models", "second")
    press(admin, "models", "Charger : second")
    admin.wait(lambda: "chargé" in row(admin, "models", "second") or None)
    assert core.parts.model.current().id == "second"
    press(admin, "models", "Décharger : second")
    admin.find("#confirm-dialog button[value=no]").click()
    assert core.parts.model.current().id == "second"
    press(admin, "models", "Décharger : second")
    admin.find("#confirm-yes").click()
    admin.wait(lambda: core.parts.model.current_or_none() is None or None)
    admin.wait(lambda: "disponible" in row(admin, "models", "second") or None)
    assert "déchargé" in admin.announcement


def test_what_is_refused_is_said_in_the_servers_words(admin: ChatPage) -> None:
    row(admin, "models", "broken")
    press(admin, "models", "Charger : broken")
    assert "nowhere.gguf" in admin.wait(lambda: admin.texts("#problem"))[0]


def test_a_key_is_made_shown_once_and_revoked(core: Core, admin: ChatPage) -> None:
    row(admin, "keys", "test")
    admin.find("#key-name").send_keys("Site du cabinet" + Keys.ENTER)
    admin.wait(lambda: admin.visible("#secret-dialog"))
    secret = str(admin.script("return document.getElementById('secret').value"))
    assert core.app.test_client().get("/v1/models", headers={"X-API-Key": secret}).status_code == 200
    admin.type(Keys.ESCAPE)
    admin.wait(lambda: not admin.visible("#secret-dialog") or None)
    assert admin.script("return document.getElementById('secret').value") == ""
    assert "chat" in row(admin, "keys", "Site du cabinet")
    press(admin, "keys", "Révoquer : Site du cabinet")
    admin.find("#confirm-yes").click()
    admin.wait(lambda: "révoquée" in row(admin, "keys", "Site du cabinet") or None)
    with connection(core.parts.database):
        assert [key.revoked_at is not None for key in list_keys() if key.name == "Site du cabinet"] == [True]


def test_logs_and_actions_are_listed(admin: ChatPage) -> None:
    row(admin, "models", "second")
    press(admin, "models", "Charger : second")
    admin.wait(lambda: "chargé" in row(admin, "models", "second") or None)
    admin.driver.refresh()
    row(admin, "models", "second")
    assert admin.wait(lambda: [text for text in admin.texts("#audit tbody tr") if "second" in text])
    assert admin.find("#log-level").is_displayed()


def test_without_a_key_it_asks_for_one_and_without_the_scope_it_says_so(core: Core, admin: ChatPage) -> None:
    admin.driver.get("about:blank")
    admin.open(core.key("admin"), PATH)
    lacking = "Cette clé n’a pas le droit demandé"
    admin.wait(lambda: admin.texts("#models .quiet-text") == [f"{lacking} (models)."] or None)
    assert admin.wait(lambda: admin.texts("#overview .state"))[0] in ("En bon état", "À surveiller")
    assert admin.texts("#problem") == []
    admin.script("location.hash = `key=${arguments[0]}`", core.key("chat"))
    admin.driver.refresh()
    admin.wait(lambda: admin.texts("#overview .quiet-text") == [f"{lacking} (admin)."] or None)
    admin.script("sessionStorage.clear()")
    admin.driver.refresh()
    admin.wait(lambda: admin.visible("#key-dialog"))


def test_everything_is_reached_with_the_keyboard(admin: ChatPage) -> None:
    row(admin, "models", "second")
    reached: list[str] = []
    while "Charger : second" not in reached:
        admin.type(Keys.TAB)
        what = "const one = document.activeElement; return one.getAttribute('aria-label') || one.id"
        reached.append(str(admin.script(what)))
        assert len(reached) < 60, reached
    admin.type(Keys.ENTER)
    admin.wait(lambda: "chargé" in row(admin, "models", "second") or None)
    assert "open-key" in reached


@pytest.mark.parametrize("size", [chromium.DESKTOP, chromium.PHONE, chromium.SMALLEST])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_fits(admin: ChatPage, size: tuple[int, int], scheme: str) -> None:
    try:
        checker = axe.source()
    except OSError:
        unavailable("axe-core from the npm registry")
        raise
    chromium.prefer(admin.driver, scheme)
    chromium.resize(admin.driver, size)
    row(admin, "models", "second")
    row(admin, "keys", "test")
    admin.wait(lambda: [svg for svg in admin.all(".plot") if svg.find_elements(By.TAG_NAME, "polyline")])
    assert axe.violations(admin.driver, checker) == []
    assert admin.script("return document.documentElement.scrollWidth <= window.innerWidth")
    press(admin, "models", "Décharger : first")
    admin.wait(lambda: admin.visible("#confirm-dialog"))
    assert axe.violations(admin.driver, checker) == []
    chromium.prefer(admin.driver, "light")


def test_it_speaks_english_too(admin: ChatPage) -> None:
    admin.driver.get(admin.url + PATH + "?lang=en")
    assert "loaded" in row(admin, "models", "first")
    assert admin.script("return document.documentElement.lang") == "en"
