"""Documents, photos and voice messages become part of the question, or a reason why not."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from telegram_service.texts import say
from tests.telegram_service.talking import Start, Talking
from tests.waiting import until

FILES = Path(__file__).resolve().parents[1] / "common" / "extraction" / "files"
MARIE = 71
LETTER = "Je vous informe de la rupture de votre période d'essai."
CAPTION = "Est-ce légal ?"


def asked(talking: Talking) -> str:
    """The only question that the AI core got."""
    [body] = talking.ai.bodies
    return str(body["message"])


def picture(text: str) -> bytes:
    """A photo of a letter."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (1_400, 200), 255)
    ImageDraw.Draw(image).text((20, 70), text, fill=0, font=ImageFont.load_default(44))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def test_a_document_is_read_with_the_question_that_came_with_it(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.send(LETTER.encode(), "lettre.txt", CAPTION)
    assert asked(talking).startswith(CAPTION)
    assert LETTER in asked(talking)
    assert "«" in marie.last().text


@pytest.mark.parametrize("name", ["letter.pdf", "letter.docx", "letter.odt"])
def test_documents_of_every_kind_are_read(talking: Talking, name: str) -> None:
    talking.person(MARIE).send((FILES / name).read_bytes(), name, CAPTION)
    assert len(asked(talking)) > len(CAPTION) + 20


def test_a_document_alone_asks_what_it_is_about(talking: Talking) -> None:
    talking.person(MARIE).send(LETTER.encode(), "lettre.txt")
    assert asked(talking).startswith(say("fr", "file_question"))


def test_a_photo_of_a_letter_is_read(talking: Talking) -> None:
    talking.person(MARIE).photo(picture("Rupture de la période d'essai"), CAPTION)
    assert "Rupture de la" in asked(talking)
    assert asked(talking).startswith(CAPTION)


def test_the_pages_of_an_album_are_one_question(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/help")
    files = [talking.telegram.methods.keep_file(text.encode(), {"file_name": f"{text}.txt"}) for text in ("Un", "Deux")]
    sender = talking.telegram.person(MARIE)
    for number, file in enumerate(files):
        album = {"media_group_id": "7", "document": file, **({"caption": CAPTION} if number == 0 else {})}
        message = {"message_id": 50 + number, "date": 1, "chat": {"id": MARIE, "type": "private"}, "from": sender}
        talking.telegram.update({"message": {**message, **album}})
    talking.idle()
    assert all(word in asked(talking) for word in (CAPTION, "Un", "Deux"))


def test_the_end_of_a_long_document_is_left_out_and_that_is_said(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.send(("Un contrat très long. " * 5_000).encode(), "contrat.txt", CAPTION)
    assert len(asked(talking)) < 20_000, "as much as the AI core takes"
    assert any(say("fr", "file_truncated") in message.text for message in marie.sees())


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"MZ\x90\x00" + bytes(200), "virus.exe", "file_unsupported"),
        (b" \n\n ", "vide.txt", "file_empty"),
        (b"%PDF-1.4 broken", "lettre.pdf", "file_unreadable"),
    ],
)
def test_what_cannot_be_read_is_said(talking: Talking, content: bytes, name: str, told: str) -> None:
    marie = talking.person(MARIE)
    marie.send(content, name, CAPTION)
    assert marie.is_told(told)
    assert not talking.ai.bodies


def test_a_file_that_is_too_large_is_not_fetched(talk: Start) -> None:
    talking = talk(MAX_FILE_SIZE="1048576")
    marie = talking.person(MARIE)
    marie.send(b"x" * 1_048_577, "grand.txt", CAPTION)
    assert marie.is_told("file_too_large", size=1)
    assert not talking.telegram.called("getFile")


def test_a_file_that_telegram_does_not_hand_out_is_said(talking: Talking) -> None:
    talking.telegram.fail_next("getFile", 400, "Bad Request: file is too big")
    marie = talking.person(MARIE)
    marie.send(LETTER.encode(), "lettre.txt", CAPTION)
    assert marie.is_told("file_too_large", size=10)


def test_while_telegram_gives_no_file_it_is_asked_again(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.say("/help")
    talking.telegram.fail_next("getFile", 500, "Internal Server Error", times=2)
    marie.send(LETTER.encode(), "lettre.txt", CAPTION)
    assert LETTER in asked(talking)


def test_a_voice_message_is_a_question(talking: Talking) -> None:
    talking.ai.hears = "Quel est mon préavis ?"
    marie = talking.person(MARIE)
    marie.send(b"OggS voice")
    assert asked(talking) == "Quel est mon préavis ?"
    assert say("fr", "heard", text="Quel est mon préavis ?") in marie.last().text


def test_a_voice_message_waits_while_nobody_can_listen_and_that_is_said_once(talking: Talking) -> None:
    talking.ai.hears = "Quel est mon préavis ?"
    marie = talking.person(MARIE)
    marie.say("/help")
    talking.ai.go_away()
    talking.telegram.upload(MARIE, b"OggS voice")
    until(lambda: marie.is_told("still_trying") or None)
    talking.ai.come_back()
    talking.idle()
    assert asked(talking) == "Quel est mon préavis ?"
    assert [message.text == say("fr", "still_trying") for message in marie.sees()] == [False, False, True, False]


def test_without_a_speech_model_voice_messages_are_refused_in_words(talking: Talking) -> None:
    marie = talking.person(MARIE)
    marie.send(b"OggS voice")
    assert marie.is_told("no_speech")
    assert not talking.ai.bodies


def test_a_voice_message_in_which_nobody_speaks_is_refused_in_words(talking: Talking) -> None:
    talking.ai.hears = "   "
    marie = talking.person(MARIE)
    marie.send(b"OggS voice")
    assert marie.is_told("speech_unclear")


def test_the_text_of_a_document_is_in_no_log(talking: Talking, caplog: pytest.LogCaptureFixture) -> None:
    talking.person(MARIE).send(LETTER.encode(), "rupture-marie-dupont.txt", CAPTION)
    for word in (LETTER, "marie-dupont", CAPTION):
        assert word not in caplog.text
