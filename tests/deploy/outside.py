"""What the hosts meet outside, on this machine behind the rig's bridge: mail server, scanner, Telegram's Bot API."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from tests.clamav import ClamAv
from tests.deploy.forwarder import Forwarder
from tests.mail_system import MailSystem
from tests.telegram_server import TelegramServer

NAME = "rig-host.rig.test"  # this machine, in the rig's DNS


class NamedMailSystem(MailSystem):
    """One whose certificate also has the name that the rig's hosts know it by."""

    def _make_certificate(self) -> None:
        files = ("-keyout", str(self.home / "key.pem"), "-out", str(self.certificate))
        options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost"
        names = f"subjectAltName=DNS:{NAME},DNS:localhost,IP:127.0.0.1"
        command = ["openssl", "req", *options.split(), "-addext", names, *files]
        subprocess.run(command, check=True, capture_output=True)


class Outside:
    """Started and stopped with a `with`. `address`: of the bridge."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.mail = NamedMailSystem()
        self.telegram = TelegramServer()
        self._scanner = ClamAv(("Rig.Test", b"a file that the rig's scanner finds"))
        self._forwarders: dict[str, Forwarder] = {}

    def __enter__(self) -> Outside:
        self.mail.start()
        self.telegram.__enter__()
        self._scanner.start()
        ports = {name: self.mail.ports[name] for name in ("imaps", "submission")}
        ports["scanner"] = int(self._scanner.address.rpartition(":")[2])
        ports["telegram"] = int(self.telegram.url.rpartition(":")[2])
        self._forwarders = {name: Forwarder(self._address, port) for name, port in ports.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for forwarder in self._forwarders.values():
            forwarder.close()
        self._scanner.remove()
        self.mail.remove()
        self.telegram.__exit__(kind, error, trace)

    def _authority(self) -> Path:
        """The certificate as a file that update-ca-certificates takes."""
        return Path(shutil.copy(self.mail.certificate, self.mail.home / "outside.crt"))

    def variables(self) -> dict[str, object]:
        """What a play needs to know of it."""
        return {
            "outside_name": NAME,
            "outside_ports": {name: forwarder.port for name, forwarder in self._forwarders.items()},
            "outside_certificate": str(self._authority()),
            "outside_bot_token": self.telegram.token,
        }
