"""Runs on a host: `contents.py rows SERVICE` prints what its database and Redis hold, a value a line; `contents.py
files WORDS` (JSON) the path of each file that holds one of the words, packed or not, and "journal" where that does."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOTS = ("/dev/shm", "/etc", "/home", "/root", "/run", "/srv", "/tmp", "/var")
GZIP = b"\x1f\x8b"
CREDENTIALS = "/etc/code-du-travail/credentials"


def rows(service: str) -> Iterator[str]:
    """Of the database, PostgreSQL's where there is no file of SQLite's, and of the host's Redis."""
    file = Path(f"/var/lib/code-du-travail/{service}/{service}.sqlite3")
    if file.exists():
        yield from sqlite3.connect(f"file:{file}?mode=ro", uri=True).iterdump()
    else:
        dump = ["runuser", "-u", "postgres", "--", "pg_dump", "--data-only", "--inserts", service]
        yield from subprocess.run(dump, check=True, capture_output=True, text=True, cwd="/").stdout.splitlines()
    if url := Path(f"{CREDENTIALS}/{service}/REDIS_URL").read_text().strip():
        yield from redis_values(url)


def redis_values(url: str) -> Iterator[str]:
    """KEY VALUE; a key that holds several values comes once for each."""
    import redis

    client: Any = redis.Redis.from_url(url, decode_responses=True, encoding_errors="replace")
    read = {
        "string": lambda key: [client.get(key)],
        "hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1),
        "list": lambda key: client.lrange(key, 0, -1),
    }
    for key in client.scan_iter():
        for value in read[client.type(key)](key):
            yield f"redis {key} {value}"


def files(words: list[bytes]) -> Iterator[str]:
    """Wherever something is written, but not what is mounted into the host from elsewhere."""
    for root in ROOTS:
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if not os.path.ismount(os.path.join(folder, name))]
            for path in (Path(folder, name) for name in names):
                if path.is_file() and not path.is_symlink() and holds(content(path), words):
                    yield str(path)
    told = subprocess.run(["journalctl", "--all", "--output=json"], check=True, capture_output=True).stdout
    if holds(told, words):
        yield "journal"


def content(path: Path) -> bytes:
    """Unpacked; nothing where the file is gone by now."""
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        return b""
    return gzip.decompress(packed) if path.suffix == ".gz" and packed.startswith(GZIP) else packed


def holds(text: bytes, words: list[bytes]) -> bool:
    """Whether one of them is in it."""
    return any(word in text for word in words)


def main() -> None:
    """One finding a line."""
    action, what = sys.argv[1:]
    found = rows(what) if action == "rows" else files([word.encode() for word in json.loads(what)])
    for one in found:
        print(one)


main()
