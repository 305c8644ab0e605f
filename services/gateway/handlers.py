"""What the gateway does with each message: keep it as a fact of the return that it names."""

from __future__ import annotations

from typing import Any

from contracts import decisions, lifecycle, orders, requests
from contracts.base import Message
from services.chassis.service import Handler
from services.gateway import evolve
from services.gateway.work import GatewayWork


def on_order(work: GatewayWork, message: orders.OrderSnapshot) -> None:
    known = work.orders.get(message.order_id)
    if known is None or known.version < message.version:
        work.orders[message.order_id] = message


def on_request(work: GatewayWork, message: requests.ReturnRequest) -> None:
    work.head(message.return_id).requested(message)
    work.facts.append((message.return_id, message))


def on_status_changed(work: GatewayWork, message: lifecycle.ReturnStatusChanged) -> None:
    work.head(message.return_id).status_changed(message)
    work.facts.append((message.return_id, message))


def on_decision(work: GatewayWork, message: decisions.ReturnDecisionMade) -> None:
    work.head(message.return_id).decided(message)
    work.facts.append((message.return_id, message))


def on_fact(work: GatewayWork, message: Any) -> None:
    if message.return_id is None:
        work.ignore("names no return")
        return
    work.facts.append((message.return_id, message))


HANDLERS: dict[type[Message], Handler] = {
    **dict.fromkeys(evolve.MOVES, on_fact),
    orders.OrderSnapshot: on_order,
    requests.ReturnRequest: on_request,
    lifecycle.ReturnStatusChanged: on_status_changed,
    decisions.ReturnDecisionMade: on_decision,
}
