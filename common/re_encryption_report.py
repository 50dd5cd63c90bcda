"""What `re-encrypt` says, the same in all services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.re_encryption import Tally
from common.retired_keys import RetiredKeys

SPARE_DAYS = 7  # beyond the retention of what was written under a secret


def retire_keys(retired: RetiredKeys, secrets: Sequence[str], *, retention_days: int, dry: bool) -> Tally:
    """Keep what older secrets are still needed for when they are gone; with `dry` only count what is not kept yet."""
    if dry:
        return Tally(renewed=retired.missing(secrets[1:]))
    new = retired.retire(secrets[1:])
    retired.forget(retention_days + SPARE_DAYS)
    return Tally(renewed=new, current=len(secrets) - 1 - new)


def report(tallies: Mapping[str, Tally], *, dry: bool) -> tuple[list[str], int]:
    """Lines to print, and the exit status: 1 where the older secrets are still needed, or a text is under none."""
    width = max((len(name) for name in tallies), default=0)
    word = "under older secrets" if dry else "re-encrypted"
    lines = [
        f"{name:<{width}}  {tally.renewed:>8} {word}, {tally.current} under the newest, {tally.unreadable} unreadable"
        for name, tally in tallies.items()
    ]
    unreadable = sum(tally.unreadable for tally in tallies.values())
    left = sum(tally.renewed for tally in tallies.values()) if dry else 0
    if unreadable:
        lines.append("Unreadable: written with a secret that is not in SECRET_KEY. Put it there, last, and run again.")
    elif left:
        lines.append("Older secrets are still needed: run without --check.")
    else:
        lines.append("Nothing needs an older secret: it can be taken out of SECRET_KEY.")
    return lines, 1 if unreadable or left else 0
