"""Fields of exported rows: under one of several names, as a text, a number, a moment, a yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

_TRUE, _FALSE = ("1", "true", "yes", "oui", "on", "t", "vrai"), ("", "0", "false", "no", "non", "off", "f", "faux")
_NO_VALUE = ("", "null", "none", "nan", "n/a")
_MILLISECONDS = 100_000_000_000  # a moment in seconds stays below it until the year 5138


class BadField(ValueError):
    """A field cannot be understood; the message names it."""


def text(row: Mapping[str, Any], *names: str) -> str | None:
    """The first of `names` that holds something, without what surrounds it."""
    for name in names:
        value = row.get(name)
        if value is not None and not isinstance(value, (dict, list)) and str(value).strip().lower() not in _NO_VALUE:
            return str(value).strip()
    return None


def whole(row: Mapping[str, Any], *names: str, minimum: int = 0, maximum: int = 2**63 - 1) -> int | None:
    """A whole number, `12.0` included. Raises BadField."""
    value = text(row, *names)
    if value is None:
        return None
    try:
        number = int(value) if value.lstrip("+-").isdecimal() else float(value)
        if number != int(number) or not minimum <= number <= maximum:
            raise ValueError
    except (ValueError, OverflowError):
        raise BadField(f"{names[0]} is no whole number of {minimum} or more") from None
    return int(number)


def yes(row: Mapping[str, Any], *names: str, default: bool) -> bool:
    """A yes or no. Raises BadField."""
    value = text(row, *names)
    if value is None:
        return default
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise BadField(f"{names[0]} is neither yes nor no")


def moment(row: Mapping[str, Any], *names: str) -> datetime | None:
    """A moment in UTC, without a zone: ISO 8601 (without a zone: UTC), or seconds or milliseconds since 1970. Raises
    BadField."""
    value = text(row, *names)
    if value is None:
        return None
    try:
        if value.replace(".", "", 1).isdecimal():
            seconds = float(value)
            return datetime.fromtimestamp(
                seconds / 1000 if seconds > _MILLISECONDS else seconds, timezone.utc
            ).replace(tzinfo=None)  # fmt: skip
        # Python 3.10 reads neither Z nor fractions of two digits.
        found = datetime.fromisoformat(_padded(value.replace("Z", "+00:00").replace(",", ".")))
        if found.tzinfo is not None:
            found = found.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        raise BadField(f"{names[0]} is no moment such as 2025-03-01T12:00:00Z") from None
    return found


def _padded(value: str) -> str:
    head, dot, rest = value.partition(".")
    if not dot:
        return value
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{head}.{digits[:6]:0<6}{rest[len(digits) :]}"
