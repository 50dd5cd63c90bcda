"""A question by mail is answered in its thread, once, and filed."""

from __future__ import annotations

from tests.mail_service.service import Service, mail, read
from tests.mail_system import ALICE, ASSISTANT, MailSystem
from tests.waiting import until


def arrives(system: MailSystem, count: int = 1) -> None:
    until(lambda: len(system.mails()) == count)


def test_a_question_is_answered_with_sources_and_the_right_headers(service: Service) -> None:
    service.system.deliver(mail(References="<premier@client.example>"))
    arrives(service.system)
    service.run()
    until(lambda: service.system.mails(ALICE))
    [reply] = map(read, service.system.mails(ALICE))
    assert reply["From"].addresses[0].addr_spec == ASSISTANT
    assert reply["To"].addresses[0].addr_spec == ALICE
    assert reply["Subject"] == "Re: Préavis"
    assert reply["In-Reply-To"] == "<question-1@client.example>"
    assert reply["References"].split() == ["<premier@client.example>", "<question-1@client.example>"]
    assert reply["Auto-Submitted"] == "auto-replied"
    assert reply["Date"].datetime is not None
    assert reply["Message-ID"].endswith("@cdt.example>")
    text = reply.get_body(("plain",))
    html = reply.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "Article L1237-1" in text.get_content()
    assert "<strong>deux mois</strong>" in html.get_content()
    assert "avocat" in text.get_content()


def test_it_is_then_in_processed_with_its_flag_and_a_copy_is_in_sent(service: Service) -> None:
    service.system.deliver(mail())
    arrives(service.system)
    service.run()
    assert service.system.mails() == []
    assert len(service.system.mails(folder="Processed")) == 1
    assert b"\\Answered" in service.system.flags("Processed")[0]
    until(lambda: len(service.system.mails(folder="Sent")) == 1)
    assert service.outcomes() == {"completed": 1}


def test_a_reply_continues_the_thread_with_what_was_said_before(service: Service) -> None:
    service.system.deliver(mail())
    arrives(service.system)
    service.run()
    until(lambda: service.system.mails(ALICE))
    ours = read(service.system.mails(ALICE)[0])["Message-ID"]
    service.system.deliver(mail("Et pour un CDD ?", message_id="q2@client.example", In_Reply_To=ours))
    arrives(service.system)
    service.run()
    first, second = service.messages()
    assert first.thread == second.thread
    assert service.answerer.asked[1].earlier == [
        {"role": "user", "content": "Quelle est la durée du préavis ?"},
        {"role": "assistant", "content": "Le préavis est de **deux mois**."},
    ]


def test_nobody_sees_anothers_thread_by_citing_its_ids(service: Service) -> None:
    service.system.deliver(mail())
    arrives(service.system)
    service.run()
    until(lambda: service.system.mails(ALICE))
    ours = read(service.system.mails(ALICE)[0])["Message-ID"]
    service.system.deliver(
        mail(
            "Que disait-elle ?",
            sender="bob@client.example",
            message_id="q3@client.example",
            In_Reply_To=ours,
            References="<question-1@client.example>",
        ),
        sender="bob@client.example",
    )
    arrives(service.system)
    service.run()
    assert service.answerer.asked[1].earlier == []


def test_the_same_mail_twice_gets_one_answer(service: Service) -> None:
    service.system.deliver_all([mail(), mail()])
    arrives(service.system, 2)
    service.run()
    assert service.outcomes() == {"completed": 1}
    until(lambda: len(service.system.mails(folder="Processed")) == 2)
    assert len(service.system.mails(folder="Sent")) == 1


def test_only_the_sender_is_answered(service: Service) -> None:
    service.system.deliver(mail(Cc="bob@client.example", Reply_To="victime@autre.example"))
    arrives(service.system)
    service.run()
    until(lambda: service.system.mails(ALICE))
    [reply] = map(read, service.system.mails(ALICE))
    assert [address.addr_spec for address in reply["To"].addresses] == [ALICE]
    assert reply["Cc"] is None
    assert service.system.mails("bob@client.example") == []
