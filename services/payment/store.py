"""Payment's store: one row per order under its lock; money is only ever appended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contracts.base import Message
from contracts.decisions import RefundReleased, ReversalReleased
from contracts.quarantine import RecordQuarantined
from services.chassis.work import AnyConnection, IdentityMap, Received, UnitOfWork
from services.payment import columns, messages
from services.payment.decide.draft import Facts, MoneyDecision
from services.payment.decide.legs import series_of
from services.payment.decide.orders import loyalty_account
from services.payment.decide.rows import (
    STORE_CREDIT,
    CreditNote,
    Posting,
    RefundMove,
    StoreCredit,
)
from services.payment.messages import CreditExpired, DebitStoreCredit
from services.payment.model import OrderMoney, Refund

CREDIT_NOTES = "~credit-notes"
"""Locked by whoever may number credit notes; it sorts behind order ids, so it is locked last."""
MAY_SETTLE = (
    messages.RefundSubmitted,
    messages.RefundSeen,
    messages.PaymentSeen,
    messages.ReversalCharged,
    RefundReleased,
    ReversalReleased,
)

# References belong to orders for ever: rows are only added. The customer of an order may change in
# theory; then the ledger's CHECK is what keeps their credit.
KEYS = """
SELECT 'payment' AS kind, processor_reference AS name, order_id AS key FROM payments
WHERE processor_reference = ANY($1::text[])
UNION ALL SELECT 'order', order_id, customer_id FROM order_money WHERE order_id = ANY($2::text[])
"""
# Under the locks of these orders nobody else reads or writes their rows. Balances of customers are
# read as they stand: another order of the same customer may add to them at the same time. Whoever
# takes from store credit has locked its customer.
LOAD_ORDERS = """
SELECT order_id, document,
    (SELECT balance FROM account_balances AS b WHERE b.book = 'loyalty'
        AND b.holder = o.loyalty_account AND b.unit = 'PTS' AND NOT b.test) AS points,
    (SELECT balance FROM account_balances AS b WHERE b.book = 'store_credit'
        AND b.holder = o.customer_id AND b.unit = o.currency AND NOT b.test) AS credit,
    (SELECT balance FROM account_balances AS b WHERE b.book = 'store_credit'
        AND b.holder = o.customer_id AND b.unit = o.currency AND b.test) AS test_credit
FROM order_money AS o WHERE order_id = ANY($1::text[])
"""
# An event is stored once and for ever.
LOAD_EVENTS = "SELECT event_id FROM webhook_events WHERE event_id = ANY($1::text[])"
# Under the lock of the customer; a refund may add to the balance meanwhile.
LOAD_CREDIT = """
SELECT holder, unit, balance FROM account_balances
WHERE book = 'store_credit' AND holder = ANY($1::text[]) AND NOT test
"""
# A debit is stored once and for ever.
LOAD_DEBITS = """
SELECT debit_id, customer_id, kind, amount, currency, order_id, test FROM store_credit_debits
WHERE debit_id = ANY($1::text[])
"""
# Under the lock of the customer: what was issued, in its order,
CREDITS = """
SELECT credit_id, customer_id, return_id, refund_id, amount, currency, expires_at, test
FROM store_credits WHERE customer_id = ANY($1::text[]) ORDER BY at, credit_id
"""
# and what came in and went out since.
CREDIT_ENTRIES = """
SELECT book, holder, source, target, amount, unit, return_id, refund_id, test
FROM ledger WHERE book = 'store_credit' AND holder = ANY($1::text[]) ORDER BY seq
"""
# A second debit of the same id fails.
INSERT_DEBITS = """
INSERT INTO store_credit_debits (debit_id, customer_id, kind, amount, currency, order_id, test, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[],
    $7::boolean[], $8::timestamptz[])
"""
# Under the lock of CREDIT_NOTES: the next number is the last one plus one, without gaps.
LOAD_LAST_NOTES = """
SELECT series, max(ordinal) AS last FROM credit_notes WHERE series = ANY($1::text[])
GROUP BY series
"""
# Under the locks of these orders.
SAVE_ORDERS = """
INSERT INTO order_money (order_id, version, customer_id, loyalty_account, currency, document)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::jsonb[])
ON CONFLICT (order_id) DO UPDATE SET version = EXCLUDED.version,
    customer_id = EXCLUDED.customer_id, loyalty_account = EXCLUDED.loyalty_account,
    currency = EXCLUDED.currency, document = EXCLUDED.document
"""
# Rows are only added; a twin adds nothing.
INSERT_PAYMENTS = """
INSERT INTO payments (order_id, payment_id, processor, processor_reference)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
ON CONFLICT DO NOTHING
"""
# The trigger keeps the balances in the same statement; its CHECK has the last word.
INSERT_LEDGER = """
INSERT INTO ledger (book, holder, order_id, source, target, amount, unit, test, return_id,
                    refund_id, cause, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
    $7::text[], $8::boolean[], $9::text[], $10::text[], $11::text[], $12::timestamptz[])
"""
# A second intent of the same name would be a second refund: it fails.
INSERT_INTENTS = """
INSERT INTO refund_intents (refund_id, return_id, order_id, method, payment_id, amount, currency,
    decision_sequence, replaces_refund_id, test, cause, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
    $7::text[], $8::integer[], $9::text[], $10::boolean[], $11::text[], $12::timestamptz[])
"""
# A history: rows are only added, under the lock of their order.
INSERT_MOVES = """
INSERT INTO refund_moves (refund_id, event, state, attempt, idempotency_key, processor_reference,
    detail, cause, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[],
    $7::text[], $8::text[], $9::timestamptz[])
"""
# Under the lock of CREDIT_NOTES; a number given twice fails.
INSERT_NOTES = """
INSERT INTO credit_notes (series, ordinal, number, order_id, return_id, refund_id, rate_bps, net,
    tax, currency, original_reference, period, test, at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::integer[], $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[],
    $13::boolean[], $14::timestamptz[])
"""
# A second credit of the same refund fails.
INSERT_CREDITS = """
INSERT INTO store_credits (credit_id, customer_id, order_id, return_id, refund_id, amount,
    currency, expires_at, test, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
    $7::text[], $8::timestamptz[], $9::boolean[], $10::timestamptz[])
"""
# The same event, delivered twice at the same time, is stored once.
INSERT_EVENTS = """
INSERT INTO webhook_events (event_id, type, object_type, object_id, body_sha256, order_id, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::timestamptz[])
ON CONFLICT DO NOTHING
"""
# Outside the pipeline, right before a charge: its order may be changing at this moment.
UNWANTED_SINCE = """
SELECT document #>> ARRAY['reversals', $2::text, 'unwanted_at'] FROM order_money WHERE order_id = $1
"""
# Outside the pipeline, right before submissions: of any number of executors one gets the row.
CLAIM = """
INSERT INTO submissions (refund_id, attempt, tries, idempotency_key, at)
SELECT refund_id, attempt, tries, key, $5::timestamptz
FROM unnest($1::text[], $2::integer[], $3::integer[], $4::text[])
    AS wanted (refund_id, attempt, tries, key)
ORDER BY refund_id, attempt, tries
ON CONFLICT DO NOTHING RETURNING refund_id, attempt, tries
"""


async def claim(
    pool: Any, intents: Sequence[messages.SubmitRefund], now: datetime
) -> set[tuple[str, int, int]]:
    """Take the right to submit these tries; which of them (refund, attempt, try) are ours."""
    rows = await pool.fetch(
        CLAIM,
        [each.refund_id for each in intents],
        [each.attempt for each in intents],
        [each.tries for each in intents],
        [each.key for each in intents],
        now,
    )
    return {(row["refund_id"], row["attempt"], row["tries"]) for row in rows}


async def unwanted_since(pool: Any, order_id: str, reversal_id: str) -> datetime | None:
    """When the refund that this reversal was to take back came to nothing."""
    found = await pool.fetchval(UNWANTED_SINCE, order_id, reversal_id)
    return datetime.fromisoformat(found) if found is not None else None


@dataclass(kw_only=True)
class Booked:
    """What a batch appends: (row, order id, cause) by kind."""

    postings: list[tuple[Posting, str, str]] = field(default_factory=list)
    intents: list[tuple[Refund, str, str]] = field(default_factory=list)
    moves: list[tuple[RefundMove, str, str]] = field(default_factory=list)
    notes: list[tuple[CreditNote, str, str]] = field(default_factory=list)
    credits: list[tuple[StoreCredit, str, str]] = field(default_factory=list)
    events: list[tuple[messages.WebhookReceived, str, str]] = field(default_factory=list)
    debits: list[tuple[messages.DebitStoreCredit, str, str]] = field(default_factory=list)


@dataclass(kw_only=True)
class PaymentWork(UnitOfWork):
    """The unit of work of the payment service."""

    credit_days: int | None = None
    """How long store credit can be spent; None: for ever."""
    orders: IdentityMap[OrderMoney] = field(
        init=False, default_factory=lambda: IdentityMap(lambda order: order.order_id)
    )
    booked: Booked = field(init=False, default_factory=Booked)
    known_events: set[str] = field(init=False, default_factory=set)
    orders_of: dict[str, list[str]] = field(init=False, default_factory=dict)
    """Processor reference -> orders, for the webhooks of this batch."""
    renamed: set[str] = field(init=False, default_factory=set)
    """Orders that came in a new version."""
    _last_notes: dict[str, int] = field(init=False, default_factory=dict)
    _points: dict[str, int] = field(init=False, default_factory=dict)
    known_debits: dict[str, DebitStoreCredit] = field(init=False, default_factory=dict)
    credit_of: dict[tuple[str, str, bool], int] = field(init=False, default_factory=dict)
    """(customer, currency, test) -> store credit, as this batch has left it."""
    credits: dict[str, list[StoreCredit]] = field(init=False, default_factory=dict)
    """Of customers of whom one expires: what was issued to them."""
    credit_entries: dict[str, list[Posting]] = field(init=False, default_factory=dict)
    """Of the same: what came in and went out, in order, as this batch has left it."""
    _customers: dict[str, str] = field(init=False, default_factory=dict)
    """Order -> customer, for what may take from store credit."""

    async def keys(
        self, connection: AnyConnection, received: Sequence[Received]
    ) -> list[tuple[str, ...]]:
        """The order; for webhooks the orders of the payment that they name.

        What takes from store credit is serial for each customer, too.
        """
        bodies = [each.body for each in received]
        references = {
            each.payment_reference
            for each in bodies
            if isinstance(each, messages.WebhookReceived) and each.payment_reference
        }
        reversed_ = {each.order_id for each in bodies if isinstance(each, ReversalReleased)}
        if references or reversed_:
            for row in await connection.fetch(KEYS, sorted(references), sorted(reversed_)):
                if row["kind"] == "order":
                    self._customers[row["name"]] = row["key"]
                else:
                    self.orders_of.setdefault(row["name"], []).append(row["key"])
        return [self._keys_of(body) for body in bodies]

    def _keys_of(self, body: Message) -> tuple[str, ...]:
        order_id: str | None = getattr(body, "order_id", None)
        if isinstance(body, messages.WebhookReceived):
            return (f"event:{body.event_id}", *self.orders_named(body))
        if isinstance(body, DebitStoreCredit | CreditExpired):
            return (f"customer:{body.customer_id}",)
        if isinstance(body, RecordQuarantined) or order_id is None:
            named: str | None = order_id or getattr(body, "return_id", None)
            return (named,) if named is not None else ()
        customer = self._customers.get(order_id) if isinstance(body, ReversalReleased) else None
        own = (order_id,) if customer is None else (order_id, f"customer:{customer}")
        return (*own, CREDIT_NOTES) if isinstance(body, MAY_SETTLE) else own

    def orders_named(self, event: messages.WebhookReceived) -> tuple[str, ...]:
        """The orders that a webhook may concern: by our own metadata, or by its payment."""
        found = self.orders_of.get(event.payment_reference or "", [])
        own = (event.order_id,) if event.order_id is not None else ()
        return tuple(dict.fromkeys((*own, *found)))

    async def load(
        self, connection: AnyConnection, keys: Sequence[str], received: Sequence[Received]
    ) -> None:
        for row in await connection.fetch(LOAD_ORDERS, list(keys)):
            order = OrderMoney.model_validate_json(row["document"])
            self.orders.load([order])
            self._points.setdefault(loyalty_account(order), row["points"] or 0)
            for test, credit in ((False, row["credit"]), (True, row["test_credit"])):
                account = (order.customer_id, order.currency, test)
                self.credit_of.setdefault(account, credit or 0)
        events = [
            each.body.event_id
            for each in received
            if isinstance(each.body, messages.WebhookReceived)
        ]
        if events:
            rows = await connection.fetch(LOAD_EVENTS, events)
            self.known_events.update(row["event_id"] for row in rows)
        await self._load_credit(connection, received)
        if CREDIT_NOTES in keys:
            series = [series_of(self.now.year, test=test) for test in (False, True)]
            for row in await connection.fetch(LOAD_LAST_NOTES, series):
                self._last_notes.setdefault(row["series"], row["last"])

    async def _load_credit(self, connection: AnyConnection, received: Sequence[Received]) -> None:
        debits = [each.body for each in received if isinstance(each.body, DebitStoreCredit)]
        if debits:
            for row in await connection.fetch(LOAD_DEBITS, [each.debit_id for each in debits]):
                self.known_debits[row["debit_id"]] = DebitStoreCredit.model_validate(dict(row))
            for row in await connection.fetch(LOAD_CREDIT, [each.customer_id for each in debits]):
                self.credit_of[row["holder"], row["unit"], False] = row["balance"]
        ended = {each.body.customer_id for each in received if isinstance(each.body, CreditExpired)}
        if ended:
            for row in await connection.fetch(CREDITS, sorted(ended)):
                self.credits.setdefault(row["customer_id"], []).append(StoreCredit(**row))
            for row in await connection.fetch(CREDIT_ENTRIES, sorted(ended)):
                self.credit_entries.setdefault(row["holder"], []).append(Posting(**row))

    def facts(self, order: OrderMoney | None, cause: str) -> Facts:
        """What a decision may know, as this batch has left it."""
        if order is None:
            return Facts(now=self.now, cause=cause, last_notes=self._last_notes)
        return Facts(
            now=self.now,
            cause=cause,
            last_notes=dict(self._last_notes),
            points=self._points.get(loyalty_account(order), 0),
            credit=self.credit_of.get((order.customer_id, order.currency, False), 0),
            test_credit=self.credit_of.get((order.customer_id, order.currency, True), 0),
            credit_days=self.credit_days,
        )

    def settle(self, decision: MoneyDecision, cause: str) -> None:
        """Keep a decision's state, book its money, record what follows."""
        order = decision.state
        self.orders.put(order)
        by = (order.order_id, cause)
        self.book(decision.postings, *by)
        self.booked.intents.extend((each, *by) for each in decision.released)
        self.booked.moves.extend((each, *by) for each in decision.moves)
        self.booked.notes.extend((each, *by) for each in decision.notes)
        self.booked.credits.extend((each, *by) for each in decision.credits)
        for note in decision.notes:
            self._last_notes[note.series] = note.ordinal
        account = loyalty_account(order)
        self._points[account] = self._points.get(account, 0) + decision.points
        self.record(decision, key=order.order_id, causation_id=cause)

    def book(self, postings: Iterable[Posting], order_id: str, cause: str) -> None:
        """Append to the ledger, and keep what customers hold."""
        for each in postings:
            self.booked.postings.append((each, order_id, cause))
            if each.book == STORE_CREDIT:
                account = (each.holder, each.unit, each.test)
                self.credit_of[account] = self.credit_of.get(account, 0) + each.change
                self.credit_entries.setdefault(each.holder, []).append(each)

    async def save(self, connection: AnyConnection) -> None:
        changed = self.orders.changed()
        if changed:
            await connection.execute(SAVE_ORDERS, *columns.of_orders(changed))
        parts = [part for part in self._parts(changed) if part[1] and part[1][0]]
        if parts:
            text, arguments = columns.joined(parts)
            await connection.execute(text, *arguments)

    def _parts(self, changed: Sequence[OrderMoney]) -> list[tuple[str, Sequence[list[Any]]]]:
        booked, now = self.booked, self.now
        return [
            (INSERT_PAYMENTS, self._payment_columns(changed)),
            (
                INSERT_LEDGER,
                columns.of(columns.posting, booked.postings, now),
            ),
            (
                INSERT_INTENTS,
                columns.of(columns.intent, booked.intents, now),
            ),
            (INSERT_MOVES, columns.of(columns.move, booked.moves, now)),
            (INSERT_NOTES, columns.of(columns.note, booked.notes, now)),
            (
                INSERT_CREDITS,
                columns.of(columns.credit, booked.credits, now),
            ),
            (INSERT_DEBITS, columns.of(columns.debit, booked.debits, now)),
            (INSERT_EVENTS, columns.of(columns.event, booked.events, now)),
        ]

    def _payment_columns(self, changed: Sequence[OrderMoney]) -> Sequence[list[Any]]:
        # Only a new version of the order can name new payments.
        return columns.columns(
            (order.order_id, each.payment_id, each.processor.value, each.reference)
            for order in changed
            if order.order_id in self.renamed
            for each in order.payments
        )
