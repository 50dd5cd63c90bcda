"""ClamAV looks at every attachment before anything of ours opens it (clamd(8), command INSTREAM)."""

from __future__ import annotations

import socket
import struct

CHUNK = 65_536
TIMEOUT = 60.0  # seconds: a large archive takes a while


class ScannerAway(Exception):
    """clamd did not give a verdict: what was to be scanned has to wait."""


class Scanner:
    """clamd at `address`: a path of a socket (unix:/run/clamav/clamd.ctl) or HOST:PORT."""

    def __init__(self, address: str) -> None:
        self._address = address

    def finds(self, data: bytes) -> str | None:
        """The name of what is wrong with `data`, or None. Raises ScannerAway."""
        reply = self._ask(b"zINSTREAM\0", data)
        # "stream: OK", "stream: NAME FOUND", or an error such as "INSTREAM size limit exceeded. ERROR"
        if reply.endswith(" FOUND"):
            return reply.partition(":")[2].removesuffix(" FOUND").strip()
        if reply.endswith(": OK"):
            return None
        raise ScannerAway("no verdict")

    def check(self) -> None:
        """Return when it answers. Raises ScannerAway."""
        if self._ask(b"zPING\0", None) != "PONG":
            raise ScannerAway("no PONG")

    def _ask(self, command: bytes, data: bytes | None) -> str:
        try:
            with self._connected() as connection:
                connection.sendall(command)
                if data is not None:
                    self._stream(connection, data)
                return self._reply(connection)
        except OSError as error:
            raise ScannerAway(type(error).__name__) from error

    def _connected(self) -> socket.socket:
        if self._address.startswith(("unix:", "/")):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(TIMEOUT)
                connection.connect(self._address.removeprefix("unix:"))
            except OSError:
                connection.close()
                raise
            return connection
        host, _, port = self._address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT)

    @staticmethod
    def _stream(connection: socket.socket, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            chunk = data[at : at + CHUNK]
            connection.sendall(struct.pack("!I", len(chunk)) + chunk)
        connection.sendall(struct.pack("!I", 0))

    @staticmethod
    def _reply(connection: socket.socket) -> str:
        reply = b""
        while not reply.endswith(b"\0") and len(reply) < 4_096:
            part = connection.recv(4_096)
            if not part:
                break
            reply += part
        return reply.rstrip(b"\0\n").decode("utf-8", "replace")
