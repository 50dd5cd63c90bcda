"""Texts whose encoding nobody wrote down."""

from __future__ import annotations

import ast
import re

_BYTES_LITERAL = re.compile(r"""b(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)


def decoded(data: bytes) -> str:
    """UTF-8, with or without a mark; else Windows-1252, which is what French machines wrote before."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def repaired(text: str) -> str:
    """`b'Cong\\xc3\\xa9s'`, as Python printed a header's bytes, becomes `Congés`; other texts stay."""
    return _BYTES_LITERAL.sub(lambda match: _literal(match[0]), text)


def _literal(text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError):
        return text
    return decoded(value) if isinstance(value, bytes) else text
