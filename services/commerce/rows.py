"""Rows of commerce's store as what they mean, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from contracts.base import Message
from contracts.decisions import ReturnDecisionMade
from contracts.orders import OrderSnapshot
from contracts.requests import ReturnRequest
from services.commerce import messages
from services.commerce.model import Return
from services.commerce.papers import Dossier, Facts, Order, Paper


def read_order(row: Any) -> Order:
    paper = Paper(OrderSnapshot, row["document"])
    return Order(row["order_id"], row["version"], paper, tuple(row["disputes"]))


def read_dossier(row: Any) -> Dossier:
    standing = row["standing"]
    return Dossier(
        Return.model_validate_json(row["document"]),
        Paper(ReturnRequest, row["request"]),
        Paper(Facts, row["facts"]),
        Paper(ReturnDecisionMade, standing) if standing is not None else None,
    )


def text(body: Message, name: str) -> str | None:
    value = getattr(body, name, None)
    return value if isinstance(value, str) else None


def claimed(body: Message) -> tuple[str, ...]:
    claim = body.claim if isinstance(body, ReturnRequest) and body.order_id is None else None
    return (claim.order_number.lower(),) if claim is not None and claim.order_number else ()


def keys(body: Message, found: dict[tuple[str, str], set[str]]) -> set[str]:
    """What a message names, and the keys that these names are known to have."""
    keys = {
        value
        for name in ("order_id", "return_id", "linked_order_id")
        if (value := text(body, name)) is not None
    }
    known = [("return", key) for key in keys]
    known += [("number", number) for number in claimed(body)]
    if isinstance(body, OrderSnapshot):
        known.append(("claim", body.order_number.lower()))
    keys = keys.union(*(found.get(each, set()) for each in known))
    return keys or ({body.quote.quote_id} if isinstance(body, messages.QuoteGiven) else keys)


def columns(rows: Iterable[tuple[Any, ...]]) -> Sequence[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def return_row(dossier: Dossier, stored: dict[str, Dossier]) -> tuple[Any, ...]:
    current, before = dossier.current, stored.get(dossier.return_id)
    shown, terms = current.shown, current.terms
    assert shown is not None
    same_request = before is not None and before.request is dossier.request
    same_facts = before is not None and before.facts is dossier.facts
    return (
        current.return_id,
        current.order_key,
        current.order_id,
        current.customer_id,
        str(current.state),
        str(shown.status),
        str(shown.party),
        shown.until,
        current.requested_at,
        current.test,
        current.value,
        terms.total if terms is not None else 0,
        current.live_amount,
        terms.currency if terms is not None else None,
        "\x1f".join(current.skus),
        current.reason,
        current.abuse,
        current.claim[0] if current.claim is not None else None,
        current.model_dump_json(exclude_defaults=True),
        None if same_request else dossier.request.text,
        None if same_facts else dossier.facts.text,
    )


def decision_row(dossier: Dossier, made: ReturnDecisionMade) -> tuple[Any, ...]:
    return (
        made.return_id,
        made.sequence,
        dossier.current.order_key,
        str(made.decision),
        made.decided_at,
        made.model_dump_json(exclude_none=True),
    )


def quote_row(given: messages.QuoteGiven) -> tuple[Any, ...]:
    quote = given.quote
    return (
        quote.quote_id,
        given.order_id,
        quote.refund.total,
        quote.currency,
        quote.valid_until,
        given.given_at,
        quote.model_dump_json(exclude_none=True),
    )
