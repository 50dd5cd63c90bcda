"""A question by each way, from the outside in and back, across the three hosts."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import make_msgid

from tests.deploy.hosts.conftest import World
from tests.mail_service.service import read
from tests.mail_system import ALICE, ASSISTANT
from tests.waiting import until

QUESTION = "Quelle est la durée légale du travail ?"


def test_through_nginx(hosts: World) -> None:
    answer = hosts.session().post(
        "https://ai-core.rig.test/api/v1/chat",
        json={"message": QUESTION, "channel": "webapp", "user_id": "rig"},
        headers={"X-API-Key": hosts.key("smoke-test")},
        timeout=70,
    )
    assert answer.status_code == 200, answer.text
    assert "L3121-27" in [source["number"].replace(" ", "").replace(".", "") for source in answer.json()["sources"]]


def test_a_stream_arrives_in_pieces(hosts: World) -> None:
    pieces = 0
    with hosts.session().post(
        "https://ai-core.rig.test/api/v1/chat",
        json={"message": "Qui peut conclure un CDD ?", "channel": "webapp", "user_id": "rig", "stream": True},
        headers={"X-API-Key": hosts.key("smoke-test"), "Cache-Control": "no-cache"},
        timeout=70,
        stream=True,
    ) as response:
        for _ in response.iter_content(chunk_size=None):
            pieces += 1
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert pieces > 3  # nginx does not wait for the end


def test_by_mail(hosts: World) -> None:
    message_id = make_msgid()  # hosts that were kept have answered the mails of other runs
    hosts.outside.mail.deliver(
        f"From: {ALICE}\r\nTo: {ASSISTANT}\r\nSubject: Question\r\nMessage-ID: {message_id}\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nBonjour,\r\n\r\n{QUESTION}\r\n".encode()
    )
    [reply] = until(lambda: _replies(hosts, message_id), seconds=120)
    body = reply.get_body(("plain",))
    assert body is not None
    assert "L3121-27" in body.get_content()


def test_by_telegram(hosts: World) -> None:
    person = 4711
    hosts.outside.telegram.say(person, QUESTION)
    until(lambda: any("3121-27" in shown.text for shown in hosts.outside.telegram.messages(person)), seconds=120)


def _replies(world: World, message_id: str) -> list[EmailMessage]:
    """Of all that Alice got, since other tests write in her name too, what answers one mail."""
    return [reply for raw in world.outside.mail.mails(ALICE) if (reply := read(raw))["In-Reply-To"] == message_id]
