"""Chat completions with OpenAI's own client: whole, streamed, interrupted, grounded, as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from ai_core.engine.backends.base import DecodeFailed
from ai_core.prompts import SYSTEM_PROMPT
from tests.ai_core.api.openai_compat.loopback import client_of, served
from tests.fakes import Core, build_core

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Bonjour"}]
CODE = {"L9999-1": "Le salarié reçoit une lampe.", "L1234-1": "Le préavis dure un mois."}


def ask(client: openai.OpenAI, **options: Any) -> ChatCompletion:
    options = {"model": "scripted", "messages": HELLO, **options}
    completion: ChatCompletion = client.chat.completions.create(**options)
    return completion


def wait_until_idle(core: Core, seconds: float = 5.0) -> None:
    engine = core.parts.model.current().engine
    until = time.monotonic() + seconds
    while engine.stats().slots_busy and time.monotonic() < until:
        time.sleep(0.01)
    assert engine.stats().slots_busy == 0


def test_an_answer_has_what_the_client_reads(client: openai.OpenAI) -> None:
    before = int(time.time())
    completion = ask(client)
    (choice,) = completion.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "Bonjour.")
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert completion.object == "chat.completion"
    assert completion.model == "scripted"
    assert before <= completion.created <= time.time()
    assert completion.usage is not None
    assert completion.usage.completion_tokens == len("Bonjour.")
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion._request_id
    assert "sources" not in (completion.model_extra or {})


def test_identifiers_differ(client: openai.OpenAI) -> None:
    assert ask(client).id != ask(client).id


def test_the_last_turn_may_be_sent_back_as_it_came(client: openai.OpenAI, core: Core) -> None:
    message = ask(client).choices[0].message
    messages: list[Any] = [*HELLO, message, {"role": "user", "content": "Et demain ?"}]
    assert ask(client, messages=messages).choices[0].message.content == "Bonjour."
    as_json = [*HELLO, message.model_dump(), {"role": "user", "content": "Et demain ?"}]
    assert ask(client, messages=as_json).choices[0].message.content == "Bonjour."
    assert b"Bonjour.<|im_end|>" in core.prompt_bytes()


def test_without_a_system_message_ours_stands(client: openai.OpenAI, core: Core) -> None:
    ask(client)
    assert SYSTEM_PROMPT.encode() in core.prompt_bytes()


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_message_takes_the_place_of_ours(client: openai.OpenAI, core: Core, role: str) -> None:
    ask(client, messages=[{"role": role, "content": "Parle comme un pirate."}, *HELLO])
    assert b"Parle comme un pirate." in core.prompt_bytes()
    assert SYSTEM_PROMPT[:40].encode() not in core.prompt_bytes()


def test_a_client_s_system_message_is_not_shared_in_memory(client: openai.OpenAI, core: Core) -> None:
    private = [{"role": "system", "content": "Le dossier de Madame Dupont. " * 9}, *HELLO]
    for _ in range(3):
        ask(client, messages=private)
    assert core.prompt_bytes().count(b"Madame Dupont") == 3 * 9, "each time it is read anew"


def test_text_parts_and_several_last_messages_are_one_question(client: openai.OpenAI, core: Core) -> None:
    parts = [{"type": "text", "text": "Un."}, {"type": "text", "text": "Deux."}]
    ask(client, messages=[{"role": "user", "content": parts}, {"role": "user", "content": "Trois."}])
    assert b"Un.\nDeux.\n\nTrois." in core.prompt_bytes()


def test_null_is_as_good_as_absent(client: openai.OpenAI) -> None:
    nothing = dict.fromkeys(("temperature", "top_p", "max_tokens", "stop", "seed", "user", "tools", "n", "logit_bias"))
    assert ask(client, **nothing).choices[0].message.content == "Bonjour."


def test_what_asks_for_nothing_is_accepted(client: openai.OpenAI) -> None:
    completion = ask(
        client, n=1, tools=[], tool_choice="none", logit_bias={}, store=False, metadata={"projet": "a"},
        modalities=["text"], service_tier="auto", response_format={"type": "text"},
    )  # fmt: skip
    assert completion.choices[0].message.content == "Bonjour."


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_most_new_tokens_have_two_names(client: openai.OpenAI, name: str) -> None:
    completion = ask(client, **{name: 3})
    assert completion.choices[0].message.content == "Bon"
    assert completion.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stop", ["j", ["zzz", "j"]])
def test_stop_is_a_text_or_several(client: openai.OpenAI, stop: Any) -> None:
    assert ask(client, stop=stop).choices[0].message.content == "Bon"


# -- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_brings_the_answer_piece_by_piece(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="scripted", messages=HELLO, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Bonjour."
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert len({(chunk.id, chunk.model, chunk.created, chunk.object) for chunk in chunks}) == 1
    assert chunks[0].object == "chat.completion.chunk"
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_tells_what_was_used_when_asked(client: openai.OpenAI) -> None:
    *others, last = client.chat.completions.create(
        model="scripted", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == len("Bonjour.")
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in others)


def test_a_stream_helper_of_the_client_reads_it(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="scripted", messages=HELLO) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == "Bonjour."


def test_the_stream_ends_with_done(core: Core) -> None:
    body = {"model": "scripted", "messages": HELLO, "stream": True}
    response = core.app.test_client().post("/v1/chat/completions", json=body, headers=core.headers("chat"))
    assert response.mimetype == "text/event-stream"
    events = response.get_data(as_text=True).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(event.startswith(("data: ", ":")) for event in events[:-1])


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Core, openai.OpenAI]]:
    """A model that writes 400 bytes in about 4 seconds."""
    core = build_core(tmp_path, "0123456789" * 40, step_seconds=0.01)
    with served(core) as address:
        yield core, client_of(core, address)
    core.parts.model.stop()


def test_a_client_that_leaves_ends_the_generation(slow: tuple[Core, openai.OpenAI]) -> None:
    core, client = slow
    stream = client.chat.completions.create(model="scripted", messages=HELLO, stream=True)
    next(iter(stream))
    assert core.parts.model.current().engine.stats().slots_busy == 1
    stream.close()
    wait_until_idle(core)
    written = core.parts.model.current().engine.stats().completion_tokens_total
    assert written < 400, "it was not written to its end"


def test_what_fails_on_the_way_is_an_error_of_the_client(core: Core, client: openai.OpenAI) -> None:
    core.loader.backends[-1].fail_next(DecodeFailed("out of order"))
    stream = client.chat.completions.create(model="scripted", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="failed while answering") as caught:
        list(stream)
    assert caught.value.code == "generation_failed"
    assert ask(client).choices[0].message.content == "Bonjour.", "the next one works"


def test_a_failure_before_the_first_word_is_a_server_error(core: Core, client: openai.OpenAI) -> None:
    core.loader.backends[-1].fail_next(DecodeFailed("out of order"))
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert caught.value.code == "generation_failed"
    assert "out of order" not in str(caught.value)


# -- the Code ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lamps(tmp_path: Path) -> Iterator[tuple[Core, openai.OpenAI]]:
    """An invented Code on lamps; the model cites one of its articles and one that there is not."""
    core = build_core(tmp_path, "Selon l'article L9999-1 et l'article L8888-1.")
    core.install_code(CODE)
    with served(core) as address:
        yield core, client_of(core, address)
    core.parts.model.stop()


LAMP_QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Que dit l'article L9999-1 sur la lampe ?"}
]


def test_nothing_is_searched_unasked(lamps: tuple[Core, openai.OpenAI]) -> None:
    core, client = lamps
    completion = ask(client, messages=LAMP_QUESTION)
    assert "reçoit une lampe." not in core.prompt_bytes().decode()
    assert {"sources", "citations", "grounded"}.isdisjoint(completion.model_extra or {})


@pytest.mark.parametrize("options", [{"extra_body": {"grounding": True}}, {"model": "scripted:grounded"}])
def test_a_grounded_answer_brings_its_sources(lamps: tuple[Core, openai.OpenAI], options: dict[str, Any]) -> None:
    core, client = lamps
    completion = ask(client, messages=LAMP_QUESTION, **options)
    assert "reçoit une lampe." in core.prompt_bytes().decode()
    extra = completion.model_extra or {}
    assert extra["grounded"] is True
    assert extra["sources"][0]["number"] == "L9999-1"
    assert {citation["number"]: citation["status"] for citation in extra["citations"]} == {
        "L9999-1": "verified",
        "L8888-1": "unknown",
    }
    assert completion.model == "scripted"


def test_grounding_can_be_taken_back_from_a_grounded_model(lamps: tuple[Core, openai.OpenAI]) -> None:
    core, client = lamps
    ask(client, model="scripted:grounded", messages=LAMP_QUESTION, extra_body={"grounding": False})
    assert "reçoit une lampe." not in core.prompt_bytes().decode()


def test_a_grounded_stream_brings_its_sources_at_the_end(lamps: tuple[Core, openai.OpenAI]) -> None:
    chunks = list(lamps[1].chat.completions.create(model="scripted:grounded", messages=LAMP_QUESTION, stream=True))
    told = [chunk.model_extra for chunk in chunks if chunk.model_extra]
    assert told == [chunks[-1].model_extra]
    assert (told[0] or {})["sources"][0]["number"] == "L9999-1"


def test_a_client_s_own_words_and_the_articles_stand_together(lamps: tuple[Core, openai.OpenAI]) -> None:
    core, client = lamps
    ask(client, model="scripted:grounded", messages=[{"role": "system", "content": "En breton."}, *LAMP_QUESTION])
    prompt = core.prompt_bytes().decode()
    assert "En breton." in prompt
    assert "reçoit une lampe." in prompt


# -- what it shares with the other routes -----------------------------------------------------------------------------


def test_an_alias_means_the_loaded_model(tmp_path: Path) -> None:
    core = build_core(tmp_path, MODEL_ALIASES="gpt-4o-mini, tiny-llama")
    headers = core.headers("chat")
    body = {"model": "gpt-4o-mini", "messages": HELLO}
    answer = core.app.test_client().post("/v1/chat/completions", json=body, headers=headers).get_json()
    assert answer["model"] == "scripted", "it says who answered"
    core.parts.model.stop()


def test_a_person_counts_towards_a_limit_of_their_own(tmp_path: Path) -> None:
    core = build_core(tmp_path, RATE_LIMIT_USER_PER_MINUTE="2")
    with served(core) as address:
        client = client_of(core, address)
        for field in ("user", "safety_identifier"):
            ask(client, **{field: "anne"})
        with pytest.raises(openai.RateLimitError):
            ask(client, user="anne")
        ask(client, user="paul")
    core.parts.model.stop()


def test_who_asks_again_gets_another_answer_unless_there_is_no_choice(core: Core, client: openai.OpenAI) -> None:
    def tokens_written() -> int:
        return core.parts.model.current().engine.stats().completion_tokens_total

    ask(client)
    ask(client)
    assert tokens_written() == 2 * len("Bonjour.")


def test_a_question_is_accounted_for(core: Core, client: openai.OpenAI) -> None:
    ask(client, user="anne")
    exported = (
        core.app.test_client().get("/api/v1/admin/users/openai/anne/export", headers=core.headers("admin")).get_json()
    )
    text = json.dumps(exported)
    assert "scripted" in text
    assert exported["requests"][0]["channel"] == "openai"
