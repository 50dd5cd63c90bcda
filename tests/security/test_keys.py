"""Who guesses keys learns nothing and is soon kept out; a key is proved in constant time, by construction."""

from __future__ import annotations

import hmac
import logging
import secrets
from pathlib import Path

import pytest

from common import auth
from common.auth import make_key
from common.networks import client_of
from tests.security.services import NAMES, Service, running

FAILURES = 20  # a minute, in all three


def shape(response: object) -> tuple[object, ...]:
    """What an attacker sees of an answer, but for the request id, which is random."""
    body = {**response.get_json(), "request_id": None}  # type: ignore[attr-defined]
    headers = {name: value for name, value in response.headers if name != "X-Request-ID"}  # type: ignore[attr-defined]
    return response.status_code, body, headers  # type: ignore[attr-defined]


def test_unknown_revoked_and_malformed_keys_get_one_and_the_same_answer(service: Service) -> None:
    number, revoked = service.make_key()
    assert service.ask(revoked).status_code != 401
    service.revoke(number)
    _, live = service.make_key()
    wrong_secret = live[:-43] + secrets.token_urlsafe(32)
    others = (make_key().text, wrong_secret, live + "x", live[:-1], live.upper(), "x" * 40, "é" * 30, "cdt-")
    expected = shape(service.ask(revoked))
    assert expected[0] == 401
    for key in others:
        assert shape(service.ask(key)) == expected, key


def test_the_log_names_no_key_and_no_difference_is_told(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    guess = make_key().text
    with caplog.at_level(logging.DEBUG):
        service.ask(guess)
    assert guess not in caplog.text
    assert not any(guess in str(vars(record)) for record in caplog.records)


def test_a_guesser_is_kept_out_and_told_when_to_come_back(service: Service) -> None:
    _, good = service.make_key()
    for _ in range(FAILURES):
        assert service.ask(make_key().text).status_code == 401
    refused = service.ask(good)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert service.ask(good, address="192.0.2.2").status_code != 429


def test_another_address_of_the_same_network_is_no_other_guesser(service: Service) -> None:
    _, good = service.make_key()
    for at in range(FAILURES):
        assert service.ask(make_key().text, address=f"2001:db8:1:2:{at:x}::{at:x}").status_code == 401
    assert service.ask(good, address="2001:db8:1:2:ffff::1").status_code == 429
    assert service.ask(good, address="2001:db8:1:3::1").status_code != 429


def test_a_mapped_address_is_the_address(service: Service) -> None:
    _, good = service.make_key()
    for _ in range(FAILURES):
        service.ask(make_key().text, address="::ffff:192.0.2.7")
    assert service.ask(good, address="192.0.2.7").status_code == 429


def test_a_guesser_cannot_name_another_address(service: Service) -> None:
    _, good = service.make_key()
    for at in range(FAILURES):
        for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "X-Client-IP"):
            service.ask(make_key().text, **{header: f"198.51.100.{at}"})
    assert service.ask(good, **{"X-Forwarded-For": "203.0.113.9"}).status_code == 429


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_what_counts_as_one_client(address: str, client: str) -> None:
    assert client_of(address) == client


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_compared_in_constant_time_and_found_by_its_prefix(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By construction: the only comparison with the secret is hmac.compare_digest over two SHA-256 digests of equal
    length; what the database looks for is the prefix, which is no secret."""
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def spy(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    with running(name, tmp_path) as service:
        _, good = service.make_key()
        wrong = good[:-43] + secrets.token_urlsafe(32)
        monkeypatch.setattr(hmac, "compare_digest", spy)
        assert service.ask(good).status_code != 401
        assert service.ask(wrong).status_code == 401
    monkeypatch.undo()
    digest = auth.digest_of(good)
    assert compared == [(digest, digest), (auth.digest_of(wrong), digest)]
    assert all(len(one) == len(other) == 64 for one, other in compared)
    assert good not in str(compared)


def test_the_webhooks_secret_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return real(one, other)

    with running("telegram_service", tmp_path) as service:
        monkeypatch.setattr(hmac, "compare_digest", spy)
        header = {"X-Telegram-Bot-Api-Secret-Token": "falsch"}
        assert service.client().post("/webhook", json={"update_id": 1}, headers=header).status_code == 401
    assert compared == [b"falsch"]
