"""What is wrong with a setting is one line that names it and shows no secret."""

from __future__ import annotations

import pytest

from common.env import SettingError
from telegram_service.settings import Settings

TOKEN = "123456789:AAabcdefghijklmnopqrstuvwxyz0123456"
NEEDED = {"TELEGRAM_BOT_TOKEN": TOKEN, "AI_API_KEY": "cdt-key"}


def test_three_lines_are_enough_for_a_start() -> None:
    settings = Settings.from_environment(NEEDED)
    assert (settings.port, settings.max_messages_per_minute, settings.session_timeout) == (8001, 30, 3_600)
    chosen = (settings.temperature, settings.top_p, settings.top_k, settings.repetition_penalty)
    assert chosen == (None, None, None, None), "the AI core knows the channel"
    assert (settings.max_tokens, settings.max_conversation_length) == (512, 50)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEGRAM_BOT_TOKEN", "your_telegram_bot_token_here"),
        ("TELEGRAM_BOT_TOKEN", ""),
        ("AI_API_KEY", ""),
        ("WEBHOOK_SECRET", "court"),
        ("WEBHOOK_SECRET", "avec des espaces partout"),
        ("WEBHOOK_URL", "telegram.example.org/webhook"),
        ("WEBHOOK_URL", "https://user:password@telegram.example.org/webhook"),
        ("TELEGRAM_API_URL", "ftp://api.telegram.org"),
        ("AI_API_URL", "http://[::1"),
        ("ADMIN_USERS", "@anna"),
        ("ALLOWED_USERS", "12;13"),
        ("SECRET_KEY", "short"),
        ("DEBUG", "perhaps"),
        ("WORKER_THREADS", "0"),
        ("TEMPERATURE", "nan"),
        ("PORT", "8001 # the port"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingError) as refused:
        Settings.from_environment({**NEEDED, name: value})
    assert str(refused.value).startswith(f"{name}: ")
    assert "\n" not in str(refused.value)
    assert "your_telegram" not in str(refused.value)
    assert "password" not in str(refused.value)


def test_people_are_numbers() -> None:
    settings = Settings.from_environment({**NEEDED, "ADMIN_USERS": "12, 13", "BLOCKED_USERS": "99"})
    assert settings.admin_users == (12, 13)
    assert settings.blocked_users == (99,)


def test_debug_means_the_log_level() -> None:
    assert Settings.from_environment({**NEEDED, "DEBUG": "true", "LOG_LEVEL": "ERROR"}).log_level == "DEBUG"


def test_no_secret_is_in_what_a_traceback_may_show() -> None:
    settings = Settings.from_environment({**NEEDED, "WEBHOOK_SECRET": "w" * 20, "SECRET_KEY": "s" * 40})
    for secret in (TOKEN, "cdt-key", "w" * 20, "s" * 40):
        assert secret not in repr(settings)
