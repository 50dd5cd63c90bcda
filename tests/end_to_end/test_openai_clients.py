"""The running server as its clients meet it: OpenAI's own package, and curl with the examples that Swagger shows."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from ai_core.api.openai_compat import examples
from tests.ai_core.engine.tiny_embedding_model import write_tiny_bert
from tests.ai_core.engine.tiny_model import write_tiny_model
from tests.end_to_end.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Random models under the names that the examples have; without the Code du travail."""
    directory = tmp_path_factory.mktemp("openai")
    model = write_tiny_model(directory / f"{examples.MODEL}.gguf")
    embedder = write_tiny_bert(directory / f"{examples.EMBEDDING_REQUEST['model']}.gguf")
    running = Server(directory, MODEL_FILE=str(model), EMBEDDING_MODEL_FILE=str(embedder))
    running.new_key()
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.new_key("chat")


@pytest.fixture(scope="module")
def client(server: Server, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key=key, max_retries=0, timeout=60.0)


# -- curl, as Swagger writes it ---------------------------------------------------------------------------------------


def curl(server: Server, key: str, path: str, example: Any = None) -> str:
    """What curl prints for the line that Swagger UI makes of a route and its example."""
    method = "GET" if example is None else "POST"
    line = ["curl", "--fail-with-body", "-sN", "-X", method, f"http://127.0.0.1:{server.port}{path}"]
    line += ["-H", "accept: application/json", "-H", f"Authorization: Bearer {key}"]
    if example is not None:
        line += ["-H", "Content-Type: application/json", "-d", json.dumps(example, indent=2, ensure_ascii=False)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def shown(server: Server) -> Any:
    """The examples of a route's body in /openapi.json, by their names."""
    paths = server.get("/openapi.json")["paths"]

    def examples_of(path: str) -> dict[str, Any]:
        content = paths[path]["post"]["requestBody"]["content"]["application/json"]
        if "example" in content:
            return {"": content["example"]}
        return {name: example["value"] for name, example in content["examples"].items()}

    return examples_of


def test_curl_chats(server: Server, key: str, shown: Any) -> None:
    answer = json.loads(curl(server, key, "/v1/chat/completions", shown("/v1/chat/completions")["whole"]))
    assert answer["choices"][0]["message"]["content"]
    assert answer["grounded"] is False
    assert answer["notice"], "the person is told that the Code du travail is not installed"


def test_curl_streams(server: Server, key: str, shown: Any) -> None:
    printed = curl(server, key, "/v1/chat/completions", shown("/v1/chat/completions")["streamed"])
    events = [line[6:] for line in printed.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    assert chunks[-1]["usage"]["completion_tokens"] > 0


def test_curl_goes_on_with_a_text(server: Server, key: str, shown: Any) -> None:
    (example,) = shown("/v1/completions").values()
    assert json.loads(curl(server, key, "/v1/completions", example))["choices"][0]["text"]


def test_curl_lists_models(server: Server, key: str) -> None:
    listed = [model["id"] for model in json.loads(curl(server, key, "/v1/models"))["data"]]
    assert listed == [examples.MODEL, f"{examples.MODEL}:grounded", examples.EMBEDDING_REQUEST["model"]]
    assert json.loads(curl(server, key, f"/v1/models/{listed[1]}"))["id"] == listed[1]


def test_curl_embeds(server: Server, key: str, shown: Any) -> None:
    (example,) = shown("/v1/embeddings").values()
    vectors = json.loads(curl(server, key, "/v1/embeddings", example))["data"]
    assert len(vectors) == len(example["input"])


# -- OpenAI's own client ----------------------------------------------------------------------------------------------


def wait_until_busy(server: Server, busy: int) -> None:
    until = time.monotonic() + 5.0
    while server.readiness()["engine"]["slots_busy"] != busy and time.monotonic() < until:
        time.sleep(0.02)
    assert server.readiness()["engine"]["slots_busy"] == busy


def test_the_client_chats_and_streams(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {
        "model": examples.MODEL,
        "messages": [{"role": "user", "content": "Bonjour"}],
        "max_tokens": 20,
        "temperature": 0,
    }
    whole = client.chat.completions.create(**options).choices[0].message.content
    chunks = client.chat.completions.create(**options, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).strip() == whole


def test_a_stream_that_is_closed_frees_its_slot(server: Server, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=examples.MODEL,
        messages=[{"role": "user", "content": "Bonjour"}],
        max_tokens=1200,
        temperature=1,
        stream=True,
    )
    next(iter(stream))
    wait_until_busy(server, 1)
    stream.close()
    wait_until_busy(server, 0)


def test_a_client_that_gives_up_frees_its_slot(server: Server, client: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.1).chat.completions.create(
            model=examples.MODEL, messages=[{"role": "user", "content": "Bonjour"}], max_tokens=2048, temperature=1
        )
    wait_until_busy(server, 0)


def test_asynchronous_clients_too(server: Server, key: str) -> None:
    import asyncio

    async def ask() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key=key) as client:
            answers = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model=examples.MODEL, messages=[{"role": "user", "content": f"Question {number}"}], max_tokens=5
                    )
                    for number in range(8)
                )
            )
        return [answer.choices[0].message.content for answer in answers]

    answers = asyncio.run(ask())
    assert len(answers) == 8
    assert all(answers)
