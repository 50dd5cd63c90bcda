"""What goes wrong, in one line that an operator can act on."""

from __future__ import annotations


class BackupError(Exception):
    """The backup or the restore cannot go on; nothing that it was about to replace has been touched."""


class ArchiveRefused(BackupError):
    """An archive is not what was written: cut off, changed since, or signed with a key that we do not have."""
