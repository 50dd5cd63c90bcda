"""Settings: one line that names the variable, or all of them."""

from __future__ import annotations

import pytest

from common.env import SettingError
from mail_service.settings import Settings
from tests.mail_service.test_templates import NEEDED


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_must_be_set_is_named(name: str) -> None:
    variables = {**NEEDED}
    del variables[name]
    with pytest.raises(SettingError, match=f"^{name}: must be set$"):
        Settings.from_environment(variables)


@pytest.mark.parametrize(
    ("name", "value"),
    [("EMAIL_ADDRESS", "nobody"), ("EMAIL_ALIASES", "a@b.example nobody"), ("SENT_COPY", "perhaps"), ("PORT", "0")],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"^{name}: "):
        Settings.from_environment({**NEEDED, name: value})


@pytest.mark.parametrize(
    ("variables", "implicit"),
    [
        ({}, (True, False)),
        ({"IMAP_PORT": "143", "SMTP_PORT": "465"}, (False, True)),
        ({"SMTP_SSL": "true", "SMTP_PORT": "587"}, (True, False)),  # 587 means STARTTLS whatever a flag says
        ({"IMAP_SSL": "false", "IMAP_PORT": "1143", "SMTP_SSL": "true", "SMTP_PORT": "1465"}, (False, True)),
    ],
)
def test_ports_say_when_tls_begins(variables: dict[str, str], implicit: tuple[bool, bool]) -> None:
    settings = Settings.from_environment({**NEEDED, **variables})
    assert (settings.imap_ssl, settings.smtp_ssl) == implicit


def test_secrets_are_not_shown() -> None:
    settings = Settings.from_environment({**NEEDED, "EMAIL_PASSWORD": "geheim", "SECRET_KEY": "s" * 40})
    assert "geheim" not in repr(settings)
    assert "ssss" not in repr(settings)


def test_the_domain_follows_the_address() -> None:
    settings = Settings.from_environment(NEEDED)
    assert (settings.email_domain, settings.smtp_username) == ("cdt.example", "assistant@cdt.example")
