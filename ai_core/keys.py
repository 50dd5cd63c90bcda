"""API keys: create, list, rotate, revoke, verify. A key's text is returned once and never stored."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

import peewee

from ai_core.storage import ApiKey, utc_now
from common.auth import NewKey, foreign_prefix, key_name, make_key, prefix_of, proves
from common.networks import is_inside, network

logger = logging.getLogger(__name__)

SCOPES = ("admin", "chat", "metrics", "models")
TOUCH_EVERY = timedelta(minutes=1)
GOOD_FOR = 300.0  # seconds that a key is remembered for while the database is away
REMEMBERED = 1_000  # keys


class KeyRefused(Exception):
    """The key does not let its bearer in. `reason` is for the log: the client is told the same for each."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key, its text excepted. Times are UTC without a zone."""

    id: int
    name: str
    prefix: str
    scopes: tuple[str, ...]
    rate_limit_per_minute: int | None
    allowed_networks: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def create_key(
    name: str,
    scopes: tuple[str, ...],
    *,
    expires_at: datetime | None = None,
    rate_limit_per_minute: int | None = None,
    allowed_networks: tuple[str, ...] = (),
) -> tuple[KeyRecord, str]:
    """Make a key and return its record and its text. Raises ValueError for an unknown scope or a bad network."""
    unknown = set(scopes) - set(SCOPES)
    if unknown or not scopes:
        raise ValueError(f"scopes: choose from {', '.join(SCOPES)}")
    networks = [str(network(text)) for text in allowed_networks]
    made = make_key()
    row = ApiKey.create(
        name=key_name(name),
        prefix=made.prefix,
        digest=made.digest,
        scopes=",".join(sorted(set(scopes))),
        rate_limit_per_minute=rate_limit_per_minute,
        allowed_networks=",".join(networks),
        expires_at=expires_at,
    )
    return _record(row), made.text


def adopt_key(
    digest: str,
    name: str,
    scopes: tuple[str, ...],
    *,
    rate_limit_per_minute: int | None = None,
    created_at: datetime | None = None,
    expires_at: datetime | None = None,
    revoked_at: datetime | None = None,
) -> bool:
    """Take over a key of the earlier system, of which `digest` (SHA-256, hexadecimal) is known. False when it is here
    already."""
    adopted = ApiKey.insert(
        name=key_name(name),
        prefix=foreign_prefix(digest),
        digest=digest,
        scopes=",".join(sorted(set(scopes))),
        rate_limit_per_minute=rate_limit_per_minute,
        created_at=created_at or utc_now(),
        expires_at=expires_at,
        revoked_at=revoked_at,
    )
    return bool(adopted.on_conflict_ignore().execute())


def list_keys() -> list[KeyRecord]:
    """Every key, revoked ones included, in order of creation."""
    return [_record(row) for row in ApiKey.select().order_by(ApiKey.id)]


def rotate_key(key_id: int) -> tuple[KeyRecord, str] | None:
    """Give the key `key_id` a new text; the old one stops working at once. None when there is no such live key."""
    made: NewKey = make_key()
    changed = (
        ApiKey.update(prefix=made.prefix, digest=made.digest)
        .where((ApiKey.id == key_id) & ApiKey.revoked_at.is_null())
        .execute()
    )
    return (_record(ApiKey.get_by_id(key_id)), made.text) if changed else None


def revoke_key(key_id: int) -> bool:
    """Revoke the key `key_id`; False when there is no such live key."""
    live = (ApiKey.id == key_id) & ApiKey.revoked_at.is_null()
    return bool(ApiKey.update(revoked_at=utc_now()).where(live).execute())


def verify_key(text: str, address: str) -> KeyRecord:
    """Return the record of a live key used from `address`, and note its use. Raises KeyRefused.

    While the database is away, a key that was seen shortly before is as good as it was then."""
    prefix = prefix_of(text)
    seen = _recent.look_up(prefix) if prefix else None
    if seen is None or not proves(text, seen.digest):
        raise KeyRefused("unknown")
    record, now = seen.record, utc_now()
    if record.revoked_at is not None:
        raise KeyRefused("revoked")
    if record.expires_at is not None and record.expires_at <= now:
        raise KeyRefused("expired")
    if record.allowed_networks and not is_inside(address, map(network, record.allowed_networks)):
        raise KeyRefused("address")
    if record.last_used_at is None or now - record.last_used_at >= TOUCH_EVERY:
        _note_use(record, now)
    return record


def _note_use(record: KeyRecord, now: datetime) -> None:
    try:
        ApiKey.update(last_used_at=now).where(ApiKey.id == record.id).execute()
    except (peewee.OperationalError, peewee.InterfaceError):
        # A full disk or a locked database: the question matters more than the note.
        logger.warning("use of a key not noted", extra={"key": record.prefix}, exc_info=True)


def _record(row: ApiKey) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(row.scopes.split(",")),
        rate_limit_per_minute=row.rate_limit_per_minute,
        allowed_networks=tuple(filter(None, row.allowed_networks.split(","))),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """A key's row as it was `at` some moment (time.monotonic)."""

    record: KeyRecord
    digest: str
    at: float


class _RecentKeys:
    """The keys that this process read last; asked only while the database is away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def look_up(self, prefix: str) -> _Seen | None:
        """The key in the database, or what is remembered of it. Raises peewee's errors where neither is to be had."""
        try:
            row = ApiKey.get_or_none(ApiKey.prefix == prefix)
        except (peewee.OperationalError, peewee.InterfaceError):
            seen = self._seen.get(prefix)
            if seen is None or time.monotonic() - seen.at > GOOD_FOR:
                raise
            logger.warning("database away: key taken as it was", extra={"key": prefix})
            return seen
        seen = None if row is None else _Seen(_record(row), row.digest, time.monotonic())
        with self._lock:
            self._seen.pop(prefix, None)
            if seen is not None:
                self._seen[prefix] = seen
                if len(self._seen) > REMEMBERED:
                    self._seen.popitem(last=False)
        return seen


_recent = _RecentKeys()
