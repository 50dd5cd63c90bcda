"""The people of one scenario: they ask by Telegram, mail and API, and know in the end what they were told.

Every question is about an article of the Code du travail; its answer names that article, so an answer tells which
question it belongs to.
"""

from __future__ import annotations

import itertools
import re
import smtplib
import threading
import time
from collections import Counter
from http.client import HTTPException

from telegram_service.texts import say
from tests.faults.house import House
from tests.faults.judge import Calls, Chat, Post
from tests.mail_service.service import mail
from tests.mail_system import ALICE, ASSISTANT
from tests.telegram_chats import Shown

ARTICLES = (
    "L1111-1", "L1143-2", "L1221-10", "L1222-14", "L1225-20", "L1225-49", "L1225-71", "L1231-1", "L1233-19",
    "L1233-38", "L1235-15", "L1238-2", "L1243-3", "L1248-10", "L1251-35", "L1251-55", "L1252-15", "L1253-20",
    "L1254-19", "L1255-9", "L1271-7", "L1331-1", "L1423-8", "L1441-13", "L1441-31", "L1453-4", "L1524-1", "L2122-1",
    "L2132-3", "L2142-3", "L2145-1", "L2211-1",
)  # fmt: skip
NUMBER = re.compile(r"\bL\d{4}-\d+\b")
CHATS = 5
FIRST_USER = 10_000
CHANNEL = "webapp"
AGAIN = 0.3  # seconds until a client tries again
CLIENT_TIMEOUT = 20.0  # seconds
RECORDED_WITHIN = 1.0  # seconds: the record of an answer is written behind it
APOLOGY = say("fr", "apology")


class People:
    """Those of scenario `number` of a house; no two scenarios have anybody in common."""

    def __init__(self, house: House, number: int) -> None:
        self._house = house
        self._number = number
        self._chats: dict[int, list[str]] = {}
        self._taken: list[str] = []
        self._mails = itertools.count(1)  # for any thread
        self._calls: list[threading.Thread] = []
        self._sent = self._wrong = 0
        self._refused: Counter[int] = Counter()
        self._answered_at: list[float] = []
        self._guard = threading.Lock()  # of what the threads of calls count
        self._leaving = threading.Event()

    # -- asking -------------------------------------------------------------------------------------------------------

    def write_to_the_bot(self, place: int) -> tuple[int, str]:
        """A further question in chat `place`; returns chat and article."""
        user = FIRST_USER + 100 * self._number + place
        asked = self._chats.setdefault(user, [])
        article = ARTICLES[(7 * place + len(asked)) % len(ARTICLES)]
        asked.append(article)
        self._house.telegram.say(user, _question(article))
        return user, article

    def send_a_mail(self) -> None:
        """Hand a mail to Postfix until it says that it has it."""
        self.hand_in(self.new_mail())

    def new_mail(self) -> int:
        """The number of a mail that is to be sent."""
        return next(self._mails)

    def hand_in(self, number: int) -> None:
        """Send a mail, again until Postfix says that it has it."""
        article = ARTICLES[number % len(ARTICLES)]
        subject = f"Question {self._number}-{number}"
        raw = mail(_question(article), subject=subject, message_id=self.name_of(number)[1:-1])
        while not self._leaving.is_set():
            try:
                with smtplib.SMTP("127.0.0.1", self._house.mail.ports["mx"], timeout=CLIENT_TIMEOUT) as session:
                    session.sendmail(ALICE, [ASSISTANT], raw)
                self._taken.append(self.name_of(number))
                return
            except (OSError, smtplib.SMTPException):
                self._leaving.wait(AGAIN)

    def name_of(self, number: int) -> str:
        """The Message-ID of a mail."""
        return f"<question-{self._number}-{number}@client.example>"

    def call_the_api(self) -> threading.Thread:
        """A question to the API in a thread, again until it is answered."""
        thread = threading.Thread(target=self._call, args=(len(self._calls),), daemon=True)
        self._calls.append(thread)
        thread.start()
        return thread

    def _call(self, place: int) -> None:
        article = ARTICLES[place % len(ARTICLES)]
        body = {
            "message": _question(article),
            "channel": CHANNEL,
            "user_id": self._name,
            "parameters": {"max_length": 16, "temperature": 0},
        }
        while not self._leaving.is_set():
            with self._guard:
                self._sent += 1
            try:
                status, answer = self._house.core.post("/api/v1/chat", body, self._house.key)
            except (OSError, HTTPException, ValueError):
                status, answer = 0, {}
            with self._guard:
                if status == 200:
                    self._answered_at.append(time.monotonic())
                    self._wrong += [source["number"] for source in answer["sources"]][:1] != [article]
                    return
                self._refused[status] += 1
            self._leaving.wait(AGAIN)

    @property
    def _name(self) -> str:
        return f"faults-{self._number}"

    # -- what came of it ----------------------------------------------------------------------------------------------

    def open(self) -> list[str]:
        """What is not answered yet."""
        chats = sum(len(set(chat.asked) - set(chat.answered)) for chat in self.chats())
        post = self.post()
        mails = len(set(post.taken) - set(post.replies)) + len(set(post.taken) - set(post.copies))
        calls = sum(thread.is_alive() for thread in self._calls)
        updates = self._house.telegram.updates.waiting()
        counted = {"updates": updates, "Telegram questions": chats, "mails or copies": mails, "API questions": calls}
        return [f"{number} {name}" for name, number in counted.items() if number]

    def chats(self) -> list[Chat]:
        """Everybody's chat."""
        return [Chat(tuple(asked), self.answers_in(user)) for user, asked in self._chats.items()]

    def answers_in(self, user: int) -> tuple[str, ...]:
        """What the bot's finished answers in a chat are about, and its apologies."""
        found = (_subject(message) for message in self._house.telegram.messages(user))
        return tuple(one for one in found if one)

    def post(self) -> Post:
        """What was mailed, and came back; by Message-IDs of this scenario."""
        mine = f"<question-{self._number}-"
        replies, copies = (
            [one for one in self._house.answered_mails(folder) if one.startswith(mine)]
            for folder in ("replies", "sent")
        )
        return Post(tuple(self._taken), replies, copies)

    def calls(self, killed_at: float | None) -> Calls:
        """What the API said. `killed_at`: when the AI core was killed (time.monotonic)."""
        unsure = sum(killed_at is not None and -RECORDED_WITHIN < at - killed_at < 0.5 for at in self._answered_at)
        stored = self._house.answers_on_record(CHANNEL, self._name)
        return Calls(self._sent, len(self._answered_at), self._wrong, dict(self._refused), stored, unsure=unsure)

    def leave(self) -> None:
        """Ask for nothing any more."""
        self._leaving.set()


class Crowd:
    """Lets `people` ask at a steady rate, from a thread for each way; a context."""

    EVERY = (("bot", 0.4), ("mail", 1.5), ("api", 0.5))  # seconds

    def __init__(self, people: People) -> None:
        self._people = people
        self._ending = threading.Event()
        self._asked = 0
        self._threads = [
            threading.Thread(target=self._run, args=(way, pause), daemon=True) for way, pause in self.EVERY
        ]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _run(self, way: str, pause: float) -> None:
        while not self._ending.wait(pause):
            if way == "bot":
                self._people.write_to_the_bot(self._asked % CHATS)
                self._asked += 1
            elif way == "mail":
                self._people.send_a_mail()
            else:
                self._people.call_the_api()


def _question(article: str) -> str:
    return f"Que dit l'article {article} ?"


def _subject(message: Shown) -> str:
    """The article that a finished answer is about: one that can be rated."""
    if APOLOGY in message.text:
        return "apology"
    found = NUMBER.search(message.text) if "👍" in message.buttons else None
    return found[0] if found else ""
