"""The command line: keys are shown once, mistakes are one line and a status, the local key survives."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ai_core.audit import Filter, find
from ai_core.cli import _local_key, main
from ai_core.keys import list_keys, revoke_key
from ai_core.settings import Settings
from ai_core.storage import open_storage
from common.database import connection


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "PORT", "HOST", "MODEL_FILE", "KNOWLEDGE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))


def test_a_key_is_made_listed_rotated_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "Cabinet", "--scope", "chat", "--scope", "admin", "--days", "30"]) == 0
    first = capsys.readouterr().out.split("API key: ")[1].split()[0]
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "Cabinet" in listed
    assert first not in listed
    assert main(["keys", "rotate", "1"]) == 0
    assert first not in capsys.readouterr().out
    assert main(["keys", "revoke", "1"]) == 0
    assert main(["keys", "revoke", "1"]) == 1
    assert main(["keys", "rotate", "1"]) == 1
    with connection(open_storage(Settings.from_environment().database_url)):
        entries = [(entry.actor, entry.action, entry.outcome) for entry in reversed(find(Filter(), limit=9))]
    assert entries == [("command line", f"keys.{action}", "done") for action in ("create", "rotate", "revoke")]


def test_a_key_for_the_figures_alone_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "monitoring", "--scope", "metrics"]) == 0
    assert "Key 1 (metrics) is shown this once" in capsys.readouterr().out


def test_a_bad_network_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "x", "--network", "here"]) == 2
    assert capsys.readouterr().err.startswith("ai-core: ")


def test_a_bad_setting_names_its_variable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    assert main(["check-config"]) == 2
    assert capsys.readouterr().err == "ai-core: PORT: 'many' is not a whole number\n"


def test_a_port_in_use_is_said_before_the_long_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        assert main(["serve", "--quickstart"]) == 2
    assert capsys.readouterr().err.startswith("ai-core: PORT: cannot listen on 127.0.0.1:")
    assert not (tmp_path / "ai_core.sqlite3").exists()


def test_searching_without_the_code_says_how_to_bring_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["knowledge", "search", "congés"]) == 1
    assert "ai-core knowledge update" in capsys.readouterr().err


def test_an_import_from_a_missing_file_fails_and_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["knowledge", "update", "--from", "/nowhere/legi.tgz"]) == 1
    assert "/nowhere/legi.tgz" in capsys.readouterr().err


def test_the_local_key_is_kept_and_replaced_only_when_it_no_longer_works(tmp_path: Path) -> None:
    path = tmp_path / "local_api_key"
    with connection(open_storage(Settings.from_environment().database_url)):
        first = _local_key(path)
        assert _local_key(path) == first
        assert path.stat().st_mode & 0o777 == 0o600
        revoke_key(list_keys()[0].id)
        assert _local_key(path) != first
