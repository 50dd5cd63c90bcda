"""What a host should be, as Ansible wrote it down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


class HostFileError(ValueError):
    """The host's file cannot be used; the message is one line."""


@dataclass(frozen=True, slots=True)
class Record:
    """A DNS record of another type than A and AAAA; `value` as `dig +short` shows it, without quotes."""

    name: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Host:
    """`names` are the public names of this host with the addresses that they should have (none: any), `services` the
    addresses of its web processes, `open_ports` those that may listen on more than the loopback."""

    units: tuple[str, ...]
    services: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]]
    records: tuple[Record, ...]
    folders: tuple[Path, ...]
    open_ports: frozenset[int]
    ca_file: Path | None

    def records_by_name(self) -> Mapping[tuple[str, str], list[str]]:
        """The values of all records of one name and type."""
        values: dict[tuple[str, str], list[str]] = {}
        for record in self.records:
            values.setdefault((record.name, record.type), []).append(record.value)
        return values

    @classmethod
    def read(cls, path: Path) -> Host:
        """Raises HostFileError."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise HostFileError(f"{path}: cannot be read: {type(error).__name__}") from None
        expected = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != expected:
            raise HostFileError(f"{path}: needs exactly {', '.join(sorted(expected))}")
        try:
            return cls._of(values)
        except (TypeError, ValueError, AttributeError) as error:
            raise HostFileError(f"{path}: {error}") from None

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> Host:
        return cls(
            units=tuple(values["units"]),
            services=dict(values["services"]),
            names={name: tuple(addresses) for name, addresses in values["names"].items()},
            records=tuple(Record(**record) for record in values["records"]),
            folders=tuple(map(Path, values["folders"])),
            open_ports=frozenset(map(int, values["open_ports"])),
            ca_file=Path(values["ca_file"]) if values["ca_file"] else None,
        )
