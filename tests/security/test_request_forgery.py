"""Nobody makes the services ask for an address of their choice: neither by the API, nor by a redirect of the Hub."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.reach import Reach, bounded
from ai_core.catalog.downloads.request import DownloadRequest
from ai_core.catalog.errors import InvalidEntry
from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.remote.address import Address
from common.networks import is_public
from tests.fakes import Core

INSIDE = (
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",  # noqa: S104 - compared, not bound
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
)
OUTSIDE = ("1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101")
HUB = "https://huggingface.co"


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_our_own_networks_are_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_of_the_internet_are_known(address: str) -> None:
    assert is_public(address)


def at(name_or_address: str, path: str = "/latest/meta-data/") -> str:
    host = f"[{name_or_address}]" if ":" in name_or_address else name_or_address
    return f"http://{host}{path}"


def led_to(
    location: str, monkeypatch: pytest.MonkeyPatch, *, endpoint: str = HUB, asked: list[str] | None = None
) -> Sequence[str]:
    """The hosts that are asked, added to `asked`, by a client whose Hub redirects to `location`."""
    asked = [] if asked is None else asked

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        hub = request.url.host == httpx2.URL(endpoint).host
        return httpx2.Response(302, headers={"Location": location}) if hub else httpx2.Response(200, content=b"GGUF")

    monkeypatch.setattr(socket, "getaddrinfo", names(socket.getaddrinfo))
    client = httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True)
    bounded(client, endpoint).get(f"{endpoint}/acme/tiny/resolve/main/tiny.gguf")
    return asked


def names(real: Callable[..., Any]) -> Callable[..., Any]:
    """A resolver in which some names of attackers lead inside."""
    known = {
        "huggingface.co": ["18.239.50.16"],
        "cdn.example": ["93.184.216.34"],
        "inside.example": ["169.254.169.254"],
        "two-faced.example": ["93.184.216.34", "10.0.0.7"],
        "mapped.example": ["::ffff:127.0.0.1"],
        "mirror.internal": ["10.0.0.2"],
    }

    def resolve(host: str, port: Any, **options: Any) -> Any:
        if host not in known:
            return real(host, port, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in known[host]]

    return resolve


@pytest.mark.parametrize(
    "host", [*INSIDE, "localhost", "inside.example", "two-faced.example", "mapped.example", "2130706433", "0x7f.1"]
)
def test_a_hub_on_the_internet_leads_nowhere_inside(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    with pytest.raises(DownloadError) as refused:
        led_to(at(host), monkeypatch, asked=asked)
    assert refused.value.code == "redirect_refused"
    assert host not in str(refused.value)
    assert asked == ["huggingface.co"]


def test_storage_on_another_host_of_the_internet_is_how_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    assert led_to("https://cdn.example/tiny.gguf", monkeypatch) == ["huggingface.co", "cdn.example"]


def test_a_mirror_in_our_own_network_may_lead_to_its_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = led_to("http://10.0.0.3:9000/tiny.gguf", monkeypatch, endpoint="http://mirror.internal")
    assert asked == ["mirror.internal", "10.0.0.3"]


def test_a_client_is_bounded_once_however_often_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", names(socket.getaddrinfo))
    client = httpx2.Client()
    for _ in range(3):
        bounded(client, HUB)
    assert len([hook for hook in client.event_hooks["request"] if isinstance(hook, Reach)]) == 1


def test_no_address_is_a_models_name(patient_core: Core) -> None:
    client, headers = patient_core.app.test_client(), patient_core.headers("models")
    for host in (*INSIDE, "localhost", "metadata.google.internal"):
        for name in (at(host), f"//{host}/x", f"x@{host}/y", f"acme/tiny?@{host}/", f"acme/..@{host}", f"{host}:80/x"):
            response = client.post("/api/v1/models/download", json={"model_name": name}, headers=headers)
            assert response.status_code == 422, name
        for field in ("filename", "revision"):
            body = {"model_name": "acme/tiny", field: at(host)}
            assert client.post("/api/v1/models/download", json=body, headers=headers).status_code == 422, body


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_whatever_is_asked_for_is_asked_of_the_hub(name: str, filename: str, revision: str) -> None:
    from huggingface_hub import hf_hub_url

    try:
        DownloadRequest(model_name=name, filename=filename, revision=revision)
    except InvalidEntry:
        return
    url = hf_hub_url(name, filename, revision=revision, endpoint="https://hub.example")
    assert httpx2.URL(url).host == "hub.example"
    assert ".." not in httpx2.URL(url).path.split("/")


@given(
    st.from_regex(r"[A-Za-z0-9._/-]{1,40}", fullmatch=True), st.from_regex(r"[A-Za-z0-9._/ -]{1,40}", fullmatch=True)
)
@settings(max_examples=200, deadline=None)
def test_so_is_what_looks_like_a_name(name: str, filename: str) -> None:
    test_whatever_is_asked_for_is_asked_of_the_hub.hypothesis.inner_test(name, filename, "main")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/x",
        "http://user:word@host/v1",
        "http://host/v1?x=1",
        "http://host\r\nX: y/v1",
        "http://[::1/v1",
        "//host/v1",
        "http:///v1",
    ],
)
def test_the_address_of_a_remote_server_is_one(url: str) -> None:
    """models.json is the operator's file: no route sets an address in it (next test)."""
    with pytest.raises(BackendError):
        Address.parse(url)


def test_no_route_takes_an_address(core: Core) -> None:
    """Remote servers, webhooks and alerts are the operator's settings: no field of any request is a URL."""
    document = core.app.test_client().get("/openapi.json").get_json()
    requested = [name for name, schema in document["components"]["schemas"].items() if is_of_a_request(document, name)]
    assert len(requested) > 10
    for name in requested:
        for field, shape in document["components"]["schemas"][name].get("properties", {}).items():
            assert shape.get("format") not in ("uri", "url"), (name, field)
            assert not any(word in field for word in ("url", "uri", "host", "endpoint", "address", "webhook")), field


def is_of_a_request(document: dict[str, Any], name: str) -> bool:
    bodies = [
        str(operation.get("requestBody", ""))
        for methods in document["paths"].values()
        for operation in methods.values()
        if isinstance(operation, dict)
    ]
    nested = {f"schemas/{name}'"}
    return any(mark in body for mark in nested for body in bodies)
