"""Keys of the operator API: create, list, revoke, verify. A key's text is returned once and never stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from common.auth import make_key, prefix_of, proves
from mail_service.storage import ApiKey, utc_now

TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key, its text excepted. Times are UTC without a zone."""

    id: int
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def create_key(name: str) -> tuple[KeyRecord, str]:
    """Make a key and return its record and its text."""
    made = make_key()
    row = ApiKey.create(name=name[:100], prefix=made.prefix, digest=made.digest)
    return _record(row), made.text


def list_keys() -> list[KeyRecord]:
    """Every key, revoked ones included."""
    return [_record(row) for row in ApiKey.select().order_by(ApiKey.id)]


def revoke_key(key_id: int) -> bool:
    """Revoke a key; False when there is no such live key."""
    live = (ApiKey.id == key_id) & ApiKey.revoked_at.is_null()
    return bool(ApiKey.update(revoked_at=utc_now()).where(live).execute())


def verify_key(text: str | None) -> KeyRecord | None:
    """The record of a live key, its use noted; else None."""
    prefix = prefix_of(text) if text else None
    row = ApiKey.get_or_none(ApiKey.prefix == prefix) if prefix else None
    if text is None or row is None or row.revoked_at is not None or not proves(text, row.digest):
        return None
    now = utc_now()
    if row.last_used_at is None or now - row.last_used_at >= TOUCH_EVERY:
        ApiKey.update(last_used_at=now).where(ApiKey.id == row.id).execute()
    return _record(row)


def _record(row: ApiKey) -> KeyRecord:
    return KeyRecord(row.id, row.name, row.prefix, row.created_at, row.last_used_at, row.revoked_at)
