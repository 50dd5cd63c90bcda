"""What the hosts hold of people, as somebody would find it who has them and their secrets."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from common.crypto import Cipher
from tests.deploy.hosts.conftest import World

SERVICES = {"ai-core": "ai_core", "telegram": "telegram_service", "mail": "mail_service"}  # by guest
SCRIPT = base64.b64encode(Path(__file__).with_name("contents.py").read_bytes()).decode()
PROGRAM = "/run/contents.py"
TOKEN = re.compile(r"gAAAA[\w-]+={0,2}")  # what Fernet encrypted


class Held:
    """Asks the three hosts anew each time."""

    def __init__(self, world: World) -> None:
        self._world = world
        for guest in SERVICES:
            world.rig.run(guest, f"echo {SCRIPT} | base64 -d >{PROGRAM}")

    def secret(self, guest: str) -> str:
        """SECRET_KEY of the guest's service, as it stands there: newest first."""
        file = f"/etc/code-du-travail/credentials/{SERVICES[guest]}/SECRET_KEY"
        return self._world.rig.run(guest, f"cat {file}").strip()

    def rows(self, guest: str, secrets: Sequence[str] = ()) -> list[str]:
        """Every row of the database and value of Redis, decrypted with `secrets` or those that the service has.
        Raises Undecryptable where that is not enough."""
        cipher = Cipher(secrets or self.secret(guest).split())
        found = self._look(guest, "rows", SERVICES[guest])
        return [TOKEN.sub(lambda token: cipher.decrypt(token[0]), row) for row in found]

    def rows_with(self, words: Sequence[str]) -> list[str]:
        """Those of all services that hold one of `words`. That somebody was erased may be noted, under their hash."""
        everything = [f"{guest}: {row}" for guest in SERVICES for row in self.rows(guest)]
        return [row for row in everything if any(word in row for word in words) and '"audit_entry"' not in row]

    def files_with(self, words: Sequence[str]) -> list[str]:
        """GUEST:PATH of each file of the hosts that holds one of `words`, the journal included."""
        return [f"{guest}:{path}" for guest in SERVICES for path in self._look(guest, "files", json.dumps(words))]

    def _look(self, guest: str, *arguments: str) -> list[str]:
        python = f"/opt/code-du-travail/{SERVICES[guest]}/current/venv/bin/python"
        return self._world.rig.run(guest, shlex.join([python, PROGRAM, *arguments])).splitlines()
