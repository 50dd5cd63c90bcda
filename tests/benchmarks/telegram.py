"""The Telegram service under load, with a poison and under kill -9: `python -m tests.benchmarks.telegram`.

Real web and worker processes and a real Redis (AOF); Telegram and the AI core are stand-ins on the loopback, in this
process, which takes its share of the processors. Telegram's limit of 30 messages a second is lifted: it would be the
slowest part.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.telegram_service.process import POISON
from tests.telegram_service.questions import FIRST_USER, Crowd
from tests.telegram_service.running import Running

Figures = Mapping[str, Any]
PATIENCE = 900.0  # seconds for everything to be done
PROBE_EVERY = 0.2


class Probe:
    """Asks /health again and again."""

    def __init__(self, running: Running) -> None:
        self.answers: list[tuple[int, float]] = []
        self._running = running
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(PROBE_EVERY):
            self.answers.append(self._running.get("/health"))


def order(updates: int, chats: int) -> Figures:
    """`updates` over `chats`, three workers, one poison."""
    with _running(workers=3, pause=0.001) as running:
        crowd = Crowd(running, chats)
        began = time.monotonic()
        crowd.ask(updates // 3)
        running.telegram.say(7, POISON)
        crowd.ask(updates - updates // 3)
        _wait(crowd.settled)
        seconds = time.monotonic() - began
        told = crowd.told()
        return {
            "updates": updates,
            "chats": chats,
            "worker processes": 3,
            "seconds": round(seconds, 1),
            "updates a second": round(updates / seconds, 1),
            "answered": told.answered,
            "lost": told.lost,
            "answered twice": told.doubled,
            "chats out of order": int(not crowd.in_order()),
            "workers killed by the poison": running.died,
            "dead letters": len(running.mailbox.dead_letters()),
        }


def alone(people: int) -> Figures:
    """`people` one after the other; every answer takes the AI core about half a second."""
    with _running(workers=2, pause=0.04) as running:
        asked = Crowd(running, people)
        said_at: dict[int, float] = {}
        for number in range(people):
            said_at[FIRST_USER + number] = time.monotonic()
            asked.ask()
            _wait(asked.settled)
        told = asked.told()
        first, whole = _reply_times(running, said_at)
        return {
            "questions": people,
            "answered": told.answered,
            "lost": told.lost,
            "first reply, median (s)": _seconds(first, 0.5),
            "first reply, slowest (s)": _seconds(first, 1.0),
            "whole answer, median (s)": _seconds(whole, 0.5),
            "whole answer, slowest (s)": _seconds(whole, 1.0),
        }


def crowd(people: int, seconds: float) -> Figures:
    """`people` with a question each within `seconds`; every answer takes the AI core about a second."""
    with _running(workers=3, pause=0.08, WORKER_THREADS="64") as running, Probe(running) as probe:
        asked = Crowd(running, people)
        said_at: dict[int, float] = {}
        began = time.monotonic()
        for number in range(people):
            time.sleep(max(0.0, began + seconds * number / people - time.monotonic()))
            said_at[FIRST_USER + number] = time.monotonic()
            asked.ask()
        _wait(asked.settled)
        took = time.monotonic() - began
        told = asked.told()
        first, whole = _reply_times(running, said_at)
        served = _webhook_times(running)
        hooks = sorted(delivery.seconds for delivery in running.telegram.updates.deliveries)
        health = sorted(seconds for _, seconds in probe.answers)
        return {
            "people": people,
            "asked within (s)": seconds,
            "all answered after (s)": round(took, 1),
            "answers at the same time, most": running.ai.most_at_once,
            "answered": told.answered,
            "lost": told.lost,
            "answered twice": told.doubled,
            "webhook, median (ms)": _milliseconds(served, 0.5),
            "webhook, 99 % (ms)": _milliseconds(served, 0.99),
            "webhook as this busy process sees it, 99 % (ms)": _milliseconds(hooks, 0.99),
            "first reply, median (s)": _seconds(first, 0.5),
            "first reply, 99 % (s)": _seconds(first, 0.99),
            "whole answer, median (s)": _seconds(whole, 0.5),
            "whole answer, 99 % (s)": _seconds(whole, 0.99),
            "health checks refused": sum(status != 200 for status, _ in probe.answers),
            "health, 99 % (ms)": _milliseconds(health, 0.99),
        }


def kill(questions: int, seconds: float) -> Figures:
    """`questions` within `seconds` of kill -9 at random, Redis killed, the AI core away for half of it, and a Telegram
    that refuses, fails, and closes connections."""
    chance = random.Random(11)
    counted: Counter[str] = Counter()
    with _running(workers=3, pause=0.03) as running:
        asked = Crowd(running, max(1, questions // 4))
        began = time.monotonic()
        events = sorted([(at, "kill") for at in _moments(chance, seconds, (0.3, 2.5))] + [
            *((seconds * part, "telegram") for part in (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)),
            *((seconds * part, "redis") for part in (0.4, 0.8)),
            (seconds * 0.25, "ai away"), (seconds * 0.75, "ai back"),
        ])  # fmt: skip
        for at, event in events:
            while (now := time.monotonic() - began) < at:
                asked.ask(max(0, int(questions * now / seconds) - len(asked.asked)))
                time.sleep(0.02)
            counted[event] += 1
            _harm(running, event, chance)
        asked.ask(questions - len(asked.asked))
        _wait(asked.settled)
        told = asked.told()
        return {
            "questions": questions,
            "seconds of killing": seconds,
            "processes killed": counted["kill"],
            "Redis killed": counted["redis"],
            "AI core away (s)": round(seconds / 2, 1),
            "troubles of Telegram": counted["telegram"] * 5,
            "seconds to recover": round(time.monotonic() - began - seconds, 1),
            "answered": told.answered,
            "apologised": told.apologised,
            "lost": told.lost,
            "answered twice": told.doubled,
            "chats out of order": int(not asked.in_order()),
            "placeholders left over": told.strays,
        }


def _harm(running: Running, event: str, chance: random.Random) -> None:
    telegram = running.telegram
    if event == "kill":
        running.kill(chance.randrange(len(running.processes)))
    elif event == "telegram":
        telegram.flood_next("sendMessage", 1)
        telegram.fail_next("sendMessage", 500, done=True)
        telegram.fail_next("editMessageText", 502)
        telegram.drop_next("editMessageText")
        telegram.hang_next("editMessageText", 3)
    elif event == "redis":
        running.redis.kill()
        time.sleep(0.5)
        running.redis.start()
    elif event == "ai away":
        running.ai.go_away()
    else:
        running.ai.come_back()


@contextmanager
def _running(*, workers: int, pause: float, **variables: str) -> Iterator[Running]:
    with (
        tempfile.TemporaryDirectory() as home,
        Running(Path(home), workers=workers, pause=pause, polls=False, **variables) as made,
    ):
        yield made


def _reply_times(running: Running, said_at: Mapping[int, float]) -> tuple[list[float], list[float]]:
    """Seconds until the first message to each person, and until the last change of one."""
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for call in running.telegram.calls:
        if call.method in ("sendMessage", "editMessageText"):
            chat = int(call.parameters["chat_id"])
            first.setdefault(chat, call.at)
            last[chat] = call.at
    known = [chat for chat in said_at if chat in first]
    return sorted(first[chat] - said_at[chat] for chat in known), sorted(last[chat] - said_at[chat] for chat in known)


def _webhook_times(running: Running) -> list[float]:
    """Seconds that the web process took for each update, by its own log."""
    lines = (json.loads(line) for line in running.log.read_text().splitlines() if '"/webhook"' in line)
    return sorted(line["milliseconds"] / 1000 for line in lines)


def _moments(chance: random.Random, seconds: float, every: tuple[float, float]) -> list[float]:
    found, at = [], chance.uniform(*every)
    while at < seconds:
        found.append(at)
        at += chance.uniform(*every)
    return found


def _seconds(values: Sequence[float], share: float) -> float:
    return round(values[min(len(values) - 1, int(len(values) * share))], 2)


def _milliseconds(values: Sequence[float], share: float) -> float:
    return round(values[min(len(values) - 1, int(len(values) * share))] * 1000, 1)


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the updates are not done with")
        time.sleep(0.1)


def main() -> int:
    """Measure, print a table, write JSON; 1 when anything was lost or said twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=4_000)
    parser.add_argument("--chats", type=int, default=200)
    parser.add_argument("--questions", type=int, default=30, help="one after the other")
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--within", type=float, default=10.0, help="seconds in which they all ask")
    parser.add_argument("--killed-questions", type=int, default=400)
    parser.add_argument("--kill-seconds", type=float, default=60.0)
    parser.add_argument("--only", choices=("alone", "order", "crowd", "kill"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    runs: dict[str, Callable[[], Figures]] = {
        "order": lambda: order(options.updates, options.chats),
        "alone": lambda: alone(options.questions),
        "crowd": lambda: crowd(options.people, options.within),
        "kill": lambda: kill(options.killed_questions, options.kill_seconds),
    }
    results: dict[str, Figures] = {}
    for name, run in runs.items():
        if options.only in (None, name):
            results[name] = run()
            print(f"\n{name}")
            for label, figure in results[name].items():
                print(f"  {label:<52} {figure:>10}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    wrong = ("lost", "answered twice", "chats out of order")
    return int(any(result.get(label) for result in results.values() for label in wrong))


if __name__ == "__main__":
    sys.exit(main())
