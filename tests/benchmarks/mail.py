"""The mail service under load and under kill -9: `python -m tests.benchmarks.mail`.

Real processes all the way: Postfix, Dovecot, Redis, the AI core with its embedded model, a poller and two workers.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil

from mail_service.composition import Parts, compose
from mail_service.settings import Settings
from mail_service.storage import Message
from tests.corpus import legi_package
from tests.end_to_end.server import Server
from tests.mail_service.service import mail, read
from tests.mail_system import ALICE, ASSISTANT, MailSystem
from tests.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("poller", "worker", "worker")
QUESTIONS = (
    "Quelle est la durée légale du travail ?",
    "Quel est le préavis en cas de démission ?",
    "Quelle est la durée de la période d'essai d'un ouvrier ?",
    "Qu'est-ce que le harcèlement moral ?",
)
WIDE = {"MAX_EMAILS_PER_SENDER_HOUR": "100000", "MAX_EMAILS_PER_SUBJECT_DAY": "100000"}
PER_SENDER = 10  # mails
PATIENCE = 1_800.0  # seconds for everything to be done

Figures = Mapping[str, Any]


class Bench:
    """The counterparts, and the service's processes over them."""

    def __init__(self, system: MailSystem, core: Server, redis: RedisServer, data_dir: Path) -> None:
        self.system = system
        self.data_dir = data_dir
        key = core.new_key("chat")
        self._variables = {
            "AI_API_URL": f"http://127.0.0.1:{core.port}",
            "AI_API_KEY": key,
            "REDIS_URL": redis.url,
            "EMAIL_CHECK_INTERVAL": "2",
            "RETRY_SECONDS": "1",
        }
        self.running: list[subprocess.Popen[bytes]] = []

    def environment(self, **variables: str) -> dict[str, str]:
        """The settings of the service."""
        return self.system.settings(self.data_dir, **{**self._variables, **WIDE, **variables})

    def start(self, role: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start one process as an operator does."""
        environment = {**self.environment(**variables), "PATH": os.environ["PATH"]}
        with (self.data_dir / "output").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "mail_service", role], cwd=ROOT, env=environment, stdout=output, stderr=output
            )

    def start_all(self, **variables: str) -> None:
        """Start a poller and two workers."""
        self.running = [self.start(role, **variables) for role in ROLES]

    def stop_all(self) -> None:
        """Stop what runs, as systemd does."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(60)
        self.running = []

    def parts(self, **variables: str) -> Parts:
        """The service within this process, to look at it."""
        return compose(Settings.from_environment(self.environment(**variables)))


@contextmanager
def bench() -> Iterator[Bench]:
    """Start the counterparts."""
    with ExitStack() as stack:
        system, redis = MailSystem(), RedisServer()
        stack.callback(system.remove)
        system.start()
        stack.callback(redis.remove)
        redis.start()
        stack.callback(redis.stop)
        core = Server(Path(stack.enter_context(tempfile.TemporaryDirectory())), RATE_LIMIT_USER_PER_MINUTE="100000")
        core.command("knowledge", "update", "--from", str(legi_package()))
        core.start()
        stack.callback(core.stop)
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = Bench(system, core, redis, home)
        stack.callback(made.stop_all)
        yield made


def question(number: int) -> tuple[str, bytes]:
    """Who sends the mail, and the mail."""
    sender = ALICE.replace("@", f"+{number // PER_SENDER}@")
    text = QUESTIONS[number % len(QUESTIONS)]
    return sender, mail(text, sender=sender, subject=f"Question {number}", message_id=f"{number}@client.example")


def load(made: Bench, count: int, limit: int) -> Figures:
    """`count` mails are there before anybody looks; `limit` of them may be answered within the hour."""
    for number in range(count):
        sender, raw = question(number)
        made.system.deliver(raw, sender=sender)
    wait(lambda: len(uids(made.system)) == count)
    began = time.monotonic()
    made.start_all(MAX_EMAILS_PER_HOUR=str(limit))
    parts = made.parts()
    memory: list[float] = []

    def settled() -> bool:
        done = sum(number for state, number in states(parts).items() if state in ("completed", "held"))
        if done >= count / 10:  # all processes are up
            memory.append(memory_of(made))
        return done == count

    wait(settled, every=1.0)
    seconds = time.monotonic() - began
    held = states(parts)
    made.stop_all()
    operations = parts.operations()
    with parts.database:
        for row in operations.listed(state="held", reason=None, before=None, limit=count):
            operations.release(row.id)
    made.start_all(MAX_EMAILS_PER_HOUR=str(limit))
    wait(lambda: states(parts) == {"completed": count} and not uids(made.system), every=1.0)
    made.stop_all()
    with parts.database:
        rows: Any = Message.select(Message.done_at, Message.received_at).where(Message.done_at.is_null(False)).tuples()
        waits = [(done - received).total_seconds() for done, received in rows]
    quarter = max(1, len(memory) // 4)
    return {
        "messages": count,
        "held by the limit of an hour": held.get("held", 0),
        "answered within it": held.get("completed", 0),
        "seconds": round(seconds, 1),
        "answers a minute": round(held.get("completed", 0) / seconds * 60, 1),
        "wait of an answer, median (s)": round(median(waits), 1),
        "wait of an answer, 95 % (s)": round(quantiles(waits, n=20)[-1], 1),
        "memory of the three processes, first quarter (MB)": round(median(memory[:quarter])),
        "memory of the three processes, last quarter (MB)": round(median(memory[-quarter:])),
        **exactly_once(made.system, count),
    }


def kill(made: Bench, count: int, seconds: float) -> Figures:
    """`count` mails come in within `seconds`, while processes are killed at random."""
    quick = {"LEASE_SECONDS": "1", "SEND_CHECK_AFTER": "3", "MAX_EMAILS_PER_HOUR": "100000"}
    made.start_all(**quick)
    chance = random.Random(11)
    began = time.monotonic()
    delivered = kills = 0
    next_kill = 2.0
    while (now := time.monotonic() - began) < seconds:
        while delivered < min(count, int(count * now / (seconds * 0.9)) + 1):
            sender, raw = question(delivered)
            made.system.deliver(raw, sender=sender)
            delivered += 1
        if now >= next_kill:
            victim = chance.randrange(len(ROLES))
            made.running[victim].kill()
            made.running[victim].wait()
            made.running[victim] = made.start(ROLES[victim], **quick)
            kills += 1
            next_kill = now + chance.uniform(0.2, 2.0)
        time.sleep(0.02)
    parts = made.parts(**quick)
    wait(lambda: states(parts) == {"completed": count} and not uids(made.system), every=0.5)
    recovery = time.monotonic() - began - seconds
    time.sleep(5)  # a second reply would come now
    made.stop_all()
    return {
        "messages": count,
        "seconds of killing": seconds,
        "processes killed": kills,
        "seconds to recover": round(recovery, 1),
        **exactly_once(made.system, count),
    }


def exactly_once(system: MailSystem, count: int) -> Figures:
    """Lost and doubled replies and copies."""
    wait(lambda: len(system.mails(ALICE)) >= count and len(system.mails(ASSISTANT, "Sent")) >= count)
    replies = Counter(read(raw)["In-Reply-To"] for raw in system.mails(ALICE))
    copies = Counter(read(raw)["In-Reply-To"] for raw in system.mails(ASSISTANT, "Sent"))
    wanted = {f"<{number}@client.example>" for number in range(count)}
    return {
        "replies lost": len(wanted - set(replies)),
        "replies sent twice": sum(times > 1 for times in replies.values()),
        "Sent copies missing": len(wanted - set(copies)),
        "Sent copies doubled": sum(times > 1 for times in copies.values()),
    }


def states(parts: Parts) -> dict[str, int]:
    """How many messages are in each state."""
    with parts.database:
        return dict(Counter(row.state for row in Message.select(Message.state)))


def uids(system: MailSystem) -> list[int]:
    """What is in the inbox."""
    client = system.session()
    client.select_folder("INBOX", readonly=True)
    return list(client.search(["ALL"]))


def memory_of(made: Bench) -> float:
    """Resident memory of the service's processes, in MB."""
    return float(sum(psutil.Process(process.pid).memory_info().rss for process in made.running)) / 1e6


def wait(condition: Callable[[], bool], every: float = 0.2) -> None:
    """Until `condition` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the mail is not done with")
        time.sleep(every)


def main() -> int:
    """Measure, print a table, write JSON; 1 when anything was lost or said twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--limit", type=int, default=800, help="MAX_EMAILS_PER_HOUR of the load run")
    parser.add_argument("--killed-messages", type=int, default=100)
    parser.add_argument("--kill-seconds", type=float, default=60.0)
    parser.add_argument("--only", choices=("load", "kill"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    runs: dict[str, Callable[[Bench], Figures]] = {
        "load": lambda made: load(made, options.messages, options.limit),
        "kill": lambda made: kill(made, options.killed_messages, options.kill_seconds),
    }
    results: dict[str, Figures] = {}
    for name, run in runs.items():
        if options.only in (None, name):
            with bench() as made:
                results[name] = run(made)
            print(f"\n{name}")
            for label, figure in results[name].items():
                print(f"  {label:<52} {figure:>10}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    wrong = ("replies lost", "replies sent twice", "Sent copies missing", "Sent copies doubled")
    return int(any(result[label] for result in results.values() for label in wrong))


if __name__ == "__main__":
    sys.exit(main())
