"""What a person wrote in this mail: without quotations of earlier mails, without greetings and signatures, which would
only stand in the way of a search.

Quotations are told by how mail programs introduce them, in French and English. An introduction needs a date and an
address, or quoted lines below it: "Le 3 mars, mon employeur m'a écrit :" is part of a question, and stays.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_INTRODUCTION = 4  # lines, wrapped
LONGEST_MARK = 150  # characters: no mail program writes more on one line of an introduction
LONGEST_HEAD = 12  # lines of a quoted header
LONGEST_CLOSING = 8  # lines below a complimentary close

_SPACES = re.compile(r"[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2060\ufeff\u00ad\x00-\x08\x0b-\x1f\x7f-\x9f]|[\ud800-\udfff]")
_QUOTED = re.compile(r"^\s?(?:>|\|\s)")
_MARKS = re.compile(r"^(?:\s?>)+ ?")

_INTRODUCTION = re.compile(
    r"^\W{0,10}(?:(?:le|on|am|el|em|il)\s.+?\s(?:a\s+écrit|wrote|schrieb.*|escribió|escreveu|ha\s+scritto)"
    r"|.+?\s(?:a\s+écrit|wrote)(?:\s+le\s+.+)?)\s*:\s*$",
    re.IGNORECASE | re.DOTALL,
)
_DATE = re.compile(
    r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}|\d{4}-\d{2}-\d{2}|\b\d{1,2}(?:er)?\s+[^\W\d]{3,9}\.?,?\s+(?:\d{4}|à)|"
    r"[^\W\d]{3,9}\.?\s+\d{1,2},\s+\d{4}",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")
_SEPARATOR = re.compile(
    r"^[^\w-]{0,10}-{2,}\s*(?:message\s+d['’]origine|mail\s+original|message\s+original|original\s+message|courriel\s+d['’]origine|"
    r"e-?mail\s+d['’]origine|réponse\s+au\s+message\s+suivant)\s*-*\s*$|^_{20,}\s*$",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"^[^\w-]{0,10}(?:-{2,}\s*)?(?:forwarded\s+message|message\s+transféré|message\s+transmis|message\s+réexpédié|mail\s+transféré|"
    r"(?:début|begin)\s+(?:du\s+)?(?:message|forwarded\s+message)(?:\s+(?:réexpédié|transféré))?|"
    r"courriel\s+transféré)\s*(?:par\s.+)?:?\s*-*\s*$",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"^\W{0,3}(de|from|expéditeur|envoyé(?:\s+par)?|sent|date|à|a|to|pour|destinataires?|cc|copie(?:\s+à)?|objet|subject|sujet|"
    r"répondre\s+à|reply-to|importance)\W{0,3}\s*:",
    re.IGNORECASE,
)
_HEAD_NEEDED = (
    frozenset({"de", "from", "expéditeur"}),
    frozenset({"objet", "subject", "sujet", "envoyé", "sent", "date"}),
)
_ORANGE = re.compile(r"^\s?>\s?message du \d{1,2}/\d{1,2}/\d{2,4}", re.IGNORECASE)
_DEVICE = re.compile(
    r"^\W{0,10}(?:envoyé (?:de(?:puis)?|à partir d[eu']|avec|via)|sent from|télécharge[zr] outlook|obtenez outlook|"
    r"get outlook|provenance\s*:\s*courrier).{0,100}$",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"^\W{0,3}(?:(?:bonjour|bonsoir|salut|hello|coucou|cher|chère|chers)\b.{0,40}|(?:madame|monsieur|mesdames|messieurs|maître)"
    r"(?:\W+(?:et\s+)?(?:madame|monsieur|mesdames|messieurs))*)\s*[,.!:]?\s*$",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"^\W{0,10}(?:bien\s+|très\s+)?(?:cordialement|cdlt|cdt|sincères\s+salutations|salutations|respectueusement|"
    r"bonne\s+(?:journée|soirée|réception)|best\s+regards|kind\s+regards|regards|merci\s+d['’]avance)\b.{0,60}$",
    re.IGNORECASE,
)


def own_text(text: str, *, is_reply: bool = False, is_forward: bool = False) -> str:
    """What the sender of `text` wrote. Of a forwarded mail everything is kept, since the question is about it; so are
    quoted lines that nothing introduces, unless the mail is a reply. Where nothing else remains, what was quoted."""
    lines = _lines(text)
    if not is_forward:
        is_forward = any(_FORWARDED.match(line[:LONGEST_MARK]) for line in lines)
    own = _without_signature(lines if is_forward else _without_quotations(lines, is_reply))
    return (
        _joined(_without_greeting(own))
        or _joined(own)
        or _joined(_without_signature([_MARKS.sub("", line) for line in lines]))
    )


def _lines(text: str) -> list[str]:
    folded = _INVISIBLE.sub("", _SPACES.sub(" ", unicodedata.normalize("NFC", text)))
    return [line.rstrip() for line in folded.split("\n")]


def _joined(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _without_quotations(lines: list[str], is_reply: bool) -> list[str]:
    own: list[str] = []
    at = 0
    introduced = is_reply
    while at < len(lines):
        if _ends_own_text(lines, at):
            break
        length = _introduction_length(lines, at)
        if length:
            if not _is_quoted(lines, at + length):
                break  # a quotation without marks: it goes on to the end
            at += length
            introduced = True
        elif introduced and _QUOTED.match(lines[at]):
            at += 1
        else:
            own.append(lines[at])
            at += 1
    return own


def _ends_own_text(lines: list[str], at: int) -> bool:
    if _ORANGE.match(lines[at]):
        return True
    if _SEPARATOR.match(lines[at][:LONGEST_MARK]):
        return _has_head(lines, at + 1)
    return _has_head(lines, at)


def _has_head(lines: list[str], at: int) -> bool:
    """Whether a quoted mail's header begins here: who, and when or about what, on lines that follow one another."""
    while at < len(lines) and not lines[at]:
        at += 1
    names: set[str] = set()
    for line in lines[at : at + LONGEST_HEAD]:
        match = _HEAD.match(line[:LONGEST_MARK])
        if match is None:
            if line or not names:
                break
            continue  # HTML puts each line into a paragraph
        names.add(match[1].lower().split()[0])
    return len(names) >= 3 and all(names & needed for needed in _HEAD_NEEDED)


def _introduction_length(lines: list[str], at: int) -> int:
    """How many lines from `at` introduce a quotation: 0 where they do not."""
    if not lines[at].strip():
        return 0
    for length in range(1, LONGEST_INTRODUCTION + 1):
        part = lines[at : at + length]
        if len(part) < length or (length > 1 and not part[-1]):
            break
        together = " ".join(_MARKS.sub("", line[:LONGEST_MARK]) for line in part)
        if _INTRODUCTION.match(together):
            sure = _DATE.search(together) and _ADDRESS.search(together)
            return length if sure or _is_quoted(lines, at + length) else 0
    return 0


def _is_quoted(lines: list[str], at: int) -> bool:
    following = next((line for line in lines[at : at + 4] if line.strip()), "")
    return bool(_QUOTED.match(following))


def _without_signature(lines: list[str]) -> list[str]:
    kept: list[str] = []
    for at, line in enumerate(lines):
        if line in ("--", "-- ", "__", "—"):  # RFC 3676, section 4.3; the space after it is often lost
            break
        if _DEVICE.match(line[:LONGEST_MARK]):
            continue
        if kept and _CLOSING.match(line[:LONGEST_MARK]) and _is_closing(lines[at + 1 :]):
            break
        kept.append(line)
    return kept


def _without_greeting(lines: list[str]) -> list[str]:
    first = next((at for at, line in enumerate(lines) if line.strip()), 0)
    while first < len(lines) and (not lines[first].strip() or _GREETING.match(lines[first][:LONGEST_MARK])):
        first += 1
    return lines[first:]


def _is_closing(below: list[str]) -> bool:
    """Whether only names and numbers follow: a few short lines, none of them a question."""
    said = [line for line in below if line.strip()]
    return len(said) <= LONGEST_CLOSING and all(len(line) < 80 and "?" not in line for line in said)
