"""What to keep of a host, and where: read from a JSON file that only root can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from common.backup.errors import BackupError

SHORTEST_KEY = 32  # characters


@dataclass(frozen=True, slots=True)
class DatabasePlan:
    """A service's database: `url` as its DATABASE_URL; `user` is the Linux user that it belongs to, and that restores
    it. Root must be able to read it: on PostgreSQL a role `root` in pg_read_all_data."""

    service: str
    url: str
    user: str | None


@dataclass(frozen=True, slots=True)
class RedisPlan:
    """`data` is the folder of its append-only file, `user` the Linux user that it runs as."""

    host: str
    port: int
    password: str
    data: Path
    user: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """`keys` sign archives: the first one signs, all are accepted. `recipients` are age's public keys. `exclude` are
    patterns of absolute paths (fnmatch). `target`: where archives go besides `folder`: a path, USER@HOST:PATH (rsync),
    rclone:REMOTE:PATH; empty for nowhere. `prune_target`: what was removed here for its age goes there, too.
    `credentials`: a folder with what the target asks for: ssh_key, known_hosts, ssh_config, or rclone.conf."""

    host: str
    folder: Path
    recipients: tuple[str, ...]
    keys: tuple[str, ...]
    keep_days: int
    databases: tuple[DatabasePlan, ...]
    redis: RedisPlan | None
    paths: tuple[Path, ...]
    exclude: tuple[str, ...]
    target: str
    prune_target: bool
    credentials: Path
    metrics: Path | None

    @classmethod
    def read(cls, file: Path) -> Plan:
        """The plan in `file`. Raises BackupError."""
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            return cls._of(told)
        except (OSError, UnicodeDecodeError, ValueError, TypeError, KeyError, AttributeError) as error:
            # Never the text: it holds passwords.
            raise BackupError(f"{file} is not a plan: {_reason(error)}") from None

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> Plan:
        unknown = set(told) ^ {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"missing or unknown: {', '.join(sorted(unknown))}")
        redis = told["redis"]
        plan = cls(
            host=str(told["host"]),
            folder=Path(told["folder"]),
            recipients=tuple(told["recipients"]),
            keys=tuple(told["keys"]),
            keep_days=int(told["keep_days"]),
            databases=tuple(DatabasePlan(**database) for database in told["databases"]),
            redis=None if redis is None else RedisPlan(**{**redis, "data": Path(redis["data"])}),
            paths=tuple(map(Path, told["paths"])),
            exclude=tuple(told["exclude"]),
            target=str(told["target"]),
            prune_target=bool(told["prune_target"]),
            credentials=Path(told["credentials"]),
            metrics=_optional(told["metrics"]),
        )
        plan._check()
        return plan

    def _check(self) -> None:
        if not self.host or not all(part.isalnum() or part in "-._" for part in self.host):
            raise ValueError("host: letters, digits, - . _")
        if not self.keys or min(map(len, self.keys)) < SHORTEST_KEY:
            raise ValueError(f"keys: needs one of {SHORTEST_KEY} characters or more")
        if not self.recipients or not all(key.startswith(("age1", "ssh-")) for key in self.recipients):
            raise ValueError("recipients: needs a public key, age1...")
        if self.keep_days < 1:
            raise ValueError("keep_days: 1 or more")
        if not all(path.is_absolute() for path in (self.folder, *self.paths)):
            raise ValueError("folder, paths: must be absolute")


def _optional(path: str | None) -> Path | None:
    return Path(path) if path else None


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} is no JSON"
    return str(error) if type(error) in (ValueError, KeyError) else type(error).__name__
