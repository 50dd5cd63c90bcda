"""What the AI core is asked: what the person wrote, then what is in their files, within what one prompt may hold."""

from __future__ import annotations

from collections.abc import Sequence

from mail_service.attachments import ReadFile
from mail_service.parsing import IncomingMail
from mail_service.quoting import own_text

MAX_LENGTH = 12_000  # characters: the AI core takes 20,000 with the subject, and its models hold less
LEAST_OF_A_FILE = 500
# Between the parts. No words: the search would look for them.
LINE = "----------"


def question_of(mail: IncomingMail, files: Sequence[ReadFile]) -> tuple[str, bool]:
    """The question, empty where there is none, and whether something of it was left out."""
    own = own_text(mail.text, is_reply=bool(mail.in_reply_to or mail.references), is_forward=mail.is_forward)
    parts = [own[:MAX_LENGTH]] if own else []
    room = MAX_LENGTH - sum(map(len, parts))
    shortened = len(own) > MAX_LENGTH
    for file in files:
        if not file.text:
            continue
        if room < LEAST_OF_A_FILE:
            shortened = True
            break
        text = file.text[:room]
        shortened = shortened or len(text) < len(file.text)
        parts.append(text)
        room -= len(text)
    return f"\n\n{LINE}\n\n".join(parts), shortened
