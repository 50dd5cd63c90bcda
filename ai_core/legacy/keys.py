"""Exported API keys keep working: their text or its SHA-256 is taken over, never shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ai_core.keys import SCOPES, adopt_key
from ai_core.storage import ApiKey, utc_now
from common.auth import digest_of, foreign_prefix, is_foreign_key
from common.legacy.exports import Row, read_export
from common.legacy.fields import BadField, moment, text, whole, yes
from common.legacy.report import ImportReport

KIND = "api_keys"
_SHA256 = re.compile(r"(?:sha256[:$])?([0-9a-f]{64})", re.IGNORECASE)
_OLD_SCOPES = {"user": "chat", "read": "chat", "ask": "chat", "generate": "chat", "full": "admin", "write": "models"}
MAX_NAME = 100


def import_keys(path: Path, report: ImportReport, *, apply: bool) -> None:
    """Take over the keys of an export. Raises OSError, NotAnExport."""
    for row in read_export(path, KIND):
        try:
            values = _values(row)
        except BadField as problem:
            report.reject(KIND, path.name, row.number, str(problem), row.fields)
            continue
        digest = values["digest"]
        known = ApiKey.select().where(ApiKey.prefix == foreign_prefix(digest)).exists()
        taken = not known and (adopt_key(**values) if apply else True)
        report.count(KIND, "taken" if taken else "here already")


def _values(row: Row) -> dict[str, Any]:
    if row.problem is not None:
        raise BadField(row.problem)
    fields = row.fields
    expires_at = moment(fields, "expires_at", "expires", "expiration")
    revoked = not yes(fields, "active", "is_active", "enabled", default=True) or yes(fields, "revoked", default=False)
    return {
        "digest": _digest(fields),
        "name": (text(fields, "name", "label", "description", "owner") or f"imported {row.number}")[:MAX_NAME],
        "scopes": _scopes(text(fields, "scopes", "scope", "permissions", "role") or _listed(fields) or "chat"),
        "rate_limit_per_minute": whole(fields, "rate_limit_per_minute", "rate_limit", minimum=1, maximum=1_000_000),
        "created_at": moment(fields, "created_at", "created"),
        "expires_at": expires_at,
        "revoked_at": (moment(fields, "revoked_at") or utc_now()) if revoked else None,
    }


def _digest(fields: Any) -> str:
    key = text(fields, "key", "api_key", "token")
    hashed = text(fields, "key_hash", "hash", "digest", "sha256")
    if key is not None and not _SHA256.fullmatch(key):
        if not is_foreign_key(key):
            raise BadField("key is too short to be safe, or not one of printable ASCII characters: make a new one")
        return digest_of(key)
    match = _SHA256.fullmatch(hashed or key or "")
    if match is None:
        raise BadField("key: neither the key nor its SHA-256 is there")
    return match[1].lower()


def _listed(fields: Any) -> str | None:
    for name in ("scopes", "permissions"):
        if isinstance(fields.get(name), list):
            return " ".join(map(str, fields[name]))
    return None


def _scopes(words: str) -> tuple[str, ...]:
    scopes = tuple(_OLD_SCOPES.get(word, word) for word in words.lower().replace(",", " ").split())
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise BadField(f"scopes: {unknown[0]} is none of {', '.join(SCOPES)}")
    return scopes
