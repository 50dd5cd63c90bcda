"""The earlier logs: records over several lines, from files and from containers."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from common.legacy.log_lines import read_log, records
from common.legacy.texts import repaired

LINE = "2025-03-01 09:15:02,250 - telegram_bot - INFO - Received message from camille (42): Bonjour"


def messages(*lines: str) -> list[str]:
    return [record.message for record in records(line.encode() for line in lines)]


def test_a_record() -> None:
    (record,) = records([b"noise before\n", LINE.encode() + b"\r\n"])
    assert record.at == datetime(2025, 3, 1, 9, 15, 2, 250_000)
    assert (record.logger, record.level, record.line) == ("telegram_bot", "INFO", 2)
    assert record.message == "Received message from camille (42): Bonjour"


def test_lines_without_a_time_go_on() -> None:
    assert messages(LINE, "deuxième ligne", "", "- puce", LINE) == [
        "Received message from camille (42): Bonjour\ndeuxième ligne\n\n- puce",
        "Received message from camille (42): Bonjour",
    ]


def test_what_containers_put_around_a_line_is_taken_off() -> None:
    docker = json.dumps({"log": LINE + "\n", "stream": "stdout", "time": "2025-03-01T09:15:02.25Z"})
    compose = f"telegram-bot-1  | {LINE}"
    stamped = f"2025-03-01T09:15:02.251Z {LINE}"
    assert messages(docker, compose, stamped) == ["Received message from camille (42): Bonjour"] * 3


def test_tokens_are_dropped() -> None:
    token = "123456789:" + "A" * 35
    (record,) = records([LINE.encode(), f"https://api.telegram.org/bot{token}/getMe hf_{'x' * 20}".encode()])
    assert token not in record.message
    assert "hf_x" not in record.message


def test_a_compressed_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bot.log.1.gz"
    path.write_bytes(gzip.compress(LINE.encode()))
    assert len(list(read_log(path))) == 1


def test_bytes_that_were_printed_become_text() -> None:
    assert repaired(r"b'Cong\xc3\xa9s pay\xc3\xa9s'") == "Congés payés"
    assert repaired(r"Re: b'Cong\xe9s'") == "Re: Congés"
    assert repaired("b'open") == "b'open"
    assert repaired("L'abc'") == "L'abc'"


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_nothing_breaks_the_reader(lines: list[bytes]) -> None:
    list(records(lines))
