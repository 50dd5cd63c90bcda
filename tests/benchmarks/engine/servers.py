"""The servers that are measured: each is started on a free port of the loopback, alone, and stopped again.

All get the same room: a slot for every client at a time, and as many threads as there are cores; llama.cpp's server is
measured as it comes, too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from tests.benchmarks.engine.dialects import CompletionsDialect, Dialect, LlamaServerDialect, OurDialect
from tests.benchmarks.engine.workloads import Workload
from tests.end_to_end.server import ROOT, Server, free_port

READY_WITHIN = 180.0  # seconds
SETTLE = 0.3  # seconds after the last answer: a server counts it a moment after it is sent
BLOCK = 256  # tokens; contexts are multiples of it


class ServerFailed(Exception):
    """It did not start; what it wrote last is in the message."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the start, None where the answers themselves tell."""

    prefill: int | None = None
    output: int | None = None


class Measured(Protocol):
    """A server of one workload."""

    port: int

    @property
    def pid(self) -> int:
        """Of the process whose memory, with its children's, is the server's."""

    @property
    def dialect(self) -> Dialect: ...

    def start(self) -> None:
        """Returns when it is ready. Raises ServerFailed."""

    def stop(self) -> None: ...

    def counters(self) -> Counters: ...


@dataclass(frozen=True, slots=True)
class Place:
    """What a server is started with. `folder` is its own; `arguments` are more options of the command line."""

    model: Path
    workload: Workload
    folder: Path
    arguments: tuple[str, ...] = ()

    @property
    def slots(self) -> int:
        return self.workload.clients

    @property
    def slot_context(self) -> int:
        return -(-self.workload.longest // BLOCK) * BLOCK

    @property
    def threads(self) -> int:
        return len(os.sched_getaffinity(0))


class Ours:
    """`python -m ai_core serve`, as an operator runs it, with limits that do not stop a benchmark."""

    def __init__(self, place: Place) -> None:
        prompt = place.folder / "system_prompt.txt"
        prompt.write_text(place.workload.system, encoding="utf-8")
        (place.folder / "data").mkdir()
        self._server = Server(
            place.folder / "data",
            MODEL_FILE=str(place.model),
            SYSTEM_PROMPT_FILE=str(prompt),
            ENGINE_SLOTS=str(place.slots),
            ENGINE_CONTEXT_LENGTH=str(place.slot_context),
            RATE_LIMIT_USER_PER_MINUTE="100000",
            MAX_PROMPT_LENGTH="1000000",
            WEB_THREADS=str(max(64, 2 * place.slots)),
            **dict(pair.split("=", 1) for pair in place.arguments),
        )
        self.port = self._server.port
        self._key = self._server.new_key()

    @property
    def pid(self) -> int:
        parent: int = psutil.Process(self._server.worker_pids()[0]).ppid()
        return parent

    @property
    def dialect(self) -> OurDialect:
        return OurDialect(self._key)

    def start(self) -> None:
        try:
            self._server.start()
        except AssertionError as error:
            raise ServerFailed(str(error)) from error

    def stop(self) -> None:
        self._server.stop()

    def counters(self) -> Counters:
        engine = self._server.readiness()["engine"]
        return Counters(prefill=engine["prompt_tokens_total"] - engine["reused_tokens_total"])


class _Launched:
    """A rival: one command, one port, one path that answers 200 when it is ready."""

    ready_path = "/health"
    dialect: Dialect

    def __init__(self, place: Place) -> None:
        self.port = free_port()
        self.place = place
        self._log = place.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def counters(self) -> Counters:
        return Counters()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=ROOT, env=dict(self.environment()), stdout=log, stderr=log
            )
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self.get(self.ready_path)
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise ServerFailed(f"{self.command()[0]}: {self._log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that does not help within 20 seconds."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
            text: str = response.read().decode()
            return text


class LlamaServer(_Launched):
    """llama.cpp's own server. Prompt caching and flash attention are on by default."""

    def __init__(self, place: Place, binary: Path) -> None:
        super().__init__(place)
        self._binary = binary.resolve()
        self.dialect = LlamaServerDialect()

    def command(self) -> list[str]:
        place = self.place
        sizes = {"-np": place.slots, "-c": place.slots * place.slot_context, "-t": place.threads, "-tb": place.threads}
        options = [str(part) for pair in sizes.items() for part in pair]
        fixed = ["--host", "127.0.0.1", "--port", str(self.port), "--no-ui"]
        return [str(self._binary), "-m", str(place.model), *options, *fixed, *place.arguments]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "LD_LIBRARY_PATH": str(self._binary.parent)}  # a build folder has its libraries there


class LlamaServerAsItComes(LlamaServer):
    """The same without a word about slots, context and threads: four slots that share one cache."""

    def command(self) -> list[str]:
        fixed = ["--host", "127.0.0.1", "--port", str(self.port), "--no-ui"]
        return [str(self._binary), "-m", str(self.place.model), *fixed]


class LockedLlama(_Launched):
    """See locked_llama."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.dialect = CompletionsDialect()

    def command(self) -> list[str]:
        place = self.place
        sizes = {"--port": self.port, "--context": place.slot_context, "--threads": place.threads}
        options = [str(part) for pair in sizes.items() for part in pair]
        module = ["-m", "tests.benchmarks.engine.locked_llama"]
        return [sys.executable, *module, "--model", str(place.model), *options, *place.arguments]


class ExampleServer(_Launched):
    """`examples/server/server.py` of llama-cpp-python's source package: batches, radix tree of prefixes."""

    ready_path = "/healthz"
    sequences = 64  # as in its example configurations: those that no request holds keep prefixes

    def __init__(self, place: Place, script: Path, python: Path) -> None:
        super().__init__(place)
        self._script = script.resolve()
        self._python = python
        self.dialect = CompletionsDialect()

    def command(self) -> list[str]:
        place = self.place
        sequences = max(self.sequences, 2 * place.slots)
        model = {
            "path": str(place.model),
            "alias": "model",
            "n_ctx": place.slots * place.slot_context,
            "n_seq_max": sequences,
            "n_batch": 512,
            "n_ubatch": 512,
            "threads": place.threads,
            "threads_batch": place.threads,
            "kv_unified": True,
            "store_logits": False,
            **{name: json.loads(value) for name, value in (pair.split("=", 1) for pair in place.arguments)},
        }
        config = place.folder / "config.json"
        config.write_text(json.dumps({"server": {"host": "127.0.0.1", "port": self.port}, "model": model}))
        return [str(self._python), str(self._script), "-C", str(config)]

    def counters(self) -> Counters:
        lines = (line.split() for line in self.get("/metrics").splitlines() if line.startswith("llamacpp:"))
        values = {name: int(float(value)) for name, value in lines}
        return Counters(values["llamacpp:prompt_tokens_total"], values["llamacpp:tokens_predicted_total"])
