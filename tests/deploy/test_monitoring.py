"""Prometheus and Alertmanager with the configuration that the role installs: an alert reaches mail and Telegram."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jinja2
import pytest
import yaml  # type: ignore[import-untyped]

from tests.end_to_end.server import free_port
from tests.mail_service.service import read
from tests.mail_system import ALICE, MailSystem, missing
from tests.waiting import until

MONITORING = Path(__file__).parents[2] / "monitoring"
OPERATOR = 424_242
RUNBOOKS = "https://wiki.example.org/"
MISSING = missing() or next(
    (f"{name} is not installed: apt-get install {name}" for name in ("prometheus", "prometheus-alertmanager")
     if shutil.which(name) is None),
    None,
)  # fmt: skip

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


class Figures:
    """A service with /metrics behind a key; `start` and `stop` at will, on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.asked = 0
        self._server: HTTPServer | None = None

    def start(self) -> None:
        figures = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers["Authorization"] == "Bearer cdt-key"
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


class Chat:
    """A Bot API server that knows one chat. Not the strict one of the bot's tests: Alertmanager's library still sends
    a parameter of older days, which Telegram takes."""

    TOKEN = "123456:abc"

    def __init__(self) -> None:
        self.texts: list[str] = []
        texts = self.texts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                taken = self.path == f"/bot{Chat.TOKEN}/sendMessage" and int(order["chat_id"]) == OPERATOR
                if taken:
                    texts.append(order["text"])
                result = {"message_id": len(texts), "date": 1, "chat": {"id": OPERATOR, "type": "private"}}
                refused = {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
                self.send_response(200 if taken else 400)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps({"ok": True, "result": result} if taken else refused).encode())

            def log_message(self, format: str, *arguments: object) -> None:
                """Silent."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def said(self, alert: str) -> list[str]:
        """What it was told of an alert, oldest first."""
        return [text for text in self.texts if alert in text]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Monitoring:
    """Both programs over rendered configurations, quicker than in production: `for` and waits are seconds."""

    def __init__(self, folder: Path, service: Figures, **receivers: object) -> None:
        self.folder = folder
        self._ports = {name: free_port() for name in ("prometheus", "alertmanager")}
        self._running: list[subprocess.Popen[bytes]] = []
        self._write_rules()
        self._write_key()
        values = self._defaults(service) | receivers
        loader = jinja2.FileSystemLoader(MONITORING)
        environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True)  # noqa: S701
        for name in ("prometheus.yml", "alertmanager.yml", "operator.tmpl"):
            (folder / name).write_text(environment.get_template(f"{name}.j2").render(values))

    def check(self) -> None:
        """The programs' own look at their configuration."""
        checks = (["promtool", "check", "config", "prometheus.yml"], ["amtool", "check-config", "alertmanager.yml"])
        for command in checks:
            done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Both programs."""
        self._run("alertmanager", "prometheus-alertmanager", "--storage.path=alerts", "--cluster.listen-address=")
        self._run("prometheus", "prometheus", "--storage.tsdb.path=figures")

    def stop(self) -> None:
        """End both."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(30)

    def _run(self, name: str, program: str, *options: str) -> None:
        listen = f"--web.listen-address=127.0.0.1:{self._ports[name]}"
        with (self.folder / f"{name}.log").open("wb") as log:
            command = [program, f"--config.file={name}.yml", listen, *options]
            self._running.append(subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log))

    def _write_rules(self) -> None:
        rules = yaml.safe_load((MONITORING / "rules.yml").read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            rule["for"] = "4s"  # a busy machine that misses one scrape is not down
        (self.folder / "rules.yml").write_text(yaml.safe_dump(rules))

    def _write_key(self) -> None:
        (self.folder / "keys").mkdir()
        (self.folder / "keys" / "ai_core").write_text("cdt-key")

    def _defaults(self, service: Figures) -> dict[str, object]:
        address = f"127.0.0.1:{service.port}"
        return {
            "monitoring_interval": "1s",
            "monitoring_rules_file": str(self.folder / "rules.yml"),
            "monitoring_prometheus": f"127.0.0.1:{self._ports['prometheus']}",
            "monitoring_alertmanager": f"127.0.0.1:{self._ports['alertmanager']}",
            "monitoring_blackbox": "127.0.0.1:9115",
            "monitoring_keys_folder": str(self.folder / "keys"),
            "monitoring_nodes": [],
            "monitoring_certificates": [],
            "monitoring_services": [
                {"job": "ai_core", "scheme": "http", "name": "ai.example.org", "host": "ai", "address": address}
            ],
            "monitoring_template_file": str(self.folder / "operator.tmpl"),
            "monitoring_runbooks_url": RUNBOOKS,
            "monitoring_group_wait": "1s",
            "monitoring_group_interval": "1s",
            "monitoring_mail_to": "",
            "monitoring_smtp_tls": False,
            "monitoring_smtp_username": "",
            "monitoring_telegram_chat": 0,
        }


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
    monitoring = Monitoring(
        tmp_path,
        service,
        monitoring_mail_to=ALICE,
        monitoring_mail_from="admin@cdt.example",
        monitoring_smtp_server=f"127.0.0.1:{mail.ports['mx']}",
        monitoring_telegram_chat=OPERATOR,
        monitoring_telegram_token=Chat.TOKEN,
        monitoring_telegram_url=telegram.url,
    )
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
    Monitoring(tmp_path, service, **receivers[way]).check()
