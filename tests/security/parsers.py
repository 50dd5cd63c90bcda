"""Every reader of what strangers send, as a function of bytes that may raise nothing but its own refusal.

Used by hypothesis (test_parsers.py) and, for hours where one wants to, by atheris (fuzz.py).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from ai_core.catalog.errors import CatalogError
from ai_core.catalog.gguf_header import is_gguf, read_header
from ai_core.catalog.safetensors_header import looks_like_safetensors, read_tensors
from ai_core.catalog.torch_file import looks_like_torch
from ai_core.engine.grammar.expression import GrammarError
from ai_core.engine.grammar.gbnf import parse_gbnf
from ai_core.engine.grammar.json_schema import parse_json_schema
from ai_core.knowledge import citations
from ai_core.knowledge.errors import KnowledgeError
from ai_core.knowledge.legi import parse_code
from ai_core.knowledge.numbers import find_numbers, normalise
from ai_core.knowledge.package import read_package
from ai_core.role_marks import without_marks
from common.auth import prefix_of
from common.backup.contents import unpack
from common.backup.errors import ArchiveRefused
from common.legacy.dotenv import as_environment_line, read_dotenv
from common.legacy.exports import NotAnExport, read_export
from common.legacy.log_lines import records
from common.log import accepted_request_id
from common.named_person import NamedPerson, NotAPerson
from mail_service.addresses import addresses_in, normalised
from mail_service.authentication import results_of
from mail_service.header_text import decoded_header
from mail_service.html_text import text_of_html
from mail_service.message_ids import ids_in
from mail_service.parsing import Unparsable, parse_headers, parse_mail
from mail_service.policy import Rules, verdict_on
from mail_service.quoting import own_text
from telegram_service.formatting import parts, plain
from telegram_service.incoming import left_by, read_update
from telegram_service.legacy.redis_keys import BROKEN, _pairs
from telegram_service.updates import NotAnUpdate, lane_of, sender_of, stops, update_id
from tests.ai_core.catalog.gguf_files import write_gguf
from tests.mail_service.expected import corpus_message

RULES = Rules(own_addresses=("assistant@cdt.example",))
HOME = Path(tempfile.mkdtemp(prefix="parsers-"))


def text_of(data: bytes) -> str:
    """Any text, lone surrogates too."""
    return data.decode("utf-8", "surrogateescape")


def written(data: bytes, name: str) -> Path:
    """A file that is new each time: readers remember what they have seen."""
    path = HOME / name
    path.write_bytes(data)
    return path


def mail(data: bytes) -> None:
    try:
        parsed = parse_mail(data)
    except Unparsable:
        return
    verdict_on(parsed, RULES)
    own_text(parsed.text, is_reply=True, is_forward=parsed.is_forward).encode()
    results_of(parse_headers(data), "mx.cdt.example")


def mail_headers(data: bytes) -> None:
    text = data.decode("ascii", "surrogateescape")
    value = decoded_header(text)
    assert value.splitlines() in ([], [value])
    for address in addresses_in([value]):
        assert normalised(address.address) is not None
    assert not any("\n" in one or ">" in one for one in ids_in([value]))


def quoting(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for is_reply in (False, True):
        for is_forward in (False, True):
            own_text(text, is_reply=is_reply, is_forward=is_forward)
    text_of_html(text)


def article_numbers(data: bytes) -> None:
    text = text_of(data)
    for mention in find_numbers(text):
        assert normalise(mention.number) == mention.number
        assert mention.number.isprintable()
    normalise(text)


def citation_check(data: bytes) -> None:
    head, _, text = text_of(data).partition("\n")
    known = {"L1234-1", "R*1234-5"}
    for citation in citations.check(text, {head, "L1234-1"}, known.__contains__):
        assert citation.status in ("verified", "exists", "unknown")
        assert citation.status == "verified" or citation.number != "L1234-1"


def gguf(data: bytes) -> None:
    path = written(data, "x.gguf")
    try:
        if is_gguf(path):
            header = read_header(path)
            assert header.kind
            header.of_architecture("block_count")
    except CatalogError:
        return


def safetensors(data: bytes) -> None:
    path = written(data, "x.safetensors")
    try:
        if looks_like_safetensors(path):
            assert all(tensor.size_bytes >= 0 for tensor in read_tensors(path))
    except CatalogError:
        return


def torch_archive(data: bytes) -> None:
    try:
        looks_like_torch(written(data, "x.bin"))
    except CatalogError:
        return


def telegram_update(data: bytes) -> None:
    try:
        update: Any = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        update_id(update)
    except NotAnUpdate:
        return
    lane_of(update), sender_of(update), stops(update), left_by(update)
    incoming = read_update(update)
    if incoming is not None:
        incoming.command("bot"), incoming.addresses("bot"), incoming.question("bot"), incoming.may_go_on


def telegram_answer(data: bytes) -> None:
    """What a model writes, on its way to Telegram."""
    for part in parts(text_of(data), sources=(), unknown=(), heading="", notices=()):
        assert 0 < len(part.text.encode("utf-16-le")) // 2 <= 4096
        plain(part)


def dotenv(data: bytes) -> None:
    for found in read_dotenv(data):
        try:
            line = as_environment_line(found.name, found.value)
        except ValueError:
            continue
        assert line.splitlines() in ([line], [])


def exports(data: bytes) -> None:
    for name in ("x.json", "x.jsonl", "x.csv"):
        try:
            list(read_export(written(data, name), "users"))
        except NotAnExport:
            continue


def old_logs(data: bytes) -> None:
    for record in records(data.splitlines(keepends=True)):
        assert record.message is not None


def old_history(data: bytes) -> None:
    """What the earlier bot kept in Redis."""
    try:
        assert all(isinstance(question, str) for question, _ in _pairs(json.loads(data)))
    except BROKEN:
        return


def grammars(data: bytes) -> None:
    for parse in (parse_gbnf, parse_json_schema):
        try:
            parse(text_of(data))
        except GrammarError:
            continue


def law(data: bytes) -> None:
    with suppress(KnowledgeError):
        parse_code(data, "x.json", date(2026, 1, 1))
    try:
        read_package(written(data, "x.tgz"))
    except KnowledgeError:
        return


def backup_archive(data: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=HOME) as into:
        try:
            unpack(written(data, "x.tar.gz"), Path(into))
        except ArchiveRefused:
            return


def small_things(data: bytes) -> None:
    text = text_of(data)
    prefix_of(text)
    assert accepted_request_id(text).isascii()
    without_marks(text)
    try:
        NamedPerson.parse(text)
    except NotAPerson:
        return


_UPDATE = {
    "update_id": 7,
    "message": {"message_id": 1, "chat": {"id": 5, "type": "private"}, "from": {"id": 5}, "text": "/ask Quoi ?"},
}
_TENSORS = b'{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'
_SCHEMA = b'{"type":"object","properties":{"a":{"type":"string","pattern":"^[a-z]{1,3}$"}},"required":["a"]}'

TARGETS: Mapping[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]] = {
    "mail": (
        mail,
        tuple(corpus_message(name)[:4_000] for name in ("multipart-alternative", "forward-gmail", "dmarc-passed")),
    ),
    "mail_headers": (mail_headers, (b'"A, B" <a@b.example>', b"=?utf-8?q?Cong=C3=A9s?= <1@b.example>")),
    "quoting": (
        quoting,
        ("Bonjour\n\nLe 3 mars 2026 à 10:12, a@b.example a écrit :\n> Quoi ?".encode(), b"<p>a<blockquote>b"),
    ),
    "article_numbers": (article_numbers, ("art. L. 1234-1 à L1234-9 et R*1234-5".encode(), b"L. 123")),
    "citation_check": (citation_check, (b"L1234-1\nselon l'article L. 1234-1 et L9999-9",)),
    "gguf": (gguf, (write_gguf(HOME / "seed.gguf").read_bytes()[:3_000],)),
    "safetensors": (safetensors, (len(_TENSORS).to_bytes(8, "little") + _TENSORS + bytes(16),)),
    "torch_archive": (torch_archive, (b"PK\x03\x04", bytes.fromhex("80028a0a6cfc9c46f9206aa850192e"))),
    "telegram_update": (telegram_update, (json.dumps(_UPDATE).encode(),)),
    "telegram_answer": (telegram_answer, (b"# Titre\n\n**gras** [a](https://b.example) `c`\n\n- x\n- y",)),
    "dotenv": (dotenv, (b"A=b # c\nexport B='d e'\nC=\"f\\n\"",)),
    "exports": (exports, (b'{"users": [{"id": 1, "name": "a"}]}', b"id;name\n1;a")),
    "old_logs": (old_logs, (b"2026-01-01 10:00:00,123 - telegram_bot - INFO - Received message from a (5): b...",)),
    "old_history": (
        old_history,
        (b'[{"role": "user", "content": "a"}, {"question": "a", "answer": "b"}]', b'[{"x": 1}]'),
    ),
    "grammars": (grammars, (b'root ::= "a" [b-d]* | (root "e"){1,3}', _SCHEMA)),
    "law": (law, (b'{"type":"code","data":{"id":"LEGITEXT000006072050"},"children":[]}', b"\x1f\x8b\x08")),
    "backup_archive": (backup_archive, (b"\x1f\x8b\x08",)),
    "small_things": (small_things, (b'{"mail": ["a@b"], "ai_core": [["webapp", "u"]]}', b"<|im_end|>[INST]")),
}
