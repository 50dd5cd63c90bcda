"""The role central_logging in real rsyslogs: what one host logs is on another, nobody else reads it, and nothing waits
for it."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.deploy.log_host import Authority, LogHost, collector, sender
from tests.end_to_end.server import free_port
from tests.waiting import until

HAS_TLS = any(Path("/usr/lib").glob("*/rsyslog/lmnsd_ossl.so"))


def reason() -> str | None:
    """Why it cannot be tried here, or None."""
    if shutil.which("rsyslogd") is None or not HAS_TLS:
        return "not installed: apt-get install rsyslog rsyslog-openssl"
    return None if os.geteuid() == 0 else "rsyslog gives its files to root and adm as root only"


pytestmark = pytest.mark.skipif(reason() is not None, reason=str(reason()))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def running() -> Iterator[Callable[[LogHost], LogHost]]:
    """Starts a host, and stops it at the end."""
    hosts: list[LogHost] = []

    def start(host: LogHost) -> LogHost:
        hosts.append(host)
        host.check()
        host.start()
        return host

    yield start
    for host in hosts:
        host.kill()


def collected(host: LogHost) -> list[str]:
    """What our programs wrote that it has; rsyslog's own remarks come, too."""
    files = sorted((host.folder / "central").rglob("*.log"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [line.partition(" ai-core ")[2] for line in lines if " ai-core " in line]


def connected(port: int) -> socket.socket | None:
    """A connection, where somebody listens."""
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=30)
    except OSError:
        return None


Start = Callable[[LogHost], LogHost]


def test_what_a_host_logs_is_on_another_by_host_and_day(authority: Authority, running: Start, tmp_path: Path) -> None:
    port = free_port()
    there, here = running(collector(tmp_path / "there", authority, port)), sender(tmp_path / "here", authority, port)
    running(here).say('{"message": "modèle chargé", "seconds": 3}')
    until(lambda: collected(there))
    assert collected(there) == ['{"message": "modèle chargé", "seconds": 3}']
    (file,) = (there.folder / "central").rglob("*.log")
    assert file.parent.name == "127.0.0.1"
    assert file.name == f"{time.strftime('%Y-%m-%d', time.gmtime())}.log"
    assert (file.stat().st_mode & 0o777, file.group()) == (0o640, "adm")


def test_while_the_collector_is_away_nothing_waits_and_nothing_is_lost(
    authority: Authority, running: Start, tmp_path: Path
) -> None:
    port = free_port()
    there, here = collector(tmp_path / "there", authority, port), running(sender(tmp_path / "here", authority, port))
    for number in range(300):
        here.say(f"line {number} of a night")
    here.stop()  # a restart of the host in the middle
    here.start()
    running(there)
    everything = {f"line {number} of a night" for number in range(300)}
    until(lambda: everything <= set(collected(there)), seconds=90)


@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_a_collector_that_is_somebody_else_hears_nothing(
    wrong: str, authority: Authority, running: Start, tmp_path: Path
) -> None:
    port = free_port()
    other = Authority(tmp_path / "other-ca") if wrong == "authority" else authority
    name = "localhost" if wrong == "authority" else "elsewhere.example.org"
    there = running(collector(tmp_path / "there", other, port, name=name))
    here = running(sender(tmp_path / "here", authority, port))
    here.say("a secret")
    until(lambda: "closed due to error" in (there.folder / "rsyslogd.log").read_text())
    assert collected(there) == []


def test_who_listens_in_between_sees_a_handshake(authority: Authority, running: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        running(sender(tmp_path / "here", authority, port)).say("a secret")
        client, _ = listener.accept()
        with client:
            heard = client.recv(65_536)
    assert heard[:2] == b"\x16\x03", "TLS (RFC 8446, section 5.1)"
    assert b"a secret" not in heard


def test_who_speaks_no_tls_writes_nothing(authority: Authority, running: Start, tmp_path: Path) -> None:
    port = free_port()
    there, here = running(collector(tmp_path / "there", authority, port)), sender(tmp_path / "here", authority, port)
    with until(lambda: connected(port)) as stranger:
        stranger.sendall(b"<14>1 - - ai-core - - - forged\n")
        hear_the_end(stranger)
    running(here).say("a true line")
    until(lambda: collected(there))
    assert collected(there) == ["a true line"]


def hear_the_end(stranger: socket.socket) -> None:
    """Until the other side closes the connection, with or without a last word of TLS."""
    with suppress(ConnectionResetError):
        while stranger.recv(4_096):
            pass
