"""Off this host: archives go to a second place and come back from it, by rsync over ssh and by rclone."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator

import pytest

from common.backup import target
from common.backup.__main__ import main
from tests.common.backup.far import PLACES, FarPlace, SshHost
from tests.common.backup.host import QUESTION, Host
from tests.common.backup.test_backup import kept
from tests.common.backup.test_restore import flipped


@pytest.fixture(params=PLACES, ids=lambda place: place.__name__)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarPlace]:
    missing = request.param.missing()
    if missing is not None:
        pytest.skip(missing)
    built = request.param(tmp_path_factory.mktemp("far"))
    yield built
    built.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the program waited between its attempts."""
    seconds: list[float] = []
    monkeypatch.setattr(target.send, "__kwdefaults__", {"pause": seconds.append})
    return seconds


def backup(host: Host, place: FarPlace, *words: str, **other: object) -> int:
    plan = {"target": place.target, "credentials": str(place.credentials), "metrics": str(host.root / "backup.prom")}
    return main(["--plan", str(host.plan(**{**plan, **other})), *words])


def restore(host: Host, place: FarPlace, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(host.identity))
    host.redis.stop()
    try:
        return backup(host, place, "restore")
    finally:
        host.redis.start()


def figure(host: Host) -> str:
    """What monitoring reads of the second place."""
    lines = (host.root / "backup.prom").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("code_du_travail_backup_target_ok "))


def test_a_host_that_is_lost_with_its_archives_comes_back_from_there(
    host: Host, place: FarPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert backup(host, place, "run") == 0
    assert len(place.names()) == 1
    assert figure(host) == "1"
    assert all(QUESTION.encode() not in path.read_bytes() for path in place.archives.iterdir() if path.is_file())
    host.lose()
    shutil.rmtree(host.archives)
    assert backup(host, place, "fetch") == 0
    assert restore(host, place, monkeypatch) == 0
    assert host.questions() == [QUESTION, QUESTION]
    assert host.waiting() == [b"update 1", b"update 2"]


def test_what_was_kept_long_enough_goes_there_too_and_nothing_else(host: Host, place: FarPlace) -> None:
    old, young = kept(host.archives, 90), kept(host.archives, 1)
    assert backup(host, place, "run", keep_days=3_650) == 0
    assert {old.name, young.name} < place.names()
    strange = place.archives / "by-hand.tar.gz.age"
    strange.write_bytes(b"kept by somebody")
    assert backup(host, place, "run") == 0
    assert old.name not in place.names()
    assert {young.name, strange.name} < place.names()


def test_it_is_away_then_the_archive_stays_here_and_goes_there_next_time(
    host: Host, place: FarPlace, pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    place.go_away()
    assert backup(host, place, "run") == 1
    assert "kept here, but not sent" in capsys.readouterr().err
    assert pauses == [20.0, 40.0], "three attempts"
    assert figure(host) == "0"
    (first,) = host.archives.glob("*.age")
    place.start()
    assert backup(host, place, "run") == 0
    assert figure(host) == "1"
    assert first.name in place.names()


def test_a_byte_that_was_flipped_there_is_found_before_anything_is_touched(
    host: Host, place: FarPlace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backup(host, place, "run") == 0
    (archive,) = place.archives.glob("*.age")
    archive.write_bytes(flipped(archive.read_bytes(), 300))
    host.lose()
    before = host.everything()
    shutil.rmtree(host.archives)
    assert backup(host, place, "fetch") == 0
    assert restore(host, place, monkeypatch) == 1
    assert "was changed" in capsys.readouterr().err
    assert host.everything() == before
    assert host.tables() == ["newer", "newer"]


def test_somebody_else_at_its_address_gets_nothing(
    host: Host, tmp_path_factory: pytest.TempPathFactory, pauses: list[float]
) -> None:
    if SshHost.missing():
        pytest.skip(str(SshHost.missing()))
    place = SshHost(tmp_path_factory.mktemp("far"))
    place.change_key()
    assert backup(host, place, "run") == 1
    assert not place.archives.exists()
    assert len(pauses) == 2
    place.close()
