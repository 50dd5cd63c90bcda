"""Prometheus and Alertmanager with the configuration that the role installs: an alert reaches mail and Telegram."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests import mail_system
from tests.deploy.watched.chat import Chat
from tests.deploy.watched.monitoring import RUNBOOKS, Monitoring, Service, missing, with_short_waits
from tests.end_to_end.server import free_port
from tests.mail_service.service import read
from tests.mail_system import ALICE, MailSystem
from tests.waiting import until

KEY = "cdt-key"
MISSING = mail_system.missing() or missing("prometheus", "prometheus-alertmanager")

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


class Figures:
    """A service with /metrics behind a key; `start` and `stop` at will, on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.asked = 0
        self._server: HTTPServer | None = None

    @property
    def target(self) -> Service:
        """What Prometheus is told of it."""
        return Service("ai_core", "ai.example.org", "ai", self.port, KEY)

    def start(self) -> None:
        figures = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers["Authorization"] == f"Bearer {KEY}"
                figures.asked += known
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(b'component_up{component="model"} 1\n' if known else b"")

            def log_message(self, format: str, *arguments: object) -> None:
                """Silent."""

        self._server = HTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Figures:
    return Figures()


@pytest.fixture
def mail() -> Iterator[MailSystem]:
    system = MailSystem()
    system.start()
    yield system
    system.remove()


@pytest.fixture
def telegram() -> Iterator[Chat]:
    chat = Chat()
    yield chat
    chat.close()


def test_an_alert_and_its_end_reach_mail_and_telegram(
    service: Figures, mail: MailSystem, telegram: Chat, tmp_path: Path
) -> None:
    receivers = {
        "monitoring_mail_to": ALICE,
        "monitoring_mail_from": "admin@cdt.example",
        "monitoring_smtp_server": f"127.0.0.1:{mail.ports['mx']}",
        **telegram.receiver,
    }
    monitoring = Monitoring(tmp_path, [service.target], rules=with_short_waits(), receivers=receivers)
    monitoring.check()
    service.start()
    monitoring.start()
    try:
        until(lambda: service.asked > 2)
        assert not telegram.said("ServiceDown"), "all is well"

        service.stop()
        until(lambda: telegram.said("ServiceDown"))
        [told] = telegram.said("ServiceDown")
        assert told.startswith("critical: ai_core on ai.example.org does not answer\n")
        assert f"What to do: {RUNBOOKS}runbooks.md#service-down" in told
        until(lambda: letters(mail))
        [letter] = letters(mail)
        assert letter["Subject"] == "[ALERT] ServiceDown on ai"
        assert letter["Auto-Submitted"] == "auto-generated"

        service.start()
        until(lambda: len(telegram.said("ServiceDown")) == 2)
        assert telegram.said("ServiceDown")[1].startswith("over: ai_core on ai.example.org")
        until(lambda: len(letters(mail)) == 2)
        assert letters(mail)[1]["Subject"] == "[over] ServiceDown on ai"
    finally:
        monitoring.stop()
        service.stop()


def letters(mail: MailSystem) -> list[EmailMessage]:
    """What the operator was written of ServiceDown, oldest first."""
    return [letter for letter in map(read, mail.mails(ALICE)) if "ServiceDown" in letter["Subject"]]


@pytest.mark.parametrize("way", ["mail", "telegram"])
def test_one_way_out_is_enough(way: str, service: Figures, tmp_path: Path) -> None:
    receivers: dict[str, dict[str, object]] = {
        "mail": {
            "monitoring_mail_to": "operator@example.org",
            "monitoring_mail_from": "admin@example.org",
            "monitoring_smtp_server": "mail.example.org:587",
            "monitoring_smtp_tls": True,
            "monitoring_smtp_username": "admin@example.org",
            "monitoring_smtp_password": 'a "quoted" word: #{{',
        },
        "telegram": {
            "monitoring_telegram_chat": -1001,
            "monitoring_telegram_token": "1:a",
            "monitoring_telegram_url": "https://api.telegram.org",
        },
    }
    Monitoring(tmp_path, [service.target], receivers=receivers[way]).check()
