"""Log lines are JSON, carry the request's id, and hold neither keys nor what an exception quotes."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from common.auth import make_key
from common.log import JsonFormatter, accepted_request_id, configure_logging, request_id
from common.log_files import log_files


def line(message: str, *, exception: BaseException | None = None, **extra: object) -> dict[str, object]:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "test", **extra})
    if exception is not None:
        record.exc_info = (type(exception), exception, exception.__traceback__)
    parsed: dict[str, object] = json.loads(JsonFormatter("ai_core").format(record))
    return parsed


def test_a_line_carries_service_level_and_extras() -> None:
    assert line("request", status=200)["status"] == 200
    assert line("request")["service"] == "ai_core"


def test_the_request_id_is_on_every_line_of_its_request() -> None:
    token = request_id.set("abc-1")
    try:
        assert line("request")["request_id"] == "abc-1"
    finally:
        request_id.reset(token)


def test_a_key_is_masked_wherever_it_stands() -> None:
    key = make_key().text
    assert key not in json.dumps(line(f"url ?key={key}", header=f"Bearer {key}"))


def test_an_exception_shows_its_type_and_places_but_not_its_text() -> None:
    try:
        raise ValueError("mon salaire est de 1500 euros")
    except ValueError as error:
        shown = line("failed", exception=error)
    assert shown["exception"] == "ValueError"
    assert "test_log.py" in str(shown["places"])
    assert "salaire" not in json.dumps(shown)


def test_only_sane_request_ids_are_accepted() -> None:
    assert accepted_request_id("abc-123") == "abc-123"
    for bad in ("", "a b", "é", "x" * 65, "a\nb", None):
        assert accepted_request_id(bad) != bad


@pytest.mark.parametrize(
    "secret",
    [
        "paul.durand@example.org",
        "hf_" + "a1" * 12,
        "123456789:AAF" + "x" * 32,
        "bot123456789:AAF" + "x" * 32,
        "cdt_" + "0" * 12,
    ],
)
def test_addresses_and_tokens_are_masked(secret: str) -> None:
    shown = json.dumps(line(f"refused by {secret}, twice", detail=secret))
    assert secret not in shown
    assert "twice" in shown


def test_lines_go_to_files_by_level_and_day(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    try:
        configure_logging("ai_core", "INFO", tmp_path)
        logging.getLogger("x").debug("left out")
        logging.getLogger("x").info("fine")
        logging.getLogger("x").critical("bad")
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers, root.level = before, level
    names = {file.path.name.split(".")[1]: file.path for file in log_files(tmp_path)}
    assert set(names) == {"info", "error"}
    assert [json.loads(row)["message"] for row in names["error"].read_text().splitlines()] == ["bad"]
