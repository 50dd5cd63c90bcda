"""The application on a port of the loopback, for clients that speak HTTP only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
from werkzeug.serving import make_server

from tests.fakes import Core


@contextmanager
def served(core: Core) -> Iterator[str]:
    """The address of `core`, while it is served by threads."""
    server = make_server("127.0.0.1", 0, core.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def client_of(core: Core, address: str, **options: Any) -> openai.OpenAI:
    """OpenAI's own client, with a new key; it does not try again, so that tests see the first answer."""
    options = {"api_key": core.key("chat"), "max_retries": 0, "timeout": 30.0, **options}
    return openai.OpenAI(base_url=f"{address}/v1", **options)
