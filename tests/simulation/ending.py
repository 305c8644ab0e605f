"""What must hold when everything has come to rest, and how each return ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from prometheus_client import REGISTRY

from contracts.lifecycle import Status
from services.commerce.decide.draft import derived
from services.payment.model import FAILED_STATES, OrderMoney, RefundState
from tests.simulation.invariants import Watch, insist
from tests.simulation.life import Life
from tests.simulation.orders import CANARY, Json

PROMISED = "SELECT seq, id, topic, key FROM promised ORDER BY seq"
LEFT = """
SELECT (SELECT count(*) FROM parked) AS parked, (SELECT count(*) FROM outbox) AS outbox,
    (SELECT count(*) FROM effects) AS effects, (SELECT count(*) FROM quarantine) AS quarantined
"""
RETURNS = """
SELECT return_id, order_id, state, status, approved, released,
    (document -> 'shown' ->> 'number')::int AS number FROM returns
"""
NOTES = """
SELECT refund_id, sum(net)::bigint AS net, sum(tax)::bigint AS tax FROM credit_notes
GROUP BY refund_id
"""
POINTS = """
SELECT refund_id, sum(CASE WHEN target = 'customer' THEN amount ELSE -amount END)::bigint AS points
FROM ledger WHERE book = 'loyalty' AND refund_id IS NOT NULL GROUP BY refund_id
"""
GAPS = "SELECT count(*) FROM credit_notes HAVING count(*) <> coalesce(max(ordinal), 0)"
AGREE = {
    "settled": {"approved"},
    "rejected": {"rejected"},
    "cancelled": {"cancelled"},
    "expired": {"expired"},
}
"""Final status of a return -> its state on commerce's decision axis."""


class Ending:
    """Every store and the processor's book, read once at the end."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.stores = watch.stores
        self.commerce: dict[str, Any] = {}
        self.gateway: dict[str, Any] = {}
        self.standing: dict[str, str] = {}
        self.units: dict[str, list[str]] = defaultdict(list)
        self.money: dict[str, OrderMoney] = {}
        self.notes: dict[str, Any] = {}
        self.points: dict[str, int] = {}
        self.credits: dict[str, int] = defaultdict(int)
        self.charged: dict[str, int] = defaultdict(int)
        self.sent: dict[str, int] = defaultdict(int)
        self.paid: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    async def read(self) -> None:
        commerce = self.stores["commerce"].checker
        payment, goods = self.stores["payment"].checker, self.stores["fulfillment"].checker
        self.commerce = {row["return_id"]: row for row in await commerce.fetch(RETURNS)}
        rows = await self.stores["gateway"].checker.fetch("SELECT * FROM returns")
        self.gateway = {row["return_id"]: row for row in rows}
        for row in await goods.fetch("SELECT return_id, standing FROM returns"):
            self.standing[row["return_id"]] = row["standing"]
        for row in await goods.fetch(
            "SELECT return_id, state FROM units ORDER BY line_id, ordinal"
        ):
            self.units[row["return_id"]].append(row["state"])
        for row in await payment.fetch("SELECT order_id, document FROM order_money"):
            self.money[row["order_id"]] = OrderMoney.model_validate_json(row["document"])
        self.notes = {row["refund_id"]: row for row in await payment.fetch(NOTES)}
        self.points = {row["refund_id"]: row["points"] for row in await payment.fetch(POINTS)}
        for row in await payment.fetch("SELECT return_id, amount FROM store_credits"):
            self.credits[row["return_id"]] += row["amount"]
        outside = self.watch.simulation.environment.outside
        for refund in outside.all_of("refund"):
            if refund["status"] == "succeeded":
                return_id = refund["metadata"].get("return_id")
                self.paid[return_id][refund["payment_intent"]] += refund["amount"]
        for payment in outside.all_of("payment_intent"):
            if payment["status"] == "succeeded" and "reversal_id" in payment["metadata"]:
                self.charged[payment["metadata"]["return_id"]] += payment["amount"]
        for shipment in outside.all_of("shipment"):
            sent = sum(line["quantity"] for line in shipment["lines"])
            self.sent[shipment["reference"]] += sent

    async def check(self) -> None:
        """Everything that must hold at rest."""
        for service in self.stores:
            await self._nothing_left(service)
            await self._published_in_order(service)
        for life in self.watch.lives.values():
            self._nothing_lost(life)
            self._paid_once(life)
            self._agreed(life)
            status = self.commerce[life.plan.return_id]["status"]
            self.watch.reached.add(f"{life.plan.kind} ends {status}")
        self._legs_follow_the_money()
        gaps = await self.stores["payment"].checker.fetchval(GAPS)
        insist(gaps is None, "I14: the numbers of the credit notes have gaps")
        insist(CANARY not in _labels(), "I16: a person in the metrics")
        logged = [line for line in self.watch.simulation.environment.logged if CANARY in line]
        insist(not logged, f"I16: a person in the log: {logged[:1]}")

    async def _nothing_left(self, service: str) -> None:
        row = await self.stores[service].checker.fetchrow(LEFT)
        for what in ("parked", "outbox", "effects"):
            insist(row[what] == 0, f"I18: {row[what]} rows left in {what} of {service}")
        expected = self.watch.poisoned_for(service)
        reasons = await self.stores[service].checker.fetch("SELECT reason FROM quarantine")
        insist(
            row["quarantined"] == expected,
            f"I12: {row['quarantined']} records quarantined by {service}, {expected} were poison:"
            f" {[each['reason'][:200] for each in reasons]}",
        )

    async def _published_in_order(self, service: str) -> None:
        """I12, I13: every committed message is on the bus, and its order is that of its commits."""
        last: dict[tuple[str, str], tuple[int, str]] = {}
        seen: set[str] = set()
        for row in await self.stores[service].checker.fetch(PROMISED):
            place = self.watch.published.get(row["id"])
            insist(
                place is not None, f"I12: {service} never published {row['id']} on {row['topic']}"
            )
            assert place is not None
            if row["id"] in seen:  # a call that came twice: the same message once more
                continue
            seen.add(row["id"])
            key = (row["topic"], row["key"])
            before = last.get(key, (-1, ""))
            insist(before[0] < place, f"I13: {row['id']} was published before {before[1]}")
            last[key] = (place, row["id"])

    def _nothing_lost(self, life: Life) -> None:
        row = self.commerce.get(life.plan.return_id)
        insist(row is not None, f"I4: return {life.plan.name} was accepted and is not known")

    def effective(self, life: Life) -> int:
        """Minor units that have reached the customer of this return."""
        return_id = life.plan.return_id
        gone = sum(self.paid[return_id].values()) + self.credits[return_id]
        return gone + self.watch.transferred[return_id]

    def _paid_once(self, life: Life) -> None:
        row = self.commerce[life.plan.return_id]
        gone = self.effective(life)
        if row["status"] == Status.SETTLED:
            insist(
                gone == row["approved"],
                f"I1: return {life.plan.name} was approved for {row['approved']}, paid {gone}",
            )
        else:
            insist(gone == row["released"], f"I8: {gone} paid for a return that is {row['status']}")
            insist(gone == 0, f"I8: {gone} paid for a return that is {row['status']}")

    def _agreed(self, life: Life) -> None:
        """I15: what the services believe of one return is the same story."""
        index, return_id = life.plan.name, life.plan.return_id
        row = self.commerce[return_id]
        status = row["status"]
        insist(row["state"] in AGREE[status], f"I15: return {index} {status} but {row['state']}")
        shown = self.gateway[return_id]
        insist(
            (shown["status"], shown["number"]) == (status, row["number"]),
            f"I15: the gateway shows return {index} {shown['status']}, it is {status}",
        )
        money = self.money.get(row["order_id"])
        if money is None:
            return
        held = money.returns.get(return_id)
        reserve = sum(held.reserve.values()) if held is not None else 0
        refunds = [each for each in money.refunds.values() if each.return_id == return_id]
        live = [each for each in refunds if each.state not in FAILED_STATES]
        insist(
            all(each.state is RefundState.SETTLED for each in live),
            f"I15: return {index} is {status}, refunds {[str(each.state) for each in live]}",
        )
        insist(
            reserve == 0,
            f"I15: return {index} is {status}, and {reserve} still are reserved for it",
        )
        total = sum(each.amount for each in live)
        insist(
            total == row["released"], f"I15: commerce released {row['released']}, payment {total}"
        )
        if status != Status.SETTLED:
            goods = self.standing.get(return_id)
            insist(
                goods in (None, "closed", "rejected", "requested"),
                f"I15: return {index} is {status}, fulfillment has it {goods}",
            )

    def _legs_follow_the_money(self) -> None:
        """I14: tax and points are reversed exactly for the refunds that are settled."""
        for money in self.money.values():
            for refund in money.refunds.values():
                note = self.notes.get(refund.refund_id)
                tax, points = (note["tax"] if note else 0), self.points.get(refund.refund_id, 0)
                due_tax = due_points = 0
                if refund.state is RefundState.SETTLED and refund.legs is not None:
                    loyalty, left = refund.legs.loyalty, self._left(money, refund.return_id)
                    due_tax = sum(left(leg.tax) for leg in refund.legs.tax)
                    due_points = left(loyalty.points_to_restore) - left(loyalty.points_to_reverse)
                where = f"refund {refund.refund_id} is {refund.state}"
                insist(tax == due_tax, f"I14: {where}: tax {tax} reversed, {due_tax} due")
                insist(points == due_points, f"I14: {where}: points {points}, {due_points} due")

    def _left(self, money: OrderMoney, return_id: str) -> Callable[[int], int]:
        """The part of a leg that stands after the customer gave some of the money back."""
        settled = [each for each in money.refunds.values() if each.state is RefundState.SETTLED]
        total = sum(each.amount for each in settled if each.return_id == return_id)
        back = self.charged[return_id]
        return lambda amount: amount - amount * back // total

    def ends(self) -> dict[int, list[Json]]:
        """How the returns of each planned order ended, without what may depend on the schedule or
        the seed, but for what was paid `instead` of a refund that was never taken.

        `paid`: by the processor's book, per payment of the order.
        """
        found: dict[int, list[Json]] = defaultdict(list)
        for life in self.watch.lives.values():
            found[life.plan.index].append(self._end(life))
        return dict(found)

    def _end(self, life: Life) -> Json:
        return_id = life.plan.return_id
        row = self.commerce[return_id]
        at = self.watch.simulation.clock.at
        payments = life.plan.bought.payments(at)
        instead = self.watch.instead.of(return_id, [each["payment_id"] for each in payments])
        return {
            "status": row["status"],
            "approved": row["approved"],
            "paid": [self.paid[return_id][payment["processor_reference"]] for payment in payments],
            "credited": self.credits[return_id],
            "transferred": self.watch.transferred[return_id],
            "charged": self.charged[return_id],
            "sent": self.sent[derived("replacement", return_id)],
            "units": self.units[return_id],
            "determined": life.plan.how.determined,
            "raced": life.plan.how.twins == "at_once",
            "instead": instead,
        }


def _labels() -> str:
    """Every value of every label: the part of the metrics that the code does not fix. Writing all
    of them out as readers get them takes three times as long."""
    samples = (sample for family in REGISTRY.collect() for sample in family.samples)
    return " ".join(value for sample in samples for value in sample.labels.values())
