"""Two guests of the rig: our mail server, and somebody else's on "the internet", with the DNS that both need."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

from tests.deploy import rig as rig_module
from tests.deploy.playbook import Controller, Played
from tests.deploy.rig import NETWORK, Rig

HERE = Path(__file__).parent
ASSISTANT, ADMIN, ALICE = "assistant@cdt.example", "admin@cdt.example", "alice@client.example"
PASSWORDS = {ASSISTANT: "ouvre-toi-sesame", ADMIN: "autre-mot-de-passe"}
MX, INTERNET = f"{NETWORK}.21", f"{NETWORK}.22"
ZONE = f"""
local=/cdt.example/
host-record=mail.cdt.example,{MX}
mx-host=cdt.example,mail.cdt.example,10
local=/client.example/
host-record=mx.client.example,{INTERNET}
mx-host=client.example,mx.client.example,10
txt-record=client.example,"v=spf1 mx -all"
local=/strict.example/
host-record=strict.example,{NETWORK}.23
txt-record=strict.example,"v=spf1 -all"
txt-record=_dmarc.strict.example,"v=DMARC1; p=reject"
"""
RECORD = re.compile(r'^ *- \'?(?:")?([a-z0-9._-]+)\. TXT "(.*)"\'?$', re.MULTILINE)


class MailGuests:
    """`folder` is for the certificate and logs, `signature` what the virus scanner knows (a line of a .hsb file)."""

    def __init__(self, program: Path, state: Path, folder: Path, signature: str) -> None:
        guests = {**rig_module.GUESTS, "post": 21, "world": 22}
        with mock.patch.object(rig_module, "GUESTS", guests):
            self.rig = Rig(program, state)
        self._state, self._folder, self._signature = state, folder, signature
        self.records: dict[str, str] = {}
        self._controller: Controller | None = None

    def start(self) -> None:
        """Two bare Debians, and a certificate by the rig's authority."""
        self._write_zone()
        self.rig("image")
        self.rig.start_fresh("post", "world")
        self.rig("dns")
        self._make_certificate()

    def stop(self) -> None:
        """Nothing stays."""
        (self._state / "dns.extra").unlink()
        self.rig("reset", "post", "world")

    def play(self) -> Played:
        """Install both; what the play prints as records goes into the DNS."""
        variables = {
            "rig_state": str(self._state),
            "rig_network": NETWORK,
            "certificate_folder": str(self._folder),
            "assistant_password": PASSWORDS[ASSISTANT],
            "admin_password": PASSWORDS[ADMIN],
            "eicar_signature": self._signature,
        }
        self._controller = self._controller or Controller(variables, self._folder)
        played = self._controller.play("mail-server", playbook=str(HERE / "mail_server.yml"))
        self.records = dict(RECORD.findall(played.output))
        self._write_zone()
        self.rig("dns")
        return played

    def hand_in(
        self,
        raw: bytes,
        *,
        sender: str = ALICE,
        recipient: str = ASSISTANT,
        port: int = 25,
        times: int = 1,
        login: tuple[str, str] | None = None,
    ) -> list[tuple[int, str]]:
        """From the internet's host; what the server said to each attempt."""
        order = {
            "raw": base64.b64encode(raw).decode(), "sender": sender, "recipient": recipient, "port": port,
            "times": times, "login": login,
        }  # fmt: skip
        script = base64.b64encode((HERE / "stranger.py").read_bytes()).decode()
        command = f"echo {script} | base64 -d >/tmp/stranger.py; python3 /tmp/stranger.py '{json.dumps(order)}'"
        found: list[Any] = [json.loads(line) for line in self.rig.run("world", command).splitlines()]
        return [(code, text) for code, text in found]

    def received(self) -> list[bytes]:
        """What came to Alice."""
        command = "for f in /home/alice/Maildir/new/*; do [ -e $f ] && base64 -w0 $f && echo; done; true"
        return [base64.b64decode(line) for line in self.rig.run("world", command).splitlines()]

    def _write_zone(self) -> None:
        # A TXT record's pieces have 255 characters at most.
        lines = [
            f"txt-record={name}," + ",".join(f'"{value[at : at + 250]}"' for at in range(0, len(value), 250))
            for name, value in self.records.items()
        ]
        (self._state / "dns.extra").write_text(ZONE + "\n".join(lines) + "\n")

    def _make_certificate(self) -> None:
        authority = self._state / "ca"
        key, request, names = (self._folder / name for name in ("privkey.pem", "request.pem", "names"))
        names.write_text("subjectAltName=DNS:mail.cdt.example\n")
        options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=mail.cdt.example"]
        subprocess.run(["openssl", "req", *options, "-keyout", key, "-out", request], check=True, capture_output=True)
        subprocess.run(
            ["openssl", "x509", "-req", "-in", request, "-CA", authority / "ca.crt", "-CAkey", authority / "ca.key",
             "-CAcreateserial", "-days", "30", "-extfile", names, "-out", self._folder / "fullchain.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
