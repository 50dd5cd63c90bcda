"""Mail addresses: read from headers that anybody may have written, compared as servers compare them."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_LENGTH = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\]+@(?:[^\s@<>\"(),:;\\.]+\.)*[^\s@<>\"(),:;\\.]+")


@dataclass(frozen=True, slots=True)
class Address:
    """`address` is in lower case, its domain as ASCII (IDNA); `name` is what the person calls themselves, or empty."""

    name: str
    address: str

    @property
    def local_part(self) -> str:
        """What stands before the @, without a +detail (RFC 5233)."""
        return self.address.rpartition("@")[0].partition("+")[0]

    @property
    def domain(self) -> str:
        """What stands after the @."""
        return self.address.rpartition("@")[2]


def addresses_in(headers: Iterable[str]) -> tuple[Address, ...]:
    """Every well-formed address in these header values, in order, each once."""
    found: dict[str, Address] = {}
    try:
        pairs = email.utils.getaddresses(list(headers))
    except RecursionError:  # comments in comments, thousands deep
        return ()
    for name, text in pairs:
        address = normalised(text)
        if address is not None:
            found.setdefault(address, Address(" ".join(name.split()), address))
    return tuple(found.values())


def normalised(text: str) -> str | None:
    """`text` as we store and compare addresses, or None when it is none."""
    local, _, domain = text.strip().rpartition("@")
    if not local.isascii():
        return None  # SMTPUTF8 (RFC 6531), which few servers speak
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    address = f"{local}@{ascii_domain}".lower()
    return address if len(address) <= MAX_LENGTH and _ADDRESS.fullmatch(address) else None


def same_mailbox(first: str, second: str) -> bool:
    """Whether two normalised addresses are one mailbox, a +detail apart."""
    one, other = Address("", first), Address("", second)
    return (one.local_part, one.domain) == (other.local_part, other.domain)


def matches(address: str, patterns: Iterable[str]) -> bool:
    """Whether `address` is one of `patterns`: an address, or a domain with those below it (`example.org`)."""
    domain = address.rpartition("@")[2]
    for pattern in patterns:
        wanted = pattern.lower().lstrip("@")
        if wanted == address or domain == wanted or domain.endswith("." + wanted):
            return True
    return False
