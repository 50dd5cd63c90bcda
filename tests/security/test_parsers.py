"""Whatever arrives: read, or refused in the reader's own words. Never another exception."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.parsers import TARGETS

SPECIAL = st.sampled_from(
    [
        b"",
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\r\n",
        b"\n",
        b"[" * 3_000,
        b'{"a":' * 1_500,
        b"9" * 5_000,
        b"1e999",
        b"NaN",
        b"-1",
        b"\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"null",
        b'""',
        "\u2028".encode(),
        b"=?utf-8?b?",
        b"*" * 500,
    ]
)


@pytest.mark.parametrize("name", TARGETS)
def test_reads_or_refuses(name: str) -> None:
    read, seeds = TARGETS[name]

    @given(st.binary(max_size=400))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def any_bytes(data: bytes) -> None:
        read(data)

    @given(
        st.sampled_from(seeds),
        st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 30), SPECIAL | st.binary(max_size=8)), max_size=4),
    )
    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    def a_piece_broken(seed: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
        for place, length, piece in cuts:
            place %= len(seed) + 1
            seed = seed[:place] + piece + seed[place + length :]
        read(seed)

    for seed in seeds:
        read(seed)
    any_bytes()
    a_piece_broken()
