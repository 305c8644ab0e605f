"""The bodies of HTTP calls: the messages, with what the path or the gateway supplies left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, create_model

from contracts import requests, reviews, warehouse
from contracts.base import Currency, Identifier, Instant, Message, ReturnId
from contracts.requests import Locale

Made = TypeVar("Made", bound=Message)

RETURN_ID = (ReturnId | None, None)
IDENTIFIER = (Identifier | None, None)
INSTANT = (Instant | None, None)


def _body(message: type[Message], optional: Mapping[str, Any]) -> type[BaseModel]:
    name = f"{message.__name__}Body"
    model: type[BaseModel] = create_model(
        name, __base__=message, __doc__=message.__doc__, **optional
    )
    return model


SAID = {"currency": (Currency, ...), "channel": (requests.Channel, ...), "locale": (Locale, ...)}
"""The interface requires these; only readers of the bus, who cannot answer, do without them."""

Return = _body(requests.ReturnRequest, {"return_id": RETURN_ID, "requested_at": INSTANT, **SAID})
Cancel = _body(requests.CancelReturn, {"return_id": RETURN_ID, "requested_at": INSTANT})
Evidence = _body(requests.EvidenceAdded, {"return_id": RETURN_ID, "added_at": INSTANT})
Settlement = _body(requests.SettlementChosen, {"return_id": RETURN_ID, "consent_at": INSTANT})
Reversal = _body(requests.ReversalRequested, {"return_id": RETURN_ID, "requested_at": INSTANT})
Review = _body(
    reviews.ReviewDecided,
    {"return_id": RETURN_ID, "reviewer": IDENTIFIER, "decided_at": INSTANT},
)
Scan = _body(warehouse.ParcelScanned, {"event_id": IDENTIFIER})
Receipt = _body(warehouse.ItemReceived, {"event_id": IDENTIFIER})
Inspection = _body(warehouse.ItemInspected, {"event_id": IDENTIFIER})


def completed(body: BaseModel, message: type[Made], **left_out: Any) -> Made:
    """The message: what the body says, and `left_out` for what it does not say."""
    values = dict(body)
    for name, value in left_out.items():
        if values.get(name) is None:
            values[name] = value
    return message.model_validate(values)
