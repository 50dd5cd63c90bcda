"""A whole conversation: Telegram (a strict fake), web process, worker, Redis, and the real AI core with the model and
the Code du travail that come with it. At its end nothing is left of the person."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from ai_core.settings import EMBEDDED_MODEL
from common.crypto import person_hash
from telegram_service.texts import say
from tests.ai_core.engine.tiny_model import write_tiny_model
from tests.corpus import legi_package
from tests.end_to_end.server import Server
from tests.log_watch import leaks
from tests.telegram_chats import Shown
from tests.telegram_service.running import Running
from tests.telegram_service.traces import Traces
from tests.waiting import until

MARIE, PAUL = 700_000_001, 700_000_002
QUESTION = "Quelle est la durée légale du travail effectif ?"
FOLLOW_UP = "Et pour un salarié à temps partiel ?"
LETTER = "Objet : rupture de ma période d'essai. Madame, je vous informe de la rupture de votre période d'essai."
DEMO, TINY = "demo", "tiny"
LEGIFRANCE = "https://www.legifrance.gouv.fr/codes/article_lc/"


@pytest.fixture(scope="module")
def ai_core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("ai_core")
    write_tiny_model(home / "tiny.gguf", seed=5)
    declared = {DEMO: {"path": str(EMBEDDED_MODEL)}, TINY: {"path": str(home / "tiny.gguf")}}
    (home / "models.json").write_text(json.dumps({"models": declared, "default_model": DEMO}))
    server = Server(home)
    server.command("knowledge", "update", "--from", str(legi_package()))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ai_key(ai_core: Server) -> str:
    return ai_core.new_key("chat", "models", "admin")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, ai_core: Server, ai_key: str) -> Iterator[Running]:
    home, url = tmp_path_factory.mktemp("telegram"), f"http://127.0.0.1:{ai_core.port}"
    with Running(home, workers=1, LEASE_SECONDS="10", AI_API_URL=url, AI_API_KEY=ai_key) as running:
        yield running


class Chat:
    """What a person does in their private chat, and what they see of it."""

    def __init__(self, service: Running, user: int) -> None:
        self._telegram = service.telegram
        self.user = user
        self._telegram.person(user, first_name="Marie", username="marie_dupont", language_code="fr")
        self._seen = 0

    def say(self, text: str) -> None:
        self._seen = len(self.shown)
        self._telegram.say(self.user, text)

    def send(self, content: bytes, name: str, caption: str) -> None:
        self._seen = len(self.shown)
        self._telegram.upload(self.user, content, name, caption=caption)

    def press(self, message: Shown, button: str) -> None:
        self._telegram.press(self.user, message, button)

    @property
    def shown(self) -> list[Shown]:
        return self._telegram.messages(self.user)

    def reply(self, wanted: Callable[[Shown], object] = bool) -> Shown:
        """The first message since the person last did something that is as `wanted`."""
        return until(lambda: next((message for message in self.shown[self._seen :] if wanted(message)), None))

    def answer(self) -> Shown:
        """The answer to a question, when it is complete: it can be rated."""
        return self.reply(lambda message: "👍" in message.buttons)


def test_a_whole_conversation_and_then_nothing_is_left(service: Running, ai_core: Server, ai_key: str) -> None:
    marie, paul = Chat(service, MARIE), Chat(service, PAUL)

    marie.say("/start")
    welcome = marie.reply()
    for word in ("Code du Travail Neo", "intelligence artificielle", "/privacy"):
        assert word in welcome.text
    paul.say(QUESTION)

    marie.say(QUESTION)
    answer = marie.answer()
    assert "trente-cinq heures par semaine" in answer.text
    assert answer.edits >= 1, "it was shown while it was written"
    assert "Article L3121-27" in answer.text
    assert any(link.startswith(LEGIFRANCE) for link in answer.links), "its sources are links"
    assert (MARIE, "typing") in service.telegram.actions
    marie.press(answer, "👍")
    until(lambda: (say("fr", "thanks") in dict(service.telegram.answers).values()) or None)
    marie.say(FOLLOW_UP)
    marie.answer()

    switch_models(marie, ai_core, ai_key)
    choose_short_answers_in_english(marie)

    marie.send(LETTER.encode(), "lettre.txt", "Que dit le Code du travail de ce délai ?")
    assert any(link.startswith(LEGIFRANCE) for link in marie.answer().links)

    exported = export_of(marie)
    assert exported["telegram_id"] == MARIE
    told = json.dumps(exported, ensure_ascii=False)
    assert QUESTION in told
    assert "trente-cinq heures par semaine" in told
    paul.answer()

    assert_erased(service, ai_core, ai_key, marie, paul)


def switch_models(chat: Chat, ai_core: Server, ai_key: str) -> None:
    """By keyboard; a model that is not in service is honest about it."""
    chat.say("/switch")
    choice = chat.reply(lambda message: message.buttons)
    assert any(TINY in button for button in choice.buttons)
    chat.press(choice, next(button for button in choice.buttons if TINY in button))
    until(lambda: any(TINY in message.text for message in chat.shown) or None)
    chat.say(QUESTION)
    chat.answer()
    chat.say(f"/switch {DEMO}")
    chat.reply(lambda message: DEMO in message.text)


def choose_short_answers_in_english(chat: Chat) -> None:
    chat.say("/settings")
    settings = chat.reply(lambda message: message.buttons)
    length = next(button for button in settings.buttons if button.startswith("📏"))
    chat.press(settings, length)
    until(lambda: next((m for m in chat.shown if m.id == settings.id and length not in m.buttons), None))
    language = next(button for button in settings.buttons if button.startswith("🌐"))
    chat.press(settings, language)
    until(lambda: next((m for m in chat.shown if m.id == settings.id and "Settings" in m.text), None))


def export_of(chat: Chat) -> dict[str, object]:
    chat.say("/export")
    sent = chat.reply(lambda message: message.file)
    assert sent.file is not None
    name, content = sent.file
    assert name.endswith(".json")
    exported: dict[str, object] = json.loads(content)
    return exported


def assert_erased(service: Running, ai_core: Server, ai_key: str, marie: Chat, paul: Chat) -> None:
    traces, database = Traces(["k" * 40]), service.home / "telegram_service.sqlite3"

    def found(user: int) -> list[str]:
        words = [str(user), person_hash("k" * 40, "telegram", str(user))]
        if user == MARIE:
            words += [FOLLOW_UP, LETTER, "marie_dupont"]
        return [*traces.in_database(database, words), *traces.in_redis(service.redis.url, words)]

    assert len(found(MARIE)) > 5, "the scan finds what there is"
    marie.say("/delete")
    marie.press(marie.reply(lambda message: message.buttons), say("en", "delete_yes"))
    until(lambda: any("items" in message.text for message in marie.shown[-2:]) or None)
    until(lambda: service.telegram.updates.waiting() == 0 or None)
    until(lambda: not found(MARIE) or None, seconds=20)
    assert len(found(PAUL)) > 3, "and nobody else was touched"
    at_ai_core = ai_core.get(f"/api/v1/admin/users/telegram/{MARIE}/export", {"X-API-Key": ai_key})
    assert at_ai_core["requests"] == []


def test_no_text_no_token_and_nobody_stands_in_a_log(service: Running) -> None:
    log = service.everything_logged()
    assert "telegram-" in log, "requests are logged with their ids"
    assert leaks(log, [QUESTION, FOLLOW_UP, LETTER]) == []
    for word in (str(MARIE), str(PAUL), "marie_dupont", service.telegram.token):
        assert word not in log
