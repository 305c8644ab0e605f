"""What several accounts may share: digests of an order's address, phone and cards. Pure.

Only digests are kept and compared; who lives at an address is not read from them.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from contracts.orders import OrderSnapshot

DIGEST_CHARACTERS = 32
SHARED_BY_MAX = 20
"""What more accounts share than this is a parcel shop or an office, and says nothing."""


def fingerprints(order: OrderSnapshot) -> tuple[str, ...]:
    """The digests of an order, each once."""
    return tuple(dict.fromkeys(_digest(*parts) for parts in _shared(order)))


def _shared(order: OrderSnapshot) -> Iterator[tuple[str, ...]]:
    place = order.ship_to
    if place is not None:
        where = (place.line1, place.line2 or "", place.postal_code, place.country)
        yield "address", *(_plain(part) for part in where)
    if order.buyer.phone is not None:
        yield "phone", "".join(each for each in order.buyer.phone if each.isdigit()).lstrip("0")
    for payment in order.payments:
        if payment.fingerprint is not None:
            yield "payment", payment.processor, payment.fingerprint


def _plain(part: str) -> str:
    """As two people might write the same: case, accents, spaces and points do not count."""
    letters = unicodedata.normalize("NFKD", part.casefold())
    return "".join(each for each in letters if each.isalnum())


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:DIGEST_CHARACTERS]


def others(found: Iterable[tuple[str, str]]) -> int:
    """How many other accounts are linked. `found`: (digest, other account), each once."""
    by_digest: dict[str, set[str]] = {}
    for digest, account in found:
        by_digest.setdefault(digest, set()).add(account)
    return len(_few(by_digest))


def _few(by_digest: Mapping[str, set[str]]) -> set[str]:
    linked = [each for each in by_digest.values() if len(each) <= SHARED_BY_MAX]
    return set().union(*linked)
