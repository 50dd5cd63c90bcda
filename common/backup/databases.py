"""The services' databases: copied while they are written to, put back whole or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from common.backup.errors import BackupError
from common.backup.plan import DatabasePlan
from common.backup.programs import run

SQLITE_SIDE_FILES = ("-wal", "-shm", "-journal")

# What a newer version added must not stay beside what comes back. One transaction: all of it or nothing.
_EMPTY = """DO $$ DECLARE name text; BEGIN
FOR name IN SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' LOOP
EXECUTE 'DROP TABLE public.' || name || ' CASCADE'; END LOOP; END $$;
"""


def file_name(database: DatabasePlan) -> str:
    """What its copy is called in an archive."""
    return f"{database.service}.{'sqlite3' if is_sqlite(database) else 'sql'}"


def is_sqlite(database: DatabasePlan) -> bool:
    """Whether it is a file. Raises BackupError for what is neither SQLite nor PostgreSQL."""
    scheme = urlsplit(database.url).scheme
    if scheme not in ("sqlite", "postgres", "postgresql"):
        raise BackupError(f"{database.service}: its database is neither sqlite nor postgresql")
    return scheme == "sqlite"


def sqlite_path(database: DatabasePlan) -> Path:
    """The file of a SQLite database."""
    return Path(database.url.removeprefix("sqlite:///"))


def size(database: DatabasePlan) -> int:
    """About how many bytes its copy will have."""
    if is_sqlite(database):
        path = sqlite_path(database)
        files = (path, path.with_name(path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())
    command = [*_psql(database), "--tuples-only", "--command=SELECT pg_database_size(current_database())"]
    return int(run(command, environment=_password(database)))


def save(database: DatabasePlan, into: Path) -> None:
    """A copy as of one moment. Raises BackupError."""
    if not is_sqlite(database):
        with into.open("wb") as file:
            run(
                ["pg_dump", "--no-owner", "--no-privileges", f"--dbname={_bare(database)}"],
                environment=_password(database),
                stdout=file,
            )
        return
    path = sqlite_path(database)
    if not path.is_file():
        raise BackupError(f"{database.service}: {path} is not there")
    try:
        with closing(sqlite3.connect(path, timeout=60)) as source, closing(sqlite3.connect(into)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = delete")
    except sqlite3.Error as error:
        raise BackupError(f"{database.service}: {type(error).__name__} while copying {path}") from None
    check(into)


def check(copy: Path) -> None:
    """Raises BackupError where a SQLite file is damaged."""
    try:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"{copy.name}: {type(error).__name__}") from None
    if found != ("ok",):
        raise BackupError(f"{copy.name}: the database is damaged")


def restore(database: DatabasePlan, copy: Path) -> None:
    """Put `copy` in the place of what is there. The service must not run. Raises BackupError."""
    if is_sqlite(database):
        _restore_sqlite(sqlite_path(database), copy, database.user)
        return
    script = copy.with_suffix(".script")
    with script.open("wb") as file:
        file.write(_EMPTY.encode())
        with copy.open("rb") as dump:
            shutil.copyfileobj(dump, file)
    with script.open("rb") as file:
        command = [*_psql(database), "--single-transaction", "--set=ON_ERROR_STOP=1", "--quiet"]
        run(command, user=database.user, environment=_password(database), stdin=file)


def _restore_sqlite(path: Path, copy: Path, user: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.restored")
    shutil.copyfile(copy, fresh)
    fresh.chmod(0o600)
    if user is not None:
        shutil.chown(fresh, user, user)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    # First: the log of the one that goes must never be read into the one that comes.
    for end in SQLITE_SIDE_FILES:
        path.with_name(path.name + end).unlink(missing_ok=True)
    fresh.rename(path)


def _psql(database: DatabasePlan) -> list[str]:
    return ["psql", "--no-psqlrc", "--no-password", f"--dbname={_bare(database)}"]


def _password(database: DatabasePlan) -> dict[str, str]:
    password = urlsplit(database.url).password
    return {} if password is None else {"PGPASSWORD": unquote(password)}


def _bare(database: DatabasePlan) -> str:
    # Arguments of a process are there for everybody to read.
    url = urlsplit(database.url)
    if url.password is None:
        return database.url
    user, host = (url.username or ""), url.netloc.rpartition("@")[2]
    return SplitResult(url.scheme, f"{user}@{host}", url.path, url.query, "").geturl()
