"""Against llama.cpp's own server, where LLAMA_SERVER names its binary."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ai_core.engine.backends.remote import RemoteEngine, RemoteServers
from ai_core.engine.engine import PromptTooLong
from ai_core.engine.request import FinishReason
from tests.ai_core.engine.backends.remote.asking import ask, eventually, logprobs_of, request, text_of
from tests.ai_core.engine.tiny_model import write_tiny_model

BINARY = os.environ.get("LLAMA_SERVER")
pytestmark = pytest.mark.skipif(BINARY is None, reason="LLAMA_SERVER does not name llama.cpp's server")
KEY = "a-key"
SLOTS, CONTEXT = 2, 512  # tokens for each slot


@dataclass(frozen=True)
class Real:
    port: int
    engine: RemoteEngine
    servers: RemoteServers

    def slots_busy(self) -> int:
        headers = {"Authorization": f"Bearer {KEY}"}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/slots", headers=headers)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            slots: list[dict[str, Any]] = json.load(answer)
        return sum(slot["is_processing"] for slot in slots)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    model = write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")
    port = free_port()
    command = [str(BINARY), "-m", str(model), "--host", "127.0.0.1", "--port", str(port), "-t", "1", "--slots"]
    command += ["-np", str(SLOTS), "-c", str(SLOTS * CONTEXT), "--alias", "tiny", "--api-key", KEY]
    with (Path(model).parent / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for_health(port)
        servers = RemoteServers([f"http://127.0.0.1:{port}"], model="tiny", api_key=KEY)
        engine = RemoteEngine(servers)
        engine.start()
        yield Real(port, engine, servers)
        engine.stop()
        servers.close()
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_health(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except OSError:
            assert time.monotonic() < end, "llama-server does not start"
            time.sleep(0.05)


def test_it_tells_its_model(real: Real) -> None:
    info = real.servers.info
    assert (info.name, info.slots) == ("tiny", SLOTS)
    assert CONTEXT - 16 < info.context_length < CONTEXT
    assert len(real.servers.tokenize("<|im_end|>é", special=False)) == 12
    assert len(real.servers.tokenize("<|im_end|>é", special=True)) == 3


def test_an_answer_streams(real: Real) -> None:
    asked = request(max_tokens=20, temperature=0.0)
    real.engine.submit(asked)
    assert len(list(asked.events())) > 5
    text, finished = ask(real.engine, max_tokens=20, temperature=0.0)
    assert (len(text), finished.reason, finished.completion_tokens) == (20, FinishReason.LENGTH, 20)
    assert finished.prompt_tokens == len("Sois bref.Bonjour")


def test_a_seed_gives_the_same_answer_again(real: Real) -> None:
    texts = [ask(real.engine, max_tokens=20, seed=seed)[0] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_parameters_have_their_effect(real: Real) -> None:
    greedy = ask(real.engine, max_tokens=20, temperature=0.0)[0]
    assert ask(real.engine, max_tokens=20, top_k=1)[0] == greedy
    assert ask(real.engine, max_tokens=20, top_p=0.0, top_k=0)[0] == greedy
    assert ask(real.engine, max_tokens=20, temperature=0.0, repetition_penalty=1.8)[0] != greedy
    assert ask(real.engine, max_tokens=20, temperature=0.0, stop=(greedy[3:5],)) == (
        greedy[:3],
        ask(real.engine, max_tokens=20, temperature=0.0, stop=(greedy[3:5],))[1],
    )


@pytest.mark.parametrize("count", [0, 3])
def test_log_probabilities(count: int, real: Real) -> None:
    asked = request(max_tokens=4, temperature=0.0, logprobs=count)
    real.engine.submit(asked)
    told = logprobs_of(asked)
    assert len(told) == 4
    assert all(len(one.top) == count and -20 < one.logprob <= 0 for one in told)
    assert all(math.isclose(one.top[0][1], one.logprob, abs_tol=1e-6) for one in told if one.top)


def test_a_schema_and_a_grammar_are_kept_to(real: Real) -> None:
    schema = '{"type": "object", "properties": {"oui": {"type": "boolean"}}, "required": ["oui"]}'
    text, finished = ask(real.engine, max_tokens=200, json_schema=schema)
    assert finished.reason is FinishReason.STOP
    assert json.loads(text)["oui"] in (True, False)
    assert ask(real.engine, max_tokens=20, grammar='root ::= "oui" | "non"')[0] in ("oui", "non")


def test_a_grammar_that_cannot_be_read_is_an_error(real: Real) -> None:
    assert ask(real.engine, grammar="root ::= (")[1].error == (
        "the server refused the request with status 400 (invalid_request_error)"
    )


def test_a_prompt_that_is_too_long_is_refused_by_us_or_by_the_server(real: Real) -> None:
    with pytest.raises(PromptTooLong):
        real.engine.submit(request(tokens=CONTEXT))
    asked = request(messages=(("user", "x" * 600),))
    real.engine.submit(asked)
    assert text_of(asked)[1].error == "the prompt is too long for the server: 600 tokens, 512 fit"


def test_cancelling_gives_the_slot_back(real: Real) -> None:
    asked = [request(max_tokens=450, owner=str(number)) for number in range(SLOTS + 1)]
    for one in asked:
        real.engine.submit(one)
    for one in asked:
        one.cancel()
        assert text_of(one)[1].reason is FinishReason.CANCELLED
    eventually(lambda: real.slots_busy() == 0)
    assert ask(real.engine, max_tokens=3)[1].reason is FinishReason.LENGTH
