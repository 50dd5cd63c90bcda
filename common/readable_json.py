"""JSON as people read it in a terminal: UTF-8 instead of escapes, fields in the order in which they were written."""

from __future__ import annotations

from typing import Any

from flask.json.provider import DefaultJSONProvider


class ReadableJson(DefaultJSONProvider):
    """Flask's JSON provider; a text that UTF-8 cannot carry (a lone surrogate given back in an error) is escaped, and
    what is nested too deep is no JSON."""

    ensure_ascii = False
    sort_keys = False

    def dumps(self, obj: Any, **options: Any) -> str:
        """Serialise `obj`."""
        text = super().dumps(obj, **options)
        return text if _is_utf8(text) else super().dumps(obj, **{**options, "ensure_ascii": True})

    def loads(self, s: str | bytes, **options: Any) -> Any:
        """Parse `s`. Raises ValueError."""
        try:
            return super().loads(s, **options)
        except RecursionError:
            raise ValueError("nested too deep") from None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
