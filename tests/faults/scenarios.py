"""Which fault comes over which part of the system: data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.house import Build


@dataclass(frozen=True, slots=True)
class Scenario:
    """`fault` is one of fault.FAULTS; `victims` are components, disks, clocks or lines of a house made as `build`."""

    fault: str
    target: str
    victims: Sequence[str]
    build: Build

    @property
    def name(self) -> str:
        return f"{self.fault}-{self.target}" + ("-sqlite" if self.build.sqlite else "")


SERVER, LINES, CLOCKS, SMALL = Build(), Build(lines=True), Build(clocks=True), Build(sqlite=True)
TELEGRAM_WORKERS = ("telegram-worker-1", "telegram-worker-2")
MAIL_WORKERS = ("mail-worker-1", "mail-worker-2")
ONE_EACH = {
    "ai-core": ("ai-core",),
    "telegram-web": ("telegram-web",),
    "telegram-worker": TELEGRAM_WORKERS[:1],
    "mail-poller": ("mail-poller",),
    "mail-worker": MAIL_WORKERS[:1],
    "redis": ("redis",),
    "postgres": ("postgres",),
    "postfix": ("postfix",),
    "dovecot": ("dovecot",),
}
ALL_WORKERS = {"telegram-worker": TELEGRAM_WORKERS, "mail-worker": MAIL_WORKERS}
OURS = ("ai-core", "telegram-web", *TELEGRAM_WORKERS, "mail-poller", *MAIL_WORKERS)
EVERYTHING = (*OURS, "redis", "postgres", "postfix", "dovecot")
HOST = ("ai-core", "telegram", "mail", "redis", "postgres")


def _scenarios() -> list[Scenario]:
    found = [
        Scenario(fault, target, victims, SERVER)
        for fault, targets in (
            ("kill", {**ONE_EACH, "everything-of-ours": OURS}),
            ("pause", ONE_EACH),
            ("restart", {**ONE_EACH, **ALL_WORKERS}),
        )
        for target, victims in targets.items()
    ]
    found += [
        Scenario("disk", target, (target,), SERVER)
        for target in ("ai-core", "telegram", "mail", "redis", "postgres", "postfix", "dovecot")
    ]
    found += [
        Scenario(fault, target, (target,), LINES)
        for fault in ("slow", "cut")
        for target in ("ai-core", "redis", "postgres", "smtp", "imap", "bot-api", "webhook")
    ]
    found += [
        Scenario(fault, target, victims, CLOCKS)
        for fault in ("ahead", "behind")
        for target, victims in {**{name: (name,) for name in HOST}, "host": HOST}.items()
    ]
    found.append(Scenario("boot", "host", EVERYTHING, CLOCKS))
    found += [Scenario("kill", target, ONE_EACH[target], SMALL) for target in ("telegram-worker", "mail-worker")]
    found += [Scenario("disk", target, (target,), SMALL) for target in ("telegram", "mail")]
    return found


SCENARIOS = _scenarios()
