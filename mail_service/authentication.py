"""Whether a mail comes from where it says: Authentication-Results of our own server (RFC 8601), DKIM seen ourselves.

Anybody can write an Authentication-Results header. We believe the topmost one with our server's authserv-id: headers
are added on top, and our server removes those that pretend to be its own (RFC 8601, section 5).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from email.message import Message
from enum import Enum
from typing import Any

from mail_service.addresses import addresses_in
from mail_service.header_text import header_values

logger = logging.getLogger(__name__)
_silent = logging.Logger("dkim")  # it would log the senders' domains
_silent.addHandler(logging.NullHandler())

Dns = Callable[..., Any]  # dkimpy's: a name -> its TXT record as bytes, or None
MAX_SIGNATURES = 5


class Dkim(str, Enum):
    """What we found ourselves of a signature by the sender's own domain."""

    NONE = "none"  # not signed by that domain
    PASS = "pass"  # noqa: S105 - a result
    FAIL = "fail"
    UNKNOWN = "unknown"  # its key could not be fetched


def results_of(message: Message, authserv_id: str | None) -> dict[str, list[tuple[str, str]]]:
    """Our server's results: for each method (dkim, spf, dmarc) the results with the domain that each is about."""
    import authres  # type: ignore[import-untyped]

    found: dict[str, list[tuple[str, str]]] = {}
    for value in header_values(message, "Authentication-Results"):
        try:
            header = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {value}")
        except (authres.core.SyntaxError, ValueError, IndexError, RecursionError):
            continue
        if authserv_id is None or str(header.authserv_id or "").lower() != authserv_id.lower():
            continue
        for result in header.results:
            domain = next(
                (str(prop.value) for prop in result.properties if prop.name in ("from", "d", "i", "mailfrom")), ""
            )
            found.setdefault(str(result.method).lower(), []).append((str(result.result).lower(), domain.lower()))
        break
    return found


def is_refused_by_dmarc(message: Message, authserv_id: str | None) -> bool:
    """Whether our server found that the sender's domain disowns this mail (RFC 7489)."""
    return any(result == "fail" for result, _ in results_of(message, authserv_id).get("dmarc", ()))


def own_look(raw: bytes, message: Message, dns: Dns | None = None) -> Dkim:
    """Check the signatures of the sender's domain in `raw`. `dns` replaces the system's resolver."""
    domain = next((sender.domain for sender in addresses_in(header_values(message, "From"))), "")
    signed_by = [_tag(value, "d") for value in header_values(message, "DKIM-Signature")[:MAX_SIGNATURES]]
    verdicts = [
        _look_at(raw, at, dns)
        for at, signer in enumerate(signed_by)
        if signer and (domain == signer or domain.endswith("." + signer))
    ]
    return next((verdict for verdict in (Dkim.PASS, Dkim.UNKNOWN, Dkim.FAIL) if verdict in verdicts), Dkim.NONE)


def _look_at(raw: bytes, at: int, dns: Dns | None) -> Dkim:
    import dkim  # type: ignore[import-untyped]
    from dkim.dnsplug import get_txt  # type: ignore[import-untyped]

    keys: list[bool] = []

    def fetch(name: bytes, timeout: int = 5) -> Any:
        record = (dns or get_txt)(name, timeout=timeout)
        keys.append(bool(record))
        return record

    try:
        if dkim.DKIM(raw, logger=_silent, timeout=5).verify(idx=at, dnsfunc=fetch):
            return Dkim.PASS
    except dkim.ValidationError:  # another body than the one that was signed
        return Dkim.FAIL
    except Exception as error:  # noqa: BLE001 - resolvers and malformed signatures raise anything
        logger.info("DKIM signature not checked", extra={"reason": type(error).__name__})
        return Dkim.UNKNOWN
    return Dkim.FAIL if all(keys) else Dkim.UNKNOWN


def is_doubtful(raw: bytes, message: Message, authserv_id: str | None, dns: Dns | None = None) -> bool:
    """Whether our server vouches for the sender by DKIM alone while the signature, looked at again, does not hold."""
    results = results_of(message, authserv_id)
    passed = {method for method, found in results.items() for result, _ in found if result == "pass"}
    return "dkim" in passed and "spf" not in passed and own_look(raw, message, dns) is Dkim.FAIL


def _tag(signature: str, name: str) -> str:
    for part in signature.split(";"):
        tag, _, value = part.partition("=")
        if tag.strip() == name:
            return value.strip().lower()
    return ""
