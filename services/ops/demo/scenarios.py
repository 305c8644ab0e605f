"""The scenarios of `returns demo`: what is bought, what people do, and how it must end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from services.ops.demo.orders import CAPTURED, POINTS_EARNED, TAX, Json, jacket_order, request_for
from services.ops.demo.outsiders import Outsiders

Play = Callable[[Outsiders, Json, str], Awaitable[None]]
"""(people, order, return id): what happens after the request, up to the last thing people do."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`paid` and `credited` are minor units that the customer has in the end."""

    name: str
    story: str
    play: Play
    ends: str
    paid: int = 0
    credited: int = 0
    whole_order: bool = False
    """All its points and all its tax are reversed."""
    steps: tuple[int, ...] = ()
    """Steps of the jacket's story that must have been seen."""
    reason: str = "wrong_size"
    delivered_days_ago: int = 7
    behaviour: str = "ok"
    of_request: Json = field(default_factory=dict)

    @property
    def moved(self) -> int:
        """Minor units that left us, by whatever method."""
        return self.paid + self.credited

    @property
    def points_reversed(self) -> int:
        return POINTS_EARNED if self.whole_order else 0

    @property
    def tax_recorded(self) -> int:
        return TAX if self.whole_order else 0

    def order(self, now: datetime) -> Json:
        return jacket_order(now, delivered_days_ago=self.delivered_days_ago)

    def request(self, order: Json, now: datetime) -> Json:
        return request_for(order, now, reason=self.reason, **self.of_request)


async def _sent_and_paid(people: Outsiders, order: Json, return_id: str) -> None:
    await people.is_labelled(return_id)
    await people.send_back(return_id, order)


async def _cancelled(people: Outsiders, order: Json, return_id: str) -> None:
    await people.is_labelled(return_id)
    await people.act(return_id, "cancel", reason="it fits after all", requested_at=people.now())


async def _approved_by_a_person(people: Outsiders, order: Json, return_id: str) -> None:
    await people.review(return_id, "approve", reason="a good customer; five days are no matter")
    await _sent_and_paid(people, order, return_id)


async def _linked_by_a_person(people: Outsiders, order: Json, return_id: str) -> None:
    await people.review(
        return_id,
        "link_order",
        linked_order_id=order["order_id"],
        reason="found by the last digits of the card",
    )
    await _sent_and_paid(people, order, return_id)


async def _defect_not_found(people: Outsiders, order: Json, return_id: str) -> None:
    await people.is_labelled(return_id)
    await people.send_back(return_id, order, defect_confirmed=False)
    await people.review(return_id, "approve", reason="the zip sticks now and then: believed")


async def _paid_as_store_credit(people: Outsiders, order: Json, return_id: str) -> None:
    await _sent_and_paid(people, order, return_id)
    await people.reaches(return_id, "settlement_failed")
    await people.act(return_id, "settlement", method="store_credit", consent_at=people.now())


SCENARIOS = (
    Scenario(
        name="jacket",
        story="Sarah's winter jacket has the wrong size: nine steps from request to refund",
        play=_sent_and_paid,
        ends="settled",
        paid=CAPTURED,
        steps=(1, 2, 3, 4, 5, 6, 7, 8, 9),
        whole_order=True,
    ),
    Scenario(
        name="cancelled",
        story="Sarah changes her mind again before the parcel leaves: nothing is paid",
        play=_cancelled,
        ends="cancelled",
    ),
    Scenario(
        name="outside-window",
        story="five days late: a person decides, with the customer's value in front of them",
        play=_approved_by_a_person,
        ends="settled",
        paid=CAPTURED,
        reason="changed_mind",
        delivered_days_ago=35,
        whole_order=True,
    ),
    Scenario(
        name="unknown-order",
        story="no order matches the claim: a person looks and links the right one",
        play=_linked_by_a_person,
        ends="settled",
        paid=CAPTURED,
        of_request={
            "order_id": None,
            "requester": None,
            "claim": {"email": "sarah@work.example", "last4": "1234"},
        },
        whole_order=True,
    ),
    Scenario(
        name="defect-not-found",
        story="a defect is claimed and not found: the money waits for a person",
        play=_defect_not_found,
        ends="settled",
        paid=CAPTURED,
        reason="defective",
        whole_order=True,
    ),
    Scenario(
        name="refund-declined",
        story="the processor declines the refund: the customer takes store credit",
        play=_paid_as_store_credit,
        ends="settled",
        credited=CAPTURED,
        behaviour="declined",
        whole_order=True,
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
