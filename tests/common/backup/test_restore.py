"""Everything comes back from an archive; from one that is not ours nothing does, and nothing is touched."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from common.backup.__main__ import main
from tests.common.backup.host import QUESTION, Host, new_identity


def backup(host: Host, *words: str) -> int:
    return main(["--plan", str(host.plan()), *words])


def restore(host: Host, monkeypatch: pytest.MonkeyPatch, *words: str, identity: str | None = None) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(identity or host.identity))
    host.redis.stop()
    try:
        return backup(host, "restore", *words)
    finally:
        host.redis.start()


def archive_of(host: Host) -> Path:
    assert backup(host, "run") == 0
    (archive,) = host.archives.glob("*.age")
    return archive


def test_a_lost_host_comes_back_whole(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before = host.everything()
    archive_of(host)
    host.lose()
    assert restore(host, monkeypatch) == 0
    assert host.questions() == [QUESTION, QUESTION]
    assert host.tables() == ["message", "message"]  # what a newer version had added is gone
    assert host.waiting() == [b"update 1", b"update 2"]
    models = {path for path in before if "/models/" in path}
    databases = {path for path in before if "sqlite3" in path}
    after = host.everything()
    assert {path: after.get(path) for path in before.keys() - models - databases} == {
        path: content for path, content in before.items() if path not in models | databases
    }
    assert not models & after.keys()  # they are fetched again, not kept


def test_what_comes_after_a_restore_is_kept_as_before(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    archive_of(host)
    host.lose()
    restore(host, monkeypatch)
    with host.queue() as client:
        client.rpush("waiting", "update 3")
    host.redis.kill()
    host.redis.start()
    assert host.waiting() == [b"update 1", b"update 2", b"update 3"]
    host.sql("INSERT INTO message (question) VALUES ('next')")  # its sequence came back, too


def test_nothing_readable_lies_in_an_archive_or_beside_it(host: Host) -> None:
    archive = archive_of(host)
    content = archive.read_bytes()
    assert content.startswith(b"age-encryption.org/v1")
    assert QUESTION.encode() not in content
    assert archive.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in host.archives.iterdir() if path.name != ".lock" and path.stat().st_size) == [
        archive.name
    ]


def test_an_archive_opens_by_hand(host: Host, tmp_path: Path) -> None:
    archive = archive_of(host)
    key = tmp_path / "identity"
    key.write_text(host.identity)
    line = f"head -c -32 {archive} | age --decrypt --identity {key} | tar --gzip --list"
    listed = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert {"manifest.json", "databases/ai_core.sqlite3", "databases/mail_service.sql", "redis.rdb"} <= set(
        listed.splitlines()
    )


def test_one_flipped_bit_anywhere_is_refused_before_anything_is_touched(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = archive_of(host)
    sound = archive.read_bytes()
    host.lose()
    before = host.everything()
    places = (0, 30, 200, len(sound) // 2, len(sound) - 33, len(sound) - 1)
    for broken in (*(flipped(sound, place) for place in places), sound[:-1], sound[:-4096], sound + b"\n", b""):
        archive.write_bytes(broken)
        assert restore(host, monkeypatch) == 1
        assert ": was changed" in (said := capsys.readouterr().err) or "cut off" in said
        assert backup(host, "verify") == 1
        assert host.everything() == before
        assert host.tables() == ["newer", "newer"]
        assert host.waiting() == []
    archive.write_bytes(sound)
    assert restore(host, monkeypatch) == 0
    assert host.questions() == [QUESTION, QUESTION]


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_an_archive_that_somebody_else_made_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knows the public key can encrypt for it; without the signing key it is nothing."""
    theirs = host.plan(keys=["another key that signs 0123456789abcdef"])
    assert main(["--plan", str(theirs), "run"]) == 0
    assert restore(host, monkeypatch) == 1


def test_an_archive_of_another_host_is_refused_unless_asked_for(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = archive_of(host)
    renamed = archive.rename(archive.with_name(archive.name.replace("tout-en-un", "ailleurs")))
    monkeypatch.setattr("sys.stdin", io.StringIO(host.identity))
    other = host.plan(host="ailleurs")
    assert main(["--plan", str(other), "restore", str(renamed), "--dry-run"]) == 1
    assert "of tout-en-un, not of ailleurs" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO(host.identity))
    assert main(["--plan", str(other), "restore", str(renamed), "--of-host", "tout-en-un", "--dry-run"]) == 0


def test_another_identity_opens_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    archive_of(host)
    host.lose()
    assert restore(host, monkeypatch, identity=new_identity()[0]) == 1
    assert host.tables() == ["newer", "newer"]


def test_a_dry_restore_changes_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    archive_of(host)
    host.lose()
    before = host.everything()
    assert restore(host, monkeypatch, "--dry-run") == 0
    assert (host.everything(), host.waiting()) == (before, [])


def test_redis_that_runs_stops_a_restore_at_once(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive_of(host)
    host.lose()
    monkeypatch.setattr("sys.stdin", io.StringIO(host.identity))
    assert backup(host, "restore") == 1
    assert "stop it first" in capsys.readouterr().err
    assert host.tables() == ["newer", "newer"]


def test_an_older_signing_key_still_counts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_of(host)
    rotated = host.plan(keys=["the new one 0123456789abcdef0123456789", "key that signs archives 0123456789abcdef"])
    assert main(["--plan", str(rotated), "verify", str(archive)]) == 0


def test_a_restore_that_broke_in_the_database_can_be_run_again(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive_of(host)
    host.lose()
    host.postgres.stop()
    assert restore(host, monkeypatch) == 1
    assert "psql" in capsys.readouterr().err
    host.postgres.start()
    assert restore(host, monkeypatch) == 0
    assert host.questions() == [QUESTION, QUESTION]
    assert not (host.archives / ".staging").exists()
    shutil.rmtree(host.archives)
