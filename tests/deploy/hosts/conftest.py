"""Hosts of the rig, installed once by the real playbook: `make test-deploy` (RIG=the rig's program)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.deploy.hosts.repository import Repository
from tests.deploy.outside import Outside
from tests.deploy.playbook import Controller, Played
from tests.deploy.rig import ALIASES, BRIDGE, GUESTS, Rig, address, names_resolve

REPOSITORY = Path(__file__).parents[3]
RIG_PROGRAM = os.environ.get("RIG", "")
RIG_STATE = Path(os.environ.get("RIG_STATE", "/var/tmp/vps-rig"))
KEEP = bool(os.environ.get("RIG_KEEP"))  # leave the hosts as they are at the end, to look at them
REUSE = bool(os.environ.get("RIG_REUSE"))  # begin with hosts that were kept: quicker, but proves less
BACK_WITHIN = 180  # seconds, on a busy machine
THREE = ("ai-core", "telegram", "mail")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They take minutes, root, and hosts of their own."""
    if not RIG_PROGRAM:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="`make test-deploy` runs it, on hosts of its own"))


@dataclass(frozen=True)
class World:
    """The hosts, what they meet outside, and who installs them."""

    rig: Rig
    outside: Outside
    controller: Controller
    repository: Repository

    def key(self, client: str, guest: str = "ai-core") -> str:
        """What the AI core's host keeps for a client."""
        return self.rig.run(guest, f"cat /etc/code-du-travail/credentials/issued/{client}").strip()

    def session(self) -> requests.Session:
        """Trusts what the test's authority signed."""
        session = requests.Session()
        session.verify = str(self.rig.authority)
        return session

    def doctor(self, guest: str) -> list[str]:
        """What the host's own look at itself finds wrong now; that a killed unit was started again is history."""
        lines = self.rig.run(guest, "code-du-travail-doctor || true").splitlines()
        assert lines, "the doctor said nothing"
        return [line for line in lines if not line.startswith("ok ") and "but it failed" not in line]

    def await_health(self, guest: str) -> None:
        """Until the doctor finds nothing."""
        end = time.monotonic() + BACK_WITHIN
        while found := self.doctor(guest):
            assert time.monotonic() < end, found
            time.sleep(3)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Fresh guests without anything on them, an ACME server, a mail server, a Bot API."""
    folder = tmp_path_factory.mktemp("deploy")
    rig = Rig(Path(RIG_PROGRAM).resolve(), RIG_STATE)
    (RIG_STATE / "pip-cache").mkdir(parents=True, exist_ok=True)
    knowledge = folder / "legi-data.tgz"
    pack = ["npm", "pack", "--silent", "@socialgouv/legi-data", "--pack-destination", str(folder)]
    packed = subprocess.run(pack, check=True, capture_output=True, text=True, cwd=folder)
    shutil.move(folder / packed.stdout.split()[-1], knowledge)
    rig("image")
    if REUSE:
        rig("up", *THREE)
    else:
        rig.start_fresh(*THREE)
        rig("acme")
    rig("dns")
    repository = Repository(REPOSITORY, folder / "repository")
    names = {f"{guest}.rig.test": address(guest) for guest in GUESTS}
    names |= {name: address(guest) for name, guest in ALIASES.items()}
    with Outside(BRIDGE) as outside, names_resolve(names), pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(rig.authority))  # the fake Bot API calls the webhook as Telegram does
        variables = {
            "rig_state": str(RIG_STATE),
            "rig_knowledge_file": str(knowledge),
            "python_app_repository": str(repository.folder),
            **outside.variables(),
        }
        yield World(rig, outside, Controller(variables, folder), repository)
    if not KEEP:
        rig("destroy")


@pytest.fixture(scope="session")
def first_play(world: World) -> Played:
    """The whole system on three hosts."""
    played = world.controller.play("three-hosts", "-v")
    assert played.succeeded, played.output[-6000:]
    return played


@pytest.fixture
def hosts(world: World, first_play: Played) -> World:
    """The three hosts, installed."""
    assert first_play.succeeded
    return world
