"""A host to keep and to lose: a SQLite and a PostgreSQL database, Redis, and files, all of them real."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from common.database import open_database
from tests.postgres import Postgres
from tests.redis_server import RedisServer

KEY = "key that signs archives 0123456789abcdef"
QUESTION = "Suis-je payée pendant mon préavis ?"


def new_identity() -> tuple[str, str]:
    """age's identity and its public half."""
    made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    secret = next(line for line in made.splitlines() if line.startswith("AGE-SECRET-KEY-"))
    public = next(line for line in made.splitlines() if line.startswith("# public key: "))
    return secret, public.removeprefix("# public key: ")


@dataclass
class Host:
    root: Path
    postgres: Postgres
    redis: RedisServer
    identity: str
    recipient: str

    @property
    def archives(self) -> Path:
        return self.root / "archives"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def database(self) -> Path:
        return self.data / "ai_core.sqlite3"

    def plan(self, **other: Any) -> Path:
        """The plan's file."""
        told = {
            "host": "tout-en-un",
            "folder": str(self.archives),
            "recipients": [self.recipient],
            "keys": [KEY],
            "keep_days": 30,
            "databases": [
                {"service": "ai_core", "url": f"sqlite:///{self.database}", "user": None},
                {"service": "mail_service", "url": self.postgres.url, "user": None},
            ],
            "redis": {
                "host": "127.0.0.1",
                "port": self.redis.port,
                "password": "",
                "data": str(self.redis.home),
                "user": None,
            },
            "paths": [str(self.data), str(self.etc)],
            "exclude": [f"{self.data}/models"],
            "target": "",
            "prune_target": True,
            "credentials": str(self.root),
            "metrics": None,
            **other,
        }
        file = self.root / "backup.json"
        file.write_text(json.dumps(told))
        return file

    def fill(self) -> None:
        """Something of everything."""
        for folder in (self.data / "templates", self.data / "models", self.etc / "live"):
            folder.mkdir(parents=True)
        (self.data / "models.json").write_text('{"models": {}, "default_model": "mistral"}')
        (self.data / "models" / "large.gguf").write_bytes(b"GGUF" * 1000)
        (self.data / "templates" / "réponse.txt").write_text("Bonjour")
        secret = self.etc / "SECRET_KEY"
        secret.write_text("a secret of the service")
        secret.chmod(0o600)
        (self.etc / "live" / "fullchain.pem").symlink_to("../archive/fullchain1.pem")
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, question TEXT)")
            connection.execute("INSERT INTO message (question) VALUES (?)", (QUESTION,))
            connection.commit()
        self.sql("CREATE TABLE message (id SERIAL PRIMARY KEY, question TEXT)")
        self.sql("INSERT INTO message (question) VALUES (%s)", QUESTION)
        with self.queue() as client:
            client.rpush("waiting", "update 1", "update 2")

    def lose(self) -> None:
        """What a new host is like: empty databases of a newer version, no data."""
        shutil.rmtree(self.data)
        shutil.rmtree(self.etc)
        self.data.mkdir()
        self.etc.mkdir()
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("CREATE TABLE newer (id INTEGER)")
            connection.commit()
        self.sql("DROP TABLE message")
        self.sql("CREATE TABLE newer (id SERIAL PRIMARY KEY)")
        self.redis.flush()

    def questions(self) -> list[str]:
        with closing(sqlite3.connect(self.database)) as connection:
            here = [row[0] for row in connection.execute("SELECT question FROM message")]
        return here + [row[0] for row in self.sql("SELECT question FROM message")]

    def tables(self) -> list[str]:
        with closing(sqlite3.connect(self.database)) as connection:
            here = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return here + [row[0] for row in rows]

    def waiting(self) -> list[bytes]:
        with self.queue() as client:
            found: Any = client.lrange("waiting", 0, -1)
            return list(found)

    def queue(self) -> Redis:
        return Redis(port=self.redis.port)

    def sql(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        database = open_database(self.postgres.url)
        try:
            cursor = database.execute_sql(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            database.close()

    def everything(self) -> dict[str, tuple[int, bytes]]:
        """Each file of data and settings: its mode and content."""
        files = [path for top in (self.data, self.etc) for path in top.rglob("*")]
        return {
            str(path): (path.lstat().st_mode, os.readlink(path).encode() if path.is_symlink() else path.read_bytes())
            for path in files
            if path.is_symlink() or path.is_file()
        }
