"""The doctor's looks at a host, each at something that is well and something that is not."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest

from common.doctor.__main__ import main
from common.doctor.certificates import check_certificate
from common.doctor.disks import check_disk
from common.doctor.dns_records import check_addresses, check_records
from common.doctor.listeners import check_listeners, local, parsed
from common.doctor.services import check_service
from common.doctor.units import check_failed, check_unit
from common.health import Status
from tests.ai_core.api.openai_compat.loopback import served
from tests.common.doctor.conftest import Program
from tests.fakes import Core

NAME = "ai-api.example.org"
HOST: dict[str, Any] = {
    "units": [],
    "services": {},
    "names": {},
    "records": [],
    "folders": ["/"],
    "open_ports": list(range(1, 65_536)),
    "ca_file": None,
}


@contextmanager
def tls_port(folder: Path, *, name: str = NAME, days: int = 90) -> Iterator[int]:
    """A port that shows a certificate of its own for `name`."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = (
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days {days} -subj /CN=test "
        f"-addext subjectAltName=DNS:{name} -keyout {key} -out {certificate}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return  # closed: the test is over
            try:
                with context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(1)
            except OSError:
                plain.close()  # the client did not trust it

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_a_certificate_is_trusted_and_says_how_long(tmp_path: Path) -> None:
    with tls_port(tmp_path) as port:
        check = check_certificate(NAME, tmp_path / "certificate.pem", port=port)
        assert check.status is Status.OK
        assert check.detail.endswith("days left.")
        assert check_certificate(NAME, None, port=port).status is Status.DOWN, "nobody else trusts it"
        wrong = check_certificate("other.example.org", tmp_path / "certificate.pem", port=port)
        assert (wrong.status, "Hostname mismatch" in wrong.detail) == (Status.DOWN, True)


@pytest.mark.parametrize(("days", "status"), [(20, Status.DEGRADED), (3, Status.DOWN)])
def test_a_certificate_that_is_not_renewed_is_told(tmp_path: Path, days: int, status: Status) -> None:
    with tls_port(tmp_path, days=days) as port:
        check = check_certificate(NAME, tmp_path / "certificate.pem", port=port)
    assert check.status is status
    assert "certbot renew" in check.detail


def test_without_tls_there_is_no_certificate() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert check_certificate(NAME, None, port=port).status is Status.DOWN


def test_a_name_leads_to_the_addresses_that_it_should(program: Program) -> None:
    program("dig", '[ "$5" = A ] && printf "host.example.org.\\n192.0.2.1\\n" || echo 2001:db8:0::1')
    assert check_addresses(NAME, []).status is Status.OK
    assert check_addresses(NAME, ["2001:db8::1", "192.0.2.1"]).status is Status.OK
    also = check_addresses(NAME, ["192.0.2.1"])
    assert (also.status, "2001:db8::1" in also.detail) == (Status.DEGRADED, True)
    wrong = check_addresses(NAME, ["192.0.2.9", "2001:db8::1"])
    assert (wrong.status, "Should be 192.0.2.9 and 2001:db8::1; is " in wrong.detail) == (Status.DOWN, True)


def test_a_name_without_an_address_is_missing(program: Program) -> None:
    program("dig", "true")
    assert check_addresses(NAME, []).detail == "Should be there; is missing"
    assert check_addresses(NAME, ["192.0.2.1"]).detail == "Should be 192.0.2.1; is missing"


def test_records_are_found_among_others_and_in_pieces(program: Program) -> None:
    program("dig", r"""[ "$5" = TXT ] && printf '"other"\n"v=DKIM1; p=" "abc"\n'""")
    assert check_records("s._domainkey.example.org", "TXT", ["v=DKIM1; p=abc"]).status is Status.OK
    missing = check_records("example.org", "TXT", ["v=spf1 mx -all"])
    assert missing.status is Status.DOWN
    assert missing.detail == "Should be v=spf1 mx -all; is other and v=DKIM1; p=abc"


def test_without_a_resolver_records_are_not_said_to_be_missing(program: Program) -> None:
    assert "dig is missing" in check_records("example.org", "MX", ["10 mail.example.org."]).detail
    assert "dig is missing" in check_addresses(NAME, []).detail
    program("dig", "echo ';; connection timed out'; exit 9")
    assert check_addresses(NAME, []).detail == "The resolver does not answer."
    assert check_records("example.org", "MX", ["10 mail.example.org."]).detail == "The resolver does not answer."


def test_ports_that_only_the_firewall_closes_are_told(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as everywhere, socket.create_server(("127.0.0.1", 0)) as here:
        port = everywhere.getsockname()[1]
        check = check_listeners([])
        assert check.status is Status.DEGRADED
        assert str(port) in check.detail.rstrip(".").replace(",", "").split()
        assert str(here.getsockname()[1]) not in check.detail.rstrip(".").replace(",", "").split()
        assert check_listeners(range(1, 65_536)).status is Status.OK


def test_the_kernels_addresses_are_read() -> None:
    assert str(parsed("0100007F")) == "127.0.0.1"
    assert str(parsed("B80D0120000000000000000001000000")) == "2001:db8::1"
    assert local(parsed("0000000000000000FFFF00000100007F"))
    assert not local(IPv6Address("::"))


def test_units_are_active_or_the_journal_is_named(program: Program) -> None:
    active = (
        r"LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=%s\nStatusText=demo is loaded.\n"
        r"ActiveEnterTimestampMonotonic=%s\n"
    )
    now, yesterday = int(time.monotonic() * 1e6), int((time.monotonic() - 90_000) * 1e6)
    program("systemctl", f"printf '{active}' 0 {now}")
    assert check_unit("ai-core.service").detail == "active (running). demo is loaded."
    program("systemctl", f"printf '{active}' 3 {now}")
    assert check_unit("ai-core.service").status is Status.DEGRADED
    program("systemctl", f"printf '{active}' 3 {yesterday}")
    assert check_unit("ai-core.service").status is Status.OK, "that was told yesterday"
    program("systemctl", r"printf 'LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=watchdog\n'")
    failed = check_unit("ai-core.service")
    assert (failed.status, "watchdog" in failed.detail) == (Status.DOWN, True)
    program("systemctl", r"printf 'LoadState=not-found\nActiveState=inactive\n'")
    assert check_unit("ai-core.service").detail == "Not installed (not-found)."


def test_failed_units_of_others_are_told(program: Program) -> None:
    program("systemctl", "")
    assert check_failed().status is Status.OK
    program("systemctl", "echo 'apt-daily.service loaded failed failed Daily apt'")
    assert check_failed().detail == "Failed: apt-daily.service."


def test_a_disk_has_room_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_disk(tmp_path / "nowhere").status is Status.DOWN

    def statvfs(free: int, files: int) -> None:
        figures = {"f_blocks": 100, "f_bavail": free, "f_frsize": 10**9, "f_files": 100, "f_favail": files}
        monkeypatch.setattr("os.statvfs", lambda _: type("Figures", (), figures))

    for free, files, status in (
        (50, 50, Status.OK),
        (5, 50, Status.DEGRADED),
        (50, 5, Status.DEGRADED),
        (1, 50, Status.DOWN),
    ):
        statvfs(free, files)
        assert check_disk(tmp_path).status is status
    assert check_disk(tmp_path).detail == "1.0 GB free (1%), 50% of the files."


def test_a_service_tells_its_parts(core: Core) -> None:
    with served(core) as address:
        parts = check_service(address)
    assert parts["model"].detail == "scripted is loaded."
    assert parts["knowledge"].status is Status.DEGRADED
    assert check_service(address)["answers"].status is Status.DOWN, "it has ended"


def test_the_command_prints_a_line_for_each_and_fails_when_one_is_bad(
    tmp_path: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    program("systemctl", "")
    file = tmp_path / "doctor.json"
    file.write_text(json.dumps(HOST))
    assert main([str(file)]) == (0 if check_disk(Path("/")).status is Status.OK else 1)
    assert "None has failed." in capsys.readouterr().out
    file.write_text(json.dumps({**HOST, "services": {"ai_core": "http://127.0.0.1:9"}}))
    assert main([str(file), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ai_core answers"]["status"] == "down"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("{}", "needs exactly ca_file"),
        (json.dumps({**HOST, "records": [{"name": "x"}]}), "Record"),
        (json.dumps({**HOST, "open_ports": ["ssh"]}), "ssh"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str) -> None:
    file = tmp_path / "doctor.json"
    file.write_text(content)
    assert main([str(file)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(file) in error
    assert said in error


def test_it_needs_nothing_but_python(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).resolve().parents[3] / "common", tmp_path / "common")
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else "python3"
    done = subprocess.run(
        [
            python,
            "-I",
            "-c",
            "import sys; sys.path.insert(0, '.'); from common.doctor.__main__ import main; main(['x'])",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stderr == "code-du-travail-doctor: x: cannot be read: FileNotFoundError\n"
