"""What the services write is for their own user only, whatever the umask is."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path

import pytest

from common.crypto import secret_keys
from common.log_files import DayFiles
from tests.deploy.unit_file import UnitFile, services, sockets
from tests.security.services import NAMES, running

OTHERS = stat.S_IRWXG | stat.S_IRWXO


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """The most careless one there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """What in and at `folder` somebody else may read, write or enter."""
    return sorted(str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & OTHERS)


@pytest.mark.parametrize("name", NAMES)
def test_data_and_databases(name: str, tmp_path: Path) -> None:
    home = tmp_path / "data"
    with running(name, home) as service, closing(sqlite3.connect(home / f"{name}.sqlite3")) as beside:
        beside.execute("SELECT * FROM schema_migration")  # whoever closes last takes the log away
        service.ask(service.make_key()[1])
        assert {f"{name}.sqlite3", f"{name}.sqlite3-wal"} <= {path.name for path in home.iterdir()}
        assert open_to_others(home) == []


def test_logs(tmp_path: Path) -> None:
    handler = DayFiles(tmp_path / "logs", "ai_core")
    handler.emit(logging.makeLogRecord({"msg": "request", "levelno": logging.INFO}))
    handler.close()
    assert [path.name.startswith("ai_core.info.") for path in (tmp_path / "logs").iterdir()] == [True]
    assert open_to_others(tmp_path / "logs") == []


def test_secrets(tmp_path: Path) -> None:
    assert secret_keys((), tmp_path / "home" / "secret_key")
    assert open_to_others(tmp_path / "home") == []
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret_key"]


def test_a_database_that_was_there_keeps_its_mode_and_its_locks(tmp_path: Path) -> None:
    """An operator may let a group read; and a file must not be opened a second time beside SQLite."""
    with running("mail_service", tmp_path):
        pass
    database = tmp_path / "mail_service.sqlite3"
    database.chmod(0o640)
    with running("mail_service", tmp_path) as service:
        service.make_key()
    assert stat.S_IMODE(database.stat().st_mode) == 0o640


@pytest.mark.parametrize("unit", services(), ids=lambda unit: unit.name)
def test_units_keep_their_files_to_themselves(unit: UnitFile) -> None:
    assert unit.one("UMask") == "0077"
    if unit.name != "code-du-travail-doctor.service":  # which reads nothing that people wrote
        assert unit.one("LimitCORE") == "0"
    assert set(unit.all("StateDirectoryMode")) <= {"0700", "0750"}


@pytest.mark.parametrize("unit", sockets(), ids=lambda unit: unit.name)
def test_sockets_listen_on_the_loopback_only(unit: UnitFile) -> None:
    for address in unit.all("ListenStream"):
        assert ip_address(address.rpartition(":")[0].strip("[]")).is_loopback
