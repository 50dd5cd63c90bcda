"""What the servers of a model have in common, and how long texts are to them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.remote import RemoteServers
from ai_core.engine.backends.remote.address import Address
from ai_core.engine.backends.remote.token_counts import estimate
from tests.ai_core.engine.backends.remote.asking import eventually
from tests.ai_core.engine.backends.remote.fake_server import KEY, FakeServer

Serve = Callable[..., FakeServer]
Reach = Callable[..., RemoteServers]
TEMPLATE = len("<system>a<user>b")


def test_llama_server_tells_what_its_model_is(serve: Serve, reach: Reach) -> None:
    info = reach(serve("llamacpp", context=512, slots=3)).info
    assert (info.name, info.slots, info.size_bytes, info.quantization) == ("tiny", 3, 4096, "Q4_K_M")
    assert info.context_length == 512 - TEMPLATE, "its own context, not the one of the training"
    assert info.honours >= {"grammar", "top_k", "json_schema"}


def test_vllm_tells_its_context(serve: Serve, reach: Reach) -> None:
    assert reach(serve("vllm", context=900)).info.context_length == 900 - TEMPLATE


def test_the_model_is_what_all_servers_have_in_common(serve: Serve, reach: Reach) -> None:
    info = reach(serve("vllm", context=900), serve("llamacpp", context=700), serve("openai", context=800)).info
    assert info.context_length == 700 - TEMPLATE
    assert info.honours.isdisjoint({"top_k", "grammar", "num_beams", "choices"})
    assert info.description == "remote: OpenAI-compatible server, llama-server, vLLM"


def test_the_context_may_be_limited_but_not_stretched(serve: Serve, reach: Reach) -> None:
    assert reach(serve(context=900), context_length=300).info.context_length == 300 - TEMPLATE
    assert reach(serve(context=900), context_length=5000).info.context_length == 900 - TEMPLATE


def test_a_server_that_does_not_tell_its_context_needs_it_configured(serve: Serve, reach: Reach) -> None:
    fake = serve("openai")
    fake.context = None
    with pytest.raises(BackendError, match="set context_length"):
        reach(fake)
    assert reach(fake, context_length=500).info.context_length == 500 - 96


def test_the_model_must_be_there(serve: Serve, reach: Reach) -> None:
    with pytest.raises(BackendError, match="does not serve the model other"):
        reach(serve(), model="other")


def test_of_several_models_one_must_be_named(serve: Serve, reach: Reach) -> None:
    fake = serve()
    fake.models = ["tiny", "large"]
    with pytest.raises(BackendError, match=r"2 models \(tiny, large\); set remote_model"):
        reach(fake)
    assert reach(fake, model="large").info.name == "large"


def test_no_server_at_all_is_told_with_the_reason_of_each(serve: Serve) -> None:
    first, second = serve(), serve()
    first.close()
    second.key = KEY
    with pytest.raises(BackendError) as failed:
        RemoteServers([first.url, second.url], api_key="wrong-key")
    assert "Connection refused" in str(failed.value)
    assert "refuses our API key" in str(failed.value)
    assert "wrong-key" not in str(failed.value)


@pytest.mark.parametrize("key", ["a\r\nX: b", "a b", "clé"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str, serve: Serve) -> None:
    with pytest.raises(BackendError) as failed:
        RemoteServers([serve().url], api_key=key)
    assert key not in str(failed.value)


@pytest.mark.parametrize(
    "url",
    ["ftp://a/v1", "http://me:secret@a/v1", "http://a/v1?k=secret", "http:///v1", "http://a:x/", "http://a/ b"],
)
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(BackendError, match="urls") as failed:
        RemoteServers([url])
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("url", "root", "api"),
    [
        ("http://a:1", "", "/v1"),
        ("http://a:1/v1/", "", "/v1"),
        ("https://[::1]/llm/v1", "/llm", "/llm/v1"),
    ],
)
def test_an_address_may_leave_out_the_version(url: str, root: str, api: str) -> None:
    address = Address.parse(url)
    assert (address.root, address.api) == (root, api)


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_text_is_tokenised_by_a_server_once(serve: Serve, reach: Reach) -> None:
    fake = serve("llamacpp")
    servers = reach(fake)
    assert [len(servers.tokenize("congés payés", special=False)) for _ in range(3)] == [12, 12, 12]
    assert fake.tokenized.count("congés payés") == 1


def test_control_tokens_are_asked_for_apart(serve: Serve, reach: Reach) -> None:
    fake = serve("llamacpp")
    servers = reach(fake)
    servers.tokenize("<|im_end|>", special=False)
    servers.tokenize("<|im_end|>", special=True)
    assert fake.tokenized.count("<|im_end|>") == 2


def test_where_no_server_tokenises_the_length_is_estimated(serve: Serve, reach: Reach) -> None:
    assert len(reach(serve("openai")).tokenize("congés payés", special=False)) == estimate("congés payés") == 5


def test_a_server_that_stops_to_tokenise_is_not_asked_again_for_a_while(serve: Serve, reach: Reach) -> None:
    fake = serve()
    servers = reach(fake)
    fake.close()
    assert [len(servers.tokenize(text, special=False)) for text in ("abc", "def")] == [1, 1]


def test_a_kept_connection_that_the_server_closed_is_opened_again(serve: Serve, reach: Reach) -> None:
    fake = serve()
    servers = reach(fake)
    assert len(servers.tokenize("abcd", special=False)) == 4
    fake.drop_connections()
    eventually(lambda: len(servers.tokenize("abcdefg", special=False)) == 7)


@given(st.text(), st.text())
def test_an_estimate_of_the_whole_is_at_most_that_of_its_parts(one: str, two: str) -> None:
    assert estimate(one + two) <= estimate(one) + estimate(two)
    assert estimate(one) >= len(one.encode("utf-8", "replace")) / 4


def test_an_estimate_is_high_for_french() -> None:
    text = "La durée du préavis est fixée par l'article L. 1234-1 du Code du travail, sauf faute grave."
    assert len(text.split()) * 1.5 < estimate(text) < len(text) / 1.5
