"""`re-encrypt` of the AI core: what hashes people is kept when a secret goes, nothing else was under it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_core.cli import main
from ai_core.storage import open_storage
from common.retired_keys import RetiredKeys

OLD, NEW = "o" * 40, "n" * 40


def test_after_it_the_old_secret_can_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SECRET_KEY", f"{NEW},{OLD}")
    assert main(["re-encrypt", "--check"]) == 1
    assert main(["re-encrypt"]) == 0
    assert main(["re-encrypt", "--check"]) == 0
    assert "it can be taken out of SECRET_KEY" in capsys.readouterr().out
    database = open_storage(f"sqlite:///{tmp_path / 'ai_core.sqlite3'}")
    assert len(RetiredKeys(database, [NEW]).hashes_of("telegram", "42")) == 1
