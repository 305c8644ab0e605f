"""Commerce's store: orders, returns with their papers, decisions and quotes, set-wise per batch.

Everything of one order is read and written under the lock of its key; a return without an order
has its own id as key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.decisions import EscalationReason
from contracts.fulfillment import (
    ReturnDelivered,
    ReturnLabelIssued,
    ReturnReceived,
    ReturnShipped,
)
from contracts.orders import OrderSnapshot
from contracts.payment import RefundPending, RefundReserved, RefundSettled
from contracts.quotes import Quote
from contracts.requests import ReturnRequest
from services.chassis.decision import Decision
from services.chassis.errors import Conflict
from services.chassis.journal import joined
from services.chassis.work import AnyConnection, IdentityMap, Received, UnitOfWork
from services.commerce import history, links, messages, rows
from services.commerce.decide import promises
from services.commerce.decide.draft import Desk
from services.commerce.decide.intake import matches
from services.commerce.history import Past
from services.commerce.judgement import History, Precedent
from services.commerce.model import Return
from services.commerce.papers import Dossier, Order
from services.commerce.policy.versions import Versions
from services.commerce.promise import Promise

ROUTINE = (
    OrderSnapshot,
    ReturnRequest,
    ReturnLabelIssued,
    ReturnShipped,
    ReturnDelivered,
    ReturnReceived,
    RefundReserved,
    RefundPending,
    RefundSettled,
    messages.QuoteGiven,
    messages.ReviewersNotified,
)
"""Messages after which nothing is judged by the customer's history."""

# Read before the locks are held, so only hints: `load` checks what it finds under them.
FIND_KEYS = """
SELECT 'return' AS kind, return_id AS known, order_key AS key FROM returns
WHERE return_id = ANY($1::text[])
UNION ALL
SELECT 'number', lower(order_number), order_id FROM orders
WHERE lower(order_number) = ANY($2::text[])
UNION ALL
SELECT 'claim', claim_number, return_id FROM returns
WHERE claim_number = ANY($3::text[]) AND order_id IS NULL
"""

# Under the locks of these keys nobody else reads or writes these rows.
LOAD_ORDERS = """
SELECT order_id, version, disputes, document, NULL::json AS quote
FROM orders WHERE order_id = ANY($1::text[])
UNION ALL
SELECT NULL, NULL, NULL, NULL, document FROM quotes WHERE quote_id = ANY($2::text[])
"""

# Under the locks; a return found by its own id alone may belong to a key that is not locked.
LOAD_RETURNS = """
SELECT r.order_key, r.document, r.request, r.facts, (
    SELECT d.document FROM decisions d WHERE d.return_id = r.return_id
    ORDER BY d.sequence DESC LIMIT 1
) AS standing
FROM returns r WHERE r.order_key = ANY($1::text[]) OR r.return_id = ANY($1::text[])
"""

# Under the orders' locks. An older snapshot never replaces a newer one.
SAVE_ORDERS = """
INSERT INTO orders (order_id, version, order_number, email, customer_id, placed_at, currency,
    value, disputes_counted, not_received, disputes, fingerprints, document)
SELECT order_id, version, order_number, email, customer_id, placed_at, currency, value, counted,
    not_received, string_to_array(disputes, chr(31)), string_to_array(fingerprints, chr(31)),
    document
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
    $7::text[], $8::bigint[], $9::integer[], $10::integer[], $11::text[], $12::text[],
    $13::json[])
    AS new (order_id, version, order_number, email, customer_id, placed_at, currency, value,
    counted, not_received, disputes, fingerprints, document)
ON CONFLICT (order_id) DO UPDATE SET version = EXCLUDED.version,
    order_number = EXCLUDED.order_number, email = EXCLUDED.email,
    customer_id = EXCLUDED.customer_id, placed_at = EXCLUDED.placed_at,
    currency = EXCLUDED.currency, value = EXCLUDED.value, document = EXCLUDED.document,
    disputes = EXCLUDED.disputes, fingerprints = EXCLUDED.fingerprints,
    disputes_counted = orders.disputes_counted + EXCLUDED.disputes_counted,
    not_received = orders.not_received + EXCLUDED.not_received
WHERE orders.version <= EXCLUDED.version
"""

# Under the locks of their keys. Papers that did not change are not sent again.
SAVE_RETURNS = """
INSERT INTO returns AS known (return_id, order_key, order_id, customer_id, state, status,
    waiting_on, until, requested_at, test, value, approved, released, currency, skus, reason,
    abuse, claim_number, document, request, facts)
SELECT return_id, order_key, order_id, customer_id, state, status, waiting_on, until,
    requested_at, test, value, approved, released, currency, string_to_array(skus, chr(31)),
    reason, abuse, claim_number, document, coalesce(request, '{}'), coalesce(facts, '{}')
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::timestamptz[], $9::timestamptz[], $10::boolean[], $11::bigint[], $12::bigint[],
    $13::bigint[], $14::text[], $15::text[], $16::text[], $17::boolean[], $18::text[],
    $19::jsonb[], $20::json[], $21::json[])
    AS new (return_id, order_key, order_id, customer_id, state, status, waiting_on, until,
    requested_at, test, value, approved, released, currency, skus, reason, abuse, claim_number,
    document, request, facts)
ON CONFLICT (return_id) DO UPDATE SET order_key = EXCLUDED.order_key,
    order_id = EXCLUDED.order_id, customer_id = EXCLUDED.customer_id, state = EXCLUDED.state,
    status = EXCLUDED.status, waiting_on = EXCLUDED.waiting_on, until = EXCLUDED.until,
    value = EXCLUDED.value, approved = EXCLUDED.approved, released = EXCLUDED.released,
    currency = EXCLUDED.currency, skus = EXCLUDED.skus, reason = EXCLUDED.reason,
    abuse = EXCLUDED.abuse, document = EXCLUDED.document,
    request = CASE WHEN EXCLUDED.request::text = '{}' THEN known.request
        ELSE EXCLUDED.request END,
    facts = CASE WHEN EXCLUDED.facts::text = '{}' THEN known.facts ELSE EXCLUDED.facts END
"""

# A second decision of the same sequence would be a second decision: it fails.
INSERT_DECISIONS = """
INSERT INTO decisions (return_id, sequence, order_key, outcome, decided_at, document)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::timestamptz[],
    $6::json[])
"""

# An id is given once.
INSERT_QUOTES = """
INSERT INTO quotes (quote_id, order_id, total, currency, valid_until, given_at, document)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[],
    $6::timestamptz[], $7::json[])
"""

# For reading alone: decisions are never changed.
READ_DECISIONS = """
SELECT document FROM decisions WHERE return_id = $1 ORDER BY sequence
"""
# For reading alone.
READ_RETURN = "SELECT document FROM returns WHERE return_id = $1"


@dataclass(kw_only=True)
class CommerceWork(UnitOfWork):
    """Everything of the orders that a batch touches."""

    policies: Versions
    notify: bool = False
    orders: IdentityMap[Order] = field(
        default_factory=lambda: IdentityMap(lambda order: order.order_id)
    )
    returns: IdentityMap[Dossier] = field(
        default_factory=lambda: IdentityMap(lambda dossier: dossier.return_id)
    )
    quotes: list[messages.QuoteGiven] = field(default_factory=list)
    _stored: dict[str, Dossier] = field(default_factory=dict)
    _by_key: dict[str, dict[str, None]] = field(default_factory=dict)
    _by_customer: dict[str, dict[str, None]] = field(default_factory=dict)
    _claims: dict[str, Dossier] = field(default_factory=dict)
    _quoted: dict[str, Quote] = field(default_factory=dict)
    _past: Past | None = None
    _disputed: Counter[str] = field(default_factory=Counter)
    _not_received: Counter[str] = field(default_factory=Counter)

    # What handlers look up.

    def order_named(self, request: ReturnRequest) -> Order | None:
        """The order that a request names, or that its claim matches by number and e-mail."""
        if request.order_id is not None:
            return self.orders.get(request.order_id)
        claim = request.claim
        if claim is None or claim.order_number is None:
            return None
        wanted = (claim.order_number.lower(), (claim.email or "").lower())
        return next((each for each in self.orders if matches(wanted, each.snapshot)), None)

    def order_of(self, dossier: Dossier, order_id: str | None = None) -> Order | None:
        """The order that is named, else the return's own, else the one that it waits for."""
        current = dossier.current
        return self.orders.get(order_id or current.order_id or current.order_key)

    def of_order(self, order_id: str) -> list[Dossier]:
        """Every return of an order, as this batch has left it."""
        ids = self._by_key.get(order_id, {})
        found = (self.returns[id_] for id_ in ids)
        return [each for each in found if each.current.order_id == order_id]

    def waiting_for(self, order: OrderSnapshot) -> list[Dossier]:
        """Returns of this order, and those whose claim it matches."""
        named = [self.returns[id_] for id_ in self._by_key.get(order.order_id, {})]
        claimed = [
            each
            for each in self._claims.values()
            if each.current.order_id is None and matches(each.current.claim, order)
        ]
        return [*named, *claimed]

    def desk(self, order: Order | None, return_id: str) -> Desk:
        others: tuple[Dossier, ...] = ()
        if order is not None:
            found = self.of_order(order.order_id)
            others = tuple(each for each in found if each.return_id != return_id)
        return Desk(
            now=self.now,
            policy=self.policies.at,
            order=order,
            others=others,
            history=self.history,
            precedents=self.precedents,
            notify=self.notify,
        )

    def promise(self, request: ReturnRequest) -> Promise | None:
        """What was quoted before, as far as we know the quote."""
        if request.quote_id is None:
            return None
        quote = self._quoted.get(request.quote_id)
        if quote is None:
            return Promise(quote_id=request.quote_id, acknowledged_at=self.now)
        return promises.of_quote(quote, self.now)

    def history(self, current: Return, order: OrderSnapshot) -> History | None:
        """Returns and orders of the customer in the last twelve months, test returns apart."""
        if self._past is None:
            return None
        ids = self._by_customer.get(order.buyer.customer_id, {})
        changed = [self.returns[id_].current for id_ in ids]
        return self._past.history(current, order, changed, Order.of(order).value)

    def precedents(self, current: Return, reason: EscalationReason) -> tuple[Precedent, ...]:
        return self._past.precedents(current, reason) if self._past is not None else ()

    # What handlers leave behind.

    def put_order(self, order: Order, *, counted: bool = False, not_received: bool = False) -> None:
        """`counted`: with one more dispute, which may say that the goods never came."""
        self.orders.put(order)
        self._disputed[order.order_id] += counted
        self._not_received[order.order_id] += not_received

    def settle(self, decision: Decision[Dossier]) -> None:
        """Keep a decision's state and record what follows, under the key of its order."""
        before, after = self.returns.get(decision.state.return_id), decision.state
        if before is None or not before.same_as(after):
            self.returns.put(after)
            self._index(after)
        self.record(decision, key=decision.state.current.order_key)

    def _index(self, dossier: Dossier) -> None:
        current = dossier.current
        self._by_key.setdefault(current.order_key, {})[current.return_id] = None
        if current.customer_id is not None:
            self._by_customer.setdefault(current.customer_id, {})[current.return_id] = None
        if current.claim is not None:
            self._claims[current.return_id] = dossier

    # The store.

    async def keys(
        self, connection: AnyConnection, received: Sequence[Received]
    ) -> list[tuple[str, ...]]:
        bodies = [each.body for each in received]
        named = sorted({id_ for body in bodies if (id_ := rows.text(body, "return_id"))})
        numbers = sorted({number for body in bodies for number in rows.claimed(body)})
        sold = sorted({b.order_number.lower() for b in bodies if isinstance(b, OrderSnapshot)})
        found: dict[tuple[str, str], set[str]] = {}
        if named or numbers or sold:
            for row in await connection.fetch(FIND_KEYS, named, numbers, sold):
                found.setdefault((row["kind"], row["known"]), set()).add(row["key"])
        return [tuple(sorted(rows.keys(body, found))) for body in bodies]

    async def load(
        self, connection: AnyConnection, keys: Sequence[str], received: Sequence[Received]
    ) -> None:
        locked, bodies = set(keys), [each.body for each in received]
        quoted = [b.quote_id for b in bodies if isinstance(b, ReturnRequest) and b.quote_id]
        for row in await connection.fetch(LOAD_ORDERS, keys, quoted):
            if row["quote"] is not None:
                quote = Quote.model_validate_json(row["quote"])
                self._quoted[quote.quote_id] = quote
            else:
                self.orders.load([rows.read_order(row)])
        for row in await connection.fetch(LOAD_RETURNS, keys):
            if row["order_key"] not in locked:
                raise Conflict("a return became known while its order was not locked")
            dossier = rows.read_dossier(row)
            self._stored[dossier.return_id] = dossier
            self.returns.load([dossier])
            self._index(dossier)
        if not all(isinstance(body, ROUTINE) for body in bodies):
            await self.load_history(connection, keys)

    async def load_history(self, connection: AnyConnection, keys: Sequence[str]) -> None:
        """What the customers of these orders have bought and sent back."""
        self._past = await history.load(connection, keys, self.now)

    async def save(self, connection: AnyConnection) -> None:
        changed = self.returns.changed()
        made = [(each, made) for each in changed for made in each.made]
        parts = [
            (SAVE_ORDERS, self._order_columns(self.orders.changed())),
            (history.SAVE_LINKS, self._link_columns(self.orders.changed())),
            (SAVE_RETURNS, rows.columns(rows.return_row(each, self._stored) for each in changed)),
            (INSERT_DECISIONS, rows.columns(rows.decision_row(each, one) for each, one in made)),
            (history.INSERT_VERDICTS, rows.columns(self._verdicts(changed))),
            (INSERT_QUOTES, rows.columns(rows.quote_row(each) for each in self.quotes)),
        ]
        parts = [part for part in parts if part[1] and part[1][0]]
        if parts:
            text, arguments = joined(parts)
            await connection.execute(text, *arguments)

    def _order_columns(self, changed: Iterable[Order]) -> Sequence[list[Any]]:
        return rows.columns(
            (
                each.order_id,
                each.version,
                each.snapshot.order_number,
                each.snapshot.buyer.email,
                each.snapshot.buyer.customer_id,
                each.snapshot.placed_at,
                each.snapshot.currency,
                each.value,
                self._disputed[each.order_id],
                self._not_received[each.order_id],
                "\x1f".join(each.disputes),
                "\x1f".join(links.fingerprints(each.snapshot)),
                each.paper.text,
            )
            for each in changed
        )

    def _link_columns(self, changed: Iterable[Order]) -> Sequence[list[Any]]:
        return rows.columns(
            (fingerprint, each.snapshot.buyer.customer_id)
            for each in changed
            for fingerprint in links.fingerprints(each.snapshot)
        )

    def _verdicts(self, changed: Iterable[Dossier]) -> Iterator[tuple[Any, ...]]:
        """What people decided in this batch; test returns count nowhere."""
        for each in changed:
            stored = self._stored.get(each.return_id)
            known = stored.current.verdict if stored is not None else None
            if each.current.verdict not in (None, known) and not each.current.test:
                yield history.verdict_row(each.current)


async def find_order(connection: AnyConnection, order_number: str) -> Sequence[Any]:
    """Rows whose `key` is the id of an order with this number."""
    found: Sequence[Any] = await connection.fetch(FIND_KEYS, [], [order_number.lower()], [])
    return found
