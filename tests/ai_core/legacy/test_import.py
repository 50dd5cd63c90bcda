"""`ai-core import`: what the earlier system left, first told, then taken over, once."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ai_core.cli import main
from ai_core.keys import KeyRefused, list_keys, verify_key
from ai_core.storage import UsageDay, open_storage
from common.database import connection

KEY = "sk-live-0123456789abcdefghijkl"
DEAD_KEY = "sk-live-9876543210abcdefghijkl"
TOKEN = "hf_" + "a1B2" * 8


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name in ("DATABASE_URL", "MODELS_FILE", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def old_env(house: Path) -> Path:
    path = house / ".env"
    path.write_text(
        f"HUGGING_FACE_TOKEN={TOKEN}  # from the Hub\nLOG_LEVEL=WARNING # DEBUG, INFO\nIMAP_SERVER=mail.example.org\n"
        "DOCKER_NETWORK=mail-network\nSOMETHING_ELSE=1\nnot an assignment\nREDIS_URL=redis://:pass word@localhost/0\n"
    )
    return path


def old_models(house: Path) -> Path:
    models: dict[str, Any] = {
        "mistral-code": {
            "type": "transformer", "path": "mistralai/Mistral-7B-Instruct-v0.3", "adapter": "Pyzeur/Code-finetune",
            "device": "cpu", "requires_token": True,
        },
        "models/of": 3,
        "download": {"type": "transformers", "path": "a/b"},
    }  # fmt: skip
    path = house / "models.json"
    path.write_text(json.dumps({"models": models, "default_model": "mistral-code", "model_cache_dir": "/app"}))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> tuple[int, str]:
    status = main(["import", *map(str, arguments)])
    told = capsys.readouterr()
    return status, told.out + told.err


def test_without_apply_nothing_is_changed_and_everything_is_told(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = run(
        capsys, "--env", old_env(house), "--models", old_models(house), "--to", house / "etc", "--keys", keys(house)
    )
    assert status == 1, "something is rejected"
    assert "HUGGING_FACE_TOKEN           mapped to HF_TOKEN, in a file of its own" in told
    assert "IMAP_SERVER                  for mail_service" in told
    assert "DOCKER_NETWORK               ignored: there are no containers any more" in told
    assert "SOMETHING_ELSE               unknown: not taken over" in told
    assert "rejected: is not NAME=VALUE" in told
    assert "mistral-code: device has no effect" in told
    assert "Nothing was changed." in told
    assert not (house / "etc").exists()
    assert not (house / "data" / "models.json").exists()
    with connection(open_storage(f"sqlite:///{house / 'data' / 'ai_core.sqlite3'}")):
        assert list_keys() == []
    for secret in (TOKEN, KEY, "pass word"):
        assert secret not in told


def test_settings_and_secrets_become_files_that_only_their_owner_reads(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "--env", old_env(house), "--to", house / "etc", "--apply")
    settings, secret = house / "etc" / "ai_core.env", house / "etc" / "credentials" / "ai_core" / "HF_TOKEN"
    assert settings.read_text() == "LOG_LEVEL=WARNING\n"
    assert secret.read_text() == TOKEN
    assert stat.S_IMODE(settings.stat().st_mode) == stat.S_IMODE(secret.stat().st_mode) == 0o600
    _, told = run(capsys, "--env", old_env(house), "--to", house / "etc", "--apply")
    assert "written" not in told, "a second time changes nothing"
    settings.write_text("LOG_LEVEL=DEBUG\n")
    run(capsys, "--env", old_env(house), "--to", house / "etc", "--apply")
    (kept,) = settings.parent.glob("ai_core.env.*.bak")
    assert kept.read_text() == "LOG_LEVEL=DEBUG\n"


def test_models_join_ours_and_ours_stay(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = house / "data" / "models.json"
    ours.parent.mkdir()
    ours.write_text(json.dumps({"models": {"mine": {"path": "a/b"}}, "note": "kept"}))
    status, told = run(capsys, "--models", old_models(house), "--apply")
    content = json.loads(ours.read_text())
    assert (status, content["note"], content["default_model"]) == (1, "kept", "mistral-code")
    assert list(content["models"]) == ["mine", "mistral-code"]
    assert content["models"]["mistral-code"]["adapter"] == "Pyzeur/Code-finetune", "never the bare base"
    assert "download: rejected: id: download is taken by a route" in told
    assert len(list(ours.parent.glob("models.json.*.bak"))) == 1
    content["models"]["mistral-code"]["context_length"] = 4096
    ours.write_text(json.dumps(content))
    _, told = run(capsys, "--models", old_models(house), "--apply")
    assert "mistral-code: is declared here already and stays as it is" in told
    assert json.loads(ours.read_text()) == content


def keys(house: Path) -> Path:
    path = house / "keys.csv"
    path.write_text(
        f"name;key;scopes;active\nmobile;{KEY};chat;true\nold;{DEAD_KEY};chat,admin;0\nshort;abc;chat;\n"
        f"role;{KEY}x;owner;\nhashed;{'ab' * 32};user;\n"
    )
    return path


def test_keys_keep_working_and_dead_ones_stay_dead(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for again in (False, True):
        status, told = run(capsys, "--keys", keys(house), "--apply")
        assert status == 1
        assert f"5: {'3 here already, 2 rejected' if again else '2 rejected, 3 taken'}" in told
    rejects = [json.loads(line) for file in (house / "data").glob("import-rejects-*") for line in file.open()]
    assert {each["reason"].split(":")[0] for each in rejects} == {
        "key is too short to be safe, or not one of printable ASCII characters",
        "scopes",
    }
    assert all("key" not in each["row"] for each in rejects)
    with connection(open_storage(f"sqlite:///{house / 'data' / 'ai_core.sqlite3'}")):
        record = verify_key(KEY, "127.0.0.1")
        assert (record.name, record.scopes) == ("mobile", ("chat",))
        with pytest.raises(KeyRefused, match="revoked"):
            verify_key(DEAD_KEY, "127.0.0.1")
        with pytest.raises(KeyRefused, match="unknown"):
            verify_key(KEY + "x", "127.0.0.1")


def test_figures_by_day_are_taken_once_and_broken_rows_explained(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, Any]] = [
        {"date": f"{2000 + at // 336}-{at // 28 % 12 + 1:02}-{at % 28 + 1:02}", "requests": at, "tokens": at * 10}
        for at in range(1_000)
    ]
    rows += [{"date": "never", "requests": 1}, {"date": "2024-01-01"}, {"date": "2999-01-01", "requests": 1}]
    path = house / "statistics.json"
    path.write_text(json.dumps({"statistics": rows}))
    for outcome in ("taken", "here already"):
        _, told = run(capsys, "--statistics", path, "--apply")
        assert f"1000 {outcome}" in told
        assert "3 rejected" in told
    with connection(open_storage(f"sqlite:///{house / 'data' / 'ai_core.sqlite3'}")):
        assert UsageDay.select().count() == 1_000
        assert UsageDay.get(UsageDay.day == "2000-01-03").completion_tokens == 20


def test_a_file_that_is_no_table_is_refused_by_name(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (house / "empty.csv").write_text("")
    assert run(capsys, "--keys", house / "empty.csv") == (1, "ai-core: empty.csv is empty\n")
    assert run(capsys, "--models", house / "empty.csv") == (1, "ai-core: empty.csv has no object `models`\n")
