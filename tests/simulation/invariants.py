"""What must hold at every instant: of what is said on the bus, and of what is stored.

The names I1 to I18 are explained in tests/README.md. Whatever does not hold raises Violated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts import topics
from contracts.base import Message
from contracts.decisions import (
    DeciderKind,
    Outcome,
    RefundOn,
    RefundReleased,
    ReturnClosed,
    ReturnDecisionMade,
)
from contracts.envelope import Envelope
from contracts.lifecycle import Party, ReturnStatusChanged, Status
from contracts.payment import RefundFailed
from contracts.requests import Method, SettlementChosen
from contracts.reviews import ReviewDecided
from services.chassis.records import Record
from services.commerce.transitions import MOVES as RETURN_MOVES
from services.fulfillment.transitions import MOVES as UNIT_MOVES
from services.payment.model import KEY_TRUSTED_HOURS_MAX, RefundState
from services.payment.transitions import MOVES as REFUND_MOVES
from tests.simulation.instead import Instead
from tests.simulation.life import Life
from tests.simulation.looking import Due
from tests.simulation.orders import CANARY
from tests.simulation.people import FINAL, Call

KEY_TRUSTED_MIN = timedelta(hours=KEY_TRUSTED_HOURS_MAX - 1)
"""The clocks of two machines may differ by less than that hour."""
EFFECTS_MAX, PARKED_MAX, OUTBOX_MAX, ATTEMPTS_MAX = 60, 200, 500, 60
OVERDUE_MAX = timedelta(minutes=5)
FACTS_FOR = {
    RefundOn.PROOF_OF_SENDING: {"scans", "receipts", "inspections"},
    RefundOn.RECEIPT: {"receipts", "inspections"},
    RefundOn.INSPECTION: {"inspections"},
    None: {"inspections"},
}
"""When money may be released -> what the warehouse must have said by then (any of it)."""
FOUND_WITHOUT_A_PERSON = frozenset({"order_not_found", "payment_not_refundable"})
"""Escalations that news alone may resolve: the order came, the dispute was won."""
CUSTOMERS_CHOICE = frozenset({"settlement_failed", "payment_not_refundable"})
"""Escalations that the customer ends by choosing another way to be paid."""
BY_A_PERSON = frozenset({Method.BANK_TRANSFER, Method.NEW_METHOD})

WAITING = "SELECT id, topic, aggregateid FROM outbox ORDER BY seq"
# What was promised before the oldest row that still waits, and not looked at yet.
GONE = """
SELECT seq, id FROM promised
WHERE seq > $1 AND seq < coalesce((SELECT min(seq) FROM outbox), 9223372036854775807) ORDER BY seq
"""
# The balances as the ledger adds up to, beside those that the trigger keeps.
BALANCES = """
SELECT b.order_id, b.payment_id, b.captured, b.reserved, b.pending, b.settled, b.unknown,
    (SELECT coalesce(sum(CASE WHEN l.target = side.account THEN l.amount ELSE -l.amount END), 0)
     FROM ledger l WHERE l.book = 'payment' AND l.order_id = b.order_id
        AND l.holder = b.payment_id AND side.account IN (l.source, l.target)
        AND l.test = b.test) AS added, side.account,
    CASE side.account WHEN 'reserved' THEN b.reserved WHEN 'pending' THEN b.pending
        WHEN 'settled' THEN b.settled ELSE b.unknown END AS kept
FROM payment_balances b, unnest(ARRAY['reserved', 'pending', 'settled', 'unknown'])
    AS side (account)
"""
MOVED = "SELECT seq, refund_id, event, state, attempt FROM refund_moves WHERE seq > $1 ORDER BY seq"
SUBMITTED = "SELECT refund_id, attempt, tries FROM submissions ORDER BY at"
CREDITED = "SELECT order_id, sum(amount)::bigint AS amount FROM store_credits GROUP BY order_id"


class Violated(AssertionError):
    """An invariant does not hold."""


def insist(holds: bool, what: str) -> None:
    if not holds:
        raise Violated(what)


def _closure(moves: dict[Any, Any]) -> set[tuple[str, str]]:
    """(state, state) that one transaction may lead from and to, in any number of moves."""
    found = {(str(state), str(to)) for (state, _), to in moves.items()}
    while True:
        more = {(a, d) for a, b in found for c, d in found if b == c} - found
        if not more:
            return found
        found |= more


RETURN_WAYS, UNIT_WAYS = _closure(dict(RETURN_MOVES)), _closure(UNIT_MOVES)


@dataclass
class Said:
    """What was said about one return, in the order in which it was first published."""

    status: int = 0
    sequence: int = 0
    decision: ReturnDecisionMade | None = None
    closed: bool = False
    waits_for_person: str | None = None
    by_person: bool = False
    """A person has approved it, wherever the goods are."""
    facts: set[str] = field(default_factory=set)
    """What the warehouse was told to have been accepted: scans, receipts, inspections."""


class Watch:
    """Looks at the bus, the stores and the processor's book of one run."""

    def __init__(self, simulation: Any) -> None:
        self.simulation = simulation
        self.stores = simulation.environment.stores
        self.lives: dict[str, Life] = {life.plan.return_id: life for life in simulation.lives}
        self.said: dict[str, Said] = defaultdict(Said)
        self.published: dict[str, int] = {}
        """ce_id -> how many came first on the bus."""
        self._accepted: set[str] = set()
        self._stored = self._in_gateway = 0
        self._waiting: dict[tuple[str, bytes | None], list[str]] = defaultdict(list)
        self._relayed: dict[str, int] = defaultdict(int)
        self.poisoned: list[tuple[str, bytes | None]] = []
        """(topic, value) of every record that nobody can read."""
        self.reached: set[str] = set()
        self.transferred: dict[str, int] = defaultdict(int)
        """return_id -> minor units that a person was told to pay at a bank, and does."""
        self.instead = Instead()
        self._rows: dict[str, dict[Any, Any]] = {name: {} for name in self.stores}
        self._moves: dict[str, RefundState] = {}
        self._last_move = 0
        self._money_version: Any = None
        self._attempts: dict[str, int] = {}
        self._submitted_at: dict[tuple[str, int], datetime] = {}
        self._absent: set[tuple[str, int]] = set()

    # What is said.

    def on_record(self, record: Record, envelope: Envelope | None, body: Message | None) -> None:
        """A record was appended to the bus; no body: nobody can read it."""
        insist(
            CANARY.encode() not in (record.key or b""), f"I16: a person in a key: {record.key!r}"
        )
        for name, value in record.headers:
            insist(CANARY.encode() not in value, f"I16: a person in the header {name}")
        if envelope is None or body is None or envelope.id in self.published:
            return
        next_ = next((id_ for id_ in self._waiting[record.topic, record.key]
                      if id_ not in self.published), envelope.id)  # fmt: skip
        insist(next_ == envelope.id, f"I13: {envelope.id} is published before {next_}")
        self.published[envelope.id] = len(self.published)
        said = self.said[getattr(body, "return_id", None) or ""]
        if isinstance(body, ReturnStatusChanged):
            insist(body.number == said.status + 1, f"I6: status {body.number} after {said.status}")
            said.status = body.number
        elif isinstance(body, ReturnDecisionMade):
            self._decided(said, body)
        elif isinstance(body, ReviewDecided) or (
            isinstance(body, SettlementChosen) and said.waits_for_person in CUSTOMERS_CHOICE
        ):
            said.waits_for_person = None
        elif isinstance(body, ReturnClosed):
            said.closed = True
        elif isinstance(body, RefundFailed):
            self.instead.failed(body, self._attempts.get(body.refund_id, 0))
        elif isinstance(body, RefundReleased):
            self.instead.released(body)
            self._released(said, body)

    def _decided(self, said: Said, made: ReturnDecisionMade) -> None:
        insist(
            made.sequence == said.sequence + 1,
            f"I6: decision {made.sequence} after {said.sequence}",
        )
        said.sequence, said.decision, said.closed = made.sequence, made, False
        if made.decision is Outcome.APPROVED and made.decided_by.kind is DeciderKind.HUMAN:
            said.by_person = True
        self.reached.add(f"decision {made.decision} by {made.decided_by.kind}")
        if made.escalation is not None:
            said.waits_for_person = str(made.escalation.reason)
            self.reached.add(f"escalated {made.escalation.reason}")
        self._adds_up(made)
        life = self.lives.get(made.return_id)
        if life is not None and life.plan.kind == "withdrawal":
            by_agent = made.decided_by.kind is DeciderKind.AGENT
            rejected = made.decision is Outcome.REJECTED
            insist(not (by_agent and rejected), "I11: a withdrawal in time was rejected")
            fee = made.refund.restocking_fee if made.refund is not None else 0
            insist(fee == 0, "I11: a withdrawal in time costs a fee")

    def _adds_up(self, made: ReturnDecisionMade) -> None:
        if made.refund is None:
            return
        parts = made.refund
        total = parts.items + parts.tax + parts.shipping - parts.restocking_fee
        total -= parts.return_shipping_fee + parts.diminished_value + parts.loyalty_deduction
        insist(total == parts.total, f"I3: the parts of {made.return_id} add up to {total}")
        allocated = sum(each.amount for each in made.settlement.allocations)
        original = made.settlement.method is Method.ORIGINAL_PAYMENT_METHOD
        if made.decision is Outcome.APPROVED and original:
            insist(allocated == parts.total, f"I3: {allocated} allocated of {parts.total}")

    def _released(self, said: Said, body: RefundReleased) -> None:
        made = said.decision
        insist(made is not None and not said.closed, "I8: released what is not approved")
        assert made is not None
        if made.decision is Outcome.ESCALATED:
            insist(made.release is not None, "I10: released while a person has to decide")
            return
        insist(made.decision is Outcome.APPROVED, f"I8: released after {made.decision}")
        waits = said.waits_for_person
        insist(
            waits is None or waits in FOUND_WITHOUT_A_PERSON,
            f"I10: released although nobody decided about {waits}",
        )
        if made.refund_on is not RefundOn.APPROVAL and not said.by_person:
            seen = said.facts & FACTS_FOR[made.refund_on]
            insist(bool(seen), f"I9: released for {made.refund_on} before anything of it was seen")
        spent = Method.ORIGINAL_PAYMENT_METHOD
        insist(
            body.method is not spent or body.payment_id is not None, "I1: a refund of no payment"
        )
        self.reached.add(f"released by {body.method}")
        if body.method in BY_A_PERSON:
            insist(body.reference is not None, f"I1: nobody says how {body.refund_id} was paid")
            self.transferred[body.return_id] += body.amount

    def accepted(self, call: Call, return_id: str) -> None:
        """Somebody was told that their request is durable: then it is, as was just looked at."""
        stored = self._in_gateway
        again = call.key in self._accepted
        insist(again or stored > self._stored, f"I4: {call.path} was accepted and is not stored")
        self._accepted.add(call.key)
        self._stored = stored
        _, place, what = (*call.path.split("/"), "", "")[:3]
        if place == "warehouse":
            self.said[return_id].facts.add(what)

    def poisoned_for(self, service: str) -> int:
        """Unreadable records on the topics that this service reads."""
        names = topics.topics_read_by(service)
        return sum(topic in names for topic, _ in self.poisoned)

    # What is stored.

    async def after(self, service: str, due: Due, rows: Sequence[Any]) -> None:
        """A step of this service is over."""
        insist(due.effects <= EFFECTS_MAX, f"I18: {due.effects} effects of {service}")
        insist(due.parked <= PARKED_MAX, f"I18: {due.parked} parked messages of {service}")
        insist(due.outbox <= OUTBOX_MAX, f"I18: {due.outbox} rows to publish by {service}")
        insist(
            due.attempts <= ATTEMPTS_MAX, f"I18: an effect of {service} tried {due.attempts} times"
        )
        match service:
            case "commerce":
                self._commerce(rows)
            case "fulfillment":
                self._fulfillment(rows)
            case "payment":
                await self._payment(rows)
            case "gateway":
                self._in_gateway = rows[0]["stored"]

    async def about_to_relay(self, service: str) -> None:
        """I13: per key, what is published next is what was stored next."""
        self._waiting.clear()
        for row in await self.stores[service].checker.fetch(WAITING):
            self._waiting[row["topic"], row["aggregateid"].encode()].append(row["id"])

    async def relayed(self, service: str) -> None:
        """I12: what is no longer in the outbox is on the bus."""
        self._waiting.clear()
        for row in await self.stores[service].checker.fetch(GONE, self._relayed[service]):
            insist(row["id"] in self.published, f"I12: {service} lost {row['id']} on its way")
            self._relayed[service] = row["seq"]

    def _commerce(self, rows: Sequence[Any]) -> None:
        known = self._rows["commerce"]
        for row in rows:
            return_id, state = row["return_id"], row["state"]
            before, number = known.get(return_id, (None, 0))
            if before not in (None, state):
                insist((before, state) in RETURN_WAYS, f"I6: {return_id} went {before} to {state}")
                self.reached.add(f"return {before} to {state}")
            insist(row["number"] >= number, f"I6: status {row['number']} after {number}")
            known[return_id] = (state, row["number"])
            self._named_party(row)

    def _named_party(self, row: Any) -> None:
        """R3: it is over, or somebody has to act until some instant, and that is watched."""
        if Status(row["status"]) in FINAL:
            return
        named = row["waiting_on"] not in (Party.NONE, Party.UNKNOWN)
        insist(named, f"I5: {row['return_id']} {row['status']} waits on nobody")
        insist(row["until"] is not None, f"I5: {row['return_id']} {row['status']} waits for ever")
        insist(row["watched"], f"I5: nobody watches {row['return_id']} {row['status']}")
        now: datetime = self.simulation.clock.at
        healed = self.simulation.healed_at
        if healed is not None and now - healed > OVERDUE_MAX:
            late = now - row["until"] > OVERDUE_MAX
            insist(
                not late, f"I5: {row['return_id']} {row['status']} is overdue since {row['until']}"
            )

    def _fulfillment(self, rows: Sequence[Any]) -> None:
        known = self._rows["fulfillment"]
        for row in rows:
            key, state = (row["return_id"], row["line_id"], row["ordinal"]), row["state"]
            before = known.get(key, state)
            if before != state:
                insist((before, state) in UNIT_WAYS, f"I6: unit {key} went {before} to {state}")
                self.reached.add(f"unit {before} to {state}")
            known[key] = state

    async def _payment(self, rows: Sequence[Any]) -> None:
        [row] = rows
        checker = self.stores["payment"].checker
        entries = self.simulation.environment.outside.book.pages.entries()
        version = (row["ledger"], row["moves"], row["submissions"], entries)
        if version == self._money_version:
            return
        self._money_version = version
        await self._refunds_move(checker)
        for row in await checker.fetch(BALANCES):
            where = f"{row['order_id']} {row['payment_id']}"
            insist(
                row["added"] == row["kept"],
                f"I3: {where}: {row['account']} {row['added']} by the ledger, kept {row['kept']}",
            )
            gone = row["reserved"] + row["pending"] + row["settled"] + row["unknown"]
            insist(gone <= row["captured"], f"I2: {gone} of {row['captured']} promised: {where}")
        await self._book(checker)

    async def _refunds_move(self, checker: Any) -> None:
        for row in await checker.fetch(MOVED, self._last_move):
            self._last_move = row["seq"]
            refund_id, state = row["refund_id"], RefundState(row["state"])
            before = self._moves.get(refund_id, RefundState.NONE)
            allowed = {
                to
                for (at, event), to in REFUND_MOVES.items()
                if at is before and event == row["event"]
            }
            insist(state in allowed, f"I6: refund {refund_id} went {before} {row['event']} {state}")
            self.reached.add(f"refund {before} {row['event']}")
            self._moves[refund_id] = state
            if row["event"] in ("absent", "hold"):
                self._absent.add((refund_id, row["attempt"]))

    async def _book(self, checker: Any) -> None:
        """The processor's own book: never more than was paid, each refund at most once."""
        live: dict[str, int] = defaultdict(int)
        by_order: dict[str, int] = defaultdict(int)
        for refund in self.simulation.environment.outside.all_of("refund"):
            if refund["status"] in ("failed", "canceled"):
                continue
            refund_id = refund["metadata"].get("refund_id")
            live[refund_id] += 1
            by_order[refund["metadata"].get("order_id")] += refund["amount"]
            insist(live[refund_id] == 1, f"I7: the processor has {refund_id} twice")
        for row in await checker.fetch(CREDITED):
            by_order[row["order_id"]] += row["amount"]
        for life in self.lives.values():
            by_order[life.plan.bought.order_id] += self.transferred[life.plan.return_id]
        for life in self.lives.values():
            gone, paid = by_order[life.plan.bought.order_id], life.plan.bought.captured
            insist(gone <= paid, f"I2: {gone} left for {life.plan.bought.order_id} of {paid}")
        await self._attempts_follow_proof(checker)

    async def _attempts_follow_proof(self, checker: Any) -> None:
        for row in await checker.fetch(SUBMITTED):
            refund_id, attempt = row["refund_id"], row["attempt"]
            now, last = self.simulation.clock.at, self._attempts.get(refund_id, 1)
            began = self._submitted_at.setdefault((refund_id, attempt), now)
            if attempt > last:
                self.reached.add("refund tried again after proof of absence")
                # A key too old to be trusted is given up, where nothing was sent with it last.
                old = began - self._submitted_at.get((refund_id, last), began) > KEY_TRUSTED_MIN
                proven = old or (refund_id, last) in self._absent
                insist(proven, f"I7: attempt {attempt} of {refund_id}, {last} may have succeeded")
            insist(attempt <= last + 1, f"I7: attempt {attempt} of {refund_id} after {last}")
            self._attempts[refund_id] = max(attempt, last)
