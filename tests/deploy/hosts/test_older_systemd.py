"""Debian 11's systemd 247 takes the units too: it stands in for the 249 of Ubuntu 22.04."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.hosts.conftest import RIG_PROGRAM, RIG_STATE
from tests.deploy.rig import GUESTS, Rig
from tests.deploy.unit_file import UNITS

GUEST = "debian-11"
RELEASE = "opt/code-du-travail/ai_core"

# In the place of the release's interpreter: tells what it was given, then that it is ready.
STAND_IN = """#!/usr/bin/python3
import os, socket, time
told = {name: open(path).read() for name, path in os.environ.items() if name.endswith("_FILE")}
open(os.environ["DATA_DIR"] + "/told", "w").write(repr((os.getcwd(), os.environ["LISTEN_FDS"], sorted(told.items()))))
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
time.sleep(60)
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """A guest of that suite with our units in their place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RIG_SUITE", "bullseye")
        patch.setitem(GUESTS, GUEST, 15)
        started = Rig(Path(RIG_PROGRAM).resolve(), RIG_STATE)
        started("image")
        started.start_fresh(GUEST)
        for unit in UNITS.iterdir():
            shutil.copy(unit, started.state / "m" / GUEST / "root" / "etc" / "systemd" / "system")
        yield started
        started("down", GUEST)
        started("reset", GUEST)


def test_it_is_that_old(rig: Rig) -> None:
    assert rig.run(GUEST, "systemctl --version").startswith("systemd 247 ")


def test_it_parses_every_unit_without_a_word(rig: Rig) -> None:
    names = " ".join(path.name for path in UNITS.iterdir())
    assert rig.run(GUEST, f"cd /etc/systemd/system && systemd-analyze verify {names} 2>&1") == ""


def test_it_hands_over_sockets_and_secrets(rig: Rig) -> None:
    """Also those without a file, which that systemd would refuse but for SetCredential."""
    root = rig.state / "m" / GUEST / "root"
    interpreter = root / RELEASE / "releases" / "1" / "venv" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(STAND_IN, encoding="utf-8")
    interpreter.chmod(0o755)
    rig.run(GUEST, f"ln -s releases/1 /{RELEASE}/current; useradd --system ai-core")
    rig.run(GUEST, "mkdir -p /etc/code-du-travail/credentials/ai_core; touch /etc/code-du-travail/ai_core.env")
    rig.run(GUEST, "umask 077; echo geheim > /etc/code-du-travail/credentials/ai_core/SECRET_KEY")
    rig.run(GUEST, "systemctl daemon-reload; systemctl start ai-core.service")
    told = rig.run(GUEST, "cat /var/lib/code-du-travail/ai_core/told")
    assert told.startswith(f"('/{RELEASE}/releases/1', '1', "), "by the release's real path, with one socket"
    assert "('SECRET_KEY_FILE', 'geheim\\n')" in told
    assert "('WEBHOOK_KEY_FILE', '\\n')" in told
