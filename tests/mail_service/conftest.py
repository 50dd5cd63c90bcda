"""A mail system for all tests of the service, emptied for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mail_service.service import Service, build_service
from tests.mail_system import MailSystem, missing


@pytest.fixture(scope="session")
def running_mail_system() -> Iterator[MailSystem]:
    reason = missing()
    if reason and os.environ.get("CI") != "true":
        pytest.skip(reason)
    system = MailSystem()
    try:
        system.start()
        yield system
    finally:
        system.remove()


@pytest.fixture
def mail_system(running_mail_system: MailSystem) -> MailSystem:
    """Dovecot and Postfix, their mailboxes empty."""
    running_mail_system.empty()
    return running_mail_system


@pytest.fixture
def service(mail_system: MailSystem, tmp_path: Path) -> Iterator[Service]:
    """The mail service with a scripted AI core."""
    built = build_service(mail_system, tmp_path)
    yield built
    built.close()
