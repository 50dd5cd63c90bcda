"""A line between two programs that can be slow or cut: a TCP proxy on the loopback."""

from __future__ import annotations

import socket
import struct
import threading
import time

from tests.end_to_end.server import free_port

PIECE = 4096  # bytes
RESET = struct.pack("ii", 1, 0)  # SO_LINGER 0: the other end sees a reset, as of a router that forgot the connection


class Line:
    """Listens on `port` and passes on to `target`, both of 127.0.0.1. `latency` in seconds for each piece of at most
    PIECE bytes, `bandwidth` in bytes a second and direction (0: no limit)."""

    def __init__(self, target: int) -> None:
        self.latency = 0.0
        self.bandwidth = 0.0
        self.port = free_port()
        self._target = target
        self._is_cut = False
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()  # of _open and _is_cut
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        threading.Thread(target=self._accept, name=f"line to {target}", daemon=True).start()

    def slow(self, latency: float, bandwidth: float) -> None:
        """From now on, also on connections that are open."""
        self.latency, self.bandwidth = latency, bandwidth

    def cut(self) -> None:
        """Reset every connection, and each new one, until it is mended."""
        with self._guard:
            self._is_cut = True
            for end in self._open:
                _reset(end)

    def mend(self) -> None:
        """As at first."""
        self.latency = self.bandwidth = 0.0
        with self._guard:
            self._is_cut = False

    def close(self) -> None:
        """Take no more, and end what is open."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=30)
        except OSError:
            _reset(client)
            client.close()
            return
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._guard:
            self._open |= {client, server}
            if self._is_cut:
                _reset(client)
        back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
        back.start()
        self._copy(client, server)
        back.join()
        with self._guard:
            self._open -= {client, server}
        client.close()
        server.close()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(PIECE):
                wait = self.latency + (len(piece) / self.bandwidth if self.bandwidth else 0.0)
                if wait:
                    time.sleep(wait)
                sink.sendall(piece)
        except OSError:
            _shut(source)  # the sink is gone, or the line was cut
        _shut(sink)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it was first


def _reset(end: socket.socket) -> None:
    """End both directions at once; the close that follows sends the reset."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
