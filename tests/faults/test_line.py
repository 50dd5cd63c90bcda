"""The line of the fault suite: what goes through it, slowed down, cut and mended."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.line import Line


@pytest.fixture
def line() -> Iterator[Line]:
    """To somebody who says everything again."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client:
            while heard := client.recv(1024):
                client.sendall(heard)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    made = Line(listener.getsockname()[1])
    yield made
    made.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def call(line: Line) -> socket.socket:
    return socket.create_connection(("127.0.0.1", line.port), timeout=10)


def echo(connection: socket.socket, said: bytes = b"ok") -> bytes:
    connection.sendall(said)
    return connection.recv(1024)


def test_bytes_go_through(line: Line) -> None:
    with call(line) as connection:
        assert echo(connection) == b"ok"


def test_a_slow_line_takes_its_time_each_way(line: Line) -> None:
    with call(line) as connection:
        line.slow(latency=0.1, bandwidth=1_000)
        began = time.monotonic()
        assert echo(connection, b"x" * 100) == b"x" * 100
        assert time.monotonic() - began >= 2 * (0.1 + 100 / 1_000)


def is_ended(connection: socket.socket) -> bool:
    try:
        return echo(connection) == b""
    except ConnectionError:
        return True


def test_a_cut_line_ends_what_is_open_and_what_comes(line: Line) -> None:
    with call(line) as connection:
        assert echo(connection) == b"ok"
        line.cut()
        assert is_ended(connection)
        with call(line) as another:
            assert is_ended(another)
        line.mend()
        with call(line) as third:
            assert echo(third) == b"ok"


def test_where_nobody_listens_the_line_ends_at_once() -> None:
    with socket.socket() as taken:  # and nobody else gets the port meanwhile
        taken.bind(("127.0.0.1", 0))
        line = Line(taken.getsockname()[1])
        with call(line) as connection:
            assert is_ended(connection)
        line.close()
