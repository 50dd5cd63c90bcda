"""The command line as an operator types it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mail_service.cli import main
from tests.mail_service.expected import corpus_message
from tests.mail_service.service import Service, build_service, mail
from tests.mail_service.test_templates import NEEDED
from tests.mail_system import MailSystem

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def service(mail_system: MailSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for name, value in mail_system.settings(tmp_path).items():
        monkeypatch.setenv(name, value)
    built = build_service(mail_system, tmp_path)
    mail_system.put(mail())
    mail_system.put(corpus_message("empty-body"))
    built.run()
    built.close()
    yield built
    built.close()


def test_messages_are_listed_shown_and_tried_again(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "list"]) == 0
    listed = capsys.readouterr().out
    assert "failed     empty" in listed
    assert "alice" not in listed
    assert main(["messages", "show", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["question"] == "Quelle est la durée du préavis ?"
    assert main(["messages", "retry", "2"]) == 0
    assert main(["messages", "release", "2"]) == 1
    assert main(["messages", "show", "9"]) == 1


def test_a_person_is_exported(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["users", "export", "alice@client.example"]) == 0
    assert len(json.loads(capsys.readouterr().out)["messages"]) == 2
    assert main(["users", "erase", "alice@client.example"]) == 1, "without Redis nothing is erased"
    assert "Redis does not answer" in capsys.readouterr().err


def test_keys_and_statistics(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "Exploitation"]) == 0
    assert main(["keys", "create", "Prometheus", "--scope", "metrics"]) == 0
    assert capsys.readouterr().out.count("API key: cdt-") == 2
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "admin    last used never  Exploitation" in listed
    assert "metrics  last used never  Prometheus" in listed
    assert main(["keys", "revoke", "1"]) == 0
    assert main(["keys", "revoke", "1"]) == 1
    capsys.readouterr()
    assert main(["statistics"]) == 0
    assert json.loads(capsys.readouterr().out)["answered"] == 1


def test_the_doctor_names_what_is_away(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "ok        imap" in said
    assert "ok        smtp" in said
    assert "degraded  ai_core" in said


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mail_service", *arguments],
        cwd=ROOT,
        env={**NEEDED, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_bad_setting_is_one_line(tmp_path: Path) -> None:
    done = run("check-config", DATA_DIR=str(tmp_path), PORT="many")
    assert (done.returncode, done.stderr) == (2, "mail-service: PORT: 'many' is not a whole number\n")
    assert run("check-config", DATA_DIR=str(tmp_path)).returncode == 0


def test_help_needs_no_settings() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in ("serve", "poller", "worker", "check-config", "doctor", "messages", "users", "keys"):
        assert command in done.stdout
