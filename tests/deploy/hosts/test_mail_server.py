"""Our mail server, between the mail service and a host that stands for the internet."""

from __future__ import annotations

import hashlib
import imaplib
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import dkim  # type: ignore[import-untyped]
import pytest

from tests.deploy.hosts.conftest import KEEP, RIG_PROGRAM, RIG_STATE
from tests.deploy.hosts.mail_guests import ADMIN, ALICE, ASSISTANT, MX, PASSWORDS, MailGuests
from tests.deploy.playbook import Played
from tests.deploy.rig import names_resolve
from tests.mail_service.expected import EICAR
from tests.mail_service.service import build_service, mail, read
from tests.waiting import until

NAME = "mail.cdt.example"

CONVERSATION = """
import smtplib
with smtplib.SMTP("127.0.0.1", 25, timeout=20) as server:
    server.ehlo("a.client.example")
    server.mail("alice@client.example")
    print(server.rcpt("somebody@example.com"))
"""


class GuestMail:
    """What the mail service is told about a server of the rig."""

    def settings(self, data_dir: Path, **variables: str) -> dict[str, str]:
        """An environment."""
        return {
            "DATA_DIR": str(data_dir),
            "EMAIL_ADDRESS": ASSISTANT,
            "EMAIL_PASSWORD": PASSWORDS[ASSISTANT],
            "IMAP_HOST": NAME,
            "SMTP_HOST": NAME,
            "AUTHSERV_ID": NAME,
            "TLS_CA_FILE": str(RIG_STATE / "ca" / "ca.crt"),
            "AI_API_KEY": "cdt-none",
            "MAX_MESSAGE_AGE_DAYS": "3650",
            **variables,
        }


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailGuests]:
    eicar = EICAR.encode()
    signature = f"{hashlib.sha256(eicar).hexdigest()}:{len(eicar)}:Eicar-Test:73"
    guests = MailGuests(Path(RIG_PROGRAM).resolve(), RIG_STATE, tmp_path_factory.mktemp("mail-server"), signature)
    guests.start()
    with names_resolve({NAME: MX}):
        yield guests
    if not KEEP:
        guests.stop()


@pytest.fixture(scope="module")
def installed(guests: MailGuests) -> Played:
    played = guests.play()
    assert played.succeeded, played.output[-6000:]
    return played


@pytest.fixture
def server(guests: MailGuests, installed: Played) -> MailGuests:
    """The mail server, ready."""
    assert installed.succeeded
    return guests


def inbox(user: str, folder: str = "INBOX") -> list[bytes]:
    """What is in a mailbox."""
    context = ssl.create_default_context(cafile=str(RIG_STATE / "ca" / "ca.crt"))
    with imaplib.IMAP4_SSL(NAME, 993, ssl_context=context, timeout=30) as client:
        client.login(user, PASSWORDS[user])
        client.select(folder, readonly=True)
        numbers = client.search(None, "ALL")[1][0].split()
        return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]  # type: ignore[index,misc]


def test_a_second_run_changes_nothing(server: MailGuests) -> None:
    played = server.play()
    assert played.succeeded, played.output[-6000:]
    assert played.changed == {"mx": 0, "internet": 0}, played.tasks_that_changed()


def test_the_play_prints_the_records_that_mail_needs(server: MailGuests) -> None:
    assert server.records["cdt.example"] == "v=spf1 mx -all"
    assert server.records["cdt._domainkey.cdt.example"].startswith("v=DKIM1; k=rsa; p=MII")
    assert server.records["_dmarc.cdt.example"].startswith("v=DMARC1; p=quarantine;")


def test_mail_from_the_internet_is_answered_and_signed(server: MailGuests, tmp_path: Path) -> None:
    service = build_service(GuestMail(), tmp_path)  # type: ignore[arg-type]
    assert server.hand_in(mail(message_id="first@client.example")) == [(250, "")]
    until(lambda: inbox(ASSISTANT) != [], seconds=30)
    [question] = inbox(ASSISTANT)
    results = read(question)["Authentication-Results"]
    assert results.startswith(NAME)
    assert "spf=pass" in results

    service.run()
    assert service.outcomes() == {"completed": 1}
    until(lambda: server.received() != [], seconds=30)
    [reply] = server.received()
    assert read(reply)["In-Reply-To"] == "<first@client.example>"
    record = server.records["cdt._domainkey.cdt.example"].encode()
    asked: list[bytes] = []

    def lookup(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record

    assert dkim.verify(reply, dnsfunc=lookup), "signed, and nothing was changed on the way"
    assert asked == [b"cdt._domainkey.cdt.example."]
    assert not dkim.verify(reply.replace(b"deux mois", b"six mois"), dnsfunc=lookup)
    [copy] = inbox(ASSISTANT, "Sent")
    assert read(copy)["Message-ID"] == read(reply)["Message-ID"], "the server filed what it took"
    service.close()


@pytest.mark.parametrize("local_part", ["postmaster", "abuse", "support", "info", "admin"])
def test_the_operator_gets_mail_for(server: MailGuests, local_part: str) -> None:
    raw = mail(message_id=f"{local_part}@client.example")
    assert server.hand_in(raw, recipient=f"{local_part}@cdt.example") == [(250, "")]
    until(lambda: any(f"<{local_part}@client.example>".encode() in found for found in inbox(ADMIN)), seconds=30)


@pytest.mark.parametrize(
    "recipient",
    [
        "somebody@example.com",
        "somebody%example.com@cdt.example",
        "@cdt.example:somebody@example.com",
        '"somebody@example.com"@cdt.example',
        "example.com!somebody@cdt.example",
    ],
)
def test_nothing_is_passed_on_for_strangers(server: MailGuests, recipient: str) -> None:
    [(code, text)] = server.hand_in(mail(), recipient=recipient)
    assert 500 <= code < 600, text
    assert server.rig.run("post", "postqueue -j") == ""


def test_nothing_is_passed_on_for_the_host_itself_either(server: MailGuests) -> None:
    said = server.rig.run("post", f"python3 -c '{CONVERSATION}'")
    assert "Relay access denied" in said


def test_our_own_domain_is_not_forged(server: MailGuests) -> None:
    [(code, text)] = server.hand_in(mail(sender=ADMIN), sender=ADMIN)
    assert code == 554
    assert "Log in" in text


def test_a_forged_from_is_refused_where_its_domain_asks_for_it(server: MailGuests) -> None:
    [(code, _)] = server.hand_in(mail(sender="boss@strict.example", message_id="forged@strict.example"))
    assert code == 554


def test_a_forged_verdict_is_taken_away(server: MailGuests) -> None:
    forged = mail(
        message_id="verdict@client.example", Authentication_Results=f"{NAME}; dmarc=pass header.from=x.example"
    )
    assert server.hand_in(forged) == [(250, "")]
    until(lambda: any(b"<verdict@client.example>" in found for found in inbox(ASSISTANT)), seconds=30)
    [found] = [read(found) for found in inbox(ASSISTANT) if b"<verdict@client.example>" in found]
    assert len(found.get_all("Authentication-Results") or []) == 1
    assert "x.example" not in found["Authentication-Results"]


def test_a_virus_is_refused(server: MailGuests) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ALICE, ASSISTANT, "Contrat"
    message["Message-ID"], message["Date"] = "<virus@client.example>", "Tue, 03 Mar 2026 10:12:00 +0100"
    message.set_content("Voir la pièce jointe.")
    message.add_attachment(EICAR.encode(), maintype="application", subtype="octet-stream", filename="contrat.com")
    [(code, text)] = server.hand_in(message.as_bytes())
    assert code == 554
    assert "virus" in text


@pytest.mark.parametrize("unit", ["dovecot", "postfix@-", "rspamd", "clamav-daemon"])
def test_a_killed_part_is_started_again(server: MailGuests, unit: str) -> None:
    run = f"systemctl show --value --property=InvocationID {unit}"  # another one with each start
    before = server.rig.run("post", run).strip()
    server.rig.run("post", f"systemctl kill --signal=KILL {unit}")
    is_new = f"systemctl -q is-active {unit} && [ $({run}) != {before} ] && echo yes || true"
    until(lambda: server.rig.run("post", is_new).strip(), 180)


def test_the_folder_of_sent_mail_has_no_address_outside(server: MailGuests) -> None:
    [(code, _)] = server.hand_in(mail(), recipient="assistant+Sent@cdt.example")
    assert code == 550


def test_who_logged_in_sends_as_himself_only(server: MailGuests) -> None:
    login = (ASSISTANT, PASSWORDS[ASSISTANT])
    for sender in (ADMIN, "boss@example.com"):
        [(code, _)] = server.hand_in(mail(sender=sender), sender=sender, recipient=ALICE, port=587, login=login)
        assert code == 553
    admin = (ADMIN, PASSWORDS[ADMIN])
    support = "support@cdt.example"
    assert server.hand_in(mail(sender=support), sender=support, recipient=ALICE, port=587, login=admin) == [(250, "")]


def test_passwords_are_not_taken_in_clear(server: MailGuests) -> None:
    assert server.records
    for port in (25, 587):
        with smtplib.SMTP(NAME, port, timeout=30) as session:
            session.ehlo("mx.client.example")
            assert not session.has_extn("auth")


def test_a_storm_of_wrong_passwords_is_shut_out(server: MailGuests) -> None:
    # Last: afterwards the internet's host is banned.
    said = server.hand_in(mail(), port=587, times=12, login=(ASSISTANT, "devine-un-peu"))
    codes = [code for code, _ in said]
    assert 250 not in codes
    assert codes[0] == 535
    until(lambda: "22" in server.rig.run("post", "fail2ban-client get mail-submission banip"), seconds=60)
    [(code, _)] = server.hand_in(mail(), port=587, login=(ASSISTANT, PASSWORDS[ASSISTANT]))
    assert code == 0, "not even the right password is listened to from there"
    assert inbox(ASSISTANT, "Sent"), "everybody else reads and sends as before"
