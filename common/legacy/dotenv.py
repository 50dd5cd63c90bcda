"""The earlier system's .env: written by hand and read by several programs that did not agree on quotes and comments."""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.legacy.texts import decoded

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(?P<value>.*)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$", "`": "`"}
_PLACEHOLDER = re.compile(r"your[_-].*|.*_here|change[_-]?me|xxx+|<.*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Assignment:
    """`name=value` on `line` (from 1). `problem` says why the line could not be read; the value is empty then."""

    name: str
    value: str
    line: int
    problem: str | None = None

    @property
    def is_placeholder(self) -> bool:
        """Whether the value is still the one of the example file."""
        return bool(_PLACEHOLDER.fullmatch(self.value))


def read_dotenv(data: bytes) -> list[Assignment]:
    """Every line that assigns or tries to, in order. A name may be there twice: the last one counts, as it did."""
    lines = decoded(data).splitlines()
    found: list[Assignment] = []
    at = 0
    while at < len(lines):
        start, line = at, lines[at]
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            found.append(Assignment("", "", start + 1, "is not NAME=VALUE"))
            continue
        value = match["value"]
        if value[:1] in ("'", '"'):
            # A quoted value may go on over several lines: a key in PEM form, for instance.
            while not _is_closed(value) and at < len(lines) and not _ASSIGNMENT.fullmatch(lines[at]):
                value += "\n" + lines[at]
                at += 1
            found.append(_quoted(match["name"], value, start + 1))
        else:
            found.append(Assignment(match["name"], _without_comment(value), start + 1))
    return found


def as_environment_line(name: str, value: str) -> str:
    """`NAME="value"` as systemd's EnvironmentFile reads it (systemd.exec(5)): quoted where that matters. Raises
    ValueError for what such a file cannot hold."""
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(f"{name}: a value of several lines belongs into a file of its own")
    if re.fullmatch(r"[A-Za-z0-9_./:@,+=-]*", value):
        return f"{name}={value}"
    escaped = re.sub(r'(["\\$`])', r"\\\1", value)
    return f'{name}="{escaped}"'


def _is_closed(value: str) -> bool:
    return _closing_quote(value) is not None


def _closing_quote(value: str) -> int | None:
    quote, at = value[0], 1
    while at < len(value):
        if value[at] == "\\" and quote == '"':
            at += 1
        elif value[at] == quote:
            return at
        at += 1
    return None


def _quoted(name: str, value: str, line: int) -> Assignment:
    end = _closing_quote(value)
    if end is None:
        return Assignment(name, "", line, "the quote is never closed")
    rest = value[end + 1 :].strip()
    if rest and not rest.startswith("#"):
        return Assignment(name, "", line, "something follows the closing quote")
    inside = value[1:end]
    if value[0] == '"':
        inside = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), inside, flags=re.DOTALL)
    return Assignment(name, inside, line)


def _without_comment(value: str) -> str:
    return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
