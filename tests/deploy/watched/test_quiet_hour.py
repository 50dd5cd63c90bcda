"""Hours in which people ask now and then, and somebody deploys: with the rules of production no alert fires."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests import mail_system
from tests.deploy.load import Load
from tests.deploy.watched import units
from tests.deploy.watched.causes import Backup, TlsServer
from tests.deploy.watched.house import House
from tests.deploy.watched.monitoring import Certificate, Monitoring, Node, missing
from tests.mail_service.service import mail
from tests.mail_system import BOB
from tests.waiting import until

MINUTES = int(os.environ.get("QUIET_MINUTES", "0"))
LOOK_EVERY = 15  # seconds, as in production
UNITS = ("ai-core", "telegram-web", "telegram-worker@1", "mail-web", "mail-poller", "mail-worker@1")
# Of the machine on which it is tried, which others use.
NOT_OURS = ("DiskAlmostFull", "DiskFillsUp", "InodesAlmostGone", "MemoryAlmostGone", "OutOfMemory")


def reason() -> str | None:
    """Why it is not tried, or None."""
    if not MINUTES:
        return "takes as long as it says: QUIET_MINUTES=60"
    programs = ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter", "prometheus-blackbox-exporter")
    return missing(*programs, "redis-server", "age", "rsync") or units.missing() or mail_system.missing()


pytestmark = pytest.mark.skipif(reason() is not None, reason=str(reason()))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path / "house") as built:
        yield built


@pytest.fixture
def monitoring(house: House, tmp_path: Path) -> Iterator[Monitoring]:
    texts, archives, programs = (tmp_path / name for name in ("texts", "archives", "monitoring"))
    for folder in (texts, archives, programs):
        folder.mkdir()
    backup, server = Backup(archives, texts), TlsServer(tmp_path)
    backup.second_place.mkdir()
    assert backup.run() == 0
    server.renew(60)
    nodes = [Node("ai", texts, "expected", house.units.bus)]
    certificates = [Certificate("ai", server.port)]
    with ExitStack() as stack:
        stack.callback(server.close)
        watching = Monitoring(programs, house.services(), nodes=nodes, certificates=certificates, every=LOOK_EVERY)
        stack.callback(watching.stop)
        watching.start()
        yield watching


def ask(house: House, number: int) -> int:
    """Somebody asks, each time another way."""
    if number % 3 == 0:
        house.crowd.ask()
        return 200
    if number % 9 == 1:
        raw = mail(sender=BOB, subject=f"Question {number}", message_id=f"{number}@client.example")
        house.mail.deliver(raw, sender=BOB)
        return 200
    url, body = f"http://127.0.0.1:{house.core.port}/api/v1/chat", {"message": f"Quel préavis, question {number} ?"}
    return requests.post(url, json=body, headers={"X-API-Key": house.chat_key}, timeout=120).status_code


def deploy(house: House) -> None:
    """Each unit is restarted, one after the other, as the play does it."""
    for unit in UNITS:
        house.units.order("restart", f"{unit}.service")
        time.sleep(5)


def test_no_alert_fires_while_people_ask_and_somebody_deploys(house: House, monitoring: Monitoring) -> None:
    until(lambda: not monitoring.unreached())
    half = MINUTES * 60 / 2
    with Load(lambda number: ask(house, number), per_second=0.5) as load:
        time.sleep(half)
        deploy(house)
        time.sleep(half)
    fired = monitoring.figures(f'max_over_time(ALERTS{{alertstate="firing"}}[{MINUTES + 10}m])')
    pending = monitoring.figures(f'max_over_time(ALERTS{{alertstate="pending"}}[{MINUTES + 10}m])')
    print(f"{MINUTES} minutes: {dict(load.outcomes)}")
    print("pending for a while:", sorted({labels["alertname"] for labels, _ in pending}))
    assert [labels for labels, _ in fired if labels["alertname"] not in NOT_OURS] == []
    assert monitoring.figures("sum(increase(telegram_updates_done_total[1h]))")[0][1] > 0, "the bot was at work"
    assert monitoring.figures("sum(mail_completed_total)")[0][1] > 0, "mails were answered"
