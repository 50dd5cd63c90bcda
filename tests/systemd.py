"""What systemd hears of a service: the receiving end of NOTIFY_SOCKET."""

from __future__ import annotations

import select
import socket


class Systemd:
    """A datagram socket at `address`; "@" begins an abstract one."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(10)

    def hears(self) -> list[str]:
        """The assignments of the next datagram."""
        return self._socket.recv(4096).decode().split("\n")

    def hears_nothing(self) -> bool:
        """Whether no datagram is there."""
        waiting, _, _ = select.select([self._socket], [], [], 0)
        return not waiting

    def close(self) -> None:
        self._socket.close()
