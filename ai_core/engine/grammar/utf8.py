"""Ranges of characters as the bytes that encode them."""

from __future__ import annotations

from collections.abc import Iterator

ByteRanges = tuple[tuple[int, int], ...]
"""One inclusive range for each byte of a character."""

_LONGEST = (0x7F, 0x7FF, 0xFFFF)
"""The last character of one, two and three bytes."""
_SURROGATES = (0xD800, 0xDFFF)


def byte_ranges(low: int, high: int) -> Iterator[ByteRanges]:
    """Together they allow the UTF-8 of each character from `low` to `high`, but surrogates: these have none."""
    first, last = _SURROGATES
    yield from _encoded(low, min(high, first - 1))
    yield from _encoded(max(low, last + 1), high)


def _encoded(low: int, high: int) -> Iterator[ByteRanges]:
    if low > high:
        return
    split = next((limit for limit in _LONGEST if low <= limit < high), None) or _uneven(low, high)
    if split is None:
        yield tuple(zip(chr(low).encode(), chr(high).encode(), strict=True))
        return
    yield from _encoded(low, split)
    yield from _encoded(split + 1, high)


def _uneven(low: int, high: int) -> int | None:
    """Where to split so that the bytes after the first one that differs take all their values, or all the same one."""
    if high <= _LONGEST[0]:
        return None
    for bits in (6, 12, 18):
        rest = (1 << bits) - 1
        if low & ~rest == high & ~rest:
            return None
        if low & rest:
            return low | rest
        if high & rest != rest:
            return (high & ~rest) - 1
    return None
