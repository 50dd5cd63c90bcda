"""What goes wrong around the services: disks, memory, certificates, backups."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.backup import metrics, target
from common.backup.__main__ import main as backup
from tests.common.backup.host import KEY, new_identity

CGROUPS = Path("/sys/fs/cgroup/memory")


class DiskImage:
    """A file system of 8 MB in a file, mounted as a disk: the rules do not look at file systems in memory."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        image = folder / f"{name}.img"
        with image.open("wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", "64", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(self.folder)], check=True)

    def use(self, size: int) -> None:
        """Write so many bytes, as far as there is room."""
        with suppress(OSError), (self.folder / "models").open("ab", buffering=0) as file:
            for _ in range(size >> 12):
                file.write(os.urandom(4096))

    def use_files(self) -> None:
        """Empty files until there is room for none."""
        with suppress(OSError):
            for number in range(64):
                (self.folder / f"mail{number}").touch(exist_ok=False)

    def clear(self) -> None:
        for file in self.folder.iterdir():
            if file.is_file():
                file.unlink()

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def can_limit_memory() -> bool:
    """Whether a program can be given so little memory here that the kernel ends it."""
    return (CGROUPS / "memory.limit_in_bytes").exists() and os.access(CGROUPS, os.W_OK)


def run_out_of_memory() -> None:
    """A program in a group of its own wants more than the group may have: the kernel ends it."""
    group = CGROUPS / f"watched-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(16 << 20))
        script = f"echo $$ > {group}/cgroup.procs; exec head -c 64M /dev/zero | tail -c 64M"
        subprocess.run(["sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        group.rmdir()


class TlsServer:
    """Shows a certificate, which can be renewed, to whoever connects."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "server.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        threading.Thread(target=self._serve, daemon=True).start()

    def renew(self, days: float) -> None:
        """From now on it shows one that ends in so many days, or did so before."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
        end = datetime.now(timezone.utc) + timedelta(days=days)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - timedelta(days=90))
            .not_valid_after(end)
            .sign(self._key, hashes.SHA256())
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        key = self._key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        self._file.write_bytes(made.public_bytes(pem) + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._file)
        self._context = context

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                with suppress(OSError), self._context.wrap_socket(client, server_side=True) as secured:
                    secured.recv(1)


class Backup:
    """The real program over a folder, with a second place that is there or not; node exporter reads what it says."""

    def __init__(self, folder: Path, texts: Path) -> None:
        self.second_place = folder / "far"
        data = folder / "data"
        data.mkdir()
        (data / "models.json").write_text("{}")
        self._plan = folder / "backup.json"
        told = {"host": "ai", "folder": str(folder / "archives"), "recipients": [new_identity()[1]], "keys": [KEY],
                "keep_days": 30, "databases": [], "redis": None, "paths": [str(data)], "exclude": [],
                "target": str(self.second_place), "prune_target": True, "credentials": str(folder),
                "metrics": str(texts / "code_du_travail_backup.prom")}  # fmt: skip
        self._plan.write_text(json.dumps(told))

    def run(self, *, hours_ago: float = 0) -> int:
        """One run, as if it had been so many hours ago; its exit status."""
        clock = SimpleNamespace(time=lambda: time.time() - 3600 * hours_ago)
        with mock.patch.object(metrics, "time", clock), mock.patch.object(target, "PAUSE", 0.0):
            return backup(["--plan", str(self._plan), "run"])
