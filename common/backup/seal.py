"""The outside of an archive: age encrypts it, and an HMAC-SHA256 after its last byte says who wrote it and that all of
it is there. age alone would take an archive from anybody who knows the public key.

By hand, without this program: head -c -32 ARCHIVE | age --decrypt --identity FILE | tar --gzip --extract
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from common.backup.errors import ArchiveRefused, BackupError

TAG = 32  # bytes
CHUNK = 1 << 20
_PURPOSE = b"code-du-travail backup 1\n"


@contextmanager
def sealed(path: Path, recipients: Sequence[str], key: str) -> Iterator[BinaryIO]:
    """A stream to write to; the archive is at `path` once the block has ended well, whole and on the disk, or not at
    all. Raises BackupError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with _encrypting(partial, recipients) as age, gzip.GzipFile(fileobj=age, mode="wb", compresslevel=3) as stream:
            yield cast(BinaryIO, stream)
        with partial.open("r+b") as file:
            tag = _tag(file, partial.stat().st_size, key)
            file.write(tag)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def verify(path: Path, keys: Sequence[str]) -> None:
    """Raises ArchiveRefused unless every byte of `path` is as one of `keys` signed it."""
    size = path.stat().st_size - TAG
    if size <= 0:
        raise ArchiveRefused(f"{path.name}: is cut off")
    with path.open("rb") as file:
        for key in keys:
            file.seek(0)
            expected = _tag(file, size, key)
            if hmac.compare_digest(expected, file.read(TAG)):
                return
    raise ArchiveRefused(f"{path.name}: was changed, is cut off, or was signed with another key. Nothing is restored.")


def opened(path: Path, identity: str, into: Path) -> None:
    """Decrypt an archive, verified before, to the gzipped tar `into`. Raises ArchiveRefused."""
    # In memory, never on the disk: the identity opens every archive.
    secret = os.memfd_create("identity")
    try:
        os.write(secret, identity.encode())
        command = ["age", "--decrypt", "--identity", f"/proc/self/fd/{secret}", "--output", str(into)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[secret])  # noqa: S603
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            with path.open("rb") as file, process.stdin:
                for chunk in _chunks(file, path.stat().st_size - TAG):
                    process.stdin.write(chunk)
        except BrokenPipeError:
            pass  # age says below why it stopped
        said = process.stderr.read().decode(errors="replace").strip()
        process.stderr.close()
        if process.wait() != 0:
            raise ArchiveRefused(f"{path.name}: cannot be decrypted: {said.splitlines()[0] if said else 'no reason'}")
    finally:
        os.close(secret)


@contextmanager
def _encrypting(into: Path, recipients: Sequence[str]) -> Iterator[IO[bytes]]:
    named = [part for recipient in recipients for part in ("--recipient", recipient)]
    with open(into, "xb", opener=_private) as file:
        process = subprocess.Popen(  # noqa: S603 - our arguments
            ["age", "--encrypt", *named],  # noqa: S607 - the host's own
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            yield process.stdin
            process.stdin.close()
            said = process.stderr.read().decode(errors="replace").strip()
            if process.wait() != 0:
                raise BackupError(f"age: {said}")
        except BrokenPipeError:
            said = process.stderr.read().decode(errors="replace").strip()
            raise BackupError(f"age stopped: {said}") from None
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


def _tag(file: IO[bytes], size: int, key: str) -> bytes:
    made = hmac.new(key.encode(), _PURPOSE, hashlib.sha256)
    for chunk in _chunks(file, size):
        made.update(chunk)
    return made.digest()


def _chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0:
        chunk = file.read(min(CHUNK, size))
        if not chunk:
            return
        size -= len(chunk)
        yield chunk


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
