"""Three hosts that are lost and made again, by the names that they always had."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.common.backup.host import new_identity
from tests.deploy.hosts.repository import Repository
from tests.deploy.outside import Outside
from tests.deploy.playbook import Controller, Played
from tests.deploy.rig import ALIASES, BRIDGE, Rig, address, names_resolve

REPOSITORY = Path(__file__).parents[3]
RIG_PROGRAM = os.environ.get("RIG", "")
RIG_STATE = Path(os.environ.get("RIG_STATE", "/var/tmp/vps-rig"))
KEEP = bool(os.environ.get("RIG_KEEP"))  # leave the hosts as they are at the end, to look at them
# Begin with hosts that were kept, and make them again from a picture taken before anybody asked: quicker, proves less.
REUSE = bool(os.environ.get("RIG_REUSE"))
GUESTS = ("lost-ai-core", "lost-telegram", "lost-mail")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They take many minutes, root, and hosts of their own."""
    if not RIG_PROGRAM:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="`make test-deploy` runs it, on hosts of its own"))


@dataclass
class Recovery:
    """The hosts, the world outside, and the operator with the keys of the backups. `archives` is on their machine."""

    rig: Rig
    outside: Outside
    controller: Controller
    archives: Path
    secrets: dict[str, object] = field(default_factory=dict)
    _picture: str = ""

    def play(self, playbook: str, *options: str, **variables: object) -> Played:
        return self.controller.play("lost-hosts", *options, playbook=playbook, **{**self.secrets, **variables})

    def must_play(self, playbook: str, *options: str, **variables: object) -> Played:
        played = self.play(playbook, *options, **variables)
        assert played.succeeded, played.output[-6000:]
        return played

    def build(self) -> None:
        """The whole system, empty."""
        if not REUSE:
            self._rebuild()
            return
        self.must_play("site.yml")
        self._picture = f"{time.time():.0f}"  # never the name of one that a host is built on
        for guest in GUESTS:
            self.rig("snapshot", guest, f"{guest}-{self._picture}")
        time.sleep(2)  # the kernel takes the interfaces of guests away a moment after them
        self.rig("up", *GUESTS)

    def lose_and_rebuild(self) -> None:
        """All that was on the hosts is gone."""
        if not REUSE:
            self._rebuild()
            return
        for guest in GUESTS:
            self.rig("restore", guest, f"{guest}-{self._picture}")
        time.sleep(2)
        self.rig("up", *GUESTS)

    def _rebuild(self) -> None:
        """From hosts as the provider hands them over."""
        self.rig.start_fresh(*GUESTS)
        self.must_play("site.yml")


@pytest.fixture(scope="module")
def recovery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recovery]:
    folder = tmp_path_factory.mktemp("recovery")
    rig = Rig(Path(RIG_PROGRAM).resolve(), RIG_STATE)
    (RIG_STATE / "pip-cache").mkdir(parents=True, exist_ok=True)
    pack = ["npm", "pack", "--silent", "@socialgouv/legi-data", "--pack-destination", str(folder)]
    packed = subprocess.run(pack, check=True, capture_output=True, text=True, cwd=folder)
    knowledge = Path(shutil.move(folder / packed.stdout.split()[-1], folder / "legi-data.tgz"))
    rig("image")
    rig("up", *GUESTS)
    rig("dns")
    if not (RIG_STATE / "pebble.pid").exists():
        rig("acme")  # anew it would have another root than the one that other hosts trust
    repository = Repository(REPOSITORY, folder / "repository")
    identity, recipient = new_identity()
    names = {name: address(guest) for name, guest in ALIASES.items()}
    with Outside(BRIDGE) as outside, names_resolve(names), pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(rig.authority))
        variables = {
            "rig_state": str(RIG_STATE),
            "rig_knowledge_file": str(knowledge),
            "python_app_repository": str(repository.folder),
            "backup_recipients": [recipient],
            "backup_controller_folder": str(folder / "archives"),
            "vault_backup_key": "a-key-that-signs-archives-0123456789abcdef",
            "vault_backup_identity": identity,
            **outside.variables(),
        }
        yield Recovery(rig, outside, Controller(variables, folder), folder / "archives")
    if not KEEP:
        rig("reset", *GUESTS)
