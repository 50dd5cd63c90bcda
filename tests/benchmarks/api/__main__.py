"""The API measured: `python -m tests.benchmarks.api [--model FILE.gguf] [--json OUT]`.

A real server over the Code du travail and a real Redis, behind a socket that is held open as systemd holds it. The
clients are threads of this process, which takes its share of the processors.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ai_core.settings import EMBEDDED_MODEL
from tests.benchmarks.api import scenes
from tests.benchmarks.api.asking import Client, Figures
from tests.corpus import legi_package
from tests.held_socket import HeldServer
from tests.redis_server import RedisServer

FAILURES = ("errors", "failed", "dropped")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON; 1 when a request failed."""
    options = _options(arguments)
    results: dict[str, Figures] = {}
    with _scene(options) as scene:
        for name, run in _runs(scene, options).items():
            if options.only in (None, name):
                results[name] = run()
                print(f"\n{name}")
                for label, figure in results[name].items():
                    print(f"  {label:<52} {figure:>10}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return int(any(figures.get(label) for figures in results.values() for label in FAILURES))


def _runs(scene: scenes.Scene, options: argparse.Namespace) -> dict[str, Callable[[], Figures]]:
    return {
        "concurrent": lambda: scenes.concurrent(scene, options.clients, options.seconds),
        "steady": lambda: scenes.steady(scene, options.per_minute, options.seconds),
        "cached": lambda: scenes.cached(scene, options.cached),
        "switch": lambda: scenes.switch(scene, options.switches),
        "restart": lambda: scenes.restart(scene, options.per_second, options.restarts),
        "redis restart": lambda: scenes.redis_restart(scene, options.per_second, options.restarts),
    }


@contextmanager
def _scene(options: argparse.Namespace) -> Iterator[scenes.Scene]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="api-benchmark-")))
        redis = RedisServer(durable=True)
        stack.callback(redis.remove)
        redis.start()
        declared = {name: {"path": str(options.model.resolve())} for name in (scenes.FIRST, scenes.SECOND)}
        (home / "models.json").write_text(json.dumps({"models": declared, "default_model": scenes.FIRST}))
        server = HeldServer(
            home,
            REDIS_URL=redis.url,
            ENGINE_SLOTS=str(options.slots),
            WEB_THREADS=str(max(64, 2 * options.clients)),
            RATE_LIMIT_USER_PER_MINUTE="100000",
        )
        stack.enter_context(server)
        server.command("knowledge", "update", "--from", str(legi_package()))
        key = server.new_key("chat", "models")
        server.start()
        stack.callback(server.stop)
        yield scenes.Scene(server, redis, Client(server.port, key), key)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.api", description="measure the API")
    add = parser.add_argument
    add("--model", type=Path, default=EMBEDDED_MODEL, help="GGUF (default: the embedded one)")
    add("--clients", type=int, default=80, help="that wait for an answer at the same time (default: %(default)s)")
    add("--slots", type=int, default=64, help="ENGINE_SLOTS (default: %(default)s)")
    add("--seconds", type=float, default=60.0, help="of the first two scenes each (default: %(default)s)")
    add("--per-minute", type=int, default=150, help="requests of the steady load (default: %(default)s)")
    add("--cached", type=int, default=200, help="times that one question is asked again (default: %(default)s)")
    add("--switches", type=int, default=6, help="of the model (default: %(default)s)")
    add("--restarts", type=int, default=3, help="of the service, and of Redis (default: %(default)s)")
    add("--per-second", type=float, default=8.0, help="requests meanwhile (default: %(default)s)")
    add("--only", choices=("concurrent", "steady", "cached", "switch", "restart", "redis restart"))
    add("--json", type=Path, metavar="OUT", help="write the figures there too")
    options = parser.parse_args(arguments)
    if not options.model.is_file():
        parser.error(f"{options.model}: no such file")
    return options


if __name__ == "__main__":
    sys.exit(main())
