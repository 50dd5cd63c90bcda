"""Which model the settings name, and what they refuse about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_core.settings import EMBEDDED_MODEL, Settings
from common.env import SettingError


def test_without_settings_the_embedded_model_serves() -> None:
    settings = Settings.from_environment({})
    assert settings.model_file == EMBEDDED_MODEL
    assert settings.remote_urls == ()
    assert settings.model_adapters == {}


def test_a_model_may_be_a_folder_with_adapters(tmp_path: Path) -> None:
    (tmp_path / "droit").mkdir()
    variables = {"MODEL_FILE": str(tmp_path), "MODEL_ADAPTERS": f"droit={tmp_path / 'droit'}"}
    settings = Settings.from_environment(variables)
    assert settings.model_file == tmp_path
    assert settings.model_adapters == {"droit": tmp_path / "droit"}


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"MODEL_FILE": "/gone"}, "MODEL_FILE: /gone does not exist"),
        ({"MODEL_ADAPTERS": "a=/gone"}, "MODEL_ADAPTERS: /gone does not exist"),
        ({"MODEL_ADAPTERS": "droit"}, "MODEL_ADAPTERS: 'droit' is not NAME=VALUE"),
        ({"REMOTE_URLS": "ftp://a"}, "REMOTE_URLS: ftp://a is not an http"),
        ({"REMOTE_URLS": "http://a", "MODEL_FILE": "/"}, "REMOTE_URLS: a remote model takes neither"),
        ({"REMOTE_MODEL": "m"}, "REMOTE_URLS: must be set"),
        ({"REMOTE_API_KEY": "k"}, "REMOTE_URLS: must be set"),
        ({"MODEL_SWITCH_GRACE": "-1"}, "MODEL_SWITCH_GRACE: "),
        ({"WATCHDOG_USEC": "soon"}, "WATCHDOG_USEC: "),
        ({"SECRET_KEY": "short"}, "SECRET_KEY: each secret needs 32 characters"),
        ({"KNOWLEDGE_UPDATE_AT": "24:00"}, "KNOWLEDGE_UPDATE_AT: '24:00' is neither HH:MM nor off"),
        ({"WEBHOOK_URLS": "http://a"}, "WEBHOOK_KEY: must be set"),
        ({"WEBHOOK_URLS": "a", "WEBHOOK_KEY": "k"}, "WEBHOOK_URLS: one of them is not"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(variables: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingError, match=f"^{complaint}"):
        Settings.from_environment(variables)


def test_secrets_are_read_newest_first_and_never_shown() -> None:
    settings = Settings.from_environment(
        {"SECRET_KEY": f"{'n' * 32},{'o' * 32}", "WEBHOOK_URLS": "https://a/token", "WEBHOOK_KEY": "s3cret"}
    )
    assert settings.secret_key == ("n" * 32, "o" * 32)
    assert not any(secret in repr(settings) for secret in ("nnn", "s3cret", "token"))


def test_the_key_of_the_remote_servers_is_read_from_a_file_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    settings = Settings.from_environment({"REMOTE_URLS": "http://a", "REMOTE_API_KEY_FILE": str(tmp_path / "key")})
    assert settings.remote_api_key == "s3cret"
    assert "s3cret" not in repr(settings)
