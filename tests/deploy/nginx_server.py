"""A real nginx on free ports of the loopback, with the sites of nginx/ as the Ansible role installs them."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.end_to_end.server import free_port
from tests.waiting import until

SOURCE = Path(__file__).resolve().parents[2] / "nginx"
NAMES = {"ai_core": "ai-api.example.org", "telegram": "telegram.example.org", "mail": "mail.example.org"}


def program() -> str | None:
    """Debian's nginx, or None."""
    return shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")


class SiteConnection(HTTPSConnection):
    """https to a loopback port under a site's own name."""

    def __init__(self, name: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(name, port, context=context, timeout=100)
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `body` is JSON where it is JSON, else text."""

    status: int
    headers: HTTPMessage
    body: Any


class Nginx:
    """Started by `start`, stopped by its own pid. `variables` take the place of the defaults below."""

    def __init__(self, **variables: Any) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="nginx-"))
        self.home.chmod(0o755)  # its workers are www-data where it is started by root
        self.http_port, self.https_port = free_port(), free_port()
        self.variables = {
            "nginx_listen": ["127.0.0.1"],
            "nginx_http_port": self.http_port,
            "nginx_https_port": self.https_port,
            "nginx_names": NAMES,
            "nginx_certificate_dir": self.home / "live",
            "nginx_acme_root": self.home / "acme",
            "nginx_log_dir": self.home / "log",
            "nginx_cache_dir": self.home / "cache",
            "nginx_ai_core_upstreams": ["127.0.0.1:9"],
            "nginx_telegram_upstream": "127.0.0.1:9",
            "nginx_mail_upstream": "127.0.0.1:9",
            "nginx_requests_per_second": 50,
            "nginx_requests_burst": 100,
            "nginx_webhooks_per_second": 300,
            "nginx_webhooks_burst": 600,
            "nginx_webhook_networks": [],
            "nginx_connections_per_address": 100,
            "nginx_unlimited_networks": [],
            "nginx_ai_core_body_size": "2m",
            "nginx_ai_core_audio_size": "26m",
            "nginx_cloudflare": False,
            **variables,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._install()

    @property
    def config(self) -> Path:
        return self.home / "nginx.conf"

    def test(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t`."""
        return subprocess.run([*self._command(), "-t"], capture_output=True, text=True, timeout=60)

    def start(self) -> None:
        """Return once both ports answer."""
        with (self.home / "stderr").open("ab") as log:
            self._process = subprocess.Popen([*self._command(), "-g", "daemon off;"], stdout=log, stderr=log)
        for port in (self.http_port, self.https_port):
            until(lambda port=port: self._answers(port))  # type: ignore[misc]

    def reload(self) -> None:
        """Read the configuration again; return once the workers before are gone."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        before = set(children.read_text().split())
        self._process.send_signal(signal.SIGHUP)
        until(lambda: not before & set(children.read_text().split()))

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
        shutil.rmtree(self.home, ignore_errors=True)

    def ask(
        self, site: str, path: str, *, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One https request to a site: "ai_core", "telegram" or "mail"."""
        response = self.begin(site, path, method=method, body=body, headers=headers)
        return read(response)

    def begin(
        self, site: str, path: str, *, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        """The same, with the response's body still to be read."""
        return self.send(site, path, method=method, body=body, headers=headers).getresponse()

    def send(
        self, site: str, path: str, *, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> SiteConnection:
        """The same, without waiting for the response."""
        connection = SiteConnection(NAMES[site], self.https_port, self.trust())
        given = {"Host": NAMES[site], "Connection": "close", **(headers or {})}
        if body is not None:
            given["Content-Type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, body, given)
        return connection

    def ask_plain(self, host: str, path: str, *, method: str = "GET") -> Reply:
        """One http request under the name `host`."""
        connection = HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        connection.request(method, path, headers={"Host": host})
        return read(connection.getresponse())

    def trust(self) -> ssl.SSLContext:
        """A client's context that trusts only this server's certificates."""
        return ssl.create_default_context(cafile=str(self.home / "ca.pem"))

    def log(self, name: str) -> str:
        """What stands in one log file, an empty text where there is none."""
        path = self.home / "log" / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _command(self) -> list[str]:
        found = program()
        assert found is not None
        return [found, "-c", str(self.config)]

    def _answers(self, port: int) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.home / "stderr").read_text()[-2000:]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def _install(self) -> None:
        for folder in ("conf.d", "sites-enabled", "acme", "log", "cache"):
            (self.home / folder).mkdir()
        shutil.copytree(SOURCE / "snippets", self.home / "snippets" / "code-du-travail")
        # As ansible.builtin.template renders.
        templates = Environment(
            loader=FileSystemLoader(SOURCE),
            undefined=StrictUndefined,
            trim_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - no HTML
        )
        for template in SOURCE.glob("*/*.j2"):
            target = {"sites": "sites-enabled"}.get(template.parent.name, template.parent.name)
            text = templates.get_template(f"{template.parent.name}/{template.name}").render(self.variables)
            (self.home / target / template.stem).write_text(text, encoding="utf-8")
        main = (SOURCE / "nginx.conf").read_text(encoding="utf-8")
        main = main.replace("/run/nginx.pid", str(self.home / "pid")).replace("/etc/nginx/", f"{self.home}/")
        main = main.replace("/var/log/nginx", str(self.home / "log")).replace(
            f"{self.home}/mime.types", "/etc/nginx/mime.types"
        )
        main = main.replace("worker_processes auto", "worker_processes 2")
        main = main.replace(f"include {self.home}/modules-enabled/*.conf;\n", "")
        self.config.write_text(main, encoding="utf-8")
        self._write_certificates()

    def _write_certificates(self) -> None:
        names = ",".join(f"DNS:{name}" for name in NAMES.values())
        key, certificate = self.home / "key.pem", self.home / "ca.pem"
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test "
            f"-addext subjectAltName={names} -keyout {key} -out {certificate}"
        )
        subprocess.run(command.split(), check=True, capture_output=True, timeout=60)
        for name in NAMES.values():
            live = self.home / "live" / name
            live.mkdir(parents=True)
            shutil.copy(key, live / "privkey.pem")
            shutil.copy(certificate, live / "fullchain.pem")


def read(response: HTTPResponse) -> Reply:
    """The whole response."""
    raw = response.read()
    is_json = response.headers.get_content_type() == "application/json"
    return Reply(response.status, response.headers, json.loads(raw) if is_json else raw.decode())
