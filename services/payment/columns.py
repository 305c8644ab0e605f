"""Rows as the arrays of set-wise INSERTs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from services.payment import messages
from services.payment.decide.orders import loyalty_account
from services.payment.decide.rows import CreditNote, Posting, RefundMove, StoreCredit
from services.payment.model import OrderMoney, Refund

Row = Callable[..., tuple[Any, ...]]
PLACEHOLDER = re.compile(r"\$(\d+)")


def joined(parts: Sequence[tuple[str, Sequence[list[Any]]]]) -> tuple[str, list[Any]]:
    """Several INSERTs as one statement: only those that have rows."""
    texts: list[str] = []
    arguments: list[Any] = []
    for number, (text, columns) in enumerate(parts):
        shift = len(arguments)
        shifted = _shifted(text, shift)
        texts.append(f"part{number} AS ({shifted})")
        arguments.extend(columns)
    return f"WITH {', '.join(texts)} SELECT 1", arguments


def of(make: Row, booked: Iterable[tuple[Any, str, str]], now: datetime) -> Sequence[list[Any]]:
    """Columns of what a batch has booked; `make` turns (row, order id, cause, now) into a tuple."""
    return columns(make(*each, now) for each in booked)


def _shifted(text: str, by: int) -> str:
    return PLACEHOLDER.sub(lambda found: f"${int(found[1]) + by}", text)


def columns(rows: Iterable[tuple[Any, ...]]) -> Sequence[list[Any]]:
    """Rows turned into columns; empty where there are none."""
    return [list(column) for column in zip(*rows, strict=True)]


def of_orders(orders: Sequence[OrderMoney]) -> Sequence[list[Any]]:
    return columns(
        (
            each.order_id,
            each.version,
            each.customer_id,
            loyalty_account(each),
            each.currency,
            each.model_dump_json(exclude_defaults=True),
        )
        for each in orders
    )


def posting(row: Posting, order_id: str, cause: str, now: datetime) -> tuple[Any, ...]:
    return (
        row.book,
        row.holder,
        order_id,
        str(row.source),
        str(row.target),
        row.amount,
        row.unit,
        row.test,
        row.return_id,
        row.refund_id,
        cause,
        now,
    )


def intent(row: Refund, order_id: str, cause: str, now: datetime) -> tuple[Any, ...]:
    return (
        row.refund_id,
        row.return_id,
        order_id,
        row.method.value,
        row.payment_id,
        row.amount,
        row.currency,
        row.decision_sequence,
        row.replaces,
        row.test,
        cause,
        now,
    )


def move(row: RefundMove, order_id: str, cause: str, now: datetime) -> tuple[Any, ...]:
    return (
        row.refund_id,
        row.event.value,
        row.state.value,
        row.attempt,
        row.key,
        row.processor_reference,
        row.detail,
        cause,
        now,
    )


def note(row: CreditNote, order_id: str, cause: str, now: datetime) -> tuple[Any, ...]:
    return (
        row.series,
        row.ordinal,
        row.number,
        order_id,
        row.return_id,
        row.refund_id,
        row.rate_bps,
        row.net,
        row.tax,
        row.currency,
        row.original_reference,
        row.period,
        row.test,
        now,
    )


def credit(row: StoreCredit, order_id: str, cause: str, now: datetime) -> tuple[Any, ...]:
    return (
        row.credit_id,
        row.customer_id,
        order_id,
        row.return_id,
        row.refund_id,
        row.amount,
        row.currency,
        row.expires_at,
        row.test,
        now,
    )


def event(
    row: messages.WebhookReceived, order_id: str, cause: str, now: datetime
) -> tuple[Any, ...]:
    return (
        row.event_id,
        row.event_type,
        row.object_type,
        row.object_id,
        row.body_sha256,
        order_id or None,
        now,
    )


def debit(
    row: messages.DebitStoreCredit, order_id: str, cause: str, now: datetime
) -> tuple[Any, ...]:
    return (
        row.debit_id,
        row.customer_id,
        row.kind.value,
        row.amount,
        row.currency,
        order_id,
        row.test,
        now,
    )
