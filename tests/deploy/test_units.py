"""The unit files: that systemd takes them, that they are closed enough, and that they fit the services."""

from __future__ import annotations

import dataclasses
import importlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ai_core.settings import Settings as AiCoreSettings
from mail_service.settings import Settings as MailSettings
from telegram_service.settings import Settings as TelegramSettings
from tests.deploy.unit_file import UNITS, UnitFile, everything, services, sockets

ROOT = UNITS.parent
SETTINGS: dict[str, Any] = {
    "ai_core": AiCoreSettings,
    "telegram_service": TelegramSettings,
    "mail_service": MailSettings,
}
USERS = {"ai_core": "ai-core", "telegram_service": "telegram", "mail_service": "mail-assistant"}
LOOSEST = 2.0  # of systemd-analyze's exposure level

# Each was checked with the systemd-analyze of systemd 247 (Debian 11); Ubuntu 22.04 has 249. Check what you add there.
KNOWN_TO_247 = """
After Also AmbientCapabilities Backlog CapabilityBoundingSet DefaultInstance Description Environment EnvironmentFile
ExecStart Group IPAddressAllow IPAddressDeny KeyringMode KillMode LimitCORE LimitNOFILE ListenStream LoadCredential
LockPersonality MemoryDenyWriteExecute Nice NoDelay NoNewPrivileges NotifyAccess OnCalendar PartOf Persistent
PrivateDevices PrivateMounts PrivateTmp PrivateUsers ProcSubset ProtectClock ProtectControlGroups ProtectHome
ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectProc ProtectSystem
RandomizedDelaySec ReadWritePaths RemoveIPC Requires Restart RestartSec RestrictAddressFamilies RestrictNamespaces
RestrictRealtime RestrictSUIDSGID SetCredential StartLimitIntervalSec StateDirectory StateDirectoryMode
SyslogIdentifier SystemCallArchitectures SystemCallErrorNumber SystemCallFilter TimeoutAbortSec TimeoutStartSec
TimeoutStopSec Type UMask User WantedBy Wants WatchdogSec WorkingDirectory
"""
SPECIFIERS_OF_247 = {"%n", "%i", "%S"}  # %d, the credentials' folder, came with 250

analyze = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(analyze is None, reason="systemd-analyze is not installed: apt-get install systemd")


def named(unit: UnitFile) -> str:
    return unit.name


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert analyze is not None
    return subprocess.run([analyze, *arguments], capture_output=True, text=True, timeout=120)


def processes() -> list[UnitFile]:
    """The units that run one of the services."""
    return [unit for unit in services() if unit.one("Type") == "notify"]


@needs_systemd
def test_systemd_takes_every_unit_without_a_word() -> None:
    checked = run("verify", *(UNITS / unit.name for unit in everything()))
    assert (checked.returncode, ours(checked.stderr)) == (0, [])


@needs_systemd
def test_systemd_would_say_what_it_does_not_take(tmp_path: Path) -> None:
    broken = tmp_path / "broken.service"
    broken.write_text("[Service]\nExecStart=/bin/true\nProtectClocks=yes\n")
    assert "ProtectClocks" in run("verify", broken).stderr


def ours(said: str) -> list[str]:
    """What it says of our own units, not of those that the machine has."""
    return [line for line in said.splitlines() if str(UNITS) in line or any(unit.name in line for unit in everything())]


@needs_systemd
@pytest.mark.parametrize("unit", services(), ids=named)
def test_every_service_is_closed_enough(unit: UnitFile) -> None:
    if not run("security", "--help").stdout.count("--offline"):
        pytest.skip("systemd-analyze security --offline came with systemd 250")
    said = run("security", "--offline=true", "--no-pager", UNITS / unit.name).stdout
    level = re.search(r"Overall exposure level for .*: ([\d.]+)", said)
    assert level, said
    assert float(level[1]) <= LOOSEST, said


@pytest.mark.parametrize("unit", everything(), ids=named)
def test_older_systemd_knows_every_directive(unit: UnitFile) -> None:
    assert {directive for _, directive, _ in unit.lines} <= set(KNOWN_TO_247.split())
    specifiers = {found for _, _, value in unit.lines for found in re.findall("%[A-Za-z]", value)}
    assert specifiers <= SPECIFIERS_OF_247


@pytest.mark.parametrize("unit", processes(), ids=named)
def test_every_service_runs_a_real_command_of_its_package(unit: UnitFile, capsys: pytest.CaptureFixture[str]) -> None:
    package, command = unit.entry_point
    assert (ROOT / package / "__main__.py").is_file()
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"{package}.cli").main([command, "--help"])
    assert ended.value.code == 0, capsys.readouterr().err


@pytest.mark.parametrize("unit", processes(), ids=named)
def test_everything_of_a_service_is_under_its_own_name(unit: UnitFile) -> None:
    package = unit.entry_point[0]
    assert unit.one("User") == unit.one("Group") == USERS[package]
    assert unit.one("WorkingDirectory") == f"/opt/code-du-travail/{package}/current"
    assert unit.one("EnvironmentFile") == f"/etc/code-du-travail/{package}.env"
    assert unit.one("StateDirectory") == f"code-du-travail/{package}"
    assert unit.environment["DATA_DIR"] == unit.environment["HOME"] == f"%S/code-du-travail/{package}"
    assert unit.environment["MALLOC_ARENA_MAX"] == "2"


@pytest.mark.parametrize("unit", processes(), ids=named)
def test_secrets_are_credentials_and_nothing_else_is(unit: UnitFile) -> None:
    package = unit.entry_point[0]
    fields = {field.name.upper(): field for field in dataclasses.fields(SETTINGS[package])}
    secret = {name for name, field in fields.items() if not field.repr} | {"DATABASE_URL", "REDIS_URL"}
    loaded = dict(value.split(":", 1) for value in unit.all("LoadCredential"))
    assert set(loaded) == secret
    assert loaded == {name: f"/etc/code-du-travail/credentials/{package}/{name}" for name in secret}
    # Without a file it is empty, which the services read as not set (systemd before 254 would refuse to start).
    assert set(unit.all("SetCredential")) == {f"{name}:\\n" for name in secret}
    plain = {name for name in unit.environment if not name.endswith("_FILE")}
    assert {name: unit.environment[f"{name}_FILE"] for name in secret} == {
        name: f"/run/credentials/%n/{name}" for name in secret
    }
    assert plain - {"HOME", "MALLOC_ARENA_MAX"} <= set(fields) - secret


@pytest.mark.parametrize("unit", processes(), ids=named)
def test_a_stop_leaves_time_for_what_runs(unit: UnitFile) -> None:
    package, command = unit.entry_point
    assert unit.one("KillMode") == "mixed"  # gunicorn's master tells its worker
    if command == "serve":
        config = (ROOT / package / "gunicorn.conf.py").read_text(encoding="utf-8")
        graceful = re.search(r"^graceful_timeout = (\d+)", config, re.MULTILINE)
        assert graceful
        assert int(unit.one("TimeoutStopSec")) > int(graceful[1])
    assert int(unit.one("WatchdogSec")) >= 30


@pytest.mark.parametrize("unit", processes(), ids=named)
def test_every_service_comes_back_and_belongs_to_the_target(unit: UnitFile) -> None:
    assert unit.one("Restart") == "always"
    assert unit.one("StartLimitIntervalSec") == "0"
    assert unit.one("PartOf") == unit.one("WantedBy") == "code-du-travail.target"


@pytest.mark.parametrize("socket", sockets(), ids=named)
def test_each_web_process_gets_its_connections_from_a_socket(socket: UnitFile) -> None:
    service = UnitFile.read(UNITS / socket.name.replace(".socket", ".service"))
    package, command = service.entry_point
    assert command == "serve"
    assert service.one("Requires") == service.one("Also") == socket.name
    assert service.one("NotifyAccess") == "all"  # gunicorn's worker says READY=1
    assert service.environment["TRUSTED_PROXIES"] == "1"
    default = re.search(r'env\.integer\("PORT", ([\d_]+)', (ROOT / package / "settings.py").read_text(encoding="utf-8"))
    assert default
    assert socket.one("ListenStream") == f"127.0.0.1:{int(default[1])}"


@pytest.mark.parametrize("unit", everything(), ids=named)
def test_every_unit_is_installed_by_a_role(unit: UnitFile) -> None:
    tasks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ansible" / "roles").glob("*/*/*.yml"))
    assert unit.name in tasks
