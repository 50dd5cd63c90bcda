"""Second places for archives: a host that takes ssh, a folder and a WebDAV server for rclone; the real programs, on
free ports of the loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

from tests.end_to_end.server import free_port
from tests.waiting import until

SSHD = "/usr/sbin/sshd"
USER, PASSWORD = "vault", "sesame"


class FarPlace:
    """`target` as the plan names it, `archives` where they are; what it asks for lies in `credentials`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.credentials = home / "credentials"
        self.credentials.mkdir()
        self.folder = home / "srv"
        self.folder.mkdir()
        self.target = ""
        self.start()

    @property
    def archives(self) -> Path:
        return self.folder / "tout-en-un"

    def names(self) -> set[str]:
        """What archives it holds."""
        return {path.name for path in self.archives.glob("*.age")}

    def start(self) -> None:
        """It is there."""
        raise NotImplementedError

    def go_away(self) -> None:
        """It is not."""
        raise NotImplementedError

    def close(self) -> None:
        """As it ends."""
        self.go_away()


class _Server(FarPlace):
    """One that is a process with a port."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(home)

    def serve(self, command: list[str]) -> None:
        """Start it, and wait until it takes connections."""
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._listens)

    def go_away(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


class SshHost(_Server):
    """OpenSSH's server, which takes one key; its own is in known_hosts."""

    @staticmethod
    def missing() -> str | None:
        if not (Path(SSHD).exists() and shutil.which("rsync")):
            return "apt-get install openssh-server rsync"
        return None if os.geteuid() == 0 else "sshd lets somebody in as root only"

    def start(self) -> None:
        key, server_key, config = self.credentials / "ssh_key", self.home / "server_key", self.home / "sshd_config"
        if not key.exists():
            for file in (key, server_key):
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
            public = server_key.with_suffix(".pub").read_text()
            (self.credentials / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")
            (self.credentials / "ssh_config").write_text(f"Port {self.port}\n")
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own, empty
            config.write_text(
                f"ListenAddress 127.0.0.1:{self.port}\nHostKey {server_key}\nAuthorizedKeysFile {key}.pub\n"
                "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
            )
            self.target = f"root@127.0.0.1:{self.folder}"
        self.serve([SSHD, "-D", "-e", "-f", str(config)])

    def change_key(self) -> None:
        """Somebody else answers at its address."""
        self.go_away()
        server_key = self.home / "server_key"
        server_key.unlink()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", server_key], check=True)
        self.start()


class RcloneFolder(FarPlace):
    """rclone's own local backend: a disk that is there or not."""

    @staticmethod
    def missing() -> str | None:
        return None if shutil.which("rclone") else "apt-get install rclone"

    def start(self) -> None:
        (self.credentials / "rclone.conf").write_text("[far]\ntype = local\n")
        self.target = f"rclone:far:{self.folder}"
        if self.folder.is_symlink():
            self.folder.unlink()
            self._aside.rename(self.folder)

    def go_away(self) -> None:
        # A folder that is not there would be made: this one cannot be.
        self.folder.rename(self._aside)
        self.folder.symlink_to("/proc/nowhere")

    @property
    def _aside(self) -> Path:
        return self.home / "aside"


class RcloneWebdav(_Server):
    """A server with a password, spoken to by WebDAV."""

    @staticmethod
    def missing() -> str | None:
        return RcloneFolder.missing()

    def start(self) -> None:
        hidden = subprocess.run(["rclone", "obscure", PASSWORD], check=True, capture_output=True, text=True).stdout
        (self.credentials / "rclone.conf").write_text(
            f"[far]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:{self.port}\nuser = {USER}\npass = {hidden}"
        )
        self.target = "rclone:far:/"
        access = ["--user", USER, "--pass", PASSWORD, "--addr", f"127.0.0.1:{self.port}"]
        # Like a real one, it takes what comes and does not look at what lies there behind its back.
        self.serve(["rclone", "serve", "webdav", *access, str(self.folder)])


PLACES = (SshHost, RcloneFolder, RcloneWebdav)
