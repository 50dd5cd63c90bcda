"""Each alert fires when its cause is made, and is over when the cause is: the services as units of a real systemd,
Prometheus, Alertmanager, blackbox and node exporter with the configuration of the role, and the rules in a hurry."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import mail_system
from tests.deploy.watched import units
from tests.deploy.watched.causes import Backup, DiskImage, TlsServer, can_limit_memory, run_out_of_memory
from tests.deploy.watched.chat import Chat
from tests.deploy.watched.house import House
from tests.deploy.watched.hurry import hurried
from tests.deploy.watched.monitoring import Certificate, Labels, Monitoring, Node, missing
from tests.deploy.watched.stalled_core import StalledCore
from tests.mail_service.expected import corpus_message
from tests.mail_service.service import mail
from tests.mail_system import BOB
from tests.waiting import until

PATIENCE = 240.0  # seconds
# It takes the memory of everything else: test_memory.py.
NOT_MADE = {"MemoryAlmostGone"}
SENDER_LIMIT = 2  # mails that one person gets in an hour


def reason() -> str | None:
    """Why it is not tried, or None."""
    if not (os.environ.get("RIG") or os.environ.get("ALERTS") == "live"):
        return "takes two minutes: make test-deploy, or ALERTS=live"
    programs = ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter", "prometheus-blackbox-exporter")
    return missing(*programs, "redis-server", "age", "rsync", "mkfs.ext4") or units.missing() or mail_system.missing()


pytestmark = pytest.mark.skipif(reason() is not None, reason=str(reason()))


@dataclass(frozen=True)
class Cause:
    """Makes `alert`, with these labels among others, until it `ends`. `wave`: 1, or 2 for what would hide figures of
    the first; `late`: it fires when the first wave has ended, as what waited gets its answer."""

    alert: str
    where: Labels
    make: Callable[[], object]
    end: Callable[[], object]
    wave: int = 1
    late: bool = False

    def __str__(self) -> str:
        return f"{self.alert} {self.where}"

    def is_told_by(self, alert: Labels) -> bool:
        return alert["alertname"] == self.alert and self.where.items() <= alert.items()


def nothing() -> None:
    """It is made, or ends, with another one; or its figure forgets by itself."""


class World:
    """Everything that is watched, and how each of its parts is broken and mended."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.house = stack.enter_context(House(home / "house", poisoned=True, sender_limit=SENDER_LIMIT))
        self.engine = stack.enter_context(StalledCore(home / "engine"))
        self.chat = Chat()
        stack.callback(self.chat.close)
        self.tls = {name: TlsServer(self._folder(home / f"tls-{name}")) for name in ("soon", "over")}
        for server in self.tls.values():
            server.renew(60)
            stack.callback(server.close)
        self.disks = {name: DiskImage(home, name) for name in ("full", "files", "filling")}
        for disk in self.disks.values():
            stack.callback(disk.unmount)
        texts = {host: self._folder(home / f"texts-{host}") for host in ("ai", "post", "front")}
        self.nodes = {
            "ai": Node("ai", texts["ai"], "expected", self.house.units.bus),
            "post": Node("post", texts["post"], "expected"),
            "front": Node("front", texts["front"]),
        }
        self.backups = {host: Backup(self._folder(home / f"backup-{host}"), texts[host]) for host in ("ai", "post")}
        for backup in self.backups.values():
            backup.second_place.mkdir()
            assert backup.run() == 0
        self.monitoring = Monitoring(
            self._folder(home / "monitoring"),
            [*self.house.services(), self.engine.service],
            nodes=list(self.nodes.values()),
            certificates=[Certificate("ai", server.port) for server in self.tls.values()],
            rules=hurried(),
            receivers=self.chat.receiver,
            every=4,  # a busy machine answers within that
        )
        listed = self.house.core.get("/api/v1/models", {"X-API-Key": self.house.chat_key})["models"]
        self._model = next(model["id"] for model in listed if model["status"] == "loaded")
        self.monitoring.check()
        stack.callback(self.monitoring.stop)
        self.monitoring.start()

    def causes(self) -> list[Cause]:
        """All of them, at once."""
        ai, bot, post = ({"instance": f"{name}.example.org"} for name in ("ai", "bot", "mail"))
        engine, host = {"instance": "engine.example.org"}, {"instance": "ai"}
        start, stop = self._order("start"), self._order("stop")
        return [
            # Units.
            Cause("UnitDown", {**host, "name": "mail-web.service"}, stop("mail-web"), start("mail-web"), wave=2),
            Cause("ServiceDown", post, nothing, nothing, wave=2),
            Cause("UnitFailed", {"name": "code-du-travail-backup.service"}, self._fail_unit, self._mend_failed_unit),
            Cause("UnitRestarts", {"name": "mail-worker@2.service"}, self._circle, stop("mail-worker@2")),
            # What the bots wait for.
            Cause("DeadLetters", {**bot, "place": "dead"}, self.house.poison, self.house.heal),
            Cause("TelegramQueueGrows", bot, self._block_telegram, start("telegram-worker@1")),
            Cause("RepliesSlow", bot, nothing, nothing, late=True),
            Cause("MailQueueGrows", post, nothing, start("mail-worker@1")),
            Cause("DeadLetters", {**post, "state": "failed"}, nothing, nothing),
            Cause("MailBreaker", {**post, "reason": "sender_limit"}, nothing, nothing),
            Cause("ErrorRate", engine, self.engine.break_steps, self.engine.mend_steps, wave=2),
            Cause("ServiceDegraded", bot, self.house.bot.ai.go_away, self.house.bot.ai.come_back),
            # The AI core.
            Cause("ComponentDown", {**ai, "component": "model"}, self._unload, self._load),
            Cause("ServiceNotReady", ai, nothing, nothing),
            Cause("EngineStalled", engine, self.engine.freeze, self.engine.thaw),
            Cause("QuestionsQueueGrows", engine, nothing, nothing),
            Cause("AnswersSlow", engine, nothing, nothing, late=True),
            Cause("FirstWordSlow", engine, nothing, nothing, late=True),
            Cause("UsageLost", engine, self.engine.lose_database, self.engine.find_database, late=True),
            # Machines.
            Cause("HostDown", {"instance": "front"}, self._host_down, self._host_up),
            Cause("DiskAlmostFull", self._on("full"), lambda: self.disks["full"].use(8 << 20), self._clear("full")),
            Cause("InodesAlmostGone", self._on("files"), self.disks["files"].use_files, self._clear("files")),
            Cause("DiskFillsUp", self._on("filling"), self._fill_slowly, self._clear("filling")),
            *([Cause("OutOfMemory", host, run_out_of_memory, nothing)] if can_limit_memory() else []),
            # What is kept.
            Cause("CertificateEnds", self._of("soon"), lambda: self.tls["soon"].renew(5), self._renew("soon")),
            Cause("CertificateEnded", self._of("over"), lambda: self.tls["over"].renew(-1), self._renew("over")),
            Cause("BackupOld", host, self._back_up_badly, self._back_up_well),
            Cause("BackupNotSent", host, nothing, nothing),
            Cause("BackupMissing", {"instance": "post"}, self._lose_backup, self.backups["post"].run),
            # Monitoring itself.
            Cause("FiguresUnreadable", {"instance": "post"}, self._write_nonsense, self._remove_nonsense),
            Cause("AlertsNotSent", {"integration": "telegram"}, self._revoke_token, self._accept_token),
        ]

    def told(self) -> list[Labels]:
        """Alerts that fire and are about what is watched here: this machine may have troubles of its own."""
        ours = {str(disk.folder) for disk in self.disks.values()}
        return [one for one in self.monitoring.alerts() if one.get("mountpoint", next(iter(ours))) in ours]

    # -- how it is made -----------------------------------------------------------------------------------------------

    def _order(self, word: str) -> Callable[[str], Callable[[], None]]:
        return lambda unit: lambda: self.house.units.order(word, f"{unit}.service")

    def _fail_unit(self) -> None:
        command = [*units.python("common.backup", "--plan"), "/nowhere", "run"]
        self.house.units.write("code-du-travail-backup", command, {}, "Type=oneshot")
        self.house.units.order("start", "--no-block", "code-du-travail-backup.service")

    def _mend_failed_unit(self) -> None:
        self.house.units.order("reset-failed", "code-du-travail-backup.service")

    def _circle(self) -> None:
        self.house.units.run("mail-worker@2", ["/bin/false"], {})

    def _block_telegram(self) -> None:
        """Mails, too: of one more person than the breaker lets through, one that is empty; then nobody works."""
        self._write_mails()
        until(lambda: self.house.bot.mailbox.lengths()["dead"], PATIENCE)
        for unit in ("telegram-worker@1", "mail-worker@1"):
            self.house.units.order("stop", f"{unit}.service")
        self.house.crowd.ask(60)
        self.house.mail.put(mail(sender=BOB, message_id="waits@client.example"))

    def _write_mails(self) -> None:
        self.house.mail.put(corpus_message("empty-body"))
        for number in range(SENDER_LIMIT + 1):
            self.house.mail.put(mail(subject=f"Question {number}", message_id=f"{number}@client.example"))
        until(lambda: self.monitoring.figures('mail_held_total{reason="sender_limit"} > 0'), PATIENCE)
        until(lambda: self.monitoring.figures('mail_messages{state="failed"} > 0'), PATIENCE)

    def _unload(self) -> None:
        status, body = self.house.core.post(f"/api/v1/models/{self._model}/unload", {}, self.house.chat_key)
        assert status == 200, body

    def _load(self) -> None:
        status, body = self.house.core.post(f"/api/v1/models/{self._model}/load", {}, self.house.chat_key)
        assert status in (200, 202), body

    def _host_down(self) -> None:
        self.monitoring.stop_node(self.nodes["front"])

    def _host_up(self) -> None:
        self.monitoring.start_node(self.nodes["front"])

    def _fill_slowly(self) -> None:
        self.disks["filling"].use(4 << 20)

        def fill() -> None:
            for _ in range(60):
                self.disks["filling"].use(32 << 10)
                time.sleep(0.5)

        threading.Thread(target=fill, daemon=True).start()

    def _clear(self, disk: str) -> Callable[[], None]:
        return self.disks[disk].clear

    def _on(self, disk: str) -> Labels:
        return {"instance": "ai", "mountpoint": str(self.disks[disk].folder)}

    def _of(self, server: str) -> Labels:
        return {"instance": f"127.0.0.1:{self.tls[server].port}"}

    def _renew(self, server: str) -> Callable[[], None]:
        return lambda: self.tls[server].renew(60)

    def _back_up_badly(self) -> None:
        shutil.rmtree(self.backups["ai"].second_place)
        assert self.backups["ai"].run(hours_ago=31) == 1

    def _back_up_well(self) -> None:
        self.backups["ai"].second_place.mkdir()
        assert self.backups["ai"].run() == 0

    def _lose_backup(self) -> None:
        (self.nodes["post"].texts / "code_du_travail_backup.prom").unlink()

    def _write_nonsense(self) -> None:
        (self.nodes["post"].texts / "half.prom").write_text("half a li")

    def _remove_nonsense(self) -> None:
        (self.nodes["post"].texts / "half.prom").unlink()

    def _revoke_token(self) -> None:
        self.chat.revoked = True

    def _accept_token(self) -> None:
        self.chat.revoked = False

    @staticmethod
    def _folder(folder: Path) -> Path:
        folder.mkdir()
        return folder


class Watch:
    """Notes which alerts fire, all the time: some are over before anybody looks."""

    def __init__(self, world: World, causes: list[Cause]) -> None:
        self.fired: set[str] = set()
        self.firing: set[str] = set()
        self._world = world
        self._causes = causes
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def wait_for(self, causes: list[Cause]) -> None:
        """Until all of them have fired, at the latest after PATIENCE."""
        self._wait(lambda: {str(cause) for cause in causes} <= self.fired)

    def wait_for_silence(self) -> None:
        """Until none fires any more, at the latest after PATIENCE."""
        self._wait(lambda: not self.firing)

    def _wait(self, look: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not look() and time.monotonic() < end:
            time.sleep(0.3)

    def _look(self) -> None:
        while not self._ending.wait(0.5):
            told = self._world.told()
            self.firing = {str(cause) for cause in self._causes if any(map(cause.is_told_by, told))}
            self.fired |= self.firing


@dataclass
class Seen:
    """What became of the causes: alerts before any was made, those that fired, those that did to the end."""

    quiet: list[Labels]
    causes: list[Cause]
    fired: set[str]
    left: set[str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """All causes are made, and all ended, at the same time: each for itself would take half an hour."""
    with ExitStack() as stack:
        world = World(tmp_path_factory.mktemp("world"), stack)
        # Until every figure is older than the longest window, nothing is compared with what was before.
        until(
            lambda: not world.monitoring.unreached() and len(world.monitoring.figures("up offset 35s")) > 10, PATIENCE
        )
        quiet, causes = world.told(), world.causes()
        watch = stack.enter_context(Watch(world, causes))
        for wave in (1, 2):
            now = [cause for cause in causes if cause.wave == wave]
            for cause in now:
                print(time.strftime("%X"), "make", cause)
                cause.make()
            watch.wait_for([cause for cause in now if not cause.late])
            for cause in now:
                print(time.strftime("%X"), "end", cause)
                cause.end()
            watch.wait_for([cause for cause in now if cause.late])
            print(time.strftime("%X"), len(watch.fired), "have fired")
        watch.wait_for_silence()
        yield Seen(quiet, causes, watch.fired, watch.firing)


def test_while_all_is_well_no_alert_fires(seen: Seen) -> None:
    assert seen.quiet == []


def test_each_alert_fires_when_its_cause_is_made(seen: Seen) -> None:
    silent = {str(cause) for cause in seen.causes} - seen.fired
    assert not silent, "\n".join(silent)


def test_each_alert_is_over_when_its_cause_is(seen: Seen) -> None:
    assert not seen.left, "\n".join(seen.left)


def test_no_alert_is_left_out_without_being_named(seen: Seen) -> None:
    made = {cause.alert for cause in seen.causes}
    unmade = NOT_MADE if can_limit_memory() else NOT_MADE | {"OutOfMemory"}
    assert made | unmade == {rule["alert"] for group in hurried()["groups"] for rule in group["rules"]}
