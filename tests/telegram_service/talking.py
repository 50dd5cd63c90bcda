"""The bot within the test's own process, and people who talk to it: poller and worker over a real Redis and a SQLite
file, a fake Telegram, a scripted AI core."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import redis

from telegram_service.composition import Parts, compose
from telegram_service.settings import Settings
from telegram_service.texts import say
from tests.redis_server import RedisServer
from tests.telegram_chats import Shown
from tests.telegram_server import TelegramServer
from tests.telegram_service.scripted_ai import ScriptedAi
from tests.waiting import until

SECRET_KEY = "k" * 40
GROUP = -1_001


class Talking:
    """A context. `variables` are settings in capitals."""

    def __init__(self, home: Path, server: RedisServer, variables: Mapping[str, str], *, pause: float = 0.0) -> None:
        self.home = home
        self.redis = server
        self.telegram = TelegramServer()
        self.ai = ScriptedAi(pause=pause)
        self._variables = variables
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Talking:
        self.telegram.__enter__()
        self.ai.__enter__()
        self.settings = self._settings()
        self.parts: Parts = compose(self.settings)
        self.parts.prepare_database()
        self._worker = self.parts.worker(self.settings)
        self._worker.start()
        poller = self.parts.poller()
        self._begin(lambda: poller.run(self._stopping, lambda: None))
        self._begin(self._work)
        return self

    def __exit__(self, *how: object) -> None:
        self._stopping.set()
        with redis.Redis.from_url(self.redis.url) as client:
            client.lpush("telegram:wake", 1)  # or the worker would look up only after a second
        self._threads[1].join(10)
        self._worker.finish(5.0)
        self.telegram.__exit__(None, None, None)  # which ends the poll
        self._threads[0].join(10)
        self.ai.__exit__(None, None, None)
        self.parts.telegram.close()
        self.parts.ai.close()

    @property
    def database(self) -> Path:
        return self.home / "telegram_service.sqlite3"

    def person(self, user: int, *, language: str = "fr") -> Talker:
        """Somebody whose Telegram speaks `language`."""
        self.telegram.person(user, first_name="Marie", language_code=language)
        return Talker(self, user)

    def idle(self) -> None:
        """Wait until nothing is left to do."""
        until(lambda: not self.telegram.updates.waiting() or None)
        until(lambda: self._is_done() or None)

    def _is_done(self) -> bool:
        lengths = self.parts.mailbox.lengths()
        return not lengths["waiting"] and not lengths["working"]

    def _settings(self) -> Settings:
        return Settings.from_environment(
            {
                "DATA_DIR": str(self.home),
                "REDIS_URL": self.redis.url,
                "SECRET_KEY": SECRET_KEY,
                "TELEGRAM_BOT_TOKEN": self.telegram.token,
                "TELEGRAM_API_URL": self.telegram.url,
                "AI_API_URL": self.ai.url,
                "AI_API_KEY": "cdt-key",
                "RETRY_SECONDS": "0.1",
                "WORKER_THREADS": "4",
                "MESSAGES_PER_SECOND": "1000000",
                "MAX_MESSAGES_BURST": "1000",
                **self._variables,
            }
        )

    def _begin(self, target: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=target, daemon=True))
        self._threads[-1].start()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._worker.unit()


class Talker:
    """A person, in their private chat or (`chat`) in a group; what they see is what the bot wrote there."""

    def __init__(self, talking: Talking, user: int, *, language: str = "fr") -> None:
        self._talking = talking
        self._telegram = talking.telegram
        self.user = user
        self.language = language

    def say(self, text: str, *, chat: int | None = None, topic: int | None = None, to: Shown | None = None) -> None:
        """Write, and wait until it is dealt with."""
        self._telegram.say(self.user, text, chat=chat, topic=topic, reply_to=to)
        self._talking.idle()

    def begin(self, text: str, *, chat: int | None = None) -> None:
        """Write, and wait for nothing."""
        self._telegram.say(self.user, text, chat=chat)

    def send(self, content: bytes, name: str | None = None, caption: str = "") -> None:
        """A document; without a name a voice message."""
        self._telegram.upload(self.user, content, name, caption=caption)
        self._talking.idle()

    def photo(self, content: bytes, caption: str = "") -> None:
        self._telegram.photo(self.user, content, caption=caption)
        self._talking.idle()

    def press(self, message: Shown, button: str) -> str:
        """Press a button; what Telegram showed for it."""
        query = self._telegram.press(self.user, message, button)
        self._talking.idle()
        return dict(self._telegram.answers)[query]

    def sees(self, chat: int | None = None) -> list[Shown]:
        """What the bot wrote."""
        return self._telegram.messages(chat or self.user)

    def last(self, chat: int | None = None) -> Shown:
        return self.sees(chat)[-1]

    def is_told(self, name: str, **values: object) -> bool:
        """Whether the last message is our text called `name`, apart from how it is marked up."""
        return plain(self.last().text) == plain(say(self.language, name, **values))


def plain(text: str) -> str:
    """Without the marks of Markdown and the spaces around lines."""
    return "\n".join(line.strip("• ").strip() for line in text.replace("**", "").replace("`", "").splitlines() if line)


Start = Callable[..., Talking]  # what the fixture `talk` gives: pause=SECONDS, settings in capitals
