"""A database with our tables."""

from __future__ import annotations

from collections.abc import Iterator

import peewee
import pytest

from ai_core.storage import database_proxy, open_storage
from common.database import connection


@pytest.fixture
def database(database_url: str) -> Iterator[peewee.Database]:
    """Our tables in it, with a connection for this thread."""
    before = database_proxy.obj
    opened = open_storage(database_url)
    with connection(opened):
        yield opened
    database_proxy.initialize(before)
