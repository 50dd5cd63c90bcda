"""The networks that a key may be used from: every address and CIDR that Python reads, and nothing else."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_core.api.key_schemas import NETWORK
from tests.fakes import Core


@given(st.ip_addresses(), st.integers(0, 32))
def test_every_address_is_one(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> None:
    assert re.search(NETWORK, str(address))
    assert re.search(NETWORK, f"{address}/{length}")


@given(st.from_regex(NETWORK, fullmatch=True))
def test_whatever_the_pattern_allows_can_be_read(text: str) -> None:
    ipaddress.ip_network(text.strip(), strict=False)


@pytest.mark.parametrize("network", ["::", "::1", "2001:db8::/32", "1::", "1:2:3:4:5:6:7::", "10.0.0.1", "0.0.0.0/0"])
def test_common_forms_are_accepted(core: Core, network: str) -> None:
    body = {"name": "a", "scopes": ["chat"], "allowed_networks": [network]}
    response = core.app.test_client().post("/api/v1/admin/keys", json=body, headers=core.headers("admin"))
    assert response.status_code == 201


@pytest.mark.parametrize("network", ["", "x", "1.2.3", "1.2.3.256", "1.2.3.4/33", ":::", "1::2::3", "::/129", "é"])
def test_others_are_refused_by_name(core: Core, network: str) -> None:
    body = {"name": "a", "scopes": ["chat"], "allowed_networks": [network]}
    response = core.app.test_client().post("/api/v1/admin/keys", json=body, headers=core.headers("admin"))
    assert response.status_code == 422
    assert "allowed_networks" in response.get_json()["errors"]
