"""Keys of API clients: how one is made, read from a request, and proved.

A key is `cdt-PREFIX-SECRET`: the prefix finds the record, SHA-256 of the whole proves it. A plain hash suffices because
the secret holds 256 random bits; there is no password to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from werkzeug.datastructures import Headers

FOREIGN_LENGTH = range(24, 257)  # characters
_KEY = re.compile(r"cdt-(?P<prefix>[0-9a-f]{12})-[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; `text` is shown once, `prefix` and `digest` are stored."""

    text: str
    prefix: str
    digest: str


def make_key() -> NewKey:
    """Make a random key."""
    prefix = secrets.token_hex(6)
    text = f"cdt-{prefix}-{secrets.token_urlsafe(32)}"
    return NewKey(text, prefix, digest_of(text))


def key_name(text: str) -> str:
    """What a key is called: one printable line of at most 100 characters, since names stand in lists on terminals."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:100]


def digest_of(key: str) -> str:
    """SHA-256 of `key`, hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def prefix_of(key: str) -> str | None:
    """The prefix of a well-formed key; what stands for it in a key of the earlier system; None for anything else."""
    match = _KEY.fullmatch(key)
    if match:
        return match["prefix"]
    return foreign_prefix(digest_of(key)) if is_foreign_key(key) else None


def is_foreign_key(key: str) -> bool:
    """Whether `key`, made by another system, is long enough that nobody guesses it."""
    return FOREIGN_LENGTH.start <= len(key) < FOREIGN_LENGTH.stop and key.isascii() and key.isprintable()


def foreign_prefix(digest: str) -> str:
    """What finds a key of another system, of which perhaps only the SHA-256 `digest` (hexadecimal) is known."""
    return f"x{digest[:12]}"


def proves(key: str, digest: str) -> bool:
    """Whether `key` is the one whose digest was stored, in constant time."""
    return hmac.compare_digest(digest_of(key), digest)


def key_from_headers(headers: Headers) -> str | None:
    """The key in `X-API-Key` or `Authorization: Bearer` (RFC 6750, section 2.1), or None."""
    key = headers.get("X-API-Key", "").strip()
    if key:
        return key
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None
