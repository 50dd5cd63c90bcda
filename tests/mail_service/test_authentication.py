"""Who a mail is from: our server's verdict, never anybody else's, and signatures looked at again."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import dkim  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mail_service.authentication import Dkim, is_doubtful, is_refused_by_dmarc, own_look
from mail_service.parsing import parse_headers, parse_mail
from mail_service.policy import Rules, Verdict, verdict_on
from mail_service.responder import DOUBTFUL
from tests.mail_service.service import build_service, mail
from tests.mail_system import ASSISTANT, MailSystem

OURS = "mx.cdt.example"
PASSED = f"Authentication-Results: {OURS}; dkim=pass header.d=client.example; dmarc=pass header.from=client.example\r\n"
Dns = Callable[..., bytes | None]


@pytest.fixture(scope="module")
def signing() -> tuple[bytes, Dns]:
    """A key of client.example, and a DNS that knows its public half."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def dns(name: bytes, timeout: int = 5) -> bytes | None:
        known = name.startswith(b"default._domainkey.client.example")
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public) if known else None

    return private, dns


def signed(private: bytes, raw: bytes, domain: bytes = b"client.example") -> bytes:
    signature: bytes = dkim.sign(raw, b"default", domain, private, include_headers=[b"from", b"to", b"subject"])
    return signature + raw


def look(raw: bytes, dns: Dns) -> Dkim:
    return own_look(raw, parse_headers(raw), dns)


def test_a_signature_is_checked(signing: tuple[bytes, Dns]) -> None:
    private, dns = signing
    raw = signed(private, mail())
    assert look(raw, dns) is Dkim.PASS
    assert look(raw.replace(b"dur", b"tor"), dns) is Dkim.FAIL
    assert look(mail(), dns) is Dkim.NONE
    assert look(signed(private, mail(), b"autre.example"), dns) is Dkim.NONE, "of another domain: says nothing"
    assert look(raw, lambda *_, **__: None) is Dkim.UNKNOWN
    assert look(b"DKIM-Signature: v=1; d=client.example; nonsense\r\n" + mail(), dns) is not Dkim.PASS


def test_a_signature_that_does_not_hold_makes_a_pass_doubtful(signing: tuple[bytes, Dns]) -> None:
    private, dns = signing
    good = PASSED.encode() + signed(private, mail())
    changed = good.replace(b"dur", b"tor")
    assert not is_doubtful(good, parse_headers(good), OURS, dns)
    assert is_doubtful(changed, parse_headers(changed), OURS, dns)
    by_spf = changed.replace(b"dkim=pass", b"spf=pass smtp.mailfrom=client.example; dkim=pass", 1)
    assert not is_doubtful(by_spf, parse_headers(by_spf), OURS, dns)


def test_a_doubtful_mail_waits_for_an_operator(
    signing: tuple[bytes, Dns], mail_system: MailSystem, tmp_path: Path
) -> None:
    private, dns = signing
    service = build_service(mail_system, tmp_path, None, AUTHSERV_ID=OURS)
    service.parts.responder._dns = dns
    mail_system.put((PASSED.encode() + signed(private, mail())).replace(b"dur", b"tor"))
    service.run()
    assert service.outcomes() == {f"held {DOUBTFUL}": 1}
    with service.parts.database:
        assert service.parts.operations().release(1)
    service.work_off()
    assert service.outcomes() == {"completed": 1}
    service.close()


def failing(server: str) -> str:
    return f"Authentication-Results: {server}; dmarc=fail header.from=client.example\r\n"


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        (failing(OURS), True),
        (failing("mx.autre.example"), False),
        (PASSED + failing(OURS), False),  # ours is the topmost; what is below came with the mail
        (failing(OURS) + PASSED, True),
        (failing("mx.autre.example") + failing(OURS), True),
        ("", False),
    ],
)
def test_only_our_servers_topmost_verdict_counts(headers: str, refused: bool) -> None:
    assert is_refused_by_dmarc(parse_headers(headers.encode() + mail()), OURS) is refused


def test_without_a_name_nobody_is_believed() -> None:
    assert not is_refused_by_dmarc(parse_headers(failing(OURS).encode() + mail()), None)


@pytest.mark.skipif(shutil.which("spamassassin") is None, reason="SpamAssassin is not installed")
def test_what_spamassassin_marks_is_refused() -> None:
    gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
    for text, verdict in ((gtube, Verdict.SPAM), ("Quelle est la durée du préavis ?", None)):
        marked = subprocess.run(
            ["spamassassin", "--local"], input=mail(text), capture_output=True, check=True, timeout=60
        ).stdout
        assert b"X-Spam-Status" in marked
        assert verdict_on(parse_mail(marked), Rules(own_addresses=(ASSISTANT,))) is verdict
