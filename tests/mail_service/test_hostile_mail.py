"""Nothing that arrives breaks the reader, and nothing in it gets out of its place in a reply."""

from __future__ import annotations

import email
import email.policy
import time
from datetime import datetime, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from mail_service.addresses import Address, addresses_in, matches, normalised, same_mailbox
from mail_service.compose import Envelope, compose, recipient_of
from mail_service.header_text import clean
from mail_service.html_text import text_of_html
from mail_service.message_ids import MAX_REFERENCES, ids_in, our_id, references_for
from mail_service.parsing import Unparsable, parse_mail
from mail_service.people import bare_subject, identity_of
from mail_service.policy import Rules, verdict_on
from mail_service.quoting import own_text
from tests.mail_service.expected import EXPECTED, corpus_message
from tests.mail_service.service import read
from tests.mail_system import ASSISTANT

NOW = datetime(2026, 3, 3, 9, 12, tzinfo=timezone.utc)
RULES = Rules(own_addresses=(ASSISTANT,))
SMALL = sorted(name for name in EXPECTED if not name.startswith(("huge", "attachment-zip-bomb")))


def survives(raw: bytes) -> None:
    try:
        parsed = parse_mail(raw)
    except Unparsable:
        return
    verdict_on(parsed, RULES)
    own_text(parsed.text, is_reply=True, is_forward=parsed.is_forward).encode()
    parsed.subject.encode()


@given(st.binary(max_size=2_000))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    survives(raw)


@given(st.sampled_from(SMALL), st.integers(0, 3_000), st.binary(max_size=20), st.integers(0, 40))
@settings(max_examples=250, deadline=None)
def test_so_is_real_mail_with_a_piece_broken(name: str, place: int, piece: bytes, removed: int) -> None:
    raw = corpus_message(name)[:6_000]
    survives(raw[:place] + piece + raw[place + removed :])


@given(st.text(max_size=2_000))
@settings(max_examples=100, deadline=None)
def test_any_html_becomes_text(html: str) -> None:
    text_of_html(html)
    text_of_html("<div>" * 50 + html + "<blockquote><p>" * 50 + html)


def test_long_lines_take_no_long_time() -> None:
    began = time.monotonic()
    lines = ("-" * 140 + "\n") * 1_000
    for text in ("-" * 200_000, "> " * 100_000, lines, "Le " * 60_000, "De : a@b.example\n" * 10_000):
        own_text(text)
    for piece in ("<", "<blockquote>", "<!--", "<a ", "</", "<!", "<a x='", "&", "<![CDATA[", "<script>"):
        text_of_html(piece * 50_000)
    assert time.monotonic() - began < 20


def test_headers_that_are_made_to_hurt_do_not() -> None:
    start = b"To: assistant@cdt.example\r\nSubject: x\r\n"
    from_alice = b"From: alice@client.example\r\n"
    nested = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
    began = time.monotonic()
    for headers in (
        b"From: " + b"(" * 200_000,
        from_alice + b"Content-Type: text/plain; " + b"a=b; " * 500_000,
        from_alice + b"Content-Disposition: attachment; " + b"".join(b"filename*%d=x; " % at for at in range(9_000)),
        from_alice + b"Authentication-Results: mx.cdt.example; " + b"dmarc=pass (" * 20_000,
        from_alice + b"References: " + b"<" * 300_000,
        from_alice + b"Subject: a" + b"\r\n b" * 200_000,
        from_alice + b"".join(b"X-%d: y\r\n" % at for at in range(50_000)) + b"X: y",
        from_alice + b"".join(nested % (at, at) for at in range(2_000)),
        from_alice + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\n" * 50_000,
    ):
        survives(start + headers + b"\r\n\r\nx")
    assert time.monotonic() - began < 20


def envelope(**changes: object) -> Envelope:
    values: dict[str, object] = {
        "sender": ASSISTANT,
        "recipient": Address("Élodie, d'Évry", "elodie@client.example"),
        "subject": "Re: Congés payés",
        "message_id": "1@cdt.example",
        "in_reply_to": "q@client.example",
        "references": ("q@client.example",),
        "date": NOW,
        **changes,
    }
    return Envelope(**values)  # type: ignore[arg-type]


def test_long_references_stay_message_ids() -> None:
    ids = [f"{number}-{'x' * 80}@client.example" for number in range(80)]
    references = references_for(ids, (), "q@client.example")
    assert len(references) == MAX_REFERENCES
    raw = compose(envelope(references=references, in_reply_to="b" * 240 + "@c.example"), "<p>a</p>", "a")
    reply = read(raw)
    assert reply["References"].split() == [f"<{one}>" for one in references]
    assert references[0] == ids[0]
    assert references[-1] == "q@client.example"
    assert b"=?" not in raw.partition(b"From:")[0]
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


@given(st.text(max_size=300), st.text(max_size=100))
@settings(max_examples=100, deadline=None)
def test_what_people_chose_stays_in_its_header(subject: str, name: str) -> None:
    raw = compose(envelope(subject=clean(subject), recipient=Address(clean(name), "a@client.example")), "<p>a</p>", "a")
    reply = email.message_from_bytes(raw, policy=email.policy.compat32)
    assert sorted(reply.keys()) == sorted(
        ["Message-ID", "References", "In-Reply-To", "From", "To", "Subject", "Date", "Auto-Submitted",
         "X-Auto-Response-Suppress", "MIME-Version", "Content-Type"]
    )  # fmt: skip
    assert raw.isascii()


def test_a_line_break_in_a_subject_adds_no_header() -> None:
    parsed = parse_mail(corpus_message("header-line-break-in-subject"))
    reply = read(compose(envelope(subject=f"Re: {parsed.subject}"), "<p>a</p>", "a"))
    assert reply["Bcc"] is None
    assert reply["Subject"].startswith("Re: Préavis Bcc:")


def test_reply_to_is_honoured_where_it_is_safe() -> None:
    def answered(name: str) -> str:
        return recipient_of(parse_mail(corpus_message(name)), (ASSISTANT,)).address

    assert answered("reply-to-same-domain") == "alice.pro@client.example"
    assert answered("reply-to-other-domain") == "alice@client.example"
    assert answered("reply-to-ourselves") == "alice@client.example"


def test_addresses() -> None:
    assert normalised("Zoé@Exemple.example") is None
    assert normalised("zoe@EXÄMPLE.example") == "zoe@xn--exmple-cua.example"
    assert normalised("a@" + "b" * 300 + ".example") is None
    assert addresses_in(["a@b.example, A@B.example", '"x" <c@d.example>']) == (
        Address("", "a@b.example"),
        Address("x", "c@d.example"),
    )
    assert same_mailbox("a+1@b.example", "a@b.example")
    assert not same_mailbox("a@b.example", "a@c.example")
    assert matches("a@sub.b.example", ["b.example"])
    assert matches("a@b.example", ["@B.example"])
    assert not matches("a@notb.example", ["b.example"])


def test_ids_and_subjects() -> None:
    assert ids_in(["<a@b> junk <c@d>", "<a@b>"]) == ("a@b", "c@d")
    assert our_id(b"k", "x", "answer", "d.example") == our_id(b"k", "x", "answer", "d.example")
    assert our_id(b"k", "x", "answer", "d.example") != our_id(b"k", "x", "apology", "d.example")
    assert bare_subject(" RE: Tr : re[2]: Congés") == "Congés"
    assert identity_of("1@a", "x@a", b"1") == identity_of("1@a", "x@a", b"2")
    assert identity_of("1@a", "x@a", b"1") != identity_of("1@a", "y@a", b"1")
    assert identity_of(None, "x@a", b"1") != identity_of(None, "x@a", b"2")
