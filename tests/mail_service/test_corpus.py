"""Every message of the corpus is read, or refused by its name, as the table says."""

from __future__ import annotations

import pytest

from mail_service.parsing import IncomingMail, Unparsable, parse_mail
from mail_service.policy import Rules, verdict_on
from mail_service.quoting import own_text
from tests.mail_service.expected import CORPUS, EXPECTED, corpus_message

RULES = Rules(
    own_addresses=("assistant@cdt.example", "contact@cdt.example"),
    blocked_senders=("bloque.example",),
    authserv_id="mx.cdt.example",
)
IN_ATTACHMENTS = ("attachment-", "tnef-only")


def own(mail: IncomingMail) -> str:
    return own_text(mail.text, is_reply=bool(mail.in_reply_to or mail.references), is_forward=mail.is_forward)


def test_the_table_names_every_file_and_no_other() -> None:
    assert set(EXPECTED) == {path.stem for path in CORPUS.glob("*.eml")}
    assert len(EXPECTED) >= 60


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_headers_and_text_are_read_as_expected(name: str) -> None:
    expected = EXPECTED[name]
    try:
        mail = parse_mail(corpus_message(name))
    except Unparsable:
        assert expected.outcome == "failed unparsable"
        return
    verdict = verdict_on(mail, RULES)
    if expected.outcome.startswith("refused") and expected.outcome != "refused infected":
        assert verdict is not None
        assert expected.outcome == f"refused {verdict.value}"
        return
    assert verdict is None
    if expected.outcome.startswith("answered") and not name.startswith(IN_ATTACHMENTS):
        asked = f"{mail.subject}\n{own(mail)}"
        assert expected.says in asked
        assert not expected.hides or expected.hides not in asked
    assert mail.is_encrypted == (expected.outcome == "failed encrypted")


def test_headers_survive_what_nobody_should_send() -> None:
    mail = parse_mail(corpus_message("header-long-references"))
    assert len(mail.references) == 120
    assert mail.in_reply_to == ("reference-119@client.example",)
    assert parse_mail(corpus_message("header-garbage-message-id")).message_id is None
    assert parse_mail(corpus_message("header-garbage-message-id")).references == ("ok@client.example",)
    assert "\n" not in parse_mail(corpus_message("header-line-break-in-subject")).subject
    assert "\u202e" not in parse_mail(corpus_message("header-reading-direction-trick")).subject


def test_senders_are_who_the_address_says() -> None:
    assert parse_mail(corpus_message("sender-name-looks-like-address")).senders[0].address == "alice@client.example"
    assert parse_mail(corpus_message("sender-international")).senders[0].address == "zoe@xn--exmple-cua.example"
    assert parse_mail(corpus_message("sender-list-of-two")).sender is None
