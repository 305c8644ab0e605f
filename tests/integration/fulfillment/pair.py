"""Commerce and fulfillment on their real stores; the bus between them is played by hand."""

from __future__ import annotations

from typing import Any

from contracts import topics
from contracts.assessments import AssessmentRequested
from contracts.base import Message
from contracts.decisions import Outcome, ReturnDecisionMade
from contracts.orders import OrderSnapshot
from services.chassis.pipeline import Record
from tests.driving import Drive
from tests.unit.commerce.process import examples as sold
from tests.unit.fulfillment import examples as goods

ROUNDS_MAX = 30


class Scene:
    """One order, the return that is asked for now (`a`), and others that came before."""

    def __init__(self, number: int) -> None:
        self.order_id = f"o{number}"
        self.a, self.b, self.c = (goods.return_id(f"scene-{number}-{name}") for name in "abc")
        self.customer = f"customer-{number}"
        """A person of their own, so that nobody looks suspicious."""
        self.events = 0

    def order(self, quantity: int = 1, **changes: Any) -> OrderSnapshot:
        home = goods.RENO.model_dump() | {"line1": f"{self.customer} Road"}
        buyer = {"customer_id": self.customer, "email": f"{self.customer}@customer.example",
                 "country": "US", "region": "NV"}  # fmt: skip
        changes = {"ship_to": home, "buyer": buyer, **changes}
        return sold.order(quantity=quantity, order_id=self.order_id, **changes)

    def request(self, quantity: int = 1, **changes: Any) -> Message:
        who = {"customer_id": self.customer, "verified_by": "session"}
        changes = {"return_id": self.a, "order_id": self.order_id, "requester": who, **changes}
        return sold.request(quantity=quantity, **changes)

    def asked(self, id_: str, quantity: int = 1) -> Message:
        return goods.asked(id_, quantity, order_id=self.order_id)

    def decided(self, id_: str, *units: int, **changes: Any) -> Message:
        return goods.decided(id_, *units, order_id=self.order_id, label=False, **changes)

    def closed(self, id_: str, outcome: str = "cancelled") -> Message:
        return goods.closed(id_, outcome, order_id=self.order_id)

    def received(self, id_: str | None = None, quantity: int = 1, **changes: Any) -> Message:
        return goods.received(quantity, id_=id_ or self.a, event=self._fresh(), **changes)

    def inspected(self, id_: str | None = None, grade: str = "as_new", **changes: Any) -> Message:
        return goods.inspected(1, grade, id_=id_ or self.a, event=self._fresh(), **changes)

    def scanned(self, scan: str, **changes: Any) -> Message:
        return goods.scanned(scan, id_=self.a, event=self._fresh(), **changes)

    def _fresh(self) -> str:
        self.events += 1
        return f"{self.order_id}-{self.events}"


class Pair:
    """Two services; what one publishes the other hears. Payment always agrees."""

    def __init__(self, commerce_: Drive, fulfillment_: Drive) -> None:
        self.services = {"commerce": commerce_, "fulfillment": fulfillment_}
        self.decisions: dict[str, ReturnDecisionMade] = {}

    async def tell(self, *messages: Message) -> None:
        for message in messages:
            for name, service in self.services.items():
                if any(type(message) in topic.messages and name in topic.readers
                       for topic in topics.TOPICS):  # fmt: skip
                    await service.send(message)
            await self.calm()

    async def calm(self) -> None:
        for _ in range(ROUNDS_MAX):
            records = [each for service in self.services.values() for each in await taken(service)]
            if not records:
                return
            for name, service in self.services.items():
                read = topics.topics_read_by(name)
                await service.pipeline.process([each for each in records if each.topic in read])
            for record in records:
                await self._payment(record)
            await self.services["fulfillment"].effects.run_due()
        raise AssertionError("the two never come to rest")

    async def _payment(self, record: Record) -> None:
        name = next(value.decode() for key, value in record.headers if key == "ce_type")
        if name == "returns.AssessmentRequested.v1":
            asked = AssessmentRequested.model_validate_json(record.value or b"")
            await self.services["commerce"].send(sold.refundable(asked))
        if name == "returns.ReturnDecisionMade.v1":
            made = ReturnDecisionMade.model_validate_json(record.value or b"")
            self.decisions[made.return_id] = made
            if made.settlement.allocations and made.decision is Outcome.APPROVED:
                await self.services["commerce"].send(sold.reserved(made))


async def taken(service: Drive) -> list[Record]:
    rows = await service.outbox()
    await service.pool.execute("DELETE FROM outbox")
    return [
        Record(
            topic=row["topic"],
            partition=0,
            offset=row["seq"],
            key=row["aggregateid"].encode(),
            headers=tuple((name, value.encode()) for name, value in row["headers"].items()),
            value=row["payload"],
        )
        for row in rows
    ]
