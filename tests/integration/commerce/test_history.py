"""What the store adds to a case: linked accounts, claims of "not received", similar past cases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.decisions import EscalationReason, ReturnDecisionMade
from contracts.orders import OrderSnapshot
from contracts.payment import DisputeOpened
from contracts.requests import Evidence, EvidenceAdded, EvidenceKind
from contracts.reviews import ReviewDecided
from services.commerce import app
from tests.driving import Drive
from tests.integration.commerce.test_process import assessed
from tests.unit.commerce.process import examples

pytestmark = pytest.mark.asyncio
HOME = {
    "name": "A",
    "line1": "12 Elm Street",
    "line2": "Apt 4",
    "city": "Reno",
    "postal_code": "89501",
    "country": "US",
    "region": "NV",
}


def bought(number: int, *, customer: int = 1, late: bool = False, **changes: Any) -> OrderSnapshot:
    """An order of a customer; `late`: delivered so long ago that its window is over."""
    made = examples.order(order_id=f"order-{number}", order_number=f"N{number}", **changes)
    buyer = made.buyer.model_copy(
        update={"customer_id": f"customer-{customer}", "email": f"c{customer}@x.example"}
    )
    ago = timedelta(days=60 if late else 10)
    parcel = made.deliveries[0].model_copy(
        update={"delivered_at": examples.NOW - ago, "shipped_at": examples.NOW - ago}
    )
    placed = examples.NOW - ago - timedelta(days=3)
    update = {"buyer": buyer, "deliveries": (parcel,), "placed_at": placed}
    return made.model_copy(update=update)


async def asked(
    service: Drive, number: int, *, customer: int = 1, **changes: Any
) -> ReturnDecisionMade:
    """The decision on a return of order `number`."""
    requester = {"customer_id": f"customer-{customer}", "verified_by": "session"}
    return_id = str(UUID(int=number))
    await service.send(
        examples.request(
            return_id=return_id, order_id=f"order-{number}", requester=requester, **changes
        )
    )
    return await assessed(service)


def verdict(made: ReturnDecisionMade, decision: str) -> ReviewDecided:
    assert made.escalation is not None
    return ReviewDecided(
        return_id=made.return_id,
        order_id=made.order_id,
        decision=decision,
        reason="because",
        reviewer="bob",
        case_sha256=made.escalation.case.case_sha256,
        decided_at=examples.NOW,
    )


def similar(made: ReturnDecisionMade) -> list[dict[str, Any]]:
    assert made.escalation is not None
    found: list[dict[str, Any]] = made.escalation.context.get("similar_cases", [])
    return found


async def test_a_case_shows_how_people_decided_others_like_it(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    for number, reason, decision in (
        (1, "wrong_size", "approve"),
        (2, "changed_mind", "reject"),
        (3, "wrong_size", "approve"),
    ):
        await service.send(bought(number, customer=number, late=True))
        made = await asked(service, number, customer=number, reason=reason)
        assert made.escalation is not None
        assert made.escalation.reason is EscalationReason.OUTSIDE_WINDOW
        assert len(similar(made)) == number - 1
        await service.send(verdict(made, decision))
    await service.send(bought(4, customer=4, late=True))
    made = await asked(service, 4, customer=4, reason="changed_mind")
    told = similar(made)
    assert told[0]["decided"] == "reject"
    assert told[0]["alike"] == ["the same question", "the same product", "the same reason"]
    assert {each["return_id"] for each in told} == {str(UUID(int=n)) for n in (1, 2, 3)}
    assert (told[0]["calculated"], told[0]["paid"]) == (22200, 0)
    assert not any("because" in str(each) or "bob" in str(each) for each in told)


async def test_what_was_shown_once_stays_in_the_case_whatever_is_decided_elsewhere(
    drive: Any,
) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(bought(1, late=True), bought(2, customer=2, late=True))
    first = await asked(service, 1)
    await service.send(verdict(first, "approve"))
    waiting = await asked(service, 2, customer=2)
    assert len(similar(waiting)) == 1
    text = Evidence(evidence_id="e", kind=EvidenceKind.TEXT, text="look")
    await service.send(
        EvidenceAdded(return_id=waiting.return_id, evidence=(text,), added_at=examples.NOW)
    )
    again = (await service.published(ReturnDecisionMade))[-1]
    assert again.sequence == waiting.sequence + 1 and similar(again) == similar(waiting)


async def test_test_returns_teach_nobody_anything(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(bought(1, late=True))
    made = await asked(service, 1, channel={"type": "api", "test": True})
    await service.send(verdict(made, "approve"))
    assert await service.count("verdicts") == 0


def signals(made: ReturnDecisionMade) -> dict[str, str]:
    return {each.rule_id: each.explanation for each in made.findings if each.code == "risk_signal"}


@pytest.mark.parametrize(("accounts", "linked"), [(2, False), (5, True), (25, False)])
async def test_accounts_that_share_an_address_are_linked_but_a_parcel_shop_links_nobody(
    drive: Any, accounts: int, linked: bool
) -> None:
    service: Drive = await drive(app.build, "commerce")
    written = [HOME, HOME | {"name": "B", "line1": "12 ELM STREET", "line2": "apt. 4"}]
    orders = [
        bought(number, customer=number, ship_to=written[number % 2])
        for number in range(1, accounts + 1)
    ]
    await service.send(*orders, *orders[:1])
    made = await asked(service, 1)
    assert ("risk.linked_accounts" in signals(made)) is linked
    if linked:
        assert signals(made)["risk.linked_accounts"].startswith("4 other accounts")
    assert await service.count("links") == accounts


async def test_a_dispute_about_goods_that_a_carrier_delivered_counts_once(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(bought(1), bought(2))
    dispute = DisputeOpened(
        order_id="order-1",
        payment_id="p1",
        dispute_id="d1",
        amount=22200,
        currency="USD",
        reason="product_not_received",
    )
    await service.send(dispute)
    await service.send(dispute.model_copy(update={"return_id": str(UUID(int=9))}))
    made = await asked(service, 2)
    assert signals(made)["risk.not_received_claims"].startswith('1 claims of "not received"')
    assert signals(made)["risk.disputes"].startswith("1 ")
