"""The keys that the role monitoring gives Prometheus, by its own tasks and the services' own commands: they open the
figures alone, are made once, and the ones of earlier versions end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

REPOSITORY = Path(__file__).parents[2]
PLAYER = Path(sys.executable).with_name("ansible-playbook")
SERVICES = {"ai_core": "ai-core", "telegram_service": "telegram-service", "mail_service": "mail-service"}
SETTINGS = {
    "SECRET_KEY": "k" * 40,
    "AI_API_KEY": "cdt-none",
    "TELEGRAM_BOT_TOKEN": "123456789:" + "A" * 35,
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "EMAIL_ADDRESS": "assistant@cdt.example",
    "EMAIL_PASSWORD": "ouvre-toi",
    "IMAP_HOST": "localhost",
    "SMTP_HOST": "localhost",
}
# /etc and /usr/local as they are, with what is written there kept apart.
SCRIPT = """set -e
for place in etc usr/local; do
  mkdir -p "$1/$place/upper" "$1/$place/work"
  mount -t overlay overlay -o "lowerdir=/$place,upperdir=$1/$place/upper,workdir=$1/$place/work" "/$place"
done
shift
exec "$@"
"""


def reason() -> str | None:
    """Why it is not tried, or None."""
    if not (os.environ.get("RIG") or os.environ.get("ALERTS") == "live"):
        return "takes a minute: make test-deploy, or ALERTS=live"
    if not PLAYER.exists():
        return "not installed: make install-ansible"
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "a machine's /etc is put aside by root only"
    return None


pytestmark = pytest.mark.skipif(reason() is not None, reason=str(reason()))


@dataclass(frozen=True)
class Machine:
    """`home` holds what is written to /etc and /usr/local; the services' data lie beside."""

    home: Path

    @property
    def issued(self) -> Path:
        return self.home / "aside/etc/upper/code-du-travail/credentials/issued"

    def service(self, package: str, *words: str) -> str:
        """What a command of a service prints."""
        command = [sys.executable, "-m", package, *words]
        done = subprocess.run(command, cwd=REPOSITORY, env=self._environment(package), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self) -> None:
        """The services' commands, as the role python_app writes them."""
        self.issued.mkdir(parents=True)
        (self.home / "aside/usr/local/upper/lib/code-du-travail").mkdir(parents=True)
        folder = self.home / "aside/usr/local/upper/sbin"
        folder.mkdir(parents=True)
        for package, name in SERVICES.items():
            (self.home / package).mkdir()
            settings = " ".join(f"{key}='{value}'" for key, value in self._environment(package).items())
            command = f"cd {REPOSITORY} && exec env {settings} {sys.executable} -m {package}"
            (folder / name).write_text(f'#!/bin/sh\n{command} "$@"\n')
            (folder / name).chmod(0o755)

    def play(self) -> dict[str, int]:
        """Figures of a run, by name."""
        book = self.home / "keys.yml"
        roles = [
            {"ansible.builtin.include_role": {"name": "monitoring", "tasks_from": part}}
            for part in ("keys", "old_keys")
        ]
        names = [{"job": package, "host": "localhost"} for package in SERVICES]
        book.write_text(yaml.safe_dump([{
            "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": roles,
            "vars": {"monitoring_names": names, "ansible_python_interpreter": sys.executable},
        }]))  # fmt: skip
        command = ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(self.home / "aside"), str(PLAYER), str(book)]
        environment = {**os.environ, "ANSIBLE_ROLES_PATH": str(REPOSITORY / "ansible/roles"), "HOME": str(self.home)}
        done = subprocess.run(command, cwd=self.home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return {name: int(value) for name, value in re.findall(r"(ok|changed)=(\d+)", done.stdout)}

    def _environment(self, package: str) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "DATA_DIR": str(self.home / package), **SETTINGS}


def keys(machine: Machine, package: str) -> dict[str, tuple[str, str]]:
    """Scope and state of each key of a service, by name and number."""
    lines = machine.service(package, "keys", "list").splitlines()
    found = [re.fullmatch(r" *(\d+)  cdt-\S+  (\S+) +(revoked|last used).*  (\S+)", line) for line in lines]
    return {f"{match[4]} {match[1]}": (match[2], match[3]) for match in found if match}


def test_prometheus_gets_keys_for_the_figures_and_its_earlier_ones_end(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.install()
    for package in SERVICES:
        scope = ("--scope", "admin") if package == "ai_core" else ()
        text = machine.service(package, "keys", "create", "monitoring", *scope).split("API key: ")[1].split()[0]
        (machine.issued / f"monitoring-{package}").write_text(text)
        (machine.issued / f"monitoring-{package}.id").write_text("1\n")

    assert machine.play()["changed"] > 0
    for package in SERVICES:
        assert keys(machine, package) == {
            "monitoring 1": ("admin", "revoked"),
            "monitoring 2": ("metrics", "last used"),
        }
        issued = machine.issued / f"metrics-{package}"
        assert issued.read_text().startswith("cdt-")
        assert issued.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in machine.issued.iterdir()} == {
        f"metrics-{package}{end}" for package in SERVICES for end in ("", ".id")
    }

    assert machine.play()["changed"] == 0, "a second run changes nothing"
