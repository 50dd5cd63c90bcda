"""llama-cpp-python's `Llama` behind a lock, as small services run it: one answer at a time, its own prefix reuse on.

`python -m tests.benchmarks.engine.locked_llama --model FILE.gguf --port N --context TOKENS --threads N` takes OpenAI's
completions with a prompt of tokens and streams them.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LockedLlama:
    """One `Llama`, one request in it."""

    def __init__(self, model: str, context: int, threads: int) -> None:
        from llama_cpp import Llama

        sizes: dict[str, Any] = {"n_ctx": context, "n_threads": threads, "n_threads_batch": threads}
        self._llama = Llama(model, verbose=False, **sizes)
        self._lock = threading.Lock()

    def answer(self, prompt: list[int], new_tokens: int) -> Iterator[dict[str, Any]]:
        """Events with text, then one with the usage."""
        with self._lock:
            reused = self._in_cache(prompt)
            output = 0
            events: Any = self._llama.create_completion(prompt, max_tokens=new_tokens, temperature=0.0, stream=True)
            for event in events:
                output += bool(event["choices"][0]["text"])
                yield event
            generated = max(output, self._llama.n_tokens + 1 - len(prompt))  # the last token is never evaluated
            usage = {"prompt_tokens": len(prompt), "completion_tokens": generated, "reused_tokens": reused}
            yield {"usage": usage}

    def _in_cache(self, prompt: list[int]) -> int:
        """What `Llama` will not compute again: the common prefix, but for the prompt's last token."""
        kept = self._llama.input_ids[: self._llama.n_tokens].tolist()
        same = 0
        for ours, theirs in zip(kept, prompt[:-1], strict=False):
            if ours != theirs:
                break
            same += 1
        return same


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.engine.locked_llama")
    parser.add_argument("--model", required=True)
    for name in ("--port", "--context", "--threads"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    llama = LockedLlama(options.model, options.context, options.threads)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._begin("text/plain")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._begin("text/event-stream")
            for event in llama.answer(body["prompt"], body["max_tokens"]):
                self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

        def _begin(self, mime_type: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", mime_type)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing to log."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # all clients come at once

    Server(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
