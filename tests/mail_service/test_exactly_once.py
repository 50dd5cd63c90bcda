"""Whatever is killed when: exactly one reply and one Sent copy for each mail."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mail_service.imap_server import MailAway
from mail_service.smtp_client import SendFailed
from tests.mail_service.process import POINTS, POLLER_POINTS, start
from tests.mail_service.service import Service, build_service, mail, read
from tests.mail_system import ALICE, MailSystem
from tests.waiting import until

QUICK = {
    "LEASE_SECONDS": "0.5",
    "SEND_CHECK_AFTER": "1",
    "RETRY_SECONDS": "0.05",
    "EMAIL_CHECK_INTERVAL": "1",
    "MAX_EMAILS_PER_SENDER_HOUR": "100000",
    "MAX_EMAILS_PER_SUBJECT_DAY": "100000",
    "MAX_EMAILS_PER_HOUR": "100000",
}
KILLED = -9


@pytest.fixture
def quick(mail_system: MailSystem, tmp_path: Path) -> Iterator[Service]:
    """A service that soon takes over what another one left."""
    built = build_service(mail_system, tmp_path, **QUICK)
    yield built
    built.close()


def environment(service: Service) -> dict[str, str]:
    return service.system.settings(service.settings.data_dir, **QUICK)


def recovered(service: Service, count: int = 1) -> None:
    """Let the survivor work until every mail is done with."""

    def done() -> bool:
        service.poll()
        service.work_off()
        return service.outcomes() == {"completed": count} and not service.system.mails()

    until(done, 60)


def answered_once(system: MailSystem, ids: list[str]) -> None:
    """Assert one reply to each of `ids` in Alice's mailbox and one copy in Sent."""
    expected = Counter({f"<{one}>": 1 for one in ids})
    time.sleep(0.3)  # a second reply would be on its way now
    until(lambda: len(system.mails(ALICE)) >= len(ids))
    for user, folder in ((ALICE, "INBOX"), ("assistant@cdt.example", "Sent")):
        assert Counter(read(raw)["In-Reply-To"] for raw in system.mails(user, folder)) == expected, folder


@pytest.mark.parametrize("point", sorted(POINTS))
def test_a_process_killed_at_one_point_leaves_exactly_one_reply(quick: Service, point: str) -> None:
    quick.system.put(mail())
    if point in POLLER_POINTS:
        quick.poll()
        quick.work_off()
    else:
        quick.poll()
    killed = start("poller" if point in POLLER_POINTS else "worker", environment(quick), point)
    assert killed.wait(60) == KILLED
    recovered(quick)
    answered_once(quick.system, ["question-1@client.example"])
    assert b"\\Answered" in quick.system.flags("Processed")[0]


def test_processes_killed_at_random_leave_exactly_one_reply_each(quick: Service) -> None:
    ids = [f"question-{number}@client.example" for number in range(30)]
    for one in ids:
        quick.system.put(mail(message_id=one))
    chance = random.Random(5)
    running = [start(role, environment(quick)) for role in ("poller", "worker", "worker")]
    until_when = time.monotonic() + 8
    while time.monotonic() < until_when:
        time.sleep(chance.uniform(0.3, 1.2))
        victim = chance.randrange(3)
        running[victim].kill()
        running[victim].wait()
        running[victim] = start("poller" if victim == 0 else "worker", environment(quick))
    for process in running:
        process.kill()
        process.wait()
    recovered(quick, len(ids))
    answered_once(quick.system, ids)


def test_two_workers_never_send_the_same_reply(quick: Service) -> None:
    ids = [f"q-{number}@client.example" for number in range(10)]
    for one in ids:
        quick.system.put(mail(message_id=one))
    quick.poll()
    workers = [start("worker", environment(quick)) for _ in range(3)]
    until(lambda: quick.outcomes() == {"completed": len(ids)}, 60)
    for worker in workers:
        worker.terminate()
        assert worker.wait(20) == 0
    recovered(quick, len(ids))
    answered_once(quick.system, ids)


class CutLine:
    """A submission server that takes everything and hangs up before it says so."""

    def __init__(self, service: Service) -> None:
        self._smtp = service.parts.smtp
        self.left = 1

    def send(self, sender: str, recipient: str, raw: bytes) -> None:
        self._smtp.send(sender, recipient, raw)
        if self.left:
            self.left -= 1
            raise SendFailed("SMTPServerDisconnected", taken_perhaps=True)


def test_a_lost_line_after_the_message_is_no_reason_to_send_it_again(quick: Service) -> None:
    quick.parts.outbox._smtp = CutLine(quick)
    quick.system.put(mail())
    quick.poll()
    recovered(quick)
    answered_once(quick.system, ["question-1@client.example"])


def test_while_the_sent_folder_cannot_be_seen_nothing_is_sent_again(quick: Service) -> None:
    quick.parts.outbox._smtp = CutLine(quick)
    quick.system.put(mail())
    quick.poll()
    real, away = quick.parts.sent.holds, MailAway("ConnectionRefusedError")

    def not_now(message_id: str) -> bool:
        raise away

    quick.parts.sent.holds = not_now  # type: ignore[method-assign]
    end = time.monotonic() + 2
    while time.monotonic() < end:
        quick.work_off()
        time.sleep(0.1)
    assert quick.outcomes() == {"replying": 1}
    quick.parts.sent.holds = real  # type: ignore[method-assign]
    recovered(quick)
    answered_once(quick.system, ["question-1@client.example"])


def test_the_frozen_reply_has_the_same_id_whoever_makes_it(quick: Service) -> None:
    quick.system.put(mail())
    quick.run()
    until(lambda: len(quick.system.mails(ALICE)) == 1)
    [sent] = quick.system.mails(ALICE)
    assert re.fullmatch(r"<[0-9a-f]{32}@cdt\.example>", read(sent)["Message-ID"])
